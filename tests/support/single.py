"""Single rows of a stream, as a sender's own function makes them by the batch."""

from __future__ import annotations

from protocol.link import cursor


def row(seq: int, time_ms: int, kind: str, key: str, body: bytes) -> bytes:
    """Return the bytes of the row `seq`, unchained; `body` is one JSON value."""
    return cursor.encode_rows(seq - 1, b"", False, time_ms, [(kind, key, body)])[0][1]
