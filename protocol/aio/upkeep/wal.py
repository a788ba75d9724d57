"""The bound of a write-ahead log. It shrinks by itself: each WAL_PAGES or quarter of its bound, all of it goes into the
file, and it begins anew from its start.

Who reads the file beside us holds that up as long as one reading lasts, and the log grows. Our own readers are short.
A foreign one that stays (a backup, a forgotten sqlite3) meets the bound: then nothing more is committed until it ends,
and nothing is acknowledged; a quota that a stranger can break is none.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

from protocol import limits
from protocol.errors import StoreError

_PAGE_BYTES = 4_096


def set_up(db: sqlite3.Connection, bytes_max: int) -> None:
    """Make a connection that writes keep its log well below `bytes_max`."""
    pages = max(1, min(limits.WAL_PAGES, bytes_max // 4 // _PAGE_BYTES))
    db.execute(f"PRAGMA wal_autocheckpoint = {pages}")
    db.execute(f"PRAGMA journal_size_limit = {min(limits.WAL_BYTES_KEPT, bytes_max // 2)}")


def bound(db: sqlite3.Connection, path: Path, bytes_max: int) -> None:
    """Let the log of the file at `path` grow no further than half of `bytes_max`, and what one transaction adds to it.

    Outside a transaction. Raises StoreError when a reader forbids it for limits.BUSY_WAIT_S.
    """
    if _size(path) * 2 <= bytes_max:
        return
    (busy, _, _) = db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    if busy:
        raise StoreError(
            f"{path}-wal has grown to {_size(path):,} bytes, because another program reads {path.name} without an end: "
            "end that one (a backup, sqlite3?); until then nothing is stored or acknowledged, it goes on by itself"
        )


def of(path: Path) -> Path:
    """Return where the log of the file at `path` is."""
    return path.with_name(f"{path.name}-wal")


def _size(path: Path) -> int:
    try:
        return of(path).stat().st_size
    except FileNotFoundError:
        return 0
