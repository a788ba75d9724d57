"""Reads what can be read of a table whose pages are damaged, by SQLite's own means: around what fails, in key order.

A read that fails tells only that a page is bad on the way to the next row. The first place beyond it from which reading
works again is looked for with growing strides, then bisected. Nothing here judges what was read: its reader does.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from typing import Any

UNREADABLE = (sqlite3.Error, UnicodeError)
"""What SQLite raises over damage: the words of an error may be damaged too."""
_NUMBER_MAX = 2**62
_STATES = "SELECT space, key, value, sum FROM state WHERE (space, key) > (?, ?) ORDER BY space, key"
_AFTER_SURROGATES = 0xE000


class Disorder(sqlite3.DatabaseError):
    """Keys that do not rise: the tree leads back or astray."""


class Scan:
    """Scans one file; `failures` counts the places where reading failed."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self.failures = 0

    def numbered(self, table: str, key: str, columns: str) -> Iterator[tuple[Any, ...]]:
        """Yield `(key, *columns)` of a table with the integer primary key `key`, keys rising from 1."""
        at: int | None = 1
        while at is not None:
            try:
                for row in self._db.execute(_sql(table, key, columns), (at,)):
                    if row[0] < at:
                        raise Disorder
                    at = int(row[0]) + 1
                    yield row
                return
            except UNREADABLE:
                self.failures += 1
            # Python asks for the row after before it hands one over: what failed may have been that one.
            row = self._one(_sql(table, key, columns) + " LIMIT 1", (at,))
            if row is not None and row[0] >= at:
                at = int(row[0]) + 1
                yield row
            else:
                at = self._beyond(table, key, columns, at)

    def _one(self, query: str, place: tuple[Any, ...]) -> tuple[Any, ...] | None:
        try:
            return self._db.execute(query, place).fetchone()
        except UNREADABLE:
            return None

    def last(self, table: str, key: str) -> int | None:
        """Return the highest key of a table, 0 when it is empty; None when its end cannot be read."""
        query = f"SELECT {key} FROM {table} ORDER BY {key} DESC LIMIT 1"  # noqa: S608 - names of ours
        try:
            return next((int(row[0]) for row in self._db.execute(query)), 0)
        except UNREADABLE:
            return None

    def _beyond(self, table: str, key: str, columns: str, at: int) -> int | None:
        """Return a number from which reading works again, over `at`; None when there is no such place."""
        try:
            found = self._db.execute(_sql(table, key, key) + " LIMIT 1", (at,)).fetchone()
            if found is None:
                return None
            if found[0] >= at:
                return int(found[0]) + 1  # its key can be read, its content cannot: only this row is lost
        except UNREADABLE:
            pass
        bad, stride = at, 1
        while not self._readable(table, key, columns, bad + stride):
            bad, stride = bad + stride, stride * 2
            if bad > _NUMBER_MAX:
                return None
        good = bad + stride
        while good - bad > 1:
            middle = (good + bad) // 2
            if self._readable(table, key, columns, middle):
                good = middle
            else:
                bad = middle
        return good

    def _readable(self, table: str, key: str, columns: str, at: int) -> bool:
        try:
            row = self._db.execute(_sql(table, key, columns) + " LIMIT 1", (at,)).fetchone()
        except UNREADABLE:
            return False
        return row is None or row[0] >= at

    def states(self) -> Iterator[tuple[Any, ...]]:
        """Yield `(space, key, value, sum)` of the table `state`, rising."""
        at: tuple[str, str] | None = ("", "")
        while at is not None:
            try:
                for row in self._db.execute(_STATES, at):
                    if (row[0], row[1]) <= at:
                        raise Disorder
                    at = (str(row[0]), str(row[1]))
                    yield row
                return
            except (*UNREADABLE, TypeError):
                self.failures += 1
            row = self._one(_STATES + " LIMIT 1", at)
            if row is not None and (str(row[0]), str(row[1])) > at:
                at = (str(row[0]), str(row[1]))
                yield row
            else:
                at = self._next_state(at)

    def _next_state(self, at: tuple[str, str]) -> tuple[str, str] | None:
        query = "SELECT space, key{} FROM state WHERE (space, key) > (?, ?) ORDER BY space, key LIMIT 1"
        for place, columns in [(at, ""), *((one, ", value") for one in _later(at))]:
            try:
                row = self._db.execute(query.format(columns), place).fetchone()
            except UNREADABLE:
                continue
            if row is None and place is not at:
                return None
            found = place if row is None else (str(row[0]), str(row[1]))
            if found > place:
                return found if place is at else place
        return None


def _sql(table: str, key: str, columns: str) -> str:
    return f"SELECT {key}, {columns} FROM {table} WHERE {key} >= ? ORDER BY {key}"  # noqa: S608 - names of ours


def _later(at: tuple[str, str]) -> Iterator[tuple[str, str]]:
    """Yield places after `at`, nearest first."""
    space, key = at
    for text in _raised(key):
        yield space, text
    yield space + "\0", ""
    for text in _raised(space):
        yield text, ""


def _raised(text: str) -> Iterator[str]:
    for length in range(len(text), 0, -1):
        code = ord(text[length - 1]) + 1
        if code < 0xD800 or _AFTER_SURROGATES <= code <= 0x10FFFF:
            yield text[: length - 1] + chr(code)
