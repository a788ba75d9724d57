"""What becomes of relayed rows: stored as their origin's, noted as missing, or set aside; and what is told of it."""

from __future__ import annotations

from protocol import effects, limits
from protocol.effects import Effects
from protocol.link import events
from protocol.link.below.walk import Walk, cut
from protocol.link.parent_entries import entries_of
from protocol.link.relay import missing, runs
from protocol.link.relay.missing import Missing, Why
from protocol.link.relay.records import Record
from protocol.link.relay.unwrap import Rows

Told = list[events.ParentEvent]

FULL = "there is no room for more streams below this hub; see whether the nodes there are real, and who invents them"
_FORKED = "relayed rows do not follow from what is held of their origin"


def store(record: Record, run: runs.Run, walk: Walk, fx: Effects) -> Told:
    """Store what a walk found new, as its origin's, once; return what is told of it."""
    told: Told = []
    if walk.poison:
        count, seq = len(walk.poison), walk.poison[0][0]
        record.aside += count
        fx.store += [
            effects.SetAside(run.node, run.epoch, run.stream, seq, cut(raw), "the row is no entry")
            for seq, raw, _ in walk.poison[: limits.ENTRIES_POISON_KEPT]
        ]
        told.append(events.Poison(node=record.at, stream=run.stream, epoch=run.epoch, seq=seq, count=count))
    if walk.rows:
        fx.store.append(effects.Received(run.node, run.epoch, run.stream, walk.rows, record.again, at=record.at))
    if walk.seq >= record.again:
        record.again = 0
    told.append(entries_of(record.at, run.stream, run.epoch, walk))
    return told


def miss(record: Record, about: runs.About, new: Missing, reason: str = "") -> Told:
    """Note that rows are not here; tell of it, unless they are only held back."""
    record.closed += missing.add(record.missing, new)
    if new.why is Why.HELD:
        return []
    hub = "" if new.why is Why.LOST else record.at.partition("/")[0]
    return [lost(record, about, new.count, reason or f"rows {new.first} to {new.last}", hub)]


def lost(record: Record, about: runs.About, count: int, reason: str, hub: str = "") -> events.ParentEvent:
    """Return what is told of rows that are not here; `hub` did not relay them, or their origin declares them lost."""
    return events.LossDeclared(
        node=record.at, stream=about.stream, epoch=about.epoch, count=count, reason=reason, hub=hub
    )


def turned(address: str, turn: runs.Turn) -> events.EpochChanged:
    """Return what is told of an origin that goes on in a new epoch."""
    return events.EpochChanged(
        node=address,
        stream=turn.stream,
        epoch=turn.epoch,
        former=turn.former,
        seq=turn.ends,
        hash=turn.ends_hash,
        place=turn.seq,
        place_hash=turn.hash,
        again=turn.again,
        lost=turn.lost,
        reason=turn.reason,
    )


def fork(child: str, record: Record, run: runs.Run, seq: int, rows: Rows, fx: Effects) -> Told:
    """Set rows that contradict aside; tell of it once, until the origin goes on as it was (A7)."""
    record.aside += len(rows)
    if record.forked == child and not record.accepted:
        return []
    record.forked, record.accepted = child, False
    fx.store += [
        effects.SetAside(run.node, run.epoch, run.stream, run.prev + 1 + index, cut(bytes(raw)), _FORKED)
        for index, raw in enumerate(rows[: limits.ENTRIES_POISON_KEPT])
    ]
    return [events.Fork(node=f"{child}/{run.at}", stream=run.stream, epoch=run.epoch, seq=seq, reason=record.at)]


def misbehaved(child: str, about: runs.About, why: str) -> events.ParentEvent:
    """Return what is told of a child hub that relays what cannot be."""
    return events.Misbehaved(node=child, reason=f"what it relays of {about.stream} of {about.at} cannot be: {why}")
