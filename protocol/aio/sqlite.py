"""One SQLite file: its connection, its thread, its errors in words. The only file that knows aiosqlite.

Deliberately absent: a second connection that writes or checkpoints (SQLite's WAL has a defect with two, DESIGN 5). Who
reads beside it opens `read_only`.
"""

from __future__ import annotations

import errno
import os
import sqlite3
import sys
import zlib
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from functools import cache
from itertools import chain
from pathlib import Path
from typing import TypeVar, cast
from urllib.parse import quote

import aiosqlite

from protocol import limits
from protocol.aio.upkeep import synced, wal
from protocol.errors import StoreDamaged, StoreError, StoreNewer, StoreStuck

SCHEMA_VERSION = 1
SCHEMA_OLDEST = 1
"""The oldest version that may read and write a store of this one: at most the one before (decision 0056)."""
PAGE_BYTES = 4_096
_ROWS_A_STATEMENT = 128
_SWITCH_S = 0.000_5
"""How long a thread waits for the interpreter's lock before it is given up; Python's 5 ms would be the commit's."""
_SCHEMA = Path(__file__).with_name("schema.sql")
T = TypeVar("T")


class SqliteFile:
    """A file in WAL mode with one connection that writes and checkpoints, in a thread of its own."""

    def __init__(self, path: Path, connection: aiosqlite.Connection, wal_bytes: int) -> None:
        self.path = path
        self.is_closed = False
        self._connection = connection
        self._wal_bytes = wal_bytes
        self._had_log = wal.of(path).exists()

    @classmethod
    async def open(
        cls,
        path: Path,
        *,
        durable: bool,
        cache_kib: int = limits.STORE_CACHE_KIB,
        wal_bytes: int = limits.WAL_BYTES_MAX,
    ) -> SqliteFile:
        """Open or make the file. `durable` commits survive a power cut (FULL); others only a crash (NORMAL).

        `cache_kib` bounds the pages kept in memory, `wal_bytes` the write-ahead log (protocol.aio.upkeep.wal).
        Raises StoreNewer, StoreDamaged, StoreError.
        """
        sys.setswitchinterval(_SWITCH_S)
        try:
            connection = await _daemonic(
                aiosqlite.connect(path, isolation_level=None, timeout=limits.BUSY_WAIT_S, cached_statements=256)
            )
        except (sqlite3.Error, OSError) as error:
            raise explain(error, path) from error
        file = cls(path, connection, wal_bytes)
        try:
            await file.run(lambda db: _prepare(db, path, durable=durable, cache_kib=cache_kib))
            await file.run(lambda db: wal.set_up(db, wal_bytes))
        except BaseException:
            await file.give_up()
            raise
        return file

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run `work` in the connection's thread, in one hop. Raises StoreError in place of SQLite's errors."""
        if self.is_closed:
            raise StoreError(f"{self.path} is closed: it ends, or is being recovered, and then goes on by itself")
        try:
            return await _hop(self._connection, work)
        except UnicodeDecodeError as error:
            raise StoreDamaged(f"{self.path} is damaged (a text in it is none)") from error
        except (sqlite3.Error, OSError) as error:
            raise explain(error, self.path) from error

    async def transact(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run `work` as one transaction, in one hop: committed when this returns, not at all when it raises."""
        return await self.run(lambda db: self._transact(db, work))

    def _transact(self, db: sqlite3.Connection, work: Callable[[sqlite3.Connection], T]) -> T:
        wal.bound(db, self.path, self._wal_bytes)
        return transaction(db, work)

    async def close(self) -> None:
        """Close; the last to close a WAL checkpoints it. A disk that fails here loses nothing that was committed."""
        self.is_closed = True
        try:
            await self._connection.close()
        except sqlite3.Error as error:
            raise explain(error, self.path) from error

    async def give_up(self) -> None:
        """Close a file whose life did not begin. A log that was beside it stays, an empty one if need be.

        Closing merges the log into the file and removes it; the next opening would take it for lost.
        """
        with suppress(StoreError, OSError):
            await self.close()
            if self._had_log:
                wal.of(self.path).touch()


def read_only(path: Path | str) -> sqlite3.Connection:
    """Return a connection that only reads, for any thread (one at a time). Keep its reads short: a reader that stays
    holds the WAL open, which then grows. Raises StoreError."""
    try:
        address = f"file:{quote(str(path))}?mode=ro"
        return sqlite3.connect(
            address, uri=True, isolation_level=None, timeout=limits.BUSY_WAIT_S, check_same_thread=False
        )
    except sqlite3.Error as error:
        raise explain(error, Path(path)) from error


@cache
def of(stream: str, text: str) -> str:
    """Return the SQL `text` for the table of `stream` (`own_STREAM`), a name that obeys protocol.ids."""
    return text.replace("_STREAM", f"_{stream}")


def insert(db: sqlite3.Connection, into: str, rows: Sequence[tuple[object, ...]]) -> None:
    """Insert `rows`, all of one width; `into` is the SQL before VALUES."""
    # Many rows a statement, because each statement lets go of the interpreter's lock and must win it back from a busy
    # event loop: executemany does so for each row, and 100 rows took 136 ms beside a busy loop (decision 0004).
    start = 0
    while start < len(rows):
        size = min(_ROWS_A_STATEMENT, 1 << ((len(rows) - start).bit_length() - 1))
        db.execute(_insert_sql(into, len(rows[0]), size), [*chain.from_iterable(rows[start : start + size])])
        start += size


@cache
def _insert_sql(into: str, width: int, size: int) -> str:
    row = f"({', '.join('?' * width)})"
    return f"{into} VALUES {', '.join([row] * size)}"


def checksum(*parts: str | bytes | int | None) -> int:
    """Return the CRC-32 of `parts`, each told apart from the next."""
    total = 0
    for part in parts:
        total = zlib.crc32(part if isinstance(part, bytes) else str(part).encode(errors="replace"), total)
        total = zlib.crc32(b"\0", total)
    return total


def explain(error: sqlite3.Error | OSError, path: Path) -> StoreError:
    """Return `error` as one sentence: what, where, what to do next."""
    if isinstance(error, OSError):
        if error.errno in _STUCK:
            return StoreStuck(f"{path}: {_ADVICE[_STUCK[error.errno]]} ({error.strerror})")
        where = error.filename or path  # what stands beside the store may be what cannot be used
        return StoreError(f"cannot use {where}: {error.strerror or error}; check the folder and its owner")
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
    if code in _DAMAGE:
        return StoreDamaged(f"{path} is damaged ({error}): Skerry sets it aside and recovers what can be read")
    advice = _ADVICE.get(code)
    kind = StoreStuck if code in _STUCK.values() else StoreError
    return kind(f"{path}: {advice} ({error})" if advice else f"{path}: the store failed ({error})")


# SQLITE_ERROR: our own statements are right, so that the schema they meet is not.
_DAMAGE = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR)
_STUCK = {
    errno.ENOSPC: sqlite3.SQLITE_FULL,
    errno.EDQUOT: sqlite3.SQLITE_FULL,
    errno.EIO: sqlite3.SQLITE_IOERR,
}
_ADVICE = {
    sqlite3.SQLITE_FULL: "the disk is full, free some space; nothing unstored is acknowledged, it goes on by itself",
    sqlite3.SQLITE_IOERR: "the disk failed, look at the kernel's log (dmesg): nothing unstored is acknowledged",
    sqlite3.SQLITE_BUSY: f"another program has held it for {limits.BUSY_WAIT_S:g} s, end that one (a backup, sqlite3?)",
    sqlite3.SQLITE_LOCKED: "another program holds it, end that one (a backup, sqlite3?)",
    sqlite3.SQLITE_CANTOPEN: "cannot be opened, check that the folder exists and belongs to this user",
    sqlite3.SQLITE_READONLY: "cannot be written, check its owner and that the disk is not mounted read-only",
    sqlite3.SQLITE_PERM: "cannot be used, check its owner and permissions",
}


def _daemonic(connection: aiosqlite.Connection) -> aiosqlite.Connection:
    # A process that fails must end, not wait for ever for a thread that waits for work. To the store it is a crash.
    connection._thread.daemon = True  # pyright: ignore[reportPrivateUsage]
    return connection


def _hop(connection: aiosqlite.Connection, work: Callable[[sqlite3.Connection], T]) -> Awaitable[T]:
    # aiosqlite has no way to run a whole transaction in one hop of its thread: each statement would be a hop of 50 us.
    # This is the one place that goes behind it (DESIGN 5).
    hop = cast("Callable[..., Awaitable[T]]", connection._execute)  # pyright: ignore[reportPrivateUsage, reportUnknownMemberType]
    return hop(work, connection._conn)  # pyright: ignore[reportPrivateUsage]


def transaction(db: sqlite3.Connection, work: Callable[[sqlite3.Connection], T]) -> T:
    """Run `work` as one transaction: committed when this returns, not at all when it raises."""
    db.execute("BEGIN IMMEDIATE")
    try:
        result = work(db)
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise
    return result


def _prepare(db: sqlite3.Connection, path: Path, *, durable: bool, cache_kib: int) -> None:
    store_again(path.with_name(path.name + "-wal"))
    version, oldest = versions(db)
    if oldest > SCHEMA_VERSION:
        raise StoreNewer(
            f"{path} was made by a newer Skerry (store version {version}, this one knows {SCHEMA_VERSION}): "
            "install that version or a later one; nothing was changed"
        )
    set_up(db, durable=durable, cache_kib=cache_kib)
    if version < SCHEMA_VERSION:
        transaction(db, make_schema)
        synced.sync_folder(path.parent)


def versions(db: sqlite3.Connection) -> tuple[int, int]:
    """Return a store's version, 0 for none yet, and the oldest that may read and write it."""
    version: int = db.execute("PRAGMA user_version").fetchone()[0]
    oldest: int = db.execute("PRAGMA application_id").fetchone()[0]
    return version, min(oldest, version) if oldest > 0 else version


def set_up(db: sqlite3.Connection, *, durable: bool, cache_kib: int) -> None:
    """Set how a connection that writes does so."""
    db.execute("PRAGMA journal_mode = WAL")
    db.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
    wal.set_up(db, limits.WAL_BYTES_MAX)
    db.execute(f"PRAGMA cache_size = -{cache_kib}")


def make_schema(db: sqlite3.Connection) -> None:
    """Make the tables of a new store, or what an older one lacks, inside a transaction."""
    text = "\n".join(line for line in _SCHEMA.read_text().splitlines() if not line.startswith("--"))
    for statement in text.split(";"):
        db.execute(statement)
    db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
    db.execute(f"PRAGMA application_id = {SCHEMA_OLDEST}")


def store_again(path: Path) -> None:
    """Write the file at `path`, if there is one, once more as it reads, and sync it."""
    # A sync that failed in the last life may have left commits in the kernel's memory alone: there they are read, and
    # no later sync saves them. What follows them in the log would be acknowledged, and lost at a power cut (0019).
    if not path.exists():
        return
    with path.open("r+b") as file:
        data = file.read()
        file.seek(0)
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
