"""The children that a parent which starts tells to look again: an external broker kept them connected. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from protocol import limits


class Looks:
    """A list that is worked off at LOOKS_PER_S_MAX."""

    def __init__(self) -> None:
        self._nodes: deque[str] = deque()
        self.due: float | None = None
        """When the next ones are to be told (mono), or None."""

    def begin(self, nodes: Iterable[str], now: float) -> None:
        """Tell all these, from now on; a former list is forgotten."""
        self._nodes = deque(nodes)
        self.due = now if self._nodes else None

    def some(self, now: float) -> list[str]:
        """Return who is to be told now."""
        if self.due is None or now < self.due:
            return []
        count = min(len(self._nodes), int(limits.LOOKS_PER_S_MAX * limits.LOOKS_EVERY_S))
        nodes = [self._nodes.popleft() for _ in range(count)]
        self.due = now + limits.LOOKS_EVERY_S if self._nodes else None
        return nodes
