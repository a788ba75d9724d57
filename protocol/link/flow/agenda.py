"""When each of many is to be looked at: one time for each name, the earliest that was asked for. Pure."""

from __future__ import annotations

import heapq

_SLACK = 64


class Agenda:
    """A heap that never holds more than twice as many entries as there are names in it (and a few)."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, str]] = []
        self._at: dict[str, float] = {}

    def __len__(self) -> int:
        return len(self._heap)

    def put(self, name: str, due: float) -> None:
        """Have `name` looked at when it is `due`, or earlier if it stands here earlier."""
        if due >= self._at.get(name, float("inf")):
            return
        self._at[name] = due
        heapq.heappush(self._heap, (due, name))
        if len(self._heap) > 2 * len(self._at) + _SLACK:
            self._heap = [(at, one) for one, at in self._at.items()]
            heapq.heapify(self._heap)

    def pop(self, now: float) -> str | None:
        """Return a name that is due, and forget its time; None when there is none."""
        while self._heap and self._heap[0][0] <= now:
            due, name = heapq.heappop(self._heap)
            if self._at.get(name) == due:
                del self._at[name]
                return name
        return None

    def next(self) -> float | None:
        """Return when to look again; it may be earlier than anything is due."""
        return self._heap[0][0] if self._heap else None
