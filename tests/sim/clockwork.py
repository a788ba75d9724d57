"""Time and chance of a simulated world: one heap of events, and a random source for each concern.

All is a function of the seed: events at the same moment run in the order in which they were asked for, and each concern
draws from a source of its own, named by words, so that one that draws more does not change the others.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable

_EVENTS_A_SECOND_MAX = 100_000


class Spinning(Exception):
    """Something goes on and on without an end."""


class Clockwork:
    """The world's clock, in seconds; it starts at 0 and never jumps."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.now = 0.0
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._count = 0
        self._second, self._busy = 0.0, 0

    def at(self, when: float, do: Callable[[], None]) -> None:
        """Have `do` called at `when`, or now if that is past."""
        self._count += 1
        heapq.heappush(self._events, (max(when, self.now), self._count, do))

    def after(self, delay_s: float, do: Callable[[], None]) -> None:
        """Have `do` called in `delay_s` seconds."""
        self.at(self.now + delay_s, do)

    def run(self, until: float) -> None:
        """Let time pass up to `until`."""
        events = self._events
        while events and events[0][0] <= until:
            self.now, _, do = heapq.heappop(events)
            self._watch()
            do()
        self.now = until

    def _watch(self) -> None:
        """See that time goes on. Raises Spinning."""
        self._busy += 1
        if self.now >= self._second + 1.0:
            self._second, self._busy = self.now, 0
        elif self._busy > _EVENTS_A_SECOND_MAX:
            raise Spinning(f"more than {_EVENTS_A_SECOND_MAX} events within a second: time stands still")

    def chance(self, *concern: object) -> random.Random:
        """Return the random source of `concern`, from its beginning."""
        return random.Random("/".join(map(str, (self.seed, *concern))))
