"""One child of a crowd: the real core of a link, real TLS and MQTT 5 below it, a store in memory.

Its effects are performed as the driver performs them: stored, sent, acted, and the timer armed. Nothing of its waits,
jitter, credit or windows is changed.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable

from protocol import effects, messages
from protocol.effects import Effects, Now
from protocol.entropy import Entropy
from protocol.link import events, table
from protocol.link.child import Child
from protocol.trust.signing import Anchor
from tests.support.crowd_socket import ChildSocket
from tests.support.enrolled import Papers
from tests.support.memory_store import MemoryStore, OwnRows

STREAMS = ("audit", "state")
BODY = b'{"t":21.5,"pad":"' + b"x" * 180 + b'"}'
"""200 bytes, as the producers' of tests.bench."""


class _Trust(Anchor):
    """What a member trusts; it signs nothing, for its quota is never reached."""

    def sign_gap(self, node: str, epoch: str, stream: str, body: messages.GapBody) -> messages.GapBody:
        """Nothing is lost here."""
        raise AssertionError(f"{node} lost rows of {stream}")


class Member:
    """One child, its store and its socket. Moments are of time.monotonic."""

    def __init__(self, papers: Papers, port: int, root: bytes) -> None:
        self.node, self._hub, self._context, self._port = papers.node, papers.hub, papers.context, port
        self.disk = MemoryStore(papers.node, streams={name: OwnRows(os.urandom(8).hex()) for name in STREAMS})
        self.child = Child(self.disk.snapshot(), node=papers.node, parent=papers.hub, trust=_Trust(root))
        self.knocked_at: list[float] = []
        """When it asked for a connection."""
        self.live_at = 0.0
        self.sessions = 0
        self._socket: ChildSocket | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._opening: asyncio.Task[None] | None = None

    # -------------------------------------------------------------------------------------------- for the crowd

    def start(self) -> None:
        """Begin this life: connect."""
        fx = Effects()
        self.child.start(Entropy(os.urandom(32)), "bench", [], {}, _now(), fx)
        self._perform(fx)

    def append(self, count: int) -> None:
        """Journal `count` entries of 200 bytes."""
        fx = Effects()
        self.child.append("state", [("app.bench", "", BODY)] * count, _now(), fx)
        self._perform(fx)

    def drained(self) -> bool:
        """Tell whether the hub has acknowledged all that this child wrote."""
        return self.child.live and self.child.synced("state")

    def cut(self) -> None:
        """Break the connection as a network would."""
        if self._socket is not None:
            self._socket.abort()

    def close(self) -> None:
        """End without a word."""
        if self._timer is not None:
            self._timer.cancel()
        if self._opening is not None:
            self._opening.cancel()
        if self._socket is not None:
            self._socket.left = True
            self._socket.abort()

    # -------------------------------------------------------------------------------------------- as a driver does

    def _input(self, take: Callable[[Now, Effects], object]) -> None:
        fx = Effects()
        take(_now(), fx)
        self._perform(fx)

    def _perform(self, fx: Effects) -> None:
        self.disk.commit(fx.store)
        for send in fx.send:
            self._send(send)
        for act in fx.act:
            if isinstance(act, table.Connect):
                self._connect(act)
            elif isinstance(act, table.Disconnect):
                self._disconnect()
        self._arm()

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        due = self.child.next_wake()
        self._timer = None if due is None else asyncio.get_running_loop().call_at(due, self._tick)

    def _tick(self) -> None:
        self._input(self.child.tick)

    def _send(self, send: effects.Send | effects.SendRows) -> None:
        message = send.message if isinstance(send, effects.Send) else self.disk.read(send)
        if self._socket is not None and message is not None:
            self._socket.send(message)

    def _disconnect(self) -> None:
        if self._socket is not None:
            self._socket.leave()
            self._socket = None

    def _connect(self, asked: table.Connect) -> None:
        self._disconnect()
        self.knocked_at.append(time.monotonic())
        session = asked.session
        self._socket = ChildSocket(
            self._context,
            hub=self._hub,
            node=self.node,
            will=messages.Bye(session=session, nonce=asked.nonce, reason="the connection broke"),
            opened=lambda: self._input(lambda now, fx: self.child.opened(session, now, fx)),
            got=self._got,
            closed=lambda reason: self._input(lambda now, fx: self.child.closed(session, reason, now, fx)),
        )
        self._opening = asyncio.get_running_loop().create_task(_open(self._socket, self._port))

    def _got(self, message: messages.AnyMessage) -> None:
        fx = Effects()
        told = self.child.got(message, _now(), fx)
        if any(isinstance(one, events.WentLive) for one in told):
            self.live_at, self.sessions = time.monotonic(), self.sessions + 1
        self._perform(fx)


async def _open(sock: ChildSocket, port: int) -> None:
    try:
        await asyncio.get_running_loop().create_connection(lambda: sock, "127.0.0.1", port)
    except OSError as error:
        sock.ended(str(error))


def _now() -> Now:
    return Now(time.monotonic(), time.time())
