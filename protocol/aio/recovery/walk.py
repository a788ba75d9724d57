"""What of a stream's rows is true: each is held against the hash chain, in order (INVARIANTS A7, C16).

A row is kept when its bytes and the hash before it come to its hash. Where rows are missing, or are not what they were,
a Hole stands for them up to the next hash that a later row bears out; from there the chain goes on. What nothing bears
out at the end is not told: nobody knows how much it was.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import msgspec

from protocol.effects import StoredRow
from protocol.link import cursor

DAMAGED = "the store was damaged"
Point = tuple[int, bytes]
"""A seq and the hash there."""


@dataclass(frozen=True, slots=True)
class Hole:
    """Rows `first`..`last` are gone; `hash` is that of row `last` (b"" in an unchained stream)."""

    first: int
    last: int
    hash: bytes
    reason: str
    declared: int = 0
    """How many of these rows were declared lost before."""


@dataclass(slots=True)
class Walk:
    """One pass over a stream's rows.

    `base`: where the numbering begins. `anchor`: a place whose hash is known (the floor), or None. `end`: the newest
    row as the head names it, or None. `known`: holes of a former recovery that no GAP stands for yet, by their last
    seq. After `run`, `tip` is the newest place that is borne out, and `newest` the newest entry that was there at all.
    """

    chained: bool
    base: int = 0
    anchor: Point | None = None
    end: Point | None = None
    known: Mapping[int, Hole] = field(default_factory=dict[int, Hole])
    tip: Point | None = None
    newest: int = 0

    def run(self, rows: Iterable[StoredRow]) -> Iterator[StoredRow | Hole]:
        """Yield what is true of `rows`, which rise, and Holes for what lies between."""
        self.tip = self.anchor
        doubtful: StoredRow | None = None
        for row in rows:
            self.newest = row[0] if _is_entry(row[0], row[1]) else self.newest
            if doubtful is None and self._is_at_anchor(row):
                yield Hole(row[0] - _count(row) + 1, row[0], row[2], _gap_reason(row), _count(row))
                continue
            if self.tip is not None and row[0] <= self.tip[0]:
                continue
            missing = self._between(doubtful, row)
            if missing is None:
                doubtful = row
                continue
            yield from missing
            doubtful = None
            self.tip = (row[0], row[2])
            yield row
        if self._is_behind_end():
            yield self._up_to_end()
            self.tip = self.end

    def _between(self, doubtful: StoredRow | None, row: StoredRow) -> list[StoredRow | Hole] | None:
        """Return what stands between the tip and `row`, if anything bears `row` out; else None."""
        if self._follows(self.tip, row):
            return []
        hole = self.known.get(row[0] - 1)
        if hole is not None and self._follows((hole.last, hole.hash), row):
            first = self._next()
            return [Hole(first, hole.last, hole.hash, hole.reason, hole.last - max(first, hole.first) + 1)]
        if self._is_behind_end() and self._follows(self.end, row):
            return [self._up_to_end()]
        if doubtful is None:
            return None
        mended = self._mended(doubtful, row)
        if mended is not None:
            return [mended]
        return [self._hole(doubtful)] if self._follows((doubtful[0], doubtful[2]), row) else None

    def _is_at_anchor(self, row: StoredRow) -> bool:
        """Tell whether this is the GAP row at the floor, which the floor's hash bears out."""
        return self.anchor == (row[0], row[2]) and _gap(row) is not None

    def _follows(self, point: Point | None, row: StoredRow) -> bool:
        seq, raw, tip = row
        if not _is_entry(seq, raw):
            return False
        if not self.chained:
            return point is None or seq == point[0] + 1
        return point is not None and seq == point[0] + 1 and cursor.chain(point[1], raw) == tip

    def _mended(self, doubtful: StoredRow, row: StoredRow) -> StoredRow | None:
        """Return `doubtful` with the hash it should have, when only that was wrong: the row after it tells."""
        seq, raw, _ = doubtful
        if not self.chained or self.tip is None or seq != self.tip[0] + 1 or not _is_entry(seq, raw):
            return None
        hash_ = cursor.chain(self.tip[1], raw)
        return (seq, raw, hash_) if self._follows((seq, hash_), row) else None

    def _is_behind_end(self) -> bool:
        return self.end is not None and self.end[0] > (self.base if self.tip is None else self.tip[0])

    def _up_to_end(self) -> Hole:
        assert self.end is not None
        seq, tip = self.end
        return Hole(self._next(), seq, tip, DAMAGED)

    def _hole(self, upto: StoredRow) -> Hole:
        first, count = self._next(), _count(upto)
        size = upto[0] - first + 1
        return Hole(first, upto[0], upto[2], _gap_reason(upto) if count >= size else DAMAGED, min(count, size))

    def _next(self) -> int:
        return self.base + 1 if self.tip is None else self.tip[0] + 1


def _is_entry(seq: int, raw: bytes) -> bool:
    try:
        head = cursor.decode_head(raw)
    except (msgspec.DecodeError, ValueError):
        return False
    return head.seq == seq and head.kind != cursor.GAP


def _gap(row: StoredRow) -> cursor.GapBody | None:
    body = cursor.decode_gap(row[1])
    whole = body is not None and body.last == row[0] and body.hash == row[2].hex()
    return body if whole else None


def _count(row: StoredRow) -> int:
    body = _gap(row)
    return 0 if body is None else row[0] - body.first + 1


def _gap_reason(row: StoredRow) -> str:
    body = _gap(row)
    return DAMAGED if body is None else body.reason
