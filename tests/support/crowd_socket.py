"""A child's MQTT 5 connection over mutual TLS, made for thousands in one process: protocol.aio.tls, turned round.

A real child's is protocol.aio.mqtt, which takes a thread and a quarter of a megabyte while it connects.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable

import mqtt5

from hub.shell.door import packets
from protocol import codec, limits, messages, topics
from protocol.aio import tls
from protocol.errors import SkerryError

_SUBSCRIPTION = 1


class ClientSocket(tls.TlsSocket):
    """The client's side of protocol.aio.tls: the handshake begins as soon as the socket is connected."""

    def arrived(self) -> None:
        """Connected: begin."""
        self.start()

    def start(self) -> None:
        """Say the first word of the handshake."""
        if self._transport is None or self._tls is not None:
            return
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = self._context.wrap_bio(self._incoming, self._outgoing)
        self._transport.resume_reading()
        self._shake()
        self._flush()


class ChildSocket(ClientSocket):
    """One session's connection. `opened`, `got` and then `closed`, once, come from the loop."""

    def __init__(
        self,
        context: ssl.SSLContext,
        *,
        hub: str,
        node: str,
        will: messages.Bye,
        opened: Callable[[], None],
        got: Callable[[messages.AnyMessage], None],
        closed: Callable[[str], None],
    ) -> None:
        super().__init__(context)
        self._hub, self._node, self._will = hub, node, will
        self._opened, self._got, self._closed = opened, got, closed
        self._partial = b""
        self.left = False

    def secured(self, certificate: bytes) -> None:
        """TLS stands: CONNECT with the will, and listen to the own topics."""
        will = mqtt5.Will(topics.of(self._hub, self._node, self._will), payload=codec.encode(self._will))
        connect = mqtt5.ConnectPacket(self._node, clean_start=True, keep_alive=limits.KEEPALIVE_S_MAX, will=will)
        wanted = mqtt5.SubscribePacket(_SUBSCRIPTION, [mqtt5.TopicFilter(topics.child_filter(self._hub, self._node))])
        self.write(connect.write() + wanted.write())

    def send(self, message: messages.AnyMessage) -> None:
        """Publish `message`, QoS 0."""
        topic = topics.of(self._hub, self._node, message)
        self.write(mqtt5.PublishPacket(topic, codec.encode(message)).write())

    def leave(self) -> None:
        """Close in order; nothing more is told."""
        self.left = True
        self.close()

    def received(self, data: memoryview) -> None:
        """Read whole packets; keep the rest."""
        if self._partial:
            data = memoryview(self._partial + data)
        at = 0
        while not self.left and (size := packets.frame(data[at : at + 5], limits.PACKET_BYTES_MAX)):
            if at + size > len(data):
                break
            packet, _ = mqtt5.read(data[at : at + size])
            at += size
            self._take(packet)
        self._partial = bytes(data[at:])

    def _take(self, packet: mqtt5.Packet) -> None:
        if isinstance(packet, mqtt5.PublishPacket):
            self._got(codec.decode(packet.payload or b"", codec.DOWN))
        elif isinstance(packet, mqtt5.SubAckPacket):
            self._opened()
        elif isinstance(packet, mqtt5.ConnAckPacket):
            if packet.reason_code is not mqtt5.ConnAckReasonCode.SUCCESS:
                raise SkerryError(f"{self._node} is refused: {packet.reason_code}")
        elif isinstance(packet, mqtt5.DisconnectPacket):
            self.close()

    def ended(self, reason: str) -> None:
        """The socket is gone."""
        if not self.left:
            self.left = True
            self._closed(reason)
