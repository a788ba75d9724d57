"""What the journal's files run on here: a connection of our choice, in this thread, where aiosqlite would be."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeVar

import apsw

from tests.support.power.vfs import PowerVfs

T = TypeVar("T")
_CODES: dict[type[apsw.Error], int] = {apsw.FullError: apsw.SQLITE_FULL, apsw.IOError: apsw.SQLITE_IOERR}


class Answer:
    """What a statement gave, as sqlite3's cursor tells it."""

    def __init__(self, rows: list[tuple[Any, ...]], changed: int) -> None:
        self._rows = iter(rows)
        self.rowcount = changed

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        return self._rows

    def fetchone(self) -> tuple[Any, ...] | None:
        """Return the next row."""
        return next(self._rows, None)

    def fetchall(self) -> list[tuple[Any, ...]]:
        """Return the rest."""
        return list(self._rows)

    def close(self) -> None:
        """Nothing is held."""


class Adapter:
    """An APSW connection that the journal takes for one of sqlite3's."""

    def __init__(self, path: Path, vfs: str) -> None:
        with _translated():
            self._db: Any = apsw.Connection(str(path), vfs=vfs, statementcachesize=256)

    @property
    def in_transaction(self) -> bool:
        """Tell whether a transaction is open."""
        return self._db.in_transaction

    def execute(self, sql: str, values: Sequence[Any] = ()) -> Answer:
        """Run one statement to its end."""
        with _translated():
            rows = self._db.execute(sql, values).fetchall()
        return Answer(rows, self._db.changes())

    def executemany(self, sql: str, values: Iterable[Sequence[Any]]) -> None:
        """Run one statement for each of `values`."""
        with _translated():
            self._db.executemany(sql, list(values))

    def close(self) -> None:
        """Close; what is left in the write-ahead log goes over."""
        with _translated():
            self._db.close()


class InThread:
    """As much of an aiosqlite connection as SqliteFile uses."""

    def __init__(self, db: Adapter | sqlite3.Connection) -> None:
        self._conn = db
        self._thread = SimpleNamespace(daemon=False)

    def __await__(self) -> Generator[None, None, InThread]:
        yield
        return self

    async def _execute(self, work: Callable[..., T], *values: Any) -> T:
        return work(*values)

    async def close(self) -> None:
        """Close."""
        self._conn.close()


def logged(vfs: PowerVfs) -> Callable[..., InThread]:
    """Return what stands for aiosqlite.connect, for files on a disk of this kit."""

    def connect(path: Path, **_: Any) -> InThread:
        adapter = Adapter(path, vfs.name)
        adapter.execute("PRAGMA locking_mode = EXCLUSIVE")
        return InThread(adapter)

    return connect


def ordinary(path: Path, **how: Any) -> InThread:
    """Stand for aiosqlite.connect, without its thread: a hop costs more than these files."""
    return InThread(sqlite3.connect(path, **how))


async def at_once(work: Callable[..., T], *values: Any) -> T:
    """Do in this thread what would be done in another."""
    return work(*values)


@contextmanager
def _translated() -> Generator[None]:
    try:
        yield
    except apsw.Error as error:
        twin = sqlite3.OperationalError(str(error))
        twin.sqlite_errorcode = _CODES.get(type(error), apsw.SQLITE_ERROR)
        raise twin from error
