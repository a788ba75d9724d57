"""What has come of each node below the child hubs: one cursor for each (node, epoch, stream), by whatever way it came.

The origin's own chain is verified from end to end; what is known changes nothing; what lies beyond the cursor is taken
and leaves a range of missing rows, since a hub on the way may have lost some (A3, A4, A7, A8). What contradicts is set
aside, and nothing else waits for it (A21). Cursors, rows and what is told leave in the Effects of the hub's own cursor:
one transaction (A5).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import msgspec

from protocol import effects
from protocol.effects import Effects
from protocol.link.below.walk import Unproven, Walk, cut
from protocol.link.relay import fills, outcome, runs, statements, unwrap
from protocol.link.relay.missing import Missing, NoFit, Why
from protocol.link.relay.outcome import Told
from protocol.link.relay.record import Record, key_hash
from protocol.link.relay.records import Belongs, Direct, Records
from protocol.link.relay.statements import Doubt
from protocol.link.relay.unwrap import Rows
from protocol.messages import GapBody
from protocol.snapshot import Snapshot


class Origins:
    """All origins below the child hubs of a hub."""

    def __init__(
        self, snapshot: Snapshot, doubt: Doubt, key_of: Callable[[str], str], direct: Direct, belongs: Belongs
    ) -> None:
        """`key_of`: the SHA-256 (hex) of the key that a child was enrolled with, "" for nobody."""
        self._doubt, self._key_of = doubt, key_of
        self.records = Records(snapshot, direct, belongs)

    def run(self, child: str, run: runs.Run, fx: Effects) -> Told:
        """Take rows that `child` relays."""
        rows = unwrap.rows_of(run)
        found = self.records.at(child, run, fx)
        if rows is None or found is None:
            return [outcome.misbehaved(child, run, outcome.FULL if rows is not None else "no base64")]
        key, record = found
        told: Told = []
        try:
            if record.missing and run.prev < record.seq:
                fills.fill(record, run, rows, told, partial(self._doubted_late, child, record, run), fx)
            if run.last > record.seq:
                told += self._verified(child, found, run, rows, fx)
        except NoFit as no:
            told += outcome.fork(child, record, run, no.args[0], rows, fx)
        return told + self.records.save(key, fx)

    def _verified(self, child: str, found: tuple[str, Record], run: runs.Run, rows: Rows, fx: Effects) -> Told:
        """Take what is new in a run: once it has proven itself its origin is where it came from, and not before."""
        key, record = found
        before, held, record.at = record.at, record.seq, f"{child}/{run.at}"
        try:
            return self._extend(child, record, run, rows, fx)
        finally:
            address, record.at = record.at, before
            if record.seq > held:
                self.records.came(key, record, address)

    def _extend(self, child: str, record: Record, run: runs.Run, rows: Rows, fx: Effects) -> Told:
        is_beyond = run.prev > record.seq
        if is_beyond and record.forked == child and not record.accepted:
            record.aside += len(rows)  # of a line that parted from what is held: it is shown, and not mixed in
            return []
        held = (run.prev, run.before) if is_beyond else (record.seq, record.hash)
        walk = Walk(run.stream, run.prev, rows, held[0], bytes.fromhex(held[1]))
        if not walk.run() or walk.position != run.last:
            return [outcome.misbehaved(child, run, f"its rows are not {run.prev + 1} to {run.last}")]
        if not walk.is_whole(run.hash):
            raise NoFit(held[0] + 1)
        refused, gone = walk.prove(lambda body: self._doubted(record, run, body), accepted=False)
        if refused is not None:
            return self._around(child, record, run, rows, refused, fx)
        told: Told = []
        if is_beyond:
            told += outcome.miss(record, run, Missing(record.seq + 1, run.prev, record.hash, run.before, Why.HOLE))
        record.forked, record.accepted = "", False
        for one in walk.unproven:
            lost = Missing(one.held + 1, one.body.last, one.tip.hex(), one.body.hash, Why.LOST)
            told += outcome.miss(record, run, lost, next(gap.reason for gap, _ in gone if gap.last == one.body.last))
        record.seq, record.hash = walk.seq, walk.tip.hex()
        return told + outcome.store(record, run, walk, fx)

    def _around(
        self,
        child: str,
        record: Record,
        run: runs.Run,
        rows: Rows,
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
        return told + outcome.miss(record, run, hole, why)

    def _doubted(self, record: Record, about: runs.About, body: GapBody) -> str:
        """Return why a GAP is not believed: the key it names must be the one that the origin used before."""
        named = key_hash(body.key)
        if record.key not in ("", named):
            return f"it is signed with another key than what {about.node} signed before"
        doubt = self._doubt(about.node, named, about.epoch, about.stream, body)
        if not doubt:
            record.key = named
        return doubt

    def _doubted_late(self, child: str, record: Record, about: runs.About, body: GapBody, is_joined: bool) -> str:
        """Say so of a GAP in a hole. Who no longer has its origin names no key for it, and is believed without one only
        with rows behind it that come to the hash held here: these he had of the origin."""
        if record.key or not self.records.is_elsewhere(record, child, about):
            return self._doubted(record, about, body)
        if not is_joined:
            return f"{about.node} is at {record.at}, and no key of it is known"
        return self._doubt(about.node, key_hash(body.key), about.epoch, about.stream, body)

    def held(self, child: str, held: runs.Held, fx: Effects) -> Told:
        """A hub on the way holds rows back."""
        return statements.held(self.records, child, held, statements.unheld(child, held, self._doubt, self._key_of), fx)

    def turn(self, child: str, turn: runs.Turn, fx: Effects) -> Told:
        """An origin goes on in a new epoch, at `child`."""
        return statements.turn(self.records, child, turn, fx)

    def accept(self, child: str, fx: Effects) -> None:
        """An operator has looked at what `child` relays: what contradicted goes on, beyond a hole."""
        for key, record in self.records.all():
            if record.forked == child and not record.accepted:
                record.accepted = True
                self.records.save(key, fx)
