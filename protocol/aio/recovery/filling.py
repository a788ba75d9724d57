"""Fills the table of one own stream in the new store with what a Walk found true of it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice

import msgspec

from protocol import limits
from protocol.aio.recovery import walk
from protocol.aio.sqlite import insert, of
from protocol.effects import StoredRow
from protocol.link import own_stream
from protocol.link.room.holes import Hole
from protocol.messages import CHAINED

_BATCH = 512  # rows that are held in memory at a time


@dataclass(slots=True)
class Filling:
    """Writes what a Walk yields of one stream. `front`: the hole before the first row; `holes`: those between rows."""

    db: sqlite3.Connection
    name: str
    now_ms: int
    acked: int
    rows: int = 0
    lost: int = 0
    front: Hole | None = None
    holes: list[Hole] = field(default_factory=list[Hole])
    segments: list[own_stream.Segment] = field(default_factory=list[own_stream.Segment])
    _first: int = 0
    _count: int = 0
    _bytes: int = 0

    def take(self, found: Iterator[StoredRow | walk.Hole]) -> None:
        """Write all rows; keep Holes and segments."""
        while batch := list(islice(found, _BATCH)):
            rows: list[StoredRow] = []
            for one in batch:
                if isinstance(one, walk.Hole):
                    self._note(one, is_first=not (self.rows or rows))
                else:
                    rows.append(one)
                    self._count_in(one)
            if rows:
                insert(self.db, of(self.name, "INSERT INTO own_STREAM"), rows)
                self.rows += len(rows)

    def settle(self, record: own_stream.Record) -> own_stream.Record:
        """Return `record` as the stream is now: its former epoch's name stays, so that its GAPs are signed anew."""
        if self.front is not None:
            one = self.front
            return msgspec.structs.replace(
                record,
                floor=one.last,
                floor_hash=one.hash,
                gap_first=one.first,
                gap_ms=one.time_ms,
                gap_reason=one.reason,
                lost=record.lost + self.lost,
            )
        return msgspec.structs.replace(record, lost=record.lost + self.lost)

    def _note(self, found: walk.Hole, *, is_first: bool) -> None:
        hole = Hole(found.first, found.last, found.hash.hex(), self.now_ms, found.reason)
        self.lost += max(0, found.last - max(self.acked, found.first - 1) - found.declared)
        if is_first:
            self.front = hole
        else:
            self.holes.append(hole)
            if len(self.holes) > limits.HOLES_MAX:
                self._give_up()

    def _give_up(self) -> None:
        """Too many holes: all up to the end of the lowest one becomes one, at the floor."""
        lowest = self.holes.pop(0)
        first = self.front.first if self.front is not None else 1 + self.acked
        self.lost += max(0, lowest.first - 1 - max(self.acked, first - 1))
        self.front = Hole(min(first, lowest.first), lowest.last, lowest.hash, self.now_ms, walk.DAMAGED)
        self.db.execute(of(self.name, "DELETE FROM own_STREAM WHERE seq <= ?"), (lowest.last,))
        self.segments = [one for one in self.segments if one.last > lowest.last]

    def _count_in(self, row: StoredRow) -> None:
        seq, raw, tip = row
        self._first = self._first or seq
        self._count, self._bytes = self._count + 1, self._bytes + len(raw) + len(tip)
        if self._count >= limits.SEGMENT_ROWS and self.name in CHAINED:
            self.segments.append(own_stream.Segment(self._first, seq, self._bytes, tip.hex()))
            self._first = self._count = self._bytes = 0
