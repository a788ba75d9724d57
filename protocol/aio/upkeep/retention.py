"""How long a hub keeps its children's entries: by age, by rows, by bytes; and whose go first.

AGE is counted, not read off a clock: it grows as the monotonic clock does while the hub runs, and over a pause by what
the wall clock says, but by limits.RETAIN_AWAY_S_MAX at most. A wall clock that jumps years ahead ages nothing
(INVARIANTS A15); what the devices' clocks say counts for nothing at all.

SIZE: when all together are too much, who holds most gives way, the lowest class first, and of it the oldest. That is
counted tier by tier: the child that holds most with all below it, of these again, down to a node. So a device that
floods the hub, or a region that invents devices, pushes out its own history and nobody else's: whoever holds less than
an equal share of what its tier keeps loses nothing to the others.

What each node holds is counted here too, some rows at a time, beside the rows: an insert pays nothing for it, and a
store without counts (recovered, or new) is counted from its beginning.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

import msgspec

from protocol import limits
from protocol.aio.upkeep import holders

_MARKS = 100  # notes of when entries arrived, over the time that they are kept
_COST = "length(raw) + length(hash) + length(kind) + length(key) + 48"  # and what the row and its index take beside
COUNTED = 0  # in table tally: the row whose `rows` is the last id that was counted


class Arrivals(msgspec.Struct, kw_only=True):
    """Kept in meta as `arrived`: the age of this history, the wall time of that, and (age, newest id then)."""

    age_ms: int = 0
    wall_ms: int
    marks: list[tuple[int, int]] = []


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What is kept at most."""

    age_ms: int
    rows: int
    bytes: int


class Retention:
    """One life of it: it knows when it last looked at the monotonic clock."""

    def __init__(self) -> None:
        self._mono_ms: int | None = None

    def step(self, db: sqlite3.Connection, now_ms: int, mono_ms: int, kept: Kept) -> int:
        """Count or delete at most limits.RETIRE_ROWS, inside a transaction; return how many: 0 when all is done."""
        first, last = db.execute("SELECT min(id), max(id) FROM entry").fetchone()
        if first is None:
            return 0
        arrived = self._age(db, now_ms, mono_ms, kept.age_ms // _MARKS, first, last)
        counted = _count(db, last)
        if counted:
            return counted
        upto = max((place for age_ms, place in arrived.marks if age_ms <= arrived.age_ms - kept.age_ms), default=0)
        upto = min(upto, first + limits.RETIRE_ROWS - 1, last - 1)  # the newest stays: ids must not come again
        deleted = _delete(db, "id <= ?", (upto,)) if upto >= first else _make_room(db, kept, last)
        if deleted:
            db.execute("DELETE FROM channel WHERE id IN (SELECT channel FROM tally WHERE rows = 0 AND channel > 0)")
            db.execute("DELETE FROM tally WHERE rows = 0 AND channel > 0")
        return deleted

    def _age(self, db: sqlite3.Connection, now_ms: int, mono_ms: int, grain_ms: int, first: int, last: int) -> Arrivals:
        """Let the history age by the time that has passed, and note that `last` has arrived by now."""
        stored = db.execute("SELECT value FROM meta WHERE key = 'arrived'").fetchone()
        arrived = Arrivals(wall_ms=now_ms) if stored is None else msgspec.json.decode(stored[0], type=Arrivals)
        if self._mono_ms is None:
            arrived.age_ms += max(0, min(now_ms - arrived.wall_ms, int(limits.RETAIN_AWAY_S_MAX * 1000)))
        else:
            arrived.age_ms += max(0, mono_ms - self._mono_ms)
        self._mono_ms, arrived.wall_ms = mono_ms, now_ms
        marks = [one for one in arrived.marks if one[1] >= first]
        if not marks or arrived.age_ms - marks[-1][0] >= grain_ms:
            marks.append((arrived.age_ms, last))
        arrived.marks = marks
        value = msgspec.json.encode(arrived).decode()
        db.execute("INSERT OR REPLACE INTO meta (key, value) VALUES ('arrived', ?)", (value,))
        return arrived


def _count(db: sqlite3.Connection, last: int) -> int:
    """Count the next entries that are not counted yet; return how many ids that was."""
    row = db.execute("SELECT rows FROM tally WHERE channel = ?", (COUNTED,)).fetchone()
    begin = row[0] if row is not None else 0
    upto = min(last, begin + limits.RETIRE_ROWS)
    if upto <= begin:
        return 0
    tally(db, "id > ? AND id <= ?", (begin, upto), 1)
    db.execute("INSERT OR REPLACE INTO tally (channel, rows, bytes) VALUES (?, ?, 0)", (COUNTED, upto))
    return upto - begin


def tally(db: sqlite3.Connection, where: str, values: tuple[int, ...], sign: int) -> None:
    """Count the entries `where`, or (`sign` -1) count them no more."""
    query = f"SELECT channel, count(*), sum({_COST}) FROM entry WHERE {where} GROUP BY channel"  # noqa: S608 - our words
    for channel, rows, size in db.execute(query, values).fetchall():
        db.execute(
            "INSERT INTO tally (channel, rows, bytes) VALUES (?1, ?2, ?3)"
            " ON CONFLICT (channel) DO UPDATE SET rows = rows + ?2, bytes = bytes + ?3",
            (channel, sign * rows, sign * size),
        )


def _delete(db: sqlite3.Connection, where: str, values: tuple[int, ...]) -> int:
    tally(db, where, values, -1)
    return db.execute(f"DELETE FROM entry WHERE {where}", values).rowcount  # noqa: S608 - our words


def _make_room(db: sqlite3.Connection, kept: Kept, last: int) -> int:
    """Delete the oldest rows of the lowest class of who holds most, if all together hold too much.

    It keeps an equal share of what its tier may keep: then another one holds most.
    """
    rows, size = db.execute(_HELD).fetchone()
    if rows <= kept.rows and size <= kept.bytes:
        return 0
    is_size = size > kept.bytes
    most, total = (kept.bytes, size) if is_size else (kept.rows, rows)
    found: list[tuple[int, int, str]] = db.execute(_HOLDERS).fetchall()
    sizes = [(its_size if is_size else count, count, name) for count, its_size, name in found]
    (holds, its_rows, node), share = holders.most(sizes, most)
    over = min(total - most, holds - share)
    over_rows = -(-over * its_rows // holds)
    (channel,) = db.execute(_LOWEST, (node,)).fetchone()
    chosen = "id IN (SELECT id FROM entry WHERE channel = ? AND id < ? ORDER BY seq LIMIT ?)"
    return _delete(db, chosen, (channel, last, min(over_rows, limits.RETIRE_ROWS)))


_HELD = "SELECT coalesce(sum(rows), 0), coalesce(sum(bytes), 0) FROM tally WHERE channel > 0"
_WHO = "CASE at WHEN '' THEN node ELSE at END"  # ids are not unique in a tree, addresses are
_HOLDERS = f"SELECT sum(rows), sum(bytes), {_WHO} FROM tally JOIN channel ON id = channel GROUP BY 3"  # noqa: S608 - our words
_LOWEST = """
    SELECT id FROM tally JOIN channel ON id = channel WHERE CASE at WHEN '' THEN node ELSE at END = ?
    ORDER BY stream = 'logs' DESC, stream = 'metrics' DESC, stream = 'state' DESC, id LIMIT 1
"""
