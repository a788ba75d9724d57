"""Reads this device's own entries for people: the journal's files read-only, newest last."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import msgspec

from protocol import limits, messages
from protocol.aio import journal
from protocol.aio.recovery import suspect

_STREAMS = {"journal.db": ("audit", "state"), "telemetry.db": ("metrics", "logs")}

_entries = msgspec.json.Decoder(messages.Entry)


class Shown(msgspec.Struct, frozen=True):
    """One entry as `skerry-agent events -o json` shows it."""

    stream: str
    epoch: str
    seq: int
    time: int
    kind: str
    key: str
    body: msgspec.Raw


class Reading:
    """Reads the entries whose kind begins with `kind`. Raises StoreError."""

    def __init__(self, data: Path, kind: str) -> None:
        self._data, self._kind = data, kind
        self._heads: dict[str, int] = {}

    async def newest(self, limit: int) -> list[Shown]:
        """Return the last `limit` of them, oldest first."""
        limit = max(0, min(limit, limits.PAGE_ROWS_MAX))
        return await _look(self._data, lambda: _newest(self._data, self._kind, limit, self._heads))

    async def since(self) -> list[Shown]:
        """Return those that came since the last look."""
        return await _look(self._data, lambda: _since(self._data, self._kind, self._heads))


async def _look(data: Path, work: Callable[[], list[Shown]]) -> list[Shown]:
    try:
        return await asyncio.to_thread(work)
    except (sqlite3.Error, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise suspect.explain_reading(error, data / "journal.db") from error


def _newest(data: Path, kind: str, limit: int, heads: dict[str, int]) -> list[Shown]:
    found: list[Shown] = []
    for db, stream, epoch in _each(data):
        rows = db.execute(f"SELECT seq, raw FROM own_{stream} ORDER BY seq DESC")  # noqa: S608 - a name of ours
        heads[stream] = 0
        count = 0
        for seq, raw in rows:
            heads[stream] = max(heads[stream], seq)
            entry = _entries.decode(raw)
            if count >= limit:
                break
            if entry.kind.startswith(kind):
                found.append(_shown(stream, epoch, entry))
                count += 1
        rows.close()
    found.sort(key=lambda entry: entry.time)
    return found[-limit:] if limit else []


def _since(data: Path, kind: str, heads: dict[str, int]) -> list[Shown]:
    found: list[Shown] = []
    for db, stream, epoch in _each(data):
        text = f"SELECT seq, raw FROM own_{stream} WHERE seq > ? ORDER BY seq LIMIT ?"  # noqa: S608 - a name of ours
        for seq, raw in db.execute(text, (heads.get(stream, 0), limits.PAGE_ROWS_MAX)).fetchall():
            heads[stream] = seq
            entry = _entries.decode(raw)
            if entry.kind.startswith(kind):
                found.append(_shown(stream, epoch, entry))
    return sorted(found, key=lambda entry: entry.time)


def _each(data: Path) -> Iterator[tuple[sqlite3.Connection, str, str]]:
    """Yield a read-only connection, a stream and its epoch, for each stream. Raises StoreError."""
    for name, streams in _STREAMS.items():
        with closing(journal.read_only(data / name)) as db:
            epochs = dict(db.execute("SELECT name, epoch FROM stream").fetchall())
            for stream in streams:
                if stream in epochs:
                    yield db, stream, epochs[stream]


def _shown(stream: str, epoch: str, entry: messages.Entry) -> Shown:
    return Shown(stream, epoch, entry.seq, entry.time_ms, entry.kind, entry.key, entry.body)
