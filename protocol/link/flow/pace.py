"""How much a child has under way: what the link carries in a few seconds, found out by how long acks take.

    an ack within PACE_QUICK_S, and the pace was what held us back    the pace doubles
    an ack after PACE_SLOW_S, or none in time                         it halves

What is under way stands in one queue, in front of the status, of answers and of keep-alives. Without a pace a link of
8 KB/s has a minute of history in that queue: nothing of now gets through, acks are late, all is sent again, and the
connection is given up before a message has crossed. Pure; one for a link, all streams share it.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from protocol import limits


@dataclass(slots=True, frozen=True)
class _Flight:
    """Rows up to `upto` of a stream, sent at `at` (mono)."""

    upto: int
    bytes: int
    at: float


class Pace:
    """See the module. `bytes` may be under way; a message that finds nothing under way always may."""

    def __init__(self) -> None:
        self.bytes = limits.PACE_BYTES_START
        self._flights: dict[str, deque[_Flight]] = {}
        self._under_way = 0
        self._changed_at = float("-inf")
        self._is_full = False

    def begin(self) -> None:
        """A session begins: nothing is under way, and the link may be another one."""
        self._flights.clear()
        self._under_way = 0
        self.bytes = min(self.bytes, limits.PACE_BYTES_START)
        self._changed_at = float("-inf")

    def room(self) -> int:
        """Return how many bytes may go now; 0 for none."""
        room = self.bytes - self._under_way
        if room > 0:
            return room
        self._is_full = True
        return 0

    def sent(self, stream: str, upto: int, size: int, now: float) -> None:
        """Count a message."""
        self._flights.setdefault(stream, deque()).append(_Flight(upto, size, now))
        self._under_way += size

    def acked(self, stream: str, seq: int, now: float) -> None:
        """Take an ack: rows up to `seq` have arrived."""
        flights = self._flights.get(stream)
        newest: _Flight | None = None
        while flights and flights[0].upto <= seq:
            newest = flights.popleft()
            self._under_way -= newest.bytes
        if newest is None or newest.at < self._changed_at:
            return  # it tells of another pace
        took = now - newest.at
        if took > limits.PACE_SLOW_S:
            self.slower(now)
        elif took <= limits.PACE_QUICK_S and self._is_full:
            self._change(min(limits.PACE_BYTES_MAX, self.bytes * 2), now)

    def slower(self, now: float) -> None:
        """Acks are late, or do not come."""
        self._change(max(limits.PACE_BYTES_MIN, self.bytes // 2), now)

    def forget(self, stream: str) -> None:
        """What was under way of a stream will be sent again."""
        self._under_way -= sum(one.bytes for one in self._flights.pop(stream, ()))

    def _change(self, to: int, now: float) -> None:
        self.bytes, self._changed_at, self._is_full = to, now, False
