"""Is a store whole? A look of bounded time, after a life that did not end in order.

A store up to limits.QUICK_CHECK_BYTES_MAX is walked by SQLite's own quick check. Of a larger one the size is held
against what its header says, and the newest rows of each stream against their hashes: what was being written when the
power went. What lies deeper is found when it is read, and leads to the same recovery (protocol.aio.recovery.ladder).
"""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path

from protocol import limits
from protocol.aio.sqlite import of
from protocol.effects import StoredRow
from protocol.errors import StoreDamaged
from protocol.link import cursor
from protocol.messages import CHAINED

_ALL = 2**62
_ADVICE = "nothing was deleted; it is set aside and what can be read is recovered when Skerry starts here"


def quickly(db: sqlite3.Connection, path: Path, streams: Sequence[str], *, whole: bool = False) -> None:
    """Look at the open store `db`; at all of it, whatever its size, with `whole`.

    Raises StoreDamaged, saying what is wrong; sqlite3.Error when it cannot be read.
    """
    finding = finds(db, path, streams, whole=whole)
    if finding:
        raise StoreDamaged(f"{path} is damaged ({finding}): {_ADVICE}")


def finds(db: sqlite3.Connection, path: Path, streams: Sequence[str], *, whole: bool = False) -> str:
    """Return what is wrong with the store, or "". Raises sqlite3.Error when it cannot be read."""
    pages: int = db.execute("PRAGMA page_count").fetchone()[0]
    size: int = db.execute("PRAGMA page_size").fetchone()[0]
    if whole or pages * size <= limits.QUICK_CHECK_BYTES_MAX:
        found: str = db.execute("PRAGMA quick_check(1)").fetchone()[0]
        if found != "ok":
            return found.splitlines()[-1]
    elif _is_short(db, path, pages, size):
        return "its size is not what its header says"
    tables = {name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    known = [name for name in streams if f"own_{name}" in tables and name in CHAINED]
    count = _ALL if whole else limits.NEWEST_ROWS_CHECKED
    broken = (f"rows of {name} do not come to their hashes" for name in known if not _chains(db, name, count))
    return next(broken, "")


def _is_short(db: sqlite3.Connection, path: Path, pages: int, size: int) -> bool:
    free: int = db.execute("PRAGMA freelist_count").fetchone()[0]
    wal = path.with_name(path.name + "-wal")
    missing = pages * size - path.stat().st_size
    return free > pages or missing > (wal.stat().st_size if wal.exists() else 0)


def _chains(db: sqlite3.Connection, stream: str, count: int) -> bool:
    """Tell whether the newest `count` rows are a chain."""
    end: int = db.execute(of(stream, "SELECT max(seq) FROM own_STREAM")).fetchone()[0] or 0
    query = of(stream, "SELECT seq, raw, hash FROM own_STREAM WHERE seq > ? ORDER BY seq")
    return is_chain(db.execute(query, (end - count,)))


def is_chain(rows: Iterable[StoredRow]) -> bool:
    """Tell whether each row but the first, and but GAP rows, comes from the one before it to its own hash."""
    for (_, _, before), (_, raw, tip) in itertools.pairwise(rows):
        if cursor.chain(before, raw) != tip and cursor.decode_gap(raw) is None:
            return False
    return True
