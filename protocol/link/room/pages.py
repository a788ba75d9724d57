"""What rows cost a file: SQLite fills pages, and what a row does not fit into stays empty.

Rows are appended at the right edge of a table of their own (decision 0003): SQLite fills the rightmost page, and begins
a new one with the row that does not fit. So the cost can be reckoned as the rows come, and the bound of a quota holds
for the file, not for a sum of bodies. What a full page costs above it, in inner pages, is in its price.
"""

from __future__ import annotations

from bisect import bisect_right
from itertools import accumulate

PAGE_BYTES = 4_096
ROW_BYTES = 14
"""Around a row's blobs: its lengths and types, its seq, its pointer in the page."""
HASH_BYTES = 32
_ROOM = PAGE_BYTES - 8
_WHOLE_MAX = _ROOM - 27
"""A larger payload goes on in pages of its own; this and the rest is SQLite's file format, section 1.6."""
_LEFT_MIN = 489
_OVERFLOW_ROOM = PAGE_BYTES - 4
_INNER = 1.005
"""An inner page points at a few hundred leaves."""


class Pages:
    """The right edge of one table."""

    __slots__ = ("_left",)

    def __init__(self) -> None:
        self._left = 0

    def take(self, sizes: list[int]) -> int:
        """Append rows of `sizes` bytes (blobs and ROW_BYTES); return what that costs, in bytes of pages."""
        beside = 0
        if max(sizes) > _WHOLE_MAX:
            beside = sum(map(_beside, sizes))
            sizes = [_inside(size) for size in sizes]
        ends = list(accumulate(sizes))
        begin, at, room, waste = 0, 0, self._left, 0
        while True:
            at = bisect_right(ends, begin + room, at)
            if at == len(ends):
                break
            filled = ends[at - 1] if at else 0
            waste += begin + room - filled
            begin, room = filled, _ROOM
        self._left = begin + room - ends[-1]
        return int((ends[-1] + waste) * _INNER * PAGE_BYTES / _ROOM) + beside + 1


def _beside(size: int) -> int:
    """Return the bytes of the pages that a row of `size` needs for itself."""
    return -(-(size - _inside(size) + 4) // _OVERFLOW_ROOM) * PAGE_BYTES if size > _WHOLE_MAX else 0


def _inside(size: int) -> int:
    """Return how much of a row of `size` lies in the table's own page."""
    if size <= _WHOLE_MAX:
        return size
    left = _LEFT_MIN + (size - _LEFT_MIN) % _OVERFLOW_ROOM
    return (left if left <= _WHOLE_MAX else _LEFT_MIN) + 4
