"""A node's link to its parent over MQTT: the one file that knows aiomqtt (and the paho inside it).

One `_Attempt` is one session: connect with the will, listen to the own `down` topics, then say `opened`; and whatever
happens, say `closed` exactly once. Messages go with QoS 0: a PUBACK moves nothing (INVARIANTS A2), the link re-sends
what is not acknowledged by its parent. Deliberately absent: reconnecting (the core decides when), retained messages,
sessions that outlive a connection.

`Connection` is what both a child (MqttLink) and a hub at an external broker (hub.shell.broker) use of aiomqtt.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import socket
import ssl
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

import aiomqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from protocol import codec, ids, limits, messages, topics
from protocol.errors import LocalProtocolError, Refused, RemoteProtocolError, SkerryError

if TYPE_CHECKING:
    from protocol.link.seal import ChildSeal  # loaded only where it is used: it costs memory

_NO_DELAY = (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # without it each large message waits some 40 ms (measured)
_GIVE_UP = (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(limits.SILENT_S_MAX * 1000))
"""A connection that a network forgot between two contacts is noticed by its first words, not by the next keep alive."""

_log = logging.getLogger(__name__)


class TurnedAway(Refused):
    """Who answered there would not have us: TLS, or the front door behind it."""


class _Tap(asyncio.Queue[aiomqtt.Message]):
    """aiomqtt's inbox, without the task it would make for each message: hands on at once and stays empty."""

    def __init__(self, heard: Callable[[str, bytes], None]) -> None:
        super().__init__()
        self._heard = heard

    def put_nowait(self, item: aiomqtt.Message) -> None:
        """Hand the message on."""
        self._heard(item.topic.value, item.payload)


class _LastWords(logging.Handler):
    """Keeps what paho would log of an error, for the reason that people are given."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.text = ""

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the newest."""
        self.text = record.getMessage()


class _Client(aiomqtt.Client):
    """aiomqtt's, which would wait its whole timeout for the CONNACK of a socket that has been closed (as TLS 1.3 does
    to a certificate it refuses)."""

    def _on_disconnect(self, *args: Any, **kwargs: Any) -> None:
        if not self._connected.done():
            self._connected.set_exception(aiomqtt.MqttError("closed before it answered"))
        super()._on_disconnect(*args, **kwargs)


class Connection:
    """One MQTT connection, clean from start to end, that sends without blocking."""

    def __init__(
        self,
        *,
        host: str,
        port: int,
        identifier: str,
        context: ssl.SSLContext,
        heard: Callable[[str, bytes], None],
        will: tuple[str, bytes] | None = None,
        contact_s: float = 0.0,
    ) -> None:
        """`contact_s`: the contact interval of a metered link; 0.0: it is not metered."""
        self._contact_s = contact_s
        self._host, self._port, self._identifier, self._context, self._will = host, port, identifier, context, will
        self._tap = _Tap(heard)
        self._waiting: deque[tuple[str, bytes]] = deque()
        self._waiting_bytes = 0
        self._wake = asyncio.Event()
        self._leaving = False
        self._client: _Client | None = None
        self.peer_names: list[str] = []
        """Host names and addresses in the certificate that the other end proved itself with."""
        self._last_words = _LastWords()
        self._logger = logging.Logger("mqtt")  # outside of the hierarchy: the reason says it, nothing else does
        self._logger.addHandler(self._last_words)

    def send(self, topic: str, payload: bytes) -> bool:
        """Queue a publish; False when the queue is over limits.SEND_QUEUE_BYTES_MAX and it is dropped."""
        if self._leaving or self._waiting_bytes + len(payload) > limits.SEND_QUEUE_BYTES_MAX:
            return False
        self._waiting.append((topic, payload))
        self._waiting_bytes += len(payload)
        self._wake.set()
        return True

    def leave(self) -> None:
        """Send what is queued (for at most GOODBYE_WAIT_S), then end in order (no will); `run` returns."""
        if not self._leaving:
            self._leaving = True
            self._wake.set()
            asyncio.get_running_loop().call_later(limits.GOODBYE_WAIT_S, self.cut)

    def cut(self) -> None:
        """End the connection now, as a broken network would; harmless when there is none.

        The one use of aiomqtt's inside: it has no other way to its socket. The end of the socket unwinds the rest.
        """
        sock = self._socket()
        if sock is not None:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def _socket(self) -> socket.socket | None:
        paho = self._client._client if self._client is not None else None  # pyright: ignore[reportPrivateUsage]
        sock = paho.socket() if paho is not None else None
        return sock if isinstance(sock, socket.socket) else None

    def _names(self) -> list[str]:
        sock = self._socket()
        proven = sock.getpeercert() if isinstance(sock, ssl.SSLSocket) else None
        names = cast("tuple[tuple[str, str], ...]", (proven or {}).get("subjectAltName", ()))
        hosts = [name for kind, name in names if kind in ("DNS", "IP Address")]
        return [host for host in hosts if not host.endswith(ids.DNS_SUFFIX)]

    async def run(self, subscription: str, opened: Callable[[], None]) -> None:
        """Connect, subscribe, tell `opened`, and work until the connection ends or `leave`.

        Raises Refused with the reason (TurnedAway when we were), unless it was left. Not to be cancelled while it
        connects (a thread does that).
        """
        try:
            self._client = self._make_client()
            async with self._client as client:
                self.peer_names = self._names()
                await self._subscribe(client, subscription)
                if not self._leaving:
                    opened()
                await self._work(client)
        except aiomqtt.MqttError as error:
            kind = Refused if _is_of_the_way(error.__cause__ or error.__context__) else TurnedAway
            raise kind(f"{self._host}:{self._port}: {_why(error, self._last_words.text)}") from error
        except OSError as error:
            kind = Refused if _is_of_the_way(error) else TurnedAway
            raise kind(f"{self._host}:{self._port}: {_plain(error)}") from error
        finally:
            self.cut()

    def _make_client(self) -> _Client:
        properties = Properties(PacketTypes.CONNECT)
        properties.MaximumPacketSize = limits.PACKET_BYTES_MAX
        make_queue = cast("type[asyncio.Queue[aiomqtt.Message]]", self._queue)
        return _Client(
            self._host,
            self._port,
            identifier=self._identifier,
            logger=self._logger,
            protocol=aiomqtt.ProtocolVersion.V5,
            clean_start=True,
            keepalive=int(self._contact_s * limits.KEEPALIVE_SHARE) or limits.KEEPALIVE_S,
            timeout=limits.CONNECT_WAIT_S,
            tls_context=self._context,
            will=None if self._will is None else aiomqtt.Will(self._will[0], self._will[1], qos=1),
            queue_type=make_queue,
            properties=properties,
            socket_options=[_NO_DELAY, _GIVE_UP] if self._contact_s else [_NO_DELAY],
        )

    def _queue(self, **_: Any) -> _Tap:
        return self._tap

    async def _subscribe(self, client: aiomqtt.Client, subscription: str) -> None:
        codes = await client.subscribe(subscription, qos=0)
        for code in codes:
            if (code if isinstance(code, int) else code.value) >= 128:
                raise TurnedAway(f"{self._host}:{self._port} refused the subscription to {subscription}: {code}")

    async def _work(self, client: aiomqtt.Client) -> None:
        """Write until left; end with an MqttError when the connection ends."""
        ended = asyncio.ensure_future(_until_ended(client))
        writing = asyncio.ensure_future(self._write(client))
        try:
            await asyncio.wait((ended, writing), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (ended, writing):
                task.cancel()
            results = await asyncio.gather(ended, writing, return_exceptions=True)
        for result in results:
            if isinstance(result, Exception):
                raise result

    async def _write(self, client: aiomqtt.Client) -> None:
        while True:
            while self._waiting:
                topic, payload = self._waiting.popleft()
                await client.publish(topic, payload, qos=0, timeout=math.inf)  # keep alive bounds the wait
                self._waiting_bytes -= len(payload)
            if self._leaving:
                return
            self._wake.clear()
            await self._wake.wait()


async def _until_ended(client: aiomqtt.Client) -> None:
    async for _ in client.messages:
        raise AssertionError("the tap keeps the queue empty")


def _why(error: aiomqtt.MqttError, last_words: str) -> str:
    cause = error.__cause__
    if isinstance(cause, OSError):
        return _plain(cause)
    parts = [str(error), str(cause or ""), last_words]
    return "; ".join(dict.fromkeys(part for part in parts if part))


def _is_of_the_way(error: BaseException | None) -> bool:
    """Tell whether the network, or the other end's certificate, is at fault; not our own standing there."""
    of_tls = isinstance(error, ssl.SSLError) and not isinstance(error, ssl.SSLCertVerificationError)
    return isinstance(error, OSError) and not of_tls


def _plain(error: OSError) -> str:
    """Return what a person at the device can use; what only a debugger wants is left out."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate does not hold: {error.verify_message}"
    if isinstance(error, ssl.SSLEOFError):
        return "it hung up"
    if isinstance(error, ssl.SSLError):
        return f"TLS failed: {(error.reason or str(error)).replace('_', ' ').lower()}"
    return (error.strerror or str(error) or type(error).__name__).lower()


class MqttLink:
    """The transport of a node towards its parent. All callbacks come on the loop, those of one session in order."""

    def __init__(
        self,
        *,
        node: str,
        parent: str,
        host: str,
        port: int,
        context: Callable[[], ssl.SSLContext],
        opened: Callable[[int], None],
        closed: Callable[[int, str], None],
        got: Callable[[messages.AnyMessage], None],
        seal: Callable[[int, str], ChildSeal] | None = None,
        contact_s: float = 0.0,
    ) -> None:
        """`context` is called for each connection, so that a renewed certificate is used from the next one on.

        `seal`: of (session, nonce); every message is authenticated end to end, for an external broker. None through
        the embedded front door, where TLS does it. `contact_s`: as Connection's.
        """
        self.node, self.parent, self.host, self.port = node, parent, host, port
        self.context, self.seal, self.contact_s = context, seal, contact_s
        self.on_opened, self.on_closed, self.on_got = opened, closed, got
        self.peer_names: list[str] = []
        """Host names and addresses in the certificate of who answered last; right while `opened` is called."""
        self.refused = 0
        """Messages that were no messages, or not the parent's (INVARIANTS C3); counted and dropped."""
        self.turned_away = False
        """Whether the last session ended because who answered would not have us; right while `closed` is called."""
        self._attempt: _Attempt | None = None
        self._task: asyncio.Task[None] | None = None

    def connect(self, session: int, nonce: str) -> None:
        """Open `session`; a former one ends first."""
        self.disconnect("a new session begins")
        attempt = self._attempt = _Attempt(self, session, nonce)
        self._task = asyncio.get_running_loop().create_task(attempt.run(self._task))

    def disconnect(self, reason: str = "we leave") -> None:
        """End the session: what was sent before still leaves; `closed` is told at once."""
        if self._attempt is not None:
            self._attempt.leave(reason)
            self._attempt = None

    def send(self, peer: str, message: messages.AnyMessage) -> None:
        """Send `message` to the parent; dropped when not connected. Never blocks."""
        if self._attempt is not None:
            self._attempt.send(message)

    def cut(self) -> None:
        """Cut the connection as a broken network would: the will is left to speak."""
        if self._attempt is not None:
            self._attempt.cut()

    def ended(self, attempt: _Attempt, session: int, reason: str, turned_away: bool) -> None:
        """`attempt` is over: tell so."""
        self.turned_away = turned_away
        if self._attempt is attempt:
            self._attempt = None
        self.on_closed(session, reason)

    async def close(self) -> None:
        """End the session and wait until the connection is gone, at most limits.CONNECT_WAIT_S."""
        self.disconnect()
        if self._task is not None:
            await asyncio.wait((self._task,), timeout=limits.CONNECT_WAIT_S)
            self._task.cancel()


class _Attempt:
    """One session: from connect to the one `closed`."""

    def __init__(self, link: MqttLink, session: int, nonce: str) -> None:
        self._link, self._session, self._nonce = link, session, nonce
        self._seal: ChildSeal | None = None
        self._connection: Connection | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self._over = False
        self._left = False
        self._warned = False

    async def run(self, former: asyncio.Task[None] | None) -> None:
        """Live the session. Waits for the former one's end: at the broker the later connection takes over."""
        link, reason, turned_away = self._link, "we left", False
        wait_s = limits.CONNECT_WAIT_S
        self._deadline = asyncio.get_running_loop().call_later(wait_s, self.leave, f"no connection within {wait_s:g} s")
        try:
            if former is not None:
                await asyncio.wait((former,))
            if not self._left:
                self._connection = self._connect()
                await self._connection.run(topics.child_filter(link.parent, link.node), self._opened)
        except (SkerryError, OSError, ssl.SSLError) as error:
            reason, turned_away = str(error), isinstance(error, TurnedAway)
        finally:
            self._deadline.cancel()
            self._finish(reason, turned_away)

    def _connect(self) -> Connection:
        link = self._link
        bye = messages.Bye(session=self._session, nonce=self._nonce, reason="the connection broke")
        self._seal = link.seal(self._session, self._nonce) if link.seal is not None else None
        payload = codec.encode(bye) if self._seal is None else self._seal.seal_will(bye)
        return Connection(
            host=link.host,
            port=link.port,
            identifier=link.node,
            context=link.context(),
            heard=self._heard,
            will=(topics.of(link.parent, link.node, bye), payload),
            contact_s=link.contact_s,
        )

    def send(self, message: messages.AnyMessage) -> None:
        """Queue `message`."""
        if self._connection is None:
            return
        link = self._link
        try:
            costly = link.contact_s > 0
            payload = codec.encode(message, costly=costly) if self._seal is None else self._seal.seal(message)
        except LocalProtocolError as error:
            _log.error("not sent to %s: %s", link.parent, error)
            return
        self._connection.send(topics.of(link.parent, link.node, message), payload)

    def leave(self, reason: str) -> None:
        """End it, and say so now; the connection ends in the background."""
        self._left = True
        self._finish(reason)
        if self._connection is not None:
            self._connection.leave()

    def cut(self) -> None:
        """Cut the connection; `closed` follows."""
        if self._connection is not None:
            self._connection.cut()

    def _opened(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        if not self._over:
            assert self._connection is not None
            self._link.peer_names = self._connection.peer_names
            self._link.on_opened(self._session)

    def _finish(self, reason: str, turned_away: bool = False) -> None:
        if not self._over:
            self._over = True
            self._link.ended(self, self._session, reason, turned_away)

    def _heard(self, topic: str, payload: bytes) -> None:
        if self._over:
            return
        link = self._link
        try:
            message = codec.decode(payload, codec.DOWN) if self._seal is None else self._seal.unseal(payload)
            if topic != topics.of(link.parent, link.node, message):
                raise RemoteProtocolError(f"a {type(message).__name__} came on {topic}")
        except SkerryError as error:
            link.refused += 1
            if not self._warned:  # once a session: who forges must not fill the log too
                self._warned = True
                _log.warning("a message on %s was refused, it is not %s's: %s", topic, link.parent, error)
            return
        link.on_got(message)
