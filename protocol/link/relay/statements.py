"""What a hub states of an origin beside its rows: that it holds some back, that a stream goes on in a new epoch."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from protocol.effects import Effects
from protocol.link import events
from protocol.link.relay import missing, outcome, runs
from protocol.link.relay.missing import Missing, Why
from protocol.link.relay.outcome import Told
from protocol.link.relay.record import Record, key_hash
from protocol.link.relay.records import Records
from protocol.messages import CHAINED, GapBody

Doubt = Callable[[str, str, str, str, GapBody], str]
"""(node, SHA-256 of a key, epoch, stream, GAP) -> why it is not signed so by that key, or an empty text."""


def held(records: Records, child: str, held: runs.Held, doubt: str, fx: Effects) -> Told:
    """A hub on the way holds rows back: it signs for that, and they count as held, not as lost.

    `doubt`: why nobody vouches for it; then they are a hole. Of a node that is elsewhere it moves nothing, unless this
    hub itself said that it belongs there.
    """
    found = records.at(child, held, fx)
    if found is None:
        return [outcome.misbehaved(child, held, outcome.FULL)]
    key, record = found
    is_beyond = held.gap.last > record.seq
    if is_beyond and not doubt and records.is_elsewhere(record, child, held):
        doubt = f"it is at {record.at}, and was not told to move"
    told: Told = [outcome.misbehaved(child, held, doubt)] if doubt else []
    is_news = not doubt and _explains(record, held)
    if is_beyond and not records.is_elsewhere(record, child, held):
        is_news = not doubt
        records.came(key, record, f"{child}/{held.at}")
        told += _beyond(record, held, Why.HOLE if doubt else Why.HELD)
    told += records.save(key, fx)
    if is_news:
        said = msgspec.structs.replace(held, at=record.at)
        told.append(events.HeldBack(node=record.at, stream=held.stream, epoch=held.epoch, held=said))
    return told


def _explains(record: Record, held: runs.Held) -> bool:
    """Holes are of what is held back: tell whether that is news."""
    gap = held.gap
    return missing.explain(record.missing, (gap.first - 1, held.before), (gap.last, gap.hash), Why.HELD) > 0


def _beyond(record: Record, held: runs.Held, why: Why) -> Told:
    """Go on behind what is held back."""
    told: Told = []
    gap, first, before = held.gap, held.gap.first, held.before
    if first - 1 > record.seq:
        told += outcome.miss(record, held, Missing(record.seq + 1, first - 1, record.hash, before, Why.HOLE))
    else:
        first, before = record.seq + 1, record.hash
    told += outcome.miss(record, held, Missing(first, gap.last, before, gap.hash, why))
    record.seq, record.hash = gap.last, gap.hash
    return told


def turn(records: Records, child: str, turn: runs.Turn, fx: Effects) -> Told:
    """An origin goes on in a new epoch, at `child`: its numbering goes on from there (A9).

    Where the former one ended is believed of who had it, and of whom this hub itself said that it belongs to.
    """
    known = records.find(turn)
    found = known or records.at(child, turn, fx)
    if found is None:
        return [outcome.misbehaved(child, turn, outcome.FULL)]
    key, record = found
    former = records.find(turn, turn.former) if turn.former else None  # the new one may have taken its room
    again = max(turn.again, _reached(records, turn)) if turn.stream in CHAINED else 0
    turn = msgspec.structs.replace(turn, again=again)
    told: Told = []
    if former is not None:
        if former[1].allow(again):  # what has still to come of it may come under the new one first (A8)
            told += records.save(former[0], fx)
        if records.is_elsewhere(former[1], child, turn):
            turn = msgspec.structs.replace(turn, ends=0, ends_hash="")
    if known is not None or record.seq:  # of who came here itself first, with what it still holds of the epoch
        told += _explained(records, former, record, turn, fx)
    else:
        told += _begun(records, former, record, turn, fx)
    record.allow(again)
    if again and not record.former:
        record.former = turn.former
        records.heirs.put(key, turn.former)
    return told + records.save(key, fx)


def _begun(records: Records, former: tuple[str, Record] | None, record: Record, turn: runs.Turn, fx: Effects) -> Told:
    told: Told = []
    if former is not None:
        told += _ended(records, former, record, turn, fx)
        record.key = former[1].key
    record.seq, record.hash = turn.seq, turn.hash
    record.closed += turn.lost
    told.append(outcome.turned(record.at, turn))
    if turn.lost:
        told.append(outcome.lost(record, turn, turn.lost, turn.reason))
    return told


def _explained(
    records: Records, former: tuple[str, Record] | None, record: Record, turn: runs.Turn, fx: Effects
) -> Told:
    """Others were faster, who have the epoch from further on: what seemed missing of it below is of the former."""
    if former is None or not turn.ends or turn.seq > turn.ends + turn.lost:
        return []  # but only as far as the former accounts for it
    if not missing.cut(record.missing, turn.seq, turn.hash):
        return []
    record.closed += turn.lost
    return [*_ended(records, former, record, turn, fx), outcome.turned(record.at, turn)]


def _reached(records: Records, turn: runs.Turn) -> int:
    """Return up to which row those of the former epoch may be here, by whatever way."""
    held = records.direct(turn.node, turn.former, turn.stream)
    itself = max(held.seq, held.again) if held is not None else 0
    found = records.find(turn, turn.former) if turn.former else None
    return max(itself, found[1].reach if found is not None else 0)


def _ended(records: Records, former: tuple[str, Record], record: Record, turn: runs.Turn, fx: Effects) -> Told:
    """What has not come of the former epoch is a hole; of the new one, where nobody there knew the former."""
    key, its = former
    if its.seq < turn.ends:
        told = outcome.miss(its, turn, Missing(its.seq + 1, turn.ends, its.hash, turn.ends_hash, Why.HOLE))
        its.seq, its.hash = turn.ends, turn.ends_hash
        return told + records.save(key, fx)
    if its.seq < turn.seq and not turn.ends:
        return outcome.miss(record, turn, Missing(its.seq + 1, turn.seq, its.hash, turn.hash, Why.HOLE))
    return []


def unheld(child: str, held: runs.Held, doubt: Doubt, key_of: Callable[[str], str]) -> str:
    """Return why nobody vouches for what is said to be held."""
    if held.by not in (child, *held.at.split("/")[:-1]):
        return f"{held.by} is no hub on the way of {held.at}"
    key = key_of(child) if held.by == child else key_hash(held.gap.key)
    return doubt(held.by, key, held.epoch, held.signed_as, held.gap)
