"""The store operations of protocol.effects as SQL, inside one transaction of one file. Sync; in the file's thread."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator

from protocol import effects, limits
from protocol.aio import failpoints, life
from protocol.aio.life import Head
from protocol.aio.sqlite import checksum, insert, of
from protocol.aio.upkeep import late

Channel = tuple[str, str, str]  # node, epoch, stream

_INTO_OWN = "INSERT INTO own_STREAM (seq, raw, hash)"
# A device can bring an epoch back that its parent has forgotten (limits.EPOCHS_KEPT_MAX): a seq is stored once all the
# same, and the first bytes stay (INVARIANTS A7). It must not fail the transaction, which is everybody's.
_INTO_ENTRY = "INSERT OR IGNORE INTO entry (channel, seq, time_ms, kind, key, raw, hash)"
_INTO_ASIDE = "INSERT INTO aside (node, epoch, stream, seq, raw, reason) VALUES (?, ?, ?, ?, ?, ?)"
# A device may take a new epoch as often as it greets: only as many are looked at as its parent remembers.
_NEWEST_CHANNELS = "SELECT id FROM channel WHERE node = ? AND stream = ? ORDER BY id DESC LIMIT ?"
_CHANNEL = """
    INSERT INTO channel (node, epoch, stream, at) VALUES (?, ?, ?, ?)
    ON CONFLICT DO UPDATE SET at = excluded.at RETURNING id
"""
# The hash alone does not do: a GAP has that of the last row which it covers, and is not that row.
_STANDS = "SELECT 1 FROM entry WHERE channel = ? AND seq = ? AND hash = ? AND raw = ?"
# Place 1 is a node's newest row. The rows of the highest places go: no node pushes out what stands there of another.
_ASIDE_TOO_MANY = """
    WITH placed AS (SELECT id, row_number() OVER (PARTITION BY node ORDER BY id DESC) AS place FROM aside),
    kept AS (SELECT id FROM placed WHERE place <= ? ORDER BY place, id DESC LIMIT ?)
    DELETE FROM aside WHERE id NOT IN kept
"""


class Operations:
    """Applies operations to one file; remembers heads and channels. After a transaction that failed, make a new one."""

    def __init__(self, heads: dict[str, Head]) -> None:
        self._heads = heads
        self._channels: dict[Channel, tuple[int, str]] = {}
        self._touched: dict[str, None] = {}
        self._puts: dict[tuple[str, str], bytes | None] = {}
        self._has_aside = False

    def epoch(self, stream: str) -> str:
        """Return the epoch that `stream` is in."""
        return self._heads[stream].epoch

    def forget_channels(self) -> None:
        """Some of them may be gone."""
        self._channels.clear()

    def apply(self, db: sqlite3.Connection, ops: Iterable[effects.Store]) -> None:
        """Apply `ops` in order. Of several values for one key only the last is written."""
        self._touched.clear()
        self._puts.clear()
        for op in ops:
            self._apply(db, op)
        self._write_puts(db)
        if self._has_aside:
            self._has_aside = False
            db.execute(_ASIDE_TOO_MANY, (limits.ASIDE_KEPT_OF_NODE_ROWS, limits.ASIDE_KEPT_ROWS))
        for stream in self._touched:
            life.write_head(db, stream, self._heads[stream])
        if failpoints.armed is not None:
            failpoints.hit("in-store")

    def _apply(self, db: sqlite3.Connection, op: effects.Store) -> None:
        match op:
            case effects.Rows():
                self._append(db, op)
            case effects.Received():
                self._receive(db, op)
            case effects.Put():
                self._puts[op.space, op.key] = op.value
            case effects.Delete():
                self._puts[op.space, op.key] = None
            case effects.Acked():
                self._own(op).acked = op.seq
            case effects.Trim():
                self._own(op)
                db.execute(of(op.stream, "DELETE FROM own_STREAM WHERE seq <= ?"), (op.upto,))
            case effects.Gap():
                self._replace(db, op)
            case effects.NewEpoch():
                life.turn(db, self._heads[op.stream], op)
            case effects.SetAside():
                db.execute(_INTO_ASIDE, (op.node, op.epoch, op.stream, op.seq, op.raw, op.reason))
                self._has_aside = True

    def _append(self, db: sqlite3.Connection, op: effects.Rows) -> None:
        head = self._heads[op.stream]
        assert op.epoch == head.epoch, f"{op.stream}: rows of epoch {op.epoch}, the file's is {head.epoch}"
        last = op.rows[-1]
        assert op.rows[0][0] == head.last + 1, f"{op.stream}: row {op.rows[0][0]} after row {head.last}"
        assert last[0] == head.last + len(op.rows), f"{op.stream}: rows after {head.last} are not contiguous"
        insert(db, of(op.stream, _INTO_OWN), op.rows)
        head.last, head.hash = last[0], last[2]

    def _own(self, op: effects.Acked | effects.Trim | effects.Gap) -> Head:
        head = self._heads[op.stream]
        assert op.epoch == head.epoch, f"{op.stream}: {op} but the file's epoch is {head.epoch}"
        self._touched[op.stream] = None
        return head

    def _replace(self, db: sqlite3.Connection, op: effects.Gap) -> None:
        head = self._own(op)
        assert op.last <= head.last, f"{op.stream}: a gap up to {op.last} in rows up to {head.last}"
        db.execute(of(op.stream, "DELETE FROM own_STREAM WHERE seq BETWEEN ? AND ?"), (op.first, op.last))
        insert(db, of(op.stream, _INTO_OWN), [(op.last, op.raw, op.hash)])

    def _receive(self, db: sqlite3.Connection, op: effects.Received) -> None:
        channel = self._channel(db, (op.node, op.epoch, op.stream), op.at)
        rows = op.rows if op.rows[0][0] > op.again else list(_new(db, op))
        if op.over:
            late.give_way(db, channel, rows)
        found = [(channel, seq, time_ms, kind, key, raw, hash_) for seq, raw, hash_, time_ms, kind, key in rows]
        insert(db, _INTO_ENTRY, found)

    def _channel(self, db: sqlite3.Connection, origin: Channel, at: str) -> int:
        known = self._channels.get(origin)
        if known is None or known[1] != at:
            if len(self._channels) >= limits.CHANNELS_KNOWN_MAX:
                self._channels.clear()  # they are looked up again
            (number,) = db.execute(_CHANNEL, (*origin, at)).fetchone()
            known = self._channels[origin] = number, at
        return known[0]

    def _write_puts(self, db: sqlite3.Connection) -> None:
        puts = [
            (space, key, value, checksum(space, key, value))
            for (space, key), value in self._puts.items()
            if value is not None
        ]
        gone = [where for where, value in self._puts.items() if value is None]
        insert(db, "INSERT OR REPLACE INTO state (space, key, value, sum)", puts)
        if gone:
            db.executemany("DELETE FROM state WHERE space = ? AND key = ?", gone)


def _new(db: sqlite3.Connection, op: effects.Received) -> Iterator[tuple[int, bytes, bytes, int, str, str]]:
    """Yield the rows that did not come already, under whatever epoch."""
    channels = db.execute(_NEWEST_CHANNELS, (op.node, op.stream, limits.EPOCHS_KEPT_MAX + 1)).fetchall()
    for row in op.rows:
        seq, raw, hash_ = row[:3]
        stands = (db.execute(_STANDS, (channel, seq, hash_, raw)).fetchone() for (channel,) in channels)
        if seq > op.again or not any(stands):
            yield row
