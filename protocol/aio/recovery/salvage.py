"""From a damaged store into a new one: what can be read and is borne out. Sync; runs in a thread.

    state      each value by its own sum; what could not be read is lost, and the core is told so (snapshot.Doubt)
    own rows   each by the hash chain; Holes are left for the core to declare, as signed GAPs (A16)
    entries    children's rows, each by its chain; a cursor goes back to before what is lost here, so that its child
               fills it in again or declares that it cannot (A3, A4)

Every own stream takes a new epoch (A6). Its `former` names the newest row that is borne out: up to there the parent
goes on from its own cursor, beyond there nothing of the former epoch is ours (A9).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, field

import msgspec

from protocol.aio import life
from protocol.aio.life import Head, Opening
from protocol.aio.recovery.children import Children
from protocol.aio.recovery.filling import Filling
from protocol.aio.recovery.scan import UNREADABLE, Scan
from protocol.aio.recovery.states import States
from protocol.aio.recovery.walk import DAMAGED, Hole, Point, Walk
from protocol.effects import StoredRow
from protocol.link import cursor, own_stream
from protocol.link.room import holes
from protocol.messages import CHAINED, FormerEpoch
from protocol.snapshot import Doubt

_REASON = "recovered from a damaged file"
_MORE = "; rows after {} may be lost"
_UNKNOWN = "unknown"


@dataclass(slots=True)
class Salvage:
    """One recovery, and what is known of it: `lost` rows by stream."""

    source: sqlite3.Connection
    target: sqlite3.Connection
    opening: Opening
    at_ms: int
    lost: dict[str, int] = field(default_factory=dict[str, int])
    unknown: dict[str, int] = field(default_factory=dict[str, int])
    """The last seq known of a stream whose end cannot be read: whether there were more, nobody knows."""
    _states: States = field(init=False)
    _is_headless: bool = False

    def __post_init__(self) -> None:
        self._states = States(self.source, self.target)

    def run(self, aside: str) -> Doubt:
        """Fill `target`, a new store, inside its transaction; return what the core is told. `aside`: the old file."""
        self._states.run()
        for stream in self.opening.streams:
            self._stream(stream)
        children = Children(self.source, self.target, self._states.of("cursor"), self._states.of("origin"))
        children.run()
        for space, moved in (("cursor", children.moved), ("origin", children.moved_origins)):
            for key, value in moved.items():
                self._states.put(space, key, value)
        doubt = Doubt(
            reason=_REASON,
            at_ms=self.at_ms,
            aside=aside,
            lost=self.lost,
            unknown=self.unknown,
            partial=self._states.partial or self._is_headless,
            in_place=True,
        )
        life.put_doubt(self.target, doubt)
        life.write_papers(self.target, self.opening, self.opening.seen)
        life.end(self.target)
        return doubt

    # -------------------------------------------------------------------------------------------- own streams

    def _stream(self, name: str) -> None:
        head = self._head(name)
        record = self._record(name, head)
        floor = None if record is None else (record.floor, bytes.fromhex(record.floor_hash))
        base = 0 if record is None else record.base
        known = [] if head is None else [(head.last, head.hash)]
        if floor is not None:
            known.append(floor)
        chained = name in CHAINED
        one = Walk(
            chained=chained, base=base, anchor=floor, end=max(known, default=None), known=self._known_holes(name)
        )
        self._is_headless = self._is_headless or head is None
        filling = Filling(self.target, name, self.at_ms, 0 if head is None else head.acked)
        filling.take(one.run(self._rows(name)))
        last = (base, b"") if one.tip is None else one.tip
        self._note_end(name, filling, last[0], one.newest)
        self._write(name, head, record, filling, last)

    def _note_end(self, name: str, filling: Filling, last: int, newest: int) -> None:
        """Count the rows that were there beyond the last one that is borne out; note where more may have been."""
        filling.lost += max(0, newest - max(last, filling.acked))
        edge = Scan(self.source).last(f"own_{name}", "seq")
        if edge is None or edge > max(last, newest):
            self.unknown[name] = max(last, newest)

    def _known_holes(self, name: str) -> dict[int, Hole]:
        """Return holes of a former recovery, whose GAPs the core may not have written yet."""
        stored = [msgspec.json.decode(value, type=holes.Hole) for value in self._states.under(holes.HOLES, name)]
        return {one.last: Hole(one.first, one.last, bytes.fromhex(one.hash), one.reason) for one in stored}

    def _rows(self, name: str) -> Iterator[StoredRow]:
        for seq, raw, tip in Scan(self.source).numbered(f"own_{name}", "seq", "raw, hash"):
            if isinstance(raw, bytes) and isinstance(tip, bytes):
                yield seq, raw, tip

    def _head(self, name: str) -> Head | None:
        try:
            return life.stored_head(self.source, name)
        except (*UNREADABLE, msgspec.DecodeError):
            return None

    def _record(self, name: str, head: Head | None) -> own_stream.Record | None:
        """Return what is known of where the rows begin; in a first epoch the chain begins at its genesis."""
        stored = self._states.of(own_stream.SPACE).get(name)
        if stored is not None:
            return msgspec.json.decode(stored, type=own_stream.Record)
        if head is None or head.former is not None or name not in CHAINED:
            return None
        return self._begun(name, head.epoch, head.epoch)

    def _begun(self, name: str, epoch: str, chained_in: str) -> own_stream.Record:
        genesis = cursor.genesis(self.opening.node, chained_in, name).hex() if name in CHAINED else ""
        return own_stream.Record(epoch=epoch, base_hash=genesis, floor_hash=genesis)

    def _write(self, name: str, head: Head | None, record: own_stream.Record | None, got: Filling, last: Point) -> None:
        seq, tip = last
        epoch = self.opening.mint()
        reason = DAMAGED + (_MORE.format(seq) if name in self.unknown or got.lost else "")
        former = FormerEpoch(epoch=_UNKNOWN if head is None else head.epoch, seq=seq, hash=tip.hex(), reason=reason)
        acked = 0 if head is None else min(head.acked, seq)
        life.write_head(self.target, name, Head(epoch, seq, tip, acked, former))
        record = record or self._begun(name, _UNKNOWN, epoch)
        self._states.put(own_stream.SPACE, name, msgspec.json.encode(got.settle(record)))
        for segment in got.segments:
            self._states.put(own_stream.SEGMENTS, own_stream.segment_key(name, segment), msgspec.json.encode(segment))
        for hole in got.holes:
            self._states.put(holes.HOLES, holes.key(name, hole), msgspec.json.encode(hole))
        if got.lost:
            self.lost[name] = got.lost
