"""What raw SQLite does on this disk, in WAL and FULL, with nothing of ours: no figure of ours can be better."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

from tests.bench.registry import Bench, figure

ROW_BYTES = 200
BATCH_ROWS = 100
_RUNS = 5


def opened(path: Path) -> sqlite3.Connection:
    """Return a new database with one table of rows."""
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")
    db.execute("CREATE TABLE row (seq INTEGER PRIMARY KEY, raw BLOB)")
    return db


def best_rate(folder: Path, count: int, work: Callable[[sqlite3.Connection], None]) -> float:
    """Return the best of some runs of `work`, which does `count` of something, in a second."""
    rates: list[float] = []
    for run in range(_RUNS):
        db = opened(folder / f"{run}.db")
        begin = time.perf_counter()
        work(db)
        rates.append(count / (time.perf_counter() - begin))
        db.close()
    return max(rates)


@figure("floor_commits_per_s", unit="/s")
async def floor_commits_per_s(bench: Bench) -> float:
    """Transactions of one row."""
    count = 2_000
    raw = os.urandom(ROW_BYTES)

    def work(db: sqlite3.Connection) -> None:
        for seq in range(count):
            db.execute("INSERT INTO row VALUES (?, ?)", (seq, raw))

    return best_rate(bench.folder, count, work)


@figure("floor_events_per_s", unit="/s")
async def floor_events_per_s(bench: Bench) -> float:
    """Rows of 200 bytes, in transactions of 100."""
    count = 30_000
    raw = os.urandom(ROW_BYTES)

    def work(db: sqlite3.Connection) -> None:
        for first in range(0, count, BATCH_ROWS):
            db.execute("BEGIN IMMEDIATE")
            db.executemany("INSERT INTO row VALUES (?, ?)", [(first + n, raw) for n in range(BATCH_ROWS)])
            db.execute("COMMIT")

    return best_rate(bench.folder, count, work)
