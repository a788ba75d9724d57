"""Who asked for a lease in vain, and when it is worth to try again: when one ends, or when something has changed."""

from __future__ import annotations

import math

from protocol import limits
from protocol.effects import Now
from protocol.link.flow.agenda import Agenda


class Waiting:
    """Children that wait for leases, by service, each with the count of the Status that asked."""

    def __init__(self) -> None:
        self._asked: dict[str, dict[str, int]] = {}
        self._again = Agenda()

    def put(self, service: str, asked: dict[str, int], again: float) -> None:
        """These wait for `service`; it is worth to try again at `again` (mono)."""
        if asked:
            self._asked.setdefault(service, {}).update(asked)
            self._again.put(service, again)

    def forget(self, child: str) -> None:
        """What `child` asked for before goes to nobody."""
        for asked in self._asked.values():
            asked.pop(child, None)

    def hurry(self, *services: str) -> None:
        """Something about these has changed: try again at once."""
        for service in services:
            if service in self._asked:
                self._again.put(service, 0.0)

    def of(self, service: str) -> list[str]:
        """Return who waits for `service`, sorted."""
        return sorted(self._asked.get(service, ()))

    def pop(self, service: str) -> dict[str, int]:
        """Return who waits for `service`, and forget them."""
        return self._asked.pop(service, {})

    def due(self, now: Now) -> list[str]:
        """Return services that it is worth to try again, some of them, each once."""
        found = (self._again.pop(now.mono) for _ in range(limits.FAILOVERS_PER_INPUT_MAX))
        return [service for service in found if service is not None]

    def next_wake(self) -> float:
        """Return when (mono) one may be due."""
        due = self._again.next()
        return math.inf if due is None else due
