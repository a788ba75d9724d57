"""The embedded front door: MQTT 5 over mutual TLS for this hub's children, and for nobody else (DESIGN 4).

It turns sockets into the hub core's inputs (Opened, Got, Bad, Closed) and messages into packets. It decides nothing
about the fleet: who is enrolled or revoked is the `gate`'s word, asked at each CONNECT (C8).

    accepted -> waiting room -> handshake -> CONNECT -> Reachable: Opened -> Got... -> Over: Closed

A PUBACK leaves only after the commit of what it acknowledges (A1). Between the sockets and the core stands
hub.shell.door.turns: who has much to say waits for its turn. Bytes that are received but not committed are bounded for
each child and for all: over the bound a socket is not read, and TCP holds the child back; from half of it on nobody new
is admitted, and only who has little there is read on.
"""

from __future__ import annotations

import asyncio
import errno
import functools
import logging
import ssl
import time
from collections.abc import Callable
from typing import Protocol

from mqtt5 import DisconnectReasonCode as Reason

from hub.core import inputs
from hub.shell.door import session
from hub.shell.door.admission import Admission
from hub.shell.door.connection import Connection
from hub.shell.door.turns import Turns
from protocol import limits, messages
from protocol.errors import LocalProtocolError, Refused, TrustError
from protocol.trust import certificates

_log = logging.getLogger(__name__)


Verdict = session.Verdict
Gate = Callable[[certificates.Identity], Verdict]
"""Of a node id and the SHA-256 (hex) of its key: may it come in, now?"""


class Inbox(Protocol):
    """The driver's side towards a transport; `done` is called after the commit of the input's batch."""

    def put(self, event: inputs.Input, done: Callable[[], None] | None = None, /) -> None:
        """Hand over one input; never blocks."""
        ...


class FrontDoor:
    """Listens for children. `open`, then `serve` until cancelled; `send` and `close_child` at any time."""

    def __init__(
        self,
        *,
        host: str,
        port: int,
        context: ssl.SSLContext,
        hub: str,
        inbox: Inbox,
        gate: Gate,
        wall: Callable[[], float] = time.time,
        admission: Admission[Connection] | None = None,
        farewell: Callable[[str], messages.Revoked | None] = lambda _: None,
    ) -> None:
        """`farewell` makes the signed Revoked that a revoked node hears when it comes back; None: it is refused."""
        self.host, self.port = host, port
        self._context, self._hub, self._gate, self._wall = context, hub, gate, wall
        self._turns = Turns(inbox.put)
        self.farewell = farewell
        self._admission: Admission[Connection] = admission or Admission()
        self._server: asyncio.Server | None = None
        self._connections: dict[int, Connection] = {}
        self._by_node: dict[str, Connection] = {}
        self._banned: dict[str, str] = {}
        self._dirty: dict[int, Connection] = {}
        self._paused: dict[int, Connection] = {}
        self._inflight = 0
        self._count = 0
        self._timer: asyncio.TimerHandle | None = None
        self._stopping = False
        self._empty = asyncio.Event()

    # -------------------------------------------------------------------------------------------- for the hub

    async def open(self) -> None:
        """Bind and listen; `port` is then the real one. Raises Refused when the port cannot be had."""
        loop = asyncio.get_running_loop()
        try:
            self._server = await loop.create_server(self._accept, self.host, self.port, backlog=1024)
        except OSError as error:
            why = "another process has it" if error.errno == errno.EADDRINUSE else (error.strerror or str(error))
            raise Refused(
                f"cannot listen for children on {self.host}:{self.port}: {why}; choose another with --mqtt HOST:PORT "
                "(skerry hub serve keeps it); devices that are enrolled go on dialling the place they know"
            ) from error
        self.port = self._server.sockets[0].getsockname()[1]

    async def serve(self) -> None:
        """Serve until cancelled; then tell each child that the hub goes, and close."""
        if self._server is None:
            await self.open()
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            await self.close()

    async def close(self) -> None:
        """Stop listening, say goodbye, and wait at most GOODBYE_WAIT_S until all is sent."""
        self._stopping = True
        if self._server is not None:
            self._server.close()
        if self._timer is not None:
            self._timer.cancel()
        self._flush()
        for connection in list(self._connections.values()):
            connection.leave(Reason.SERVER_SHUTTING_DOWN, "the hub stops")
        try:
            async with asyncio.timeout(limits.GOODBYE_WAIT_S):
                while self._connections:
                    self._empty.clear()
                    await self._empty.wait()
        except TimeoutError:
            for connection in list(self._connections.values()):
                connection.abort()

    def send(self, peer: str, message: messages.AnyMessage) -> None:
        """Send to the child `peer`; dropped when it is not here (the link re-sends). Never blocks."""
        connection = self._by_node.get(peer)
        if connection is None:
            return
        try:
            connection.deliver(message)
        except LocalProtocolError as error:
            _log.error("not sent to %s: %s", peer, error)

    def close_child(self, node: str, connection: int, reason: str, ban: bool = False) -> None:
        """Close the child's `connection` (0: whichever it has). `ban`: and let it never come in again."""
        if ban:
            self._banned[node] = reason
        found = self._by_node.get(node)
        if found is not None and (ban or connection in (0, found.number)):
            found.flush()
            found.leave(Reason.NOT_AUTHORIZED if ban else Reason.ADMINISTRATIVE_ACTION, reason)

    def store_failed(self) -> None:
        """What was received will never be committed: close all, so that the children send it again."""
        for connection in list(self._connections.values()):
            connection.leave(Reason.UNSPECIFIED_ERROR, "the hub could not store; come again")
        self._inflight = 0
        self._turns.clear()

    @property
    def connected(self) -> int:
        """How many sockets there are, waiting ones included."""
        return len(self._connections)

    @property
    def inflight(self) -> int:
        """How many bytes are received and not committed yet."""
        return self._inflight

    # -------------------------------------------------------------------------------------------- arrivals

    def _accept(self) -> Connection:
        self._count += 1
        connection = Connection(self._context, self, self._count)
        connection.hub = self._hub
        return connection

    def arrived(self, connection: Connection) -> None:
        """Seat it in the waiting room, if there is room."""
        self._connections[connection.number] = connection
        if self._stopping or len(self._connections) > limits.CONNECTIONS_MAX:
            connection.abort()
            return
        turned_away = self._admission.arrive(connection, connection.source, asyncio.get_running_loop().time())
        if turned_away is not None:
            turned_away.abort()
        if self._timer is None:
            self._admit()

    def _admit(self) -> None:
        loop = asyncio.get_running_loop()
        if self._is_crowded():  # who is in is served first
            self._timer = loop.call_later(limits.ADMISSION_LOOK_S, self._admit)
            return
        admitted, given_up = self._admission.admit(loop.time())
        for connection in admitted:
            connection.begin()
        for connection in given_up:
            connection.abort()
        wake = self._admission.next_wake()
        self._timer = loop.call_at(wake + 0.002, self._admit) if wake is not None else None

    def identify(self, certificate: bytes) -> tuple[certificates.Identity, Verdict]:
        """Read the certificate (its chain is checked) and ask the gate. Raises TrustError."""
        identity = certificates.identify(certificate)
        if identity.role not in ("node", "hub"):
            raise TrustError(f"{identity.role} {identity.id} is no child: only children come through this door")
        if identity.id in self._banned:
            return identity, Verdict.REVOKED
        return identity, self._gate(identity)

    # -------------------------------------------------------------------------------------------- what sessions say

    def happened(self, connection: Connection, event: session.Event) -> None:
        """Turn a session's event into an input of the core."""
        identity = connection.identity
        assert identity is not None
        if isinstance(event, session.Joined):
            self._take_over(connection, identity.id)
        elif isinstance(event, session.Reachable):
            self._announce(connection, identity)
        elif isinstance(event, session.Arrived):
            self._got(connection, identity.id, event)
        elif isinstance(event, session.Unreadable):
            self._put(inputs.Bad(node=identity.id, connection=connection.number, error=event.error))
        else:
            self._over(connection, identity.id, event)

    def _take_over(self, connection: Connection, node: str) -> None:
        former = self._by_node.get(node)
        if former is not None:
            former.leave(Reason.SESSION_TAKEN_OVER, "a newer connection of this node took over")
        self._by_node[node] = connection

    def _announce(self, connection: Connection, identity: certificates.Identity) -> None:
        connection.announced = True
        expired = self._wall() * 1000 > identity.until_ms
        who, number, scope = identity.id, connection.number, identity.scope
        self._put(inputs.Opened(node=who, connection=number, key=identity.key, expired=expired, scope=scope))

    def _put(self, event: inputs.Opened | inputs.Closed | inputs.Bad) -> None:
        self._turns.put(event.node, event, limits.INPUT_BYTES)

    def _got(self, connection: Connection, node: str, event: session.Arrived) -> None:
        cost = event.size + limits.INPUT_BYTES  # many small ones must not fill the inbox either
        connection.inflight += cost
        self._inflight += cost
        if self._is_over(connection) and not connection.paused:
            connection.paused = True
            connection.pause()
            self._paused[connection.number] = connection
        self._turns.put(
            node,
            inputs.Got(node=node, connection=connection.number, message=event.message),
            cost,
            functools.partial(self._committed, connection, cost, event.packet),
        )

    def _is_over(self, connection: Connection) -> bool:
        if connection.inflight > limits.CHILD_INFLIGHT_BYTES_MAX or self._inflight > limits.DOOR_INFLIGHT_BYTES_MAX:
            return True
        return self._is_crowded() and connection.inflight > limits.EXPRESS_BYTES

    def _is_crowded(self) -> bool:
        return self._inflight > limits.DOOR_INFLIGHT_BYTES_MAX // 2

    def _committed(self, connection: Connection, cost: int, packet: int) -> None:
        connection.inflight -= cost
        self._inflight = max(0, self._inflight - cost)
        if packet:
            connection.acknowledge(packet)
        if connection.paused and not connection.inflight and self._inflight <= limits.DOOR_INFLIGHT_BYTES_MAX:
            self._resume(connection)
        elif self._paused and self._inflight <= limits.DOOR_INFLIGHT_BYTES_MAX // 4:
            for one in list(self._paused.values()):
                if one.inflight <= limits.CHILD_INFLIGHT_BYTES_MAX // 2:
                    self._resume(one)

    def _resume(self, connection: Connection) -> None:
        self._paused.pop(connection.number, None)
        connection.paused = False
        connection.resume()

    def _over(self, connection: Connection, node: str, event: session.Over) -> None:
        if self._by_node.get(node) is connection:
            del self._by_node[node]
        if not connection.announced:
            return
        self._put(inputs.Closed(node=node, connection=connection.number, reason=event.reason))  # we saw why: it counts
        will = event.will
        if will is not None:
            self._put(inputs.Closed(node=node, session=will.session, nonce=will.nonce, reason=will.reason))

    def gone(self, connection: Connection) -> None:
        """The socket is closed."""
        self._connections.pop(connection.number, None)
        self._paused.pop(connection.number, None)
        self._dirty.pop(connection.number, None)
        if not self._connections:
            self._empty.set()

    # -------------------------------------------------------------------------------------------- writing

    def dirty(self, connection: Connection) -> None:
        """One write for each connection and turn of the loop, however many packets."""
        if not self._dirty:
            asyncio.get_running_loop().call_soon(self._flush)
        self._dirty[connection.number] = connection

    def _flush(self) -> None:
        dirty, self._dirty = self._dirty, {}
        for connection in dirty.values():
            connection.flush()
