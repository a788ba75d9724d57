"""Rows that were declared lost and come after all, by another way: they take the place of the GAP that said so."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

from protocol.aio.upkeep.retention import COUNTED, tally

ReceivedRow = tuple[int, bytes, bytes, int, str, str]

_GAPS = "SELECT seq FROM entry WHERE channel = ? AND seq BETWEEN ? AND ? AND kind = 'gap'"
_INSTEAD = """
    UPDATE entry SET id = (SELECT max(id) + 1 FROM entry), time_ms = ?, kind = ?, key = ?, raw = ?, hash = ?
    WHERE channel = ? AND seq = ?
"""


def give_way(db: sqlite3.Connection, channel: int, rows: Iterable[ReceivedRow]) -> None:
    """Put those of `rows` that come after all in the place of the GAP rows that declared them lost.

    They count as new: their ids are beyond all others, and who reads on from a place sees them.
    """
    by_seq = {row[0]: row for row in rows}
    counted = db.execute("SELECT rows FROM tally WHERE channel = ?", (COUNTED,)).fetchone()
    for seq in [row[0] for row in db.execute(_GAPS, (channel, min(by_seq), max(by_seq)))]:
        if seq in by_seq:
            _, raw, tip, time_ms, kind, key = by_seq[seq]
            where = "channel = ? AND seq = ? AND id <= ?"
            tally(db, where, (channel, seq, counted[0] if counted is not None else 0), -1)
            db.execute(_INSTEAD, (time_ms, kind, key, raw, tip, channel, seq))
