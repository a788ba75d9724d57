"""One child's MQTT 5 connection, without its socket: bytes in, events and bytes out.

    EXPECTED ──CONNECT──> JOINED ──DISCONNECT, a violation, leave()──> OVER
        └──anything else, or a CONNECT that is refused──────────────────^

This is no broker. A child publishes to its own `up` topics and subscribes to its own `down` topics; everything else is
denied (INVARIANTS C1, C9) with the reason code MQTT 5 has for it. A restart of the hub loses all of this and nothing
else: connections start clean and the link's own cursors say what to send again.

    CONNECT   client id must be the certificate's id; a will must be a Bye on the own `ctl` topic
    PUBLISH   QoS 0 or 1, no retain, no alias; PUBACK only when acknowledge() tells that the hub has committed (A1)
    revoked   with a farewell (its signed Revoked) it may only SUBSCRIBE, hears that, and is cut off; else refused
    forbidden QoS 1 publishes are answered in their PUBACK, QoS 0 ones close the connection: there is no other answer
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

import mqtt5
from mqtt5 import ConnAckReasonCode as Connack
from mqtt5 import DisconnectReasonCode as Reason
from mqtt5 import PubAckReasonCode as Puback
from mqtt5 import SubAckReasonCode as Suback

from hub.shell.door import packets
from protocol import codec, limits, messages, topics
from protocol.errors import RemoteProtocolError, SkerryError, TooLarge

_UP = tuple(dict.fromkeys(channel for way, channel in topics.CHANNELS.values() if way is topics.Direction.UP))
_DOWN = tuple(dict.fromkeys(channel for way, channel in topics.CHANNELS.values() if way is topics.Direction.DOWN))


class Verdict(enum.Enum):
    """What the hub knows of a node and its key."""

    ADMITTED = "admitted"
    UNKNOWN = "unknown"
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True)
class Joined:
    """CONNECT is accepted."""


@dataclass(frozen=True, slots=True)
class Reachable:
    """The child listens to its `down` topics, or has spoken: from now on it makes sense to send."""


@dataclass(frozen=True, slots=True)
class Arrived:
    """A message of `size` bytes, decompressed; `packet` is to be acknowledged after its commit, or 0."""

    message: messages.AnyMessage
    size: int
    packet: int


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A publish on an own topic that is no message."""

    error: str


@dataclass(frozen=True, slots=True)
class Over:
    """Nothing more comes or goes after what is in `out`; `will` is what the child left for this case."""

    reason: str
    will: messages.Bye | None = None


Event = Joined | Reachable | Arrived | Unreadable | Over


class Phase(enum.Enum):
    """See the module's head."""

    EXPECTED = "expected"
    JOINED = "joined"
    OVER = "over"


class Session:
    """One connection of `node`, whose certificate has been checked."""

    def __init__(self, *, hub: str, node: str, verdict: Verdict, farewell: messages.Revoked | None = None) -> None:
        """`farewell` is what a revoked node is let in for; None: it is refused."""
        self.phase = Phase.EXPECTED
        self.out = bytearray()
        """Bytes to send; the owner takes them out."""
        self.keep_alive_s = 0
        self.subscribed: set[str] = set()
        self._node, self._verdict = node, verdict
        self._farewell = farewell if verdict is Verdict.REVOKED else None
        self._up = {topics.up(hub, node, channel): channel for channel in _UP}
        self._down = {channel: topics.down(hub, node, channel) for channel in _DOWN}
        self._wildcard = topics.child_filter(hub, node)
        self._will: messages.Bye | None = None
        self._reachable = False
        self._unacked: set[int] = set()
        self._denials = 0
        self._explain = True
        self._peer_bytes_max = limits.PACKET_BYTES_MAX
        self._partial = bytearray()
        self._events: list[Event] = []

    # -------------------------------------------------------------------------------------------- bytes in

    def receive(self, data: memoryview) -> list[Event]:
        """Take what the socket gave; return what it means, in order."""
        if self._partial:
            self._partial += data
            with memoryview(self._partial) as view:
                used = self._parse(view)
            del self._partial[:used]
            if not self._partial:
                self._partial = bytearray()  # give the memory back
        else:
            self._partial += data[self._parse(data) :]
        events, self._events = self._events, []
        return events

    def _parse(self, data: memoryview) -> int:
        at = 0
        while at < len(data) and self.phase is not Phase.OVER:
            try:
                size = packets.frame(data[at : at + 5], self._bytes_max())
                if not size or at + size > len(data):
                    return at
                self._handle(data[at : at + size])
            except TooLarge as error:
                self._violation(Reason.PACKET_TOO_LARGE, str(error))
            except (ValueError, IndexError) as error:
                self._violation(Reason.MALFORMED_PACKET, f"not an MQTT 5 packet: {error}")
            else:
                at += size
        return len(data)

    def _bytes_max(self) -> int:
        return limits.PACKET_BYTES_MAX if self.phase is Phase.JOINED else limits.CONNECT_BYTES_MAX

    def _handle(self, data: memoryview) -> None:
        if self.phase is Phase.EXPECTED:
            self._greet(data)
            return
        packet, _ = mqtt5.read(data)
        if self._farewell is not None and not isinstance(packet, mqtt5.SubscribePacket):
            self._violation(Reason.NOT_AUTHORIZED, f"{self._node} is revoked")
        elif isinstance(packet, mqtt5.PublishPacket):
            self._publish(packet)
        elif isinstance(packet, mqtt5.SubscribePacket):
            self._subscribe(packet)
        elif isinstance(packet, mqtt5.UnsubscribePacket):
            self._unsubscribe(packet)
        elif isinstance(packet, mqtt5.PingReqPacket):
            self.out += mqtt5.PingRespPacket().write()
        elif isinstance(packet, mqtt5.DisconnectPacket):
            normal = packet.reason_code == Reason.NORMAL_DISCONNECTION
            self._end("the child said goodbye" if normal else "the child left its will", will=not normal)
        else:
            self._violation(Reason.PROTOCOL_ERROR, f"{type(packet).__name__} does not belong here")

    # -------------------------------------------------------------------------------------------- CONNECT

    def _greet(self, data: memoryview) -> None:
        if data[0] != packets.CONNECT:
            self._end("the first packet was no CONNECT")
        elif packets.protocol_level(data) in (3, 4):
            self.out += packets.CONNACK_3
            self._end("the client speaks MQTT 3: Skerry needs MQTT 5")
        else:
            packet, _ = mqtt5.read(data)
            assert isinstance(packet, mqtt5.ConnectPacket)
            self._connect(packet)

    def _connect(self, packet: mqtt5.ConnectPacket) -> None:
        refusal = self._refusal(packet)
        if refusal is not None:
            code, text = refusal
            self.out += mqtt5.ConnAckPacket(reason_code=code, reason_str=text).write()
            self._end(text)
            return
        asked = packet.keep_alive
        self.keep_alive_s = min(asked or limits.KEEPALIVE_S_UNSAID, limits.KEEPALIVE_S_MAX)
        self._explain = packet.request_problem_info
        self._peer_bytes_max = min(packet.max_packet_size or limits.PACKET_BYTES_MAX, limits.PACKET_BYTES_MAX)
        self.out += mqtt5.ConnAckPacket(
            session_expiry_interval=0 if packet.session_expiry_interval else None,
            server_keep_alive=self.keep_alive_s if self.keep_alive_s != asked else None,
            receive_max=limits.RECEIVE_MAX,
            max_qos=mqtt5.QoS.AT_LEAST_ONCE,
            retain_available=False,
            max_packet_size=limits.PACKET_BYTES_MAX,
            subscription_id_available=False,
            shared_subscription_available=False,
        ).write()
        self.phase = Phase.JOINED
        if self._farewell is None:
            self._events.append(Joined())

    def _refusal(self, packet: mqtt5.ConnectPacket) -> tuple[Connack, str] | None:
        if self._verdict is Verdict.REVOKED and self._farewell is None:
            return Connack.BANNED, f"{self._node} is revoked"
        if self._verdict is Verdict.UNKNOWN:
            return Connack.NOT_AUTHORIZED, f"{self._node} is not enrolled here with this key"
        if packet.client_id != self._node:
            return Connack.CLIENT_ID_NOT_VALID, f"the client id must be {self._node}, as in the certificate"
        if packet.authentication_method is not None:
            return Connack.BAD_AUTHENTICATION_METHOD, "the certificate is the only identity here"
        return self._will_refusal(packet.will) if packet.will is not None else None

    def _will_refusal(self, will: mqtt5.Will) -> tuple[Connack, str] | None:
        if will.retain:
            return Connack.RETAIN_NOT_SUPPORTED, "nothing is retained here"
        if will.qos == mqtt5.QoS.EXACTLY_ONCE:
            return Connack.QUALITY_NOT_SUPPORTED, "QoS 0 and 1 only"
        if self._up.get(will.topic) != "ctl":
            return Connack.NOT_AUTHORIZED, "the will's topic must be the own up/ctl"
        try:
            message = codec.decode(will.payload or b"", codec.UP)
        except SkerryError as error:
            return Connack.PAYLOAD_FORMAT_INVALID, f"the will is no message: {error}"
        if not isinstance(message, messages.Bye):
            return Connack.PAYLOAD_FORMAT_INVALID, "the will must be a Bye"
        self._will = message
        return None

    # -------------------------------------------------------------------------------------------- PUBLISH

    def _publish(self, packet: mqtt5.PublishPacket) -> None:
        if packet.qos == mqtt5.QoS.EXACTLY_ONCE:
            self._violation(Reason.QOS_NOT_SUPPORTED, "QoS 0 and 1 only")
        elif packet.retain:
            self._violation(Reason.RETAIN_NOT_SUPPORTED, "nothing is retained here")
        elif packet.topic_alias is not None:
            self._violation(Reason.TOPIC_ALIAS_INVALID, "no topic aliases here")
        elif packet.packet_id is not None and not self._claim(packet.packet_id):
            self._violation(Reason.RECEIVE_MAX_EXCEEDED, f"more than {limits.RECEIVE_MAX} publishes unacknowledged")
        else:
            self._accept(packet)

    def _claim(self, packet: int) -> bool:
        if len(self._unacked) >= limits.RECEIVE_MAX and packet not in self._unacked:
            return False
        self._unacked.add(packet)
        return True

    def _accept(self, packet: mqtt5.PublishPacket) -> None:
        channel = self._up.get(packet.topic)
        if channel is None:
            self._deny(packet, Puback.NOT_AUTHORIZED, Reason.NOT_AUTHORIZED, f"not yours to publish: {packet.topic}")
            return
        self._reach()
        try:
            message = self._read(packet.payload, channel)
        except SkerryError as error:
            self._events.append(Unreadable(str(error)))
            self._deny(packet, Puback.PAYLOAD_FORMAT_INVALID, None, str(error))
            return
        self._events.append(Arrived(message, codec.size_of(packet.payload), packet.packet_id or 0))

    def _read(self, payload: bytes, channel: str) -> messages.AnyMessage:
        message = codec.decode(payload, codec.UP)
        if topics.channel_of(message) != channel:
            raise RemoteProtocolError(f"a message of channel {topics.channel_of(message)} came on {channel}")
        if isinstance(message, messages.Hello) and message.node != self._node:
            raise RemoteProtocolError(f"a Hello of {message.node} came from {self._node}")
        return message

    def _deny(self, packet: mqtt5.PublishPacket, code: Puback, closing: Reason | None, text: str) -> None:
        self._denials += 1
        if self._denials > limits.DENIALS_MAX:
            self._violation(Reason.QUOTA_EXCEEDED, "too many refused publishes")
        elif packet.packet_id is not None:
            self.acknowledge(packet.packet_id, code, text)
        elif closing is not None:
            self._violation(closing, text)

    def acknowledge(self, packet: int, code: Puback = Puback.SUCCESS, text: str = "") -> None:
        """Send the PUBACK of `packet`: its message is committed (or refused, with `code`)."""
        if self.phase is Phase.JOINED:
            self._unacked.discard(packet)
            explanation = text if text and self._explain else None
            self.out += mqtt5.PubAckPacket(packet, reason_code=code, reason_str=explanation).write()

    # -------------------------------------------------------------------------------------------- SUBSCRIBE

    def _subscribe(self, packet: mqtt5.SubscribePacket) -> None:
        if packet.subscription_id is not None:
            self._violation(Reason.SUBSCRIPTION_IDS_NOT_SUPPORTED, "no subscription identifiers here")
            return
        if len(packet.topic_filters) > limits.SUBSCRIPTIONS_MAX:
            self._violation(Reason.QUOTA_EXCEEDED, f"more than {limits.SUBSCRIPTIONS_MAX} topics in one subscription")
            return
        codes = [self._grant(item) for item in packet.topic_filters]
        self.out += mqtt5.SubAckPacket(packet.packet_id, codes).write()
        if self._farewell is not None:
            self.deliver(self._farewell)
            self._violation(Reason.NOT_AUTHORIZED, f"{self._node} is revoked")
        elif self.subscribed:
            self._reach()

    def _grant(self, item: mqtt5.TopicFilter) -> Suback:
        if item.pattern.startswith("$share/"):
            return Suback.SHARED_SUBSCRIPTIONS_NOT_SUPPORTED
        if item.pattern != self._wildcard and item.pattern not in self._down.values():
            return Suback.NOT_AUTHORIZED
        self.subscribed.add(item.pattern)
        at_most_once = item.max_qos == mqtt5.QoS.AT_MOST_ONCE
        return Suback.GRANTED_QOS_AT_MOST_ONCE if at_most_once else Suback.GRANTED_QOS_AT_LEAST_ONCE

    def _unsubscribe(self, packet: mqtt5.UnsubscribePacket) -> None:
        codes = list[mqtt5.UnsubAckReasonCode]()
        for pattern in packet.patterns:
            known = pattern in self.subscribed
            self.subscribed.discard(pattern)
            codes.append(
                mqtt5.UnsubAckReasonCode.SUCCESS if known else mqtt5.UnsubAckReasonCode.NO_SUBSCRIPTION_EXISTED
            )
        self.out += mqtt5.UnsubAckPacket(packet.packet_id, codes).write()

    # -------------------------------------------------------------------------------------------- bytes out

    def deliver(self, message: messages.AnyMessage) -> bool:
        """Put `message` into `out` (QoS 0: the link re-sends). False when it cannot be delivered."""
        topic = self._down[topics.channel_of(message)]
        listens = topic in self.subscribed or self._wildcard in self.subscribed
        if self.phase is not Phase.JOINED or not listens:
            return False
        packet = mqtt5.PublishPacket(topic, codec.encode(message)).write()
        if len(packet) > self._peer_bytes_max:
            return False
        self.out += packet
        return True

    def leave(self, code: Reason, text: str) -> list[Event]:
        """End the connection from our side."""
        self._violation(code, text)
        events, self._events = self._events, []
        return events

    def lost(self, reason: str) -> list[Event]:
        """The socket ended by itself."""
        self._end(reason, will=True)
        events, self._events = self._events, []
        return events

    # -------------------------------------------------------------------------------------------- endings

    def _reach(self) -> None:
        if not self._reachable:
            self._reachable = True
            self._events.append(Reachable())

    def _violation(self, code: Reason, text: str) -> None:
        if self.phase is Phase.JOINED:
            self.out += mqtt5.DisconnectPacket(reason_code=code, reason_str=text[:200]).write()
        self._end(text, will=True)

    def _end(self, reason: str, *, will: bool = False) -> None:
        if self.phase is not Phase.OVER:
            self.phase = Phase.OVER
            self._partial = bytearray()
            self._events.append(Over(reason, self._will if will else None))
