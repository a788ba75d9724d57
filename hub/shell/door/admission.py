"""The waiting room: how many handshakes begin, and whose turn it is. Pure; time is an argument (mono seconds).

A fleet that lost its hub comes back at once. A handshake costs the hub a millisecond or two, so they begin at a bounded
rate (a token bucket), and sources (addresses) take turns: whoever opens a thousand sockets delays mostly itself.
"""

from __future__ import annotations

from collections import deque
from typing import Generic, TypeVar

from protocol import limits
from protocol.link.flow.bucket import Bucket

G = TypeVar("G")


class Admission(Generic[G]):
    """Guests wait in one line for each source; `admit` takes the heads of the lines in turn."""

    def __init__(
        self,
        *,
        per_s: float = limits.ADMISSIONS_PER_S,
        burst: int = limits.ADMISSIONS_BURST,
        waiting_max: int = limits.ADMISSIONS_WAITING_MAX,
        wait_s: float = limits.ADMISSION_WAIT_S,
    ) -> None:
        self._bucket, self._waiting_max, self._wait_s = Bucket(burst, 1 / per_s), waiting_max, wait_s
        self._lines: dict[str, deque[tuple[G, float]]] = {}
        self.waiting = 0

    def arrive(self, guest: G, source: str, now: float) -> G | None:
        """Let `guest` wait. Returns who must go when the room is full: the guest, or the newest of the longest line."""
        turned_away: G | None = None
        if self.waiting >= self._waiting_max:
            longest = max(self._lines, key=lambda name: len(self._lines[name]))
            if source in self._lines or len(self._lines[longest]) < 2:
                return guest
            turned_away = self._lines[longest].pop()[0]
            self.waiting -= 1
        self._lines.setdefault(source, deque()).append((guest, now))
        self.waiting += 1
        return turned_away

    def admit(self, now: float) -> tuple[list[G], list[G]]:
        """Return who may begin now, and who waited so long that they have given up."""
        admitted, given_up = list[G](), list[G]()
        while self._lines and self._bucket.is_free(now):
            source = next(iter(self._lines))
            line = self._lines.pop(source)
            guest, since = line.popleft()
            self.waiting -= 1
            if line:
                self._lines[source] = line  # to the end: the other sources come first
            if now - since > self._wait_s:
                given_up.append(guest)
            else:
                self._bucket.take(now)
                admitted.append(guest)
        return admitted, given_up

    def next_wake(self) -> float | None:
        """Return when the next one may begin, or None when nobody waits."""
        return self._bucket.free_at if self.waiting else None
