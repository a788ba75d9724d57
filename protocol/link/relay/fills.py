"""Rows that come late: they fall into what is missing of their origin, fill it, and must come to the hashes there."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from protocol import effects
from protocol.effects import Effects
from protocol.link import cursor, events
from protocol.link.below.walk import Row, Unproven, Walk
from protocol.link.relay import missing, outcome, runs
from protocol.link.relay.missing import Missing, Why
from protocol.link.relay.records import Record
from protocol.link.relay.unwrap import Rows
from protocol.messages import CHAINED, GapBody

_Item = tuple[int, bytes, bytes, Row | None]
"""`(seq, raw, hash, row)` of one row, or of one that is no entry (None)."""


class _Segment(msgspec.Struct, frozen=True):
    """Rows without a GAP among them; `prev` and `before` stand before the first."""

    prev: int
    before: bytes
    items: list[_Item]

    def tip(self, seq: int) -> str:
        """Return the hash (hex) at `seq`."""
        return (self.items[seq - self.prev - 1][2] if seq > self.prev else self.before).hex()


def fill(
    record: Record,
    run: runs.Run,
    rows: Rows,
    told: list[events.ParentEvent],
    doubt: Callable[[GapBody, bool], str],
    fx: Effects,
) -> None:
    """Take what of `run` is missing below the cursor, and tell of it; a hole under a GAP that `doubt` has nothing to
    say of is declared lost. `doubt` is told whether rows behind the GAP came with it, and came to the hash held here.

    Raises missing.NoFit when it is not what is missing; what fitted before that stays.
    """
    if not missing.touched(record.missing, run.prev, min(run.last, record.seq)):
        return
    walk = Walk(run.stream, run.prev, rows, run.prev, bytes.fromhex(run.before))
    if not walk.run() or walk.position != run.last or not walk.is_whole(run.hash):
        raise missing.NoFit(run.prev + 1)
    known = {(one.last, one.hash) for one in record.missing}
    for segment in _segments(walk):
        found = missing.touched(record.missing, segment.prev, segment.items[-1][0])
        told.extend(_fill(record, run, segment, one, fx) for one in found)
    for gap in walk.unproven:
        ends = gap.body.last, gap.body.hash
        hole = missing.hole(record.missing, (gap.held, gap.tip.hex()), ends)
        is_joined = hole is not None and bool(ends[1]) and ends == (hole.last, hole.hash) and ends not in known
        if hole is not None and not doubt(gap.body, is_joined):
            told.extend(_declare(record, run, gap, walk, fx))


def _declare(record: Record, run: runs.Run, gap: Unproven, walk: Walk, fx: Effects) -> list[events.ParentEvent]:
    rows, last = [row for row in walk.rows if row[1] == gap.raw], gap.body.last
    count = missing.explain(record.missing, (gap.held, gap.tip.hex()), (last, gap.body.hash), Why.LOST)
    if not count:
        return []  # of too many ranges already
    fx.store.append(effects.Received(run.node, run.epoch, run.stream, rows, record.again, False, record.at))
    said = events.ChildEntries(
        node=record.at,
        stream=run.stream,
        epoch=run.epoch,
        rows=rows,
        prev=gap.held,
        before=gap.tip,
        last=last,
        hash=rows[0][2],
    )
    return [said, outcome.lost(record, run, count, gap.body.reason)]


def _segments(walk: Walk) -> list[_Segment]:
    items: list[_Item] = [(row[0], row[1], row[2], row) for row in walk.rows]
    items = sorted([*items, *((*one, None) for one in walk.poison)], key=lambda item: item[0])
    prev, before = walk.begin
    segments = [_Segment(prev, before, [])]
    for item in items:
        if item[3] is not None and item[3][4] == cursor.GAP:
            segments.append(_Segment(item[0], item[2], []))
        else:
            segments[-1].items.append(item)
    return [segment for segment in segments if segment.items]


def _fill(record: Record, run: runs.Run, segment: _Segment, one: Missing, fx: Effects) -> events.ParentEvent:
    after, upto = max(one.first - 1, segment.prev), min(one.last, segment.items[-1][0])
    missing.fill(record.missing, one, (upto, segment.tip(upto)), (after, segment.tip(after)))
    some = segment.items[after - segment.prev : upto - segment.prev]
    rows = [row for *_, row in some if row is not None]
    if rows:
        again = upto if run.stream in CHAINED else record.again  # meanwhile other epochs may have brought them
        is_over = one.why is Why.LOST
        fx.store.append(effects.Received(run.node, run.epoch, run.stream, rows, again, is_over, record.at))
    return events.ChildEntries(
        node=record.at,
        stream=run.stream,
        epoch=run.epoch,
        rows=rows,
        prev=after,
        before=bytes.fromhex(segment.tip(after)),
        last=upto,
        hash=some[-1][2],
        poison=[(seq, raw, tip) for seq, raw, tip, row in some if row is None],
    )
