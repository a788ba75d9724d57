"""How much of a damaged store a connection reads: values and rows that look like what they should be."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from protocol.aio.recovery.scan import Scan
from protocol.aio.sqlite import checksum


def of(db: sqlite3.Connection, streams: Sequence[str]) -> int:
    """Return the number of them; 0 when nothing can be read. A table that is read as another one counts little."""
    scan = Scan(db)
    found = sum(isinstance(value, bytes) and checksum(*key, value) == total for *key, value, total in scan.states())
    for stream in streams:
        rows = scan.numbered(f"own_{stream}", "seq", "raw, hash")
        found += sum(isinstance(raw, bytes) and raw.startswith(b"[%d," % seq) for seq, raw, _ in rows)
    entries = scan.numbered("entry", "id", "channel, seq, raw, hash")
    return found + sum(isinstance(raw, bytes) and isinstance(tip, bytes) for _, _, _, raw, tip in entries)


def is_like(found: list[tuple[str, int, str]], wanted: list[tuple[str, int, str]]) -> bool:
    """Tell whether a schema has the tables that are wanted, each with a root of its own."""
    words = [(name, sql) for name, _, sql in found]
    return words == [(name, sql) for name, _, sql in wanted] and len({root for _, root, _ in found}) == len(found)
