"""How many rows each child may have beyond its cursor: as many as ever, unless many have a backlog at once.

A child that is behind by more than CREDIT_BEHIND_ROWS shares CREDIT_ROWS_TOTAL with the others that are, so that what a
returning fleet may have under way does not grow with the fleet. Whoever is current keeps its whole credit. Each ack
tells the credit of that moment: it rises again as backlogs end. Pure; one for a parent.
"""

from __future__ import annotations

from collections.abc import Mapping

from protocol import limits


class Credit:
    """See the module."""

    def __init__(self) -> None:
        self._behind: dict[str, None] = {}
        self._shared: Mapping[str, int] = limits.CREDIT_ROWS

    def note(self, node: str, waiting: int) -> None:
        """`node` has `waiting` rows that the parent knows of and does not hold; 0 when it leaves."""
        if waiting > limits.CREDIT_BEHIND_ROWS:
            self._behind[node] = None
        else:
            self._behind.pop(node, None)
        share = max(limits.CREDIT_ROWS_MIN, limits.CREDIT_ROWS_TOTAL // max(1, len(self._behind)))
        self._shared = {stream: min(rows, share) for stream, rows in limits.CREDIT_ROWS.items()}

    def rows(self, node: str) -> Mapping[str, int]:
        """Return the credit of `node`, now, by stream."""
        return self._shared if node in self._behind else limits.CREDIT_ROWS
