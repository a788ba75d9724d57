"""A look at a SQLite store that changes nothing, whether somebody has it open or not.

An ordinary read-only connection to a store in WAL mode makes files beside it. So a store that nobody has open is read
as immutable when it has no WAL, through the shared memory that a crash left (read-only) when it has one, and not at all
when there is a WAL and no shared memory. Who holds it is read from /proc/locks: trying the lock would take it for a
moment, and a daemon that starts then would fail.
"""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

import msgspec

from protocol import limits
from protocol.aio.checkup import files
from protocol.aio.checkup.look import quietly
from protocol.aio.sqlite import SCHEMA_VERSION, of, versions
from protocol.doctor.facts import Store
from protocol.errors import StoreError
from protocol.messages import STREAMS

_LOOK_STEPS = 20_000  # of SQLite's machine, between looks at the clock
_NOT_NOW = (
    sqlite3.SQLITE_INTERRUPT,
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_READONLY,
)
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_ERROR)
_HEAD = msgspec.json.Decoder(tuple[int, int, str, str, msgspec.Raw])


def store(path: Path, guarded: Path | None = None) -> Store:
    """Return the store at `path`; `guarded` is the one whose lock stands for it, if not its own.

    Raises OSError, StoreError when it cannot even be opened.
    """
    holding = holder(guarded or path)
    try:
        size = path.stat().st_size + _size(path, "-wal")
    except FileNotFoundError:
        return Store(path=str(path), present=False, known=SCHEMA_VERSION, holder=holding)
    files.check(path)  # SQLite would not say that it may not be read, and would read a pipe for ever
    seen = Store(path=str(path), present=True, known=SCHEMA_VERSION, bytes=size, holder=holding)
    how = _how(path, held=bool(holding))
    if not how:
        return msgspec.structs.replace(seen, whole=False, clean=False)
    found = _read(seen, path, how)
    if found.damage and "immutable" in how and _beside(path, "-wal"):
        return _read(seen, path, "mode=ro")  # somebody has opened it meanwhile: what was read was no one state
    return found


def holder(path: Path) -> int:
    """Return the pid of who has the store open, 0 for nobody, -1 when it is somebody that cannot be seen from here."""
    lock = path.with_name(path.name + ".lock")
    try:
        inode = lock.stat().st_ino
    except FileNotFoundError:
        return 0
    for line in quietly(Path("/proc/locks").read_text, "").splitlines():
        words = line.split()
        if len(words) >= 6 and words[1] == "FLOCK" and words[5].rpartition(":")[2] == str(inode):
            return int(words[4]) if int(words[4]) > 0 else -1
    return 0


def _how(path: Path, *, held: bool) -> str:
    if held:
        return "mode=ro"
    if not _beside(path, "-wal"):
        return "mode=ro&immutable=1"
    return "mode=ro&readonly_shm=1" if _beside(path, "-shm") else ""


def _size(path: Path, end: str) -> int:
    try:
        return path.with_name(path.name + end).stat().st_size
    except FileNotFoundError:
        return 0


def _beside(path: Path, end: str) -> bool:
    return path.with_name(path.name + end).exists()


def _read(seen: Store, path: Path, how: str) -> Store:
    until = time.monotonic() + limits.DOCTOR_STORE_S
    try:
        address = f"file:{quote(str(path))}?{how}"
        with closing(sqlite3.connect(address, uri=True, isolation_level=None, timeout=1.0)) as db:
            db.set_progress_handler(lambda: time.monotonic() > until, _LOOK_STEPS)
            version, oldest = versions(db)
            seen = msgspec.structs.replace(seen, version=version, oldest=oldest)
            if not version or oldest > SCHEMA_VERSION:
                return seen  # never begun, or newer: its tables are unknown
            seen = _papers(db, seen)
            found: str = db.execute("PRAGMA quick_check(1)").fetchone()[0]
            return seen if found == "ok" else msgspec.structs.replace(seen, damage=found.splitlines()[-1])
    except sqlite3.Error as error:
        return _failed(seen, error)


def _failed(seen: Store, error: sqlite3.Error) -> Store:
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
    if code in _NOT_NOW:
        return msgspec.structs.replace(seen, whole=False)
    if code in _DAMAGED:
        return msgspec.structs.replace(seen, damage=str(error))
    raise StoreError(f"{seen.path} cannot be read: {error}")


def _papers(db: sqlite3.Connection, seen: Store) -> Store:
    kept = db.execute("SELECT key, value FROM meta WHERE key IN ('node', 'clean')").fetchall()
    meta = {str(key): str(value)[: limits.DOCTOR_WORD_CHARS_MAX] for key, value in kept}
    streams = [name for (name,) in db.execute("SELECT name FROM stream LIMIT ?", (len(STREAMS) + 1,))]
    if seen.version <= seen.known and not set(streams) <= set(STREAMS):
        return msgspec.structs.replace(seen, damage="its streams have names that no stream has")
    newest = max((_newest_ms(db, name) for name in streams if name in STREAMS), default=0)
    return msgspec.structs.replace(
        seen, node=meta.get("node", ""), clean=meta.get("clean", "1") == "1", newest_ms=newest
    )


def _newest_ms(db: sqlite3.Connection, stream: str) -> int:
    row = db.execute(of(stream, "SELECT raw FROM own_STREAM ORDER BY seq DESC LIMIT 1")).fetchone()
    try:
        return _HEAD.decode(row[0])[1] if row is not None and isinstance(row[0], bytes) else 0
    except (msgspec.DecodeError, ValueError):  # ValueError: a text in it is none
        return 0  # a row is no entry: its checker is the parent


def state(path: Path, space: str, key: str) -> bytes:
    """Return one value of a store's state, empty when there is none or it cannot be read without a change."""
    how = _how(path, held=bool(holder(path)))
    if not how or not path.exists():
        return b""
    try:
        with closing(sqlite3.connect(f"file:{quote(str(path))}?{how}", uri=True, timeout=1.0)) as db:
            row = db.execute("SELECT value FROM state WHERE space = ? AND key = ?", (space, key)).fetchone()
    except sqlite3.Error:
        return b""
    return row[0] if row is not None and isinstance(row[0], bytes) else b""
