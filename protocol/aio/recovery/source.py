"""A damaged store, open to be read: in place, or a copy of it with a first page that was made anew."""

from __future__ import annotations

import sqlite3
from contextlib import closing, suppress
from pathlib import Path

from protocol.aio import life, sqlite
from protocol.aio.life import Opening
from protocol.aio.recovery import worth
from protocol.aio.recovery.scan import UNREADABLE
from protocol.aio.upkeep import room
from protocol.errors import StoreError

_HEADER_BYTES = 100
_CHANGED_AT, _PAGES_AT, _FREELIST_AT, _VALID_AT = 24, 28, 32, 92


class Source:
    """See the module. `db` is empty when nothing can be read.

    Where each table begins is the file's own word, the word of a store newly made, or of one that was VACUUMed: when
    the first two agree there is no question, else that one counts by which most can be read.
    """

    def __init__(self, opening: Opening, beside: Path) -> None:
        self._path, self._streams = opening.path, opening.streams
        self._template = beside.with_name(beside.name + "-template")
        self._copy = beside.with_name(beside.name + "-copy")
        self._clear()
        wanted = self._make_template()
        found = _reader(opening.path)
        schema = [] if found is None else _schema(found)
        if found is not None and not worth.is_like(schema, wanted):
            found.close()
            found = None
        self.db = found if found is not None and schema == wanted else self._best(found, wanted)

    def close(self) -> None:
        """Let go; what was made to read it is gone."""
        self.db.close()
        self._clear()

    def _clear(self) -> None:
        for path in (self._template, self._copy):
            for end in ("", "-wal", "-shm"):
                path.with_name(path.name + end).unlink(missing_ok=True)

    def _make_template(self) -> list[tuple[str, int, str]]:
        """Make a store as this one was made; return its schema. Its pages lie where every such store has them."""
        with closing(sqlite3.connect(self._template, isolation_level=None)) as db:
            sqlite.transaction(db, lambda db: life.make_tables(db, self._streams))
            db.execute("PRAGMA journal_mode = WAL")
            return _schema(db)

    def _vacuum_template(self) -> list[tuple[str, int, str]]:
        with closing(sqlite3.connect(self._template, isolation_level=None)) as db:
            db.execute("VACUUM")
            return _schema(db)

    def _best(self, found: sqlite3.Connection | None, made: list[tuple[str, int, str]]) -> sqlite3.Connection:
        """Return the file as most can be read of it: by `found`, its own schema, or by that of a template."""
        own = 0 if found is None else worth.of(found, self._streams)
        by_made = self._worth_of_copy()
        vacuumed = self._vacuum_template()
        by_vacuumed = self._worth_of_copy()
        if found is not None and own >= max(by_made, by_vacuumed):
            return found
        if found is not None:
            found.close()
        if by_made >= by_vacuumed and vacuumed != made:
            self._clear()
            self._make_template()
        return self._patched() or sqlite3.connect(":memory:")

    def _worth_of_copy(self) -> int:
        db = self._patched()
        if db is None:
            return 0
        with closing(db):
            return worth.of(db, self._streams)

    def _patched(self) -> sqlite3.Connection | None:
        """Return a copy of the store with the template's first page; None when there is no use in it."""
        import shutil  # costs the daemon a megabyte (bz2, lzma), and only a damaged store needs it

        room.require(self._path, 2 * room.of(self._path) - room.of(self._copy))
        page = self._template.read_bytes()[: sqlite.PAGE_BYTES]
        with suppress(FileNotFoundError):
            shutil.copyfile(self._path, self._copy)
        with suppress(FileNotFoundError):
            wal = self._path.with_name(self._path.name + "-wal")
            shutil.copyfile(wal, self._copy.with_name(self._copy.name + "-wal"))
        self._copy.touch()
        with self._copy.open("r+b") as file:
            claimed = file.read(_HEADER_BYTES)[_PAGES_AT : _PAGES_AT + 4]
            size = file.seek(0, 2)
            pages = max(1, -(-size // sqlite.PAGE_BYTES))
            said = int.from_bytes(claimed, "big")
            if pages < said <= pages * 64:
                pages = said  # it was cut off: what is missing reads as empty pages, which SQLite notices
            file.truncate(pages * sqlite.PAGE_BYTES)
            file.seek(0)
            file.write(_with_pages(page, pages))
        return _opened(self._copy)


def _with_pages(page: bytes, pages: int) -> bytes:
    head = bytearray(page)
    head[_PAGES_AT : _PAGES_AT + 4] = pages.to_bytes(4, "big")
    head[_FREELIST_AT : _FREELIST_AT + 8] = bytes(8)
    head[_VALID_AT : _VALID_AT + 4] = head[_CHANGED_AT : _CHANGED_AT + 4]
    return bytes(head)


def _reader(path: Path) -> sqlite3.Connection | None:
    if not path.exists() or path.stat().st_size < sqlite.PAGE_BYTES:
        return None  # SQLite would take it for a new store, and throw the log beside it away
    try:
        return _tuned(sqlite.read_only(path))
    except (StoreError, *UNREADABLE):
        return None


def _opened(path: Path) -> sqlite3.Connection | None:
    try:
        return _tuned(sqlite3.connect(path, isolation_level=None))
    except UNREADABLE:
        return None


def _tuned(db: sqlite3.Connection) -> sqlite3.Connection:
    db.text_factory = _text
    db.execute("PRAGMA cell_size_check = ON")
    return db


def _text(raw: bytes) -> str:
    return raw.decode(errors="replace")


def _schema(db: sqlite3.Connection) -> list[tuple[str, int, str]]:
    try:
        found = db.execute("SELECT name, rootpage, sql FROM sqlite_master ORDER BY name").fetchall()
        db.execute("SELECT count(*) FROM meta").fetchone()
    except UNREADABLE:
        return []
    return [(name, root, sql) for name, root, sql in found]
