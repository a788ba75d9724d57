"""Reads entries for people: the children's from `entry`, the hub's own from its streams, as one feed.

A feed has a place after each event, `CHILDREN.AUDIT.STATE`: how far it has read of the children's entries and of the
hub's own two streams. Within each of the three the order is that of arrival; between them the device's clock decides,
which is for people only (INVARIANTS A15). Read-only connections, short reads, in threads.
"""

from __future__ import annotations

import asyncio
import re
import sqlite3
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import msgspec

from hub.core import streams
from hub.shell.store import rows
from protocol import limits
from protocol.aio.recovery.suspect import explain_reading
from protocol.aio.sqlite import read_only
from protocol.errors import Refused, StoreDamaged

T = TypeVar("T")
_STEPS_PER_LOOK = 50_000  # of SQLite's machine, between looks at the clock
_PLACE = re.compile(r"(\d{1,18})(?:\.(\d{1,18})\.(\d{1,18}))?", re.ASCII)


class Place(msgspec.Struct, frozen=True):
    """How far a feed has been read."""

    children: int = 0
    audit: int = 0
    state: int = 0

    def __str__(self) -> str:
        return f"{self.children}.{self.audit}.{self.state}"


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """One event as the API gives it. `id` is the feed's place after it; `path` leads from this hub to `node`.

    `time` is the origin's clock, ISO 8601.
    """

    id: str
    node: str
    path: str
    epoch: str
    stream: str
    seq: int
    time: str
    time_ms: int
    kind: str
    key: str
    body: msgspec.Raw


_entry = msgspec.json.Decoder(tuple[int, int, str, str, msgspec.Raw])
_encoder = msgspec.json.Encoder()


class Entries:
    """Reads one hub's store; any number of tasks may ask, READERS_MAX read at a time."""

    def __init__(self, path: Path, hub: str, damaged: Callable[[StoreDamaged], None]) -> None:
        """`damaged` is told when reading meets damage."""
        self._path, self._damaged = path, damaged
        self._hub = hub
        self._turn = asyncio.Semaphore(limits.READERS_MAX)

    async def newest(self, chosen: rows.Filter, limit: int) -> tuple[list[bytes], Place]:
        """Return the last `limit` events, oldest first, as JSON lines; and the place after all there is."""
        return await self._read(lambda db: _newest(db, self._hub, chosen, limit))

    async def after(self, place: Place, chosen: rows.Filter, limit: int) -> tuple[list[bytes], Place]:
        """Return the first `limit` events after `place` as JSON lines, and the place after the last one looked at."""
        return await self._read(lambda db: _after(db, self._hub, place, chosen, limit))

    async def _read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        async with self._turn:
            try:
                return await asyncio.to_thread(self._run, work)
            except StoreDamaged as error:
                self._damaged(error)
                raise

    def _run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        until = time.monotonic() + limits.READ_WAIT_S
        db = self._connection()
        db.set_progress_handler(lambda: time.monotonic() > until, _STEPS_PER_LOOK)
        try:
            return work(db)
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode == sqlite3.SQLITE_INTERRUPT:
                raise Refused(f"reading took over {limits.READ_WAIT_S:.0f} s: narrow it with node or since") from error
            raise explain_reading(error, self._path) from error
        except sqlite3.Error as error:
            raise explain_reading(error, self._path) from error
        finally:
            db.close()

    def _connection(self) -> sqlite3.Connection:
        return read_only(self._path)


def parse_place(text: str) -> Place:
    """Return the place an event's `id` names; `0` is the beginning. Raises Refused."""
    found = _PLACE.fullmatch(text)
    if found is None:
        raise Refused(f"after={text[:80]!r} is no place in the feed: give the `id` of an event, or 0")
    return Place(*(int(part or 0) for part in found.groups()))


def _after(
    db: sqlite3.Connection, hub: str, place: Place, chosen: rows.Filter, limit: int
) -> tuple[list[bytes], Place]:
    db.execute("BEGIN")  # one moment for all sources
    try:
        sources = _sources(db, hub, place, chosen, limit, newest=False)
        ends = rows.ends(db)
    finally:
        db.execute("COMMIT")
    merged, left = _merge(sources, limit)
    lines, at = _lines(merged, place)
    # A source that was read to its end need not be looked at again up to there, whether or not rows matched.
    reached = [end if not rest else now for now, end, rest in zip(_parts(at), ends, left, strict=True)]
    return lines, Place(*(max(one, two) for one, two in zip(reached, _parts(at), strict=True)))


def _newest(db: sqlite3.Connection, hub: str, chosen: rows.Filter, limit: int) -> tuple[list[bytes], Place]:
    db.execute("BEGIN")
    try:
        sources = [found[::-1] for found in _sources(db, hub, Place(), chosen, limit, newest=True)]
        ends = rows.ends(db)
    finally:
        db.execute("COMMIT")
    merged, _ = _merge(sources, limit * len(sources))
    shown = merged[-limit:]
    skipped = merged[: len(merged) - len(shown)]
    _, start = _lines(skipped, Place(*_starts(sources)))
    lines, _ = _lines(shown, start)
    return lines, Place(*ends)


def _sources(
    db: sqlite3.Connection, hub: str, place: Place, chosen: rows.Filter, limit: int, *, newest: bool
) -> list[list[rows.Row]]:
    own = [
        rows.own(db, hub, name, at, chosen, limit, newest)
        for name, at in zip(streams.NAMES, _parts(place)[1:], strict=True)
    ]
    return [rows.children(db, hub, place.children, chosen, limit, newest), *own]


def _merge(sources: list[list[rows.Row]], limit: int) -> tuple[list[tuple[int, rows.Row]], list[bool]]:
    """Return up to `limit` rows with the number of their source, each source in its order; and who has more."""
    heads = [0] * len(sources)
    merged: list[tuple[int, rows.Row]] = []
    while len(merged) < limit:
        waiting = [number for number, found in enumerate(sources) if heads[number] < len(found)]
        if not waiting:
            break
        first = min(waiting, key=lambda number: sources[number][heads[number]].time_ms)
        merged.append((first, sources[first][heads[first]]))
        heads[first] += 1
    return merged, [len(found) >= limit or heads[number] < len(found) for number, found in enumerate(sources)]


def _lines(merged: list[tuple[int, rows.Row]], start: Place) -> tuple[list[bytes], Place]:
    at = list(_parts(start))
    lines: list[bytes] = []
    for source, row in merged:
        at[source] = row.at
        lines.append(_encoder.encode(_event(row, f"{at[0]}.{at[1]}.{at[2]}")) + b"\n")
    return lines, Place(*at)


def _event(row: rows.Row, place: str) -> Event:
    return Event(
        id=place,
        node=row.node,
        path=row.path,
        epoch=row.epoch,
        stream=row.stream,
        seq=row.seq,
        time=_iso(row.time_ms),
        time_ms=row.time_ms,
        kind=row.kind,
        key=row.key,
        body=_entry.decode(row.raw)[4],
    )


def _iso(time_ms: int) -> str:
    try:
        moment = datetime.fromtimestamp(time_ms / 1000, UTC)
    except (OverflowError, ValueError, OSError):
        return ""  # a device may believe anything; time_ms says what
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _starts(sources: list[list[rows.Row]]) -> list[int]:
    return [found[0].at - 1 if found else 0 for found in sources]


def _parts(place: Place) -> tuple[int, int, int]:
    return place.children, place.audit, place.state
