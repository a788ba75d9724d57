"""What has come of each node below the child hubs: one cursor for each (node, epoch, stream), by whatever way it came.

The origin's own chain is verified from end to end; what is known changes nothing; what lies beyond the cursor is taken
and leaves a range of missing rows, since a hub on the way may have lost some (A3, A4, A7, A8). What contradicts is set
aside, and nothing else waits for it (A21). Cursors, rows and what is told leave in the Effects of the hub's own cursor:
one transaction (A5).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Callable

import msgspec

from protocol import effects, limits
from protocol.effects import Effects
from protocol.link import events
from protocol.link.below.walk import Unproven, Walk, cut
from protocol.link.parent_entries import entries_of
from protocol.link.relay import fills, missing, runs
from protocol.link.relay.missing import Missing, NoFit, Why
from protocol.link.relay.records import Record, Records
from protocol.messages import CHAINED, GapBody
from protocol.snapshot import Snapshot

Doubt = Callable[[str, str, str, str, GapBody], str]
"""(node, SHA-256 of a key, epoch, stream, GAP) -> why it is not signed so by that key, or an empty text."""

Told = list[events.ParentEvent]

_FORKED = "relayed rows do not follow from what is held of their origin"


class Origins:
    """All origins below the child hubs of a hub."""

    def __init__(self, snapshot: Snapshot, doubt: Doubt, key_of: Callable[[str], str]) -> None:
        """`key_of`: the SHA-256 (hex) of the key that a child was enrolled with, "" for nobody."""
        self._doubt, self._key_of = doubt, key_of
        self.records = Records(snapshot)

    # -------------------------------------------------------------------------------------------- runs

    def run(self, child: str, run: runs.Run, fx: Effects) -> Told:
        """Take rows that `child` relays."""
        rows = runs.rows_of(run)
        found = self.records.at(child, run, fx)
        if rows is None or found is None:
            return [_misbehaved(child, run, "more origins than there may be" if rows is not None else "no base64")]
        key, record = found
        told: Told = []
        try:
            if record.missing and run.prev < record.seq:
                fills.fill(record, run, rows, told, fx)
            if run.last > record.seq:
                self.records.came(key, record, child, run)
                told += self._extend(child, record, run, rows, fx)
        except NoFit as no:
            told += _fork(child, record, run, no.args[0], rows, fx)
        self.records.save(key, fx)
        return told

    def _extend(self, child: str, record: Record, run: runs.Run, rows: list[msgspec.Raw | bytes], fx: Effects) -> Told:
        is_beyond = run.prev > record.seq
        if is_beyond and record.forked == child and not record.accepted:
            record.aside += len(rows)  # of a line that parted from what is held: it is shown, and not mixed in
            return []
        held = (run.prev, run.before) if is_beyond else (record.seq, record.hash)
        walk = Walk(run.stream, run.prev, rows, held[0], bytes.fromhex(held[1]))
        if not walk.run() or walk.position != run.last:
            return [_misbehaved(child, run, f"its rows are not {run.prev + 1} to {run.last}")]
        if not walk.is_whole(run.hash):
            raise NoFit(held[0] + 1)
        refused, gone = walk.prove(lambda body: self._doubted(record, run, body), accepted=False)
        if refused is not None:
            return self._around(child, record, run, rows, refused, fx)
        told: Told = []
        if is_beyond:
            told += _miss(record, run, Missing(record.seq + 1, run.prev, record.hash, run.before, Why.HOLE))
        record.forked, record.accepted = "", False
        for one in walk.unproven:
            lost = Missing(one.held + 1, one.body.last, one.tip.hex(), one.body.hash, Why.LOST)
            told += _miss(record, run, lost, next(gap.reason for gap, _ in gone if gap.last == one.body.last))
        record.seq, record.hash = walk.seq, walk.tip.hex()
        return told + store(child, record, run, walk, fx)

    def _around(
        self,
        child: str,
        record: Record,
        run: runs.Run,
        rows: list[msgspec.Raw | bytes],
        refused: tuple[Unproven, str],
        fx: Effects,
    ) -> Told:
        """Nobody vouches for a GAP: what stands before and after it is taken, it leaves a hole (A4)."""
        one, why = refused
        place = next(index for index, raw in enumerate(rows) if bytes(raw) == one.raw)
        told: Told = []
        if place and one.held > record.seq:
            head = msgspec.structs.replace(run, last=one.held, hash=one.tip.hex())
            told += self._extend(child, record, head, rows[:place], fx)
        last = one.body.last
        record.aside += 1
        fx.store.append(effects.SetAside(run.node, run.epoch, run.stream, last, cut(one.raw), why))
        rest = msgspec.structs.replace(run, prev=last, before=one.body.hash)
        if last < run.last:
            return told + self._extend(child, record, rest, rows[place + 1 :], fx)
        hole = Missing(record.seq + 1, last, record.hash, one.body.hash, Why.HOLE)
        record.seq, record.hash = last, one.body.hash
        return told + _miss(record, run, hole, why)

    def _doubted(self, record: Record, about: runs.About, body: GapBody) -> str:
        """Return why a GAP is not believed: the key it names must be the one that the origin used before."""
        named = key_hash(body.key)
        if record.key not in ("", named):
            return f"it is signed with another key than what {about.node} signed before"
        doubt = self._doubt(about.node, named, about.epoch, about.stream, body)
        if not doubt:
            record.key = named
        return doubt

    # -------------------------------------------------------------------------------------------- held back, turned

    def held(self, child: str, held: runs.Held, fx: Effects) -> Told:
        """A hub on the way holds rows back: it signs for that, and they count as held, not as lost."""
        found = self.records.at(child, held, fx)
        if found is None:
            return [_misbehaved(child, held, "more origins than there may be")]
        key, record = found
        gap = held.gap
        if gap.last <= record.seq:
            return []
        why = self._unheld(child, held)
        told: Told = [] if not why else [_misbehaved(child, held, why)]
        first, before = gap.first, held.before
        if first - 1 > record.seq:
            told += _miss(record, held, Missing(record.seq + 1, first - 1, record.hash, before, Why.HOLE))
        else:
            first, before = record.seq + 1, record.hash
        told += _miss(record, held, Missing(first, gap.last, before, gap.hash, Why.HOLE if why else Why.HELD))
        record.seq, record.hash = gap.last, gap.hash
        self.records.save(key, fx)
        if not why:
            said = msgspec.structs.replace(held, at=record.at)
            told.append(events.HeldBack(node=record.at, stream=held.stream, epoch=held.epoch, held=said))
        return told

    def _unheld(self, child: str, held: runs.Held) -> str:
        """Return why nobody vouches for what is said to be held."""
        named = key_hash(held.gap.key)
        if held.by not in (child, *held.at.split("/")[:-1]):
            return f"{held.by} is no hub on the way of {held.at}"
        if held.by == child and self._key_of(child) not in ("", named):
            return f"what {child} holds back is signed with another key than the one it was enrolled with"
        return self._doubt(held.by, named, held.epoch, held.signed_as, held.gap)

    def turn(self, child: str, turn: runs.Turn, fx: Effects) -> Told:
        """An origin goes on in a new epoch, at `child`: its numbering goes on from there (A9)."""
        if self.records.find(turn) is not None:
            return []
        former = self.records.find(turn, turn.former) if turn.former else None
        found = self.records.at(child, turn, fx)
        if found is None:
            return [_misbehaved(child, turn, "more origins than there may be")]
        key, record = found
        told: Told = []
        if former is not None:
            if former[1].seq < turn.ends:
                its = former[1]
                told += _miss(its, turn, Missing(its.seq + 1, turn.ends, its.hash, turn.ends_hash, Why.HOLE))
                its.seq, its.hash = turn.ends, turn.ends_hash
                self.records.save(former[0], fx)
            record.key = former[1].key
        again = max(turn.again, former[1].seq if former is not None else 0)
        record.seq, record.hash = turn.seq, turn.hash
        record.again = again if turn.stream in CHAINED and again > turn.seq else 0
        self.records.save(key, fx)
        record.closed += turn.lost
        told.append(turned(record.at, turn, again))
        if turn.lost:
            told.append(_lost(record, turn, turn.lost, turn.reason))
        return told

    def accept(self, child: str, fx: Effects) -> None:
        """An operator has looked at what `child` relays: what contradicted goes on, beyond a hole."""
        for key, record in self.records.all():
            if record.forked == child and not record.accepted:
                record.accepted = True
                self.records.save(key, fx)


def store(child: str, record: Record, run: runs.Run, walk: Walk, fx: Effects) -> Told:
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
        fx.store.append(effects.Received(run.node, run.epoch, run.stream, walk.rows, record.again))
    if walk.seq >= record.again:
        record.again = 0
    told.append(entries_of(record.at, run.stream, run.epoch, walk))
    return told


def turned(address: str, turn: runs.Turn, again: int) -> events.EpochChanged:
    """Return the event that tells of `turn`."""
    return events.EpochChanged(
        node=address,
        stream=turn.stream,
        epoch=turn.epoch,
        former=turn.former,
        seq=turn.ends,
        hash=turn.ends_hash,
        place=turn.seq,
        place_hash=turn.hash,
        again=again,
        lost=turn.lost,
        reason=turn.reason,
    )


def key_hash(key: str) -> str:
    """Return the SHA-256 (hex) of a key as a GAP names it (SPKI, DER, base64)."""
    try:
        return hashlib.sha256(base64.b64decode(key, validate=True)).hexdigest()
    except (binascii.Error, ValueError):
        return "no key"


def _miss(record: Record, about: runs.About, new: Missing, reason: str = "") -> Told:
    """Note that rows are not here; tell of it, unless they are only held back."""
    record.closed += missing.add(record.missing, new)
    if new.why is Why.HELD:
        return []
    text = reason or f"{record.at.partition('/')[0]} did not relay rows {new.first} to {new.last}"
    return [_lost(record, about, new.count, text)]


def _lost(record: Record, about: runs.About, count: int, reason: str) -> events.LossDeclared:
    return events.LossDeclared(node=record.at, stream=about.stream, epoch=about.epoch, count=count, reason=reason)


def _fork(child: str, record: Record, run: runs.Run, seq: int, rows: list[msgspec.Raw | bytes], fx: Effects) -> Told:
    """Set rows that contradict aside; tell of it once, until the origin goes on as it was (A7)."""
    record.aside += len(rows)
    if record.forked == child and not record.accepted:
        return []
    record.forked, record.accepted = child, False
    fx.store += [
        effects.SetAside(run.node, run.epoch, run.stream, run.prev + 1 + index, cut(bytes(raw)), _FORKED)
        for index, raw in enumerate(rows[: limits.ENTRIES_POISON_KEPT])
    ]
    return [events.Fork(node=record.at, stream=run.stream, epoch=run.epoch, seq=seq, reason=_FORKED)]


def _misbehaved(child: str, about: runs.About, why: str) -> events.Misbehaved:
    return events.Misbehaved(node=child, reason=f"what it relays of {about.stream} of {about.at} cannot be: {why}")
