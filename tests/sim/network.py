"""The network between a device and what it connects to: a path for each device, and TCP connections over it.

Within a connection order holds and nothing is lost silently: a blocked way holds what is on it, and gives it on later,
or the connection ends and all of it is gone. Both ends hear of an end in their own time, or never, when they are dead.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from random import Random

from protocol import limits
from tests.sim.clockwork import Clockwork

_SILENT_KEEPALIVES = 1.5
_RETRANSMIT_S = 3.0


class Path:
    """What lies between one device and the world. Ways: 0 is up, 1 is down; a blocked one lets nothing through."""

    def __init__(self, clock: Clockwork, name: str) -> None:
        self.clock, self.name = clock, name
        self.blocked = [False, False]
        self.contact_s = 0.0
        """The contact interval of a metered device, which its keep alive follows; 0.0: it is none."""
        self.delay_s = 0.02
        self.bytes_per_s = 0.0
        self.drop = self.double = self.late = 0.0
        """Chances of a message that a broker carries: lost, twice, late."""
        self.chance: Random = clock.chance("path", name)
        self.wires: list[Wire] = []

    @property
    def silence_s(self) -> float:
        """Return after how long a connection on which nothing comes is over."""
        return (self.contact_s * limits.KEEPALIVE_SHARE or limits.KEEPALIVE_S) * _SILENT_KEEPALIVES

    @property
    def is_open(self) -> bool:
        """Tell whether both ways are."""
        return not any(self.blocked)

    def block(self, up: bool, down: bool) -> None:
        """Block ways or open them; what was held goes on."""
        before, self.blocked = self.blocked, [up, down]
        for wire in list(self.wires):
            wire.changed(before)

    def heal(self) -> None:
        """Be a good network again."""
        self.delay_s, self.bytes_per_s = 0.02, 0.0
        self.drop = self.double = self.late = 0.0
        self.block(False, False)

    def trip_s(self) -> float:
        """Return how long the next message takes."""
        return self.delay_s * (0.5 + self.chance.random())


class Wire:
    """One connection. `heard` and `closed`: what the ends do, 0 the far one (up), 1 the device (down)."""

    def __init__(
        self,
        path: Path,
        heard: tuple[Callable[[bytes], None], Callable[[bytes], None]],
        closed: tuple[Callable[[str], None], Callable[[str], None]],
    ) -> None:
        self.path, self.clock = path, path.clock
        self._heard, self._closed = heard, closed
        self._told = [False, False]
        self._free_at = [0.0, 0.0]
        self._arrives_at = [0.0, 0.0]
        self._waiting = [0, 0]
        self._held: tuple[deque[bytes], deque[bytes]] = (deque(), deque())
        self._blocked_at = [0.0, 0.0]
        self.dead = self._forgotten = False
        path.wires.append(self)
        for way in (0, 1):
            if path.blocked[way]:
                self._await_silence(way)

    def send(self, way: int, payload: bytes) -> None:
        """Send up (0) or down (1). What the sender's queue cannot hold is dropped, as its client does."""
        if self.dead or self._told[1 - way]:
            return
        if self._waiting[way] + len(payload) > limits.SEND_QUEUE_BYTES_MAX:
            return
        self._waiting[way] += len(payload)
        path = self.path
        leaves = max(self.clock.now, self._free_at[way])
        if path.bytes_per_s:
            leaves += len(payload) / path.bytes_per_s
        self._free_at[way] = leaves
        arrives = self._arrives_at[way] = max(leaves + path.trip_s(), self._arrives_at[way])
        self.clock.at(arrives, lambda: self._arrive(way, payload))

    def _arrive(self, way: int, payload: bytes) -> None:
        if self.dead:
            return
        if self.path.blocked[way] or self._held[way] or self._forgotten:
            self._await_confirmation(way)
            self._held[way].append(payload)
            return
        self._deliver(way, payload)

    def _deliver(self, way: int, payload: bytes) -> None:
        self._waiting[way] -= len(payload)
        if not self._told[way]:
            self._heard[way](payload)

    def changed(self, before: list[bool]) -> None:
        """The path's ways are blocked or open anew."""
        for way in (0, 1):
            if self.path.blocked[way] and not before[way]:
                self._await_silence(way)
            elif before[way] and not self.path.blocked[way]:
                self.clock.after(self.path.chance.uniform(0.0, _RETRANSMIT_S), lambda way=way: self._release(way))

    def _release(self, way: int) -> None:
        held = self._held[way]
        while held and not self.dead and not self.path.blocked[way] and not self._forgotten:
            self._deliver(way, held.popleft())

    def forget_idle(self) -> None:
        """The network has forgotten it: nothing that is sent comes through, and nobody is told."""
        self._forgotten = True

    def _await_confirmation(self, way: int) -> None:
        """What a metered device says, or what is said on a connection that is forgotten, nobody confirms: its sender
        gives up."""
        if not self._held[way] and ((way == 0 and self.path.contact_s) or self._forgotten):
            self.clock.after(limits.SILENT_S_MAX, lambda: self._is_unconfirmed(way))

    def _is_unconfirmed(self, way: int) -> None:
        if not self.dead and self._held[way]:
            self.cut("nobody confirmed what was said", first=1 - way, later_s=self.path.silence_s)

    def _await_silence(self, way: int) -> None:
        at = self._blocked_at[way] = self.clock.now
        self.clock.after(self.path.silence_s, lambda: self._is_silent(way, at))

    def _is_silent(self, way: int, since: float) -> None:
        if not self.dead and self.path.blocked[way] and self._blocked_at[way] == since:
            self.cut("nothing was heard for too long", first=way)

    def cut(self, reason: str, first: int = 1, *, later_s: float = 30.0) -> None:
        """Break it: what is on it is lost. The `first` end hears of it now, the other within `later_s`."""
        if self.dead:
            return
        self._end()
        self._tell(first, reason)
        self.clock.after(self.path.chance.uniform(0.0, later_s), lambda: self._tell(1 - first, reason))

    def leave(self, way: int, reason: str) -> None:
        """The sender of `way` ends it in order: what it sent arrives first. It has been told."""
        self._told[1 - way] = True
        at = max(self.clock.now + self.path.trip_s(), self._arrives_at[way])
        self.clock.at(at, lambda: self._left(way, reason))

    def _left(self, way: int, reason: str) -> None:
        if self.dead:
            return
        if self.path.blocked[way] or self._held[way]:
            self.clock.after(1.0, lambda: self._left(way, reason))  # silence ends it at last
            return
        self._end()
        self.clock.after(self.path.silence_s if self._forgotten else 0.0, lambda: self._tell(way, reason))

    def vanish(self, way: int, *, flushed: bool) -> None:
        """The sender of `way` died. `flushed`: its machine lives, and what it had sent arrives before the end does."""
        if flushed:
            self.leave(way, "it hung up")
            return
        self._told[1 - way] = True
        if not self.dead:
            self._end()
            self.clock.after(self.path.silence_s, lambda: self._tell(way, "nothing was heard for too long"))

    def forget(self, end: int) -> None:
        """Tell `end` nothing any more."""
        self._told[end] = True

    def _end(self) -> None:
        self.dead = True
        self._held[0].clear()
        self._held[1].clear()
        if self in self.path.wires:
            self.path.wires.remove(self)

    def _tell(self, end: int, reason: str) -> None:
        if not self._told[end]:
            self._told[end] = True
            self._closed[end](reason)
