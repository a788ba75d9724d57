"""The state of a damaged store: each value that its own sum bears out goes into the new one."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from itertools import islice
from typing import Any

import msgspec

from protocol.aio.recovery.scan import Scan
from protocol.aio.sqlite import checksum, insert
from protocol.link import child_desired, own_stream
from protocol.snapshot import DOUBT, STORE, Doubt

_BATCH = 512  # values that are held in memory at a time
Space = dict[str, bytes]


class States:
    """What of the state is kept. `partial`: something of it is missing."""

    def __init__(self, source: sqlite3.Connection, target: sqlite3.Connection) -> None:
        self._source = source
        self._target = target
        self._kept: dict[str, Space] = {}
        self.partial = False

    def run(self) -> None:
        """Take all that is true; a manifest only with all its documents."""
        scan = Scan(self._source)
        rows = self._true(scan)
        while batch := list(islice(rows, _BATCH)):
            insert(self._target, "INSERT OR REPLACE INTO state", batch)
        self.partial = self.partial or scan.failures > 0
        documents = self.of(child_desired.DOCUMENT)
        for parent, value in self.of(child_desired.MANIFEST).items():
            items = msgspec.json.decode(value, type=child_desired.Manifest).items
            if not all(digest in documents for digest in items.values()):
                where = (child_desired.MANIFEST, parent)
                self._target.execute("DELETE FROM state WHERE space = ? AND key = ?", where)
                self.partial = True

    def of(self, space: str) -> Space:
        """Return what is kept of `space`; documents without their values, which may be many."""
        return self._kept.get(space, {})

    def under(self, space: str, stream: str) -> Iterator[bytes]:
        """Yield what is kept of `space` under keys `STREAM/...`."""
        return (value for key, value in self.of(space).items() if key.startswith(f"{stream}/"))

    def put(self, space: str, key: str, value: bytes) -> None:
        """Write a value that is known otherwise."""
        row = (space, key, value, checksum(space, key, value))
        self._target.execute("INSERT OR REPLACE INTO state VALUES (?, ?, ?, ?)", row)

    def _true(self, scan: Scan) -> Iterator[tuple[Any, ...]]:
        for row in scan.states():
            space, key, value, total = row
            if not isinstance(value, bytes) or checksum(space, key, value) != total:
                self.partial = True
            elif (space, key) == (STORE, DOUBT):  # made anew, but nobody may forget what it says of the state
                self.partial = self.partial or msgspec.json.decode(value, type=Doubt).partial
            elif space != own_stream.SEGMENTS:  # those are made anew
                self._kept.setdefault(space, {})[key] = b"" if space == child_desired.DOCUMENT else value
                yield row
