"""Rows and chains: what one entry is, as bytes, and how each vouches for all before it.

A row is `[seq, time_ms, kind, key, body]` as JSON. It is encoded once, where it is made; these bytes are stored,
hashed, sent and stored again, and never re-encoded (INVARIANTS A7). hash(row) = sha256(hash(row before) + row); before
the first stands the genesis, bound to (node, epoch, stream), so that no chain passes for another's.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from typing import Annotated

import msgspec

from protocol import limits
from protocol.messages import Entry, GapBody

GAP = "gap"

_HASH = re.compile(r"[0-9a-f]{64}", re.ASCII)
_sha256 = hashlib.sha256
_encode = msgspec.json.Encoder().encode
_Integer = Annotated[int, msgspec.Meta(ge=-limits.INTEGER_MAX, le=limits.INTEGER_MAX)]


class Head(msgspec.Struct, frozen=True, array_like=True):
    """The part of an entry that a receiver looks at; the body, which stands last, it only skips."""

    seq: Annotated[int, msgspec.Meta(ge=1, le=limits.INTEGER_MAX)]
    time_ms: _Integer
    kind: Annotated[str, msgspec.Meta(max_length=limits.ROW_KIND_CHARS_MAX)]
    key: Annotated[str, msgspec.Meta(max_length=limits.ROW_KEY_CHARS_MAX)]


class _GapRow(msgspec.Struct, frozen=True, array_like=True):
    seq: int
    time_ms: int
    kind: str
    key: str
    body: GapBody


decode_head = msgspec.json.Decoder(Head).decode
"""Return the Head of a row. Raises msgspec.DecodeError or ValueError: the row is poison."""

_decode_gap = msgspec.json.Decoder(_GapRow).decode


def genesis(node: str, epoch: str, stream: str) -> bytes:
    """Return the hash that stands before the first row of (node, epoch, stream)."""
    return _sha256(f"{node}|{epoch}|{stream}".encode()).digest()


def chain(prev: bytes, raw: bytes) -> bytes:
    """Return the hash of the row `raw`, which follows the row with hash `prev`."""
    return _sha256(prev + raw).digest()


def encode_rows(
    seq: int, tip: bytes, chained: bool, time_ms: int, items: Sequence[tuple[str, str, bytes]]
) -> list[tuple[int, bytes, bytes]]:
    """Return `(seq, raw, hash)` for `items` (kind, key, body), which follow the row (`seq`, hash `tip`).

    The one hot loop of a sender. `tip` must be b"" when not `chained`.
    """
    rows: list[tuple[int, bytes, bytes]] = []
    add, encode, sha256, wrap = rows.append, _encode, _sha256, msgspec.Raw
    for kind, key, body in items:
        seq += 1
        raw = encode(Entry(seq, time_ms, kind, key, wrap(body)))
        if chained:
            tip = sha256(tip + raw).digest()
        add((seq, raw, tip))
    return rows


def encode_gap(last: int, time_ms: int, body: GapBody) -> bytes:
    """Return the GAP row that stands for `body.first`..`last`."""
    return _encode([last, time_ms, GAP, "", body])


def decode_gap(raw: bytes) -> GapBody | None:
    """Return what a GAP row declares, or None when it makes no sense."""
    try:
        row = _decode_gap(raw)
    except (msgspec.DecodeError, ValueError):
        return None
    body = row.body
    whole = 1 <= body.first <= body.last == row.seq and 0 <= body.count <= body.last
    return body if whole and is_hash(body.hash) and len(body.reason) <= limits.ROW_KEY_CHARS_MAX else None


def is_hash(text: str) -> bool:
    """Tell whether `text` is a hash as messages carry it: 64 lower-case hex digits, or "" for none."""
    return text == "" or _HASH.fullmatch(text) is not None
