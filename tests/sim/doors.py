"""How devices reach the hub: its own front door, or a broker between that nobody trusts. Both have one face.

dial(attempt)                a device wants to connect
send(peer, message)          the hub speaks
close_child(...)             the hub ends a connection
hub_up(), hub_down(...)      a life of the hub begins, or has ended
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from hub.core import inputs
from protocol import codec, limits, messages
from protocol.errors import LocalProtocolError
from protocol.messages import AnyMessage
from tests.sim.network import Path, Wire

if TYPE_CHECKING:
    from tests.sim.child import Child
    from tests.sim.hub import Hub

LEFT = "it said goodbye"


class Attempt:
    """One session at the device: from connect to the one `closed`, as protocol.aio.mqtt has it."""

    def __init__(self, device: Child, session: int, nonce: str) -> None:
        self.device, self.session, self.nonce = device, session, nonce
        self.life = device.life
        self.wire: Wire | None = None
        self.over = False
        self.seal: Callable[[AnyMessage], bytes | None] = codec.encode
        self.unseal: Callable[[bytes], AnyMessage | None] = lambda payload: codec.decode(payload, codec.DOWN)

    @property
    def path(self) -> Path:
        """The device's way to the world."""
        return self.device.path

    @property
    def will(self) -> messages.Bye:
        """What is said for it when it is lost."""
        return messages.Bye(session=self.session, nonce=self.nonce, reason="the connection broke")

    def opened(self) -> None:
        """It is connected and listens."""
        if not self.over:
            self.device.on_opened(self)

    def heard(self, payload: bytes) -> None:
        """A payload of the parent."""
        if not self.over:
            message = self.unseal(payload)
            if message is not None:
                self.device.on_got(message)

    def closed(self, reason: str) -> None:
        """It is over: said once."""
        if not self.over:
            self.over = True
            self.device.on_closed(self, reason)

    def send(self, message: AnyMessage) -> None:
        """Send up; dropped when it is not connected, or may not be said yet."""
        if self.wire is None:
            return
        try:
            payload = self.seal(message)
        except LocalProtocolError:
            return
        if payload is not None:
            self.wire.send(0, payload)

    def leave(self, reason: str) -> None:
        """End it and say so now; what was sent before still leaves."""
        self.closed(reason)
        if self.wire is not None:
            self.wire.leave(0, LEFT)

    def vanish(self, *, flushed: bool) -> None:
        """The device's process is gone."""
        self.over = True
        if self.wire is not None:
            self.wire.vanish(0, flushed=flushed)


class Door(Protocol):
    """See the module."""

    def dial(self, attempt: Attempt) -> None: ...
    def send(self, peer: str, message: AnyMessage) -> None: ...
    def close_child(self, node: str, connection: int, reason: str, ban: bool) -> None: ...
    def hub_up(self) -> None: ...
    def hub_down(self, *, flushed: bool) -> None: ...
    def store_failed(self) -> None: ...


def reach(attempt: Attempt, arrived: Callable[[], None]) -> None:
    """Have `arrived` called when a TCP and TLS handshake has gone over the attempt's path, if it can."""
    path = attempt.path
    clock = path.clock
    clock.after(
        limits.CONNECT_WAIT_S, lambda: attempt.closed("no connection in time") if attempt.wire is None else None
    )

    def try_it() -> None:
        if attempt.over:
            return
        if path.is_open:
            arrived()
        else:
            clock.after(1.0, try_it)

    clock.after(3 * path.trip_s(), try_it)


class FrontDoor:
    """The hub's own MQTT door: it knows each connection, and takes identity from TLS."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._count = 0
        self._open: dict[str, tuple[int, Wire]] = {}
        self._banned: set[str] = set()

    def dial(self, attempt: Attempt) -> None:
        """As hub.shell.front_door: the gate first, then Opened before any message."""
        reach(attempt, lambda: self._arrived(attempt))

    def _arrived(self, attempt: Attempt) -> None:
        hub, device = self._hub, attempt.device
        if not hub.alive:
            attempt.closed("connection refused")
            return
        verdict = hub.verdict(device.node, device.key, device.scope)
        if verdict == "revoked" or device.node in self._banned:
            farewell = hub.hub_core.farewell(device.node)
            if farewell is not None:
                attempt.heard(codec.encode(farewell))
            attempt.closed("not authorized")
            return
        if verdict:
            attempt.closed(verdict)
            return
        self._admit(attempt)

    def _admit(self, attempt: Attempt) -> None:
        hub, device = self._hub, attempt.device
        self._count += 1
        number, node, life = self._count, device.node, hub.life
        former = self._open.get(node)
        if former is not None:
            self._close(node, former[0], "a newer connection of this node took over")

        def heard(payload: bytes) -> None:
            if life == hub.life:
                hub.put(inputs.Got(node=node, connection=number, message=codec.decode(payload, codec.UP)))

        def closed(reason: str) -> None:
            if life == hub.life:
                self._over(node, number, attempt.will if reason != LEFT else None, reason)

        attempt.wire = wire = Wire(attempt.path, (heard, attempt.heard), (closed, attempt.closed))
        self._open[node] = (number, wire)
        expired = hub.is_expired(device)
        hub.put(inputs.Opened(node=node, connection=number, key=device.key, expired=expired, scope=device.scope))
        hub.clock.after(attempt.path.trip_s(), attempt.opened)

    def _over(self, node: str, number: int, will: messages.Bye | None, reason: str) -> None:
        if self._open.get(node, (0,))[0] == number:
            del self._open[node]
        if will is not None:
            self._hub.put(inputs.Closed(node=node, session=will.session, nonce=will.nonce, reason=will.reason))
        self._hub.put(inputs.Closed(node=node, connection=number, reason=reason))

    def send(self, peer: str, message: AnyMessage) -> None:
        """Dropped when the child is not here."""
        found = self._open.get(peer)
        if found is not None:
            found[1].send(1, codec.encode(message))

    def close_child(self, node: str, connection: int, reason: str, ban: bool) -> None:
        """As hub.shell.front_door."""
        if ban:
            self._banned.add(node)
        found = self._open.get(node)
        if found is not None and (ban or connection in (0, found[0])):
            self._close(node, found[0], reason)

    def _close(self, node: str, number: int, reason: str) -> None:
        _, wire = self._open[node]
        wire.leave(1, reason)
        self._over(node, number, None, reason)

    def hub_up(self) -> None:
        """It listens again."""
        self._open.clear()
        self._banned.clear()

    def hub_down(self, *, flushed: bool) -> None:
        """All sockets go."""
        for _, wire in self._open.values():
            wire.vanish(1, flushed=flushed)
        self._open.clear()

    def store_failed(self) -> None:
        """What was received will not be committed: the children come again."""
        for node, (number, _) in list(self._open.items()):
            self._close(node, number, "the hub could not store; come again")
