"""A damaged store: set aside, read as far as it can be read, gone on with. Nothing is ever deleted instead (D).

    1  read it in place, read-only
    2  its first page or its size is wrong: read a copy of it, whose first page is that of a store newly made
    3  nothing can be read: an empty store, with new epochs

Whatever the rung: the old files stay under another name, and what is gone is declared (decision 0015).
Sync; runs in a thread.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path

from protocol.aio import life, sqlite
from protocol.aio.life import Opening
from protocol.aio.recovery import swap
from protocol.aio.recovery.salvage import Salvage
from protocol.aio.recovery.source import Source
from protocol.aio.upkeep import aside, room
from protocol.errors import StoreLost
from protocol.snapshot import Doubt

Spaces = dict[str, dict[str, bytes]]
Judge = Callable[[Spaces], str]
"""Says what is missing in the state that was recovered, so that nobody may go on with it; or an empty text."""


def recover(opening: Opening, judge: Judge | None = None, *, wall: Callable[[], float] = time.time) -> Doubt:
    """Put a recovered store in the place of the damaged one at `opening.path`.

    Raises StoreLost when `judge` finds too little in it: the damaged one is set aside, and nothing takes its place.
    Raises StoreError when it cannot be done now: then it is as it was.
    """
    path = opening.path
    try:
        room.require(path, room.of(path))
        return _recovered(opening, judge, wall())
    except (sqlite3.Error, OSError) as error:
        raise sqlite.explain(error, path) from error
    finally:
        with suppress(OSError):  # what failed for want of room gives it back
            swap.clear(path)


def _recovered(opening: Opening, judge: Judge | None, now: float) -> Doubt:
    path = opening.path
    stamp = aside.stamp(path, now)
    new = swap.making(path)
    with closing(_made(new, opening.streams)) as target, closing(Source(opening, new)) as source:
        named = replace(opening, inode=str(new.stat().st_ino))  # it keeps that: it is no copy
        salvage = Salvage(source.db, target, named, int(now * 1000))
        doubt = sqlite.transaction(target, lambda _: salvage.run(aside.name(path, stamp).name))
        lacks = judge(_spaces(target)) if judge is not None else ""
    if lacks:
        kept = aside.name(path, aside.lost(stamp)).name
        swap.put_aside(path, aside.lost(stamp))
        raise StoreLost(f"{path} was damaged, and {lacks}: it is kept as {kept}; put a backup in its place")
    swap.commit(path, stamp)
    return doubt


def _spaces(db: sqlite3.Connection) -> Spaces:
    spaces: Spaces = {}
    for space, key, value in db.execute("SELECT space, key, value FROM state"):
        spaces.setdefault(space, {})[key] = value
    return spaces


def start_anew(path: Path) -> None:
    """Set a store aside whose rows may go (telemetry): the next opening makes an empty one, with new epochs."""
    try:
        swap.put_aside(path, aside.stamp(path, time.time()))
    except OSError as error:
        raise sqlite.explain(error, path) from error


def _made(path: Path, streams: Sequence[str]) -> sqlite3.Connection:
    """Return a new store at `path`: written once, synced at the end."""
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("PRAGMA journal_mode = OFF")
    db.execute("PRAGMA synchronous = OFF")
    sqlite.transaction(db, lambda db: life.make_tables(db, streams))
    return db
