"""Whom this hub still tells what of Moves: by child hub the nodes, the oldest first; and how many are on their way.

Of who has arrived only the former hub need hear: a hub that takes in thousands, because another one is gone for good,
has room in its manifest for their work.
"""

from __future__ import annotations

import itertools

from protocol import limits


class Open:
    """An index of Moves that are not done."""

    def __init__(self) -> None:
        self._nodes: dict[str, dict[str, None]] = {}
        self._told: dict[str, tuple[str, ...]] = {}
        self._going = set[str]()

    @property
    def going(self) -> int:
        """How many nodes are on their way."""
        return len(self._going)

    @property
    def is_full(self) -> bool:
        """Tell whether no further node may set out."""
        return self.going >= limits.MOVES_OPEN_MAX

    def note(self, node: str, told: tuple[str, ...], *, going: bool) -> None:
        """The child hubs `told` are told of `node` now."""
        for hub in self._told.pop(node, ()):
            if hub not in told:
                del self._nodes[hub][node]
        for hub in told:
            self._nodes.setdefault(hub, {})[node] = None
        if told:
            self._told[node] = told
        (self._going.add if going else self._going.discard)(node)

    def of(self, hub: str) -> list[str]:
        """Return the nodes that the child `hub` is told of: some of them, when they are many."""
        return list(itertools.islice(self._nodes.get(hub, ()), limits.MOVES_OPEN_MAX))
