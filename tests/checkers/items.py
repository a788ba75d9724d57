"""What a producer said, found again in a row: the one thing by which loss and doubles are counted."""

from __future__ import annotations

import msgspec

from protocol.link import cursor
from protocol.messages import Entries


class _Said(msgspec.Struct):
    item: str = ""
    n: int = 0


class _Row(msgspec.Struct, array_like=True):
    seq: int
    time_ms: int
    kind: str
    key: str
    body: msgspec.Raw


_decode_row = msgspec.json.Decoder(_Row).decode
_decode_said = msgspec.json.Decoder(_Said).decode
_decode_text = msgspec.json.Decoder(str).decode


def item_of(node: str, raw: bytes) -> str:
    """Return the item in a row of `node`, or "" when no producer made it.

    A producer's entry has a kind `app.*`, and as body the item itself (a string), `{"item": ITEM}`, or `{"n": NUMBER}`,
    whose item is NODE/NUMBER.
    """
    if b'"app.' not in raw:
        return ""
    try:
        body = bytes(_decode_row(raw).body)
        if body.startswith(b'"'):
            return _decode_text(body)
        said = _decode_said(body)
    except (msgspec.DecodeError, ValueError):
        return ""
    return said.item or (f"{node}/{said.n}" if said.n else "")


def words_of(raw: bytes) -> tuple[str, str, bytes]:
    """Return (kind, key, body) of a row. Raises msgspec.DecodeError when it is none."""
    row = _decode_row(raw)
    return row.kind, row.key, bytes(row.body)


def last_seq(message: Entries) -> int:
    """Return the seq of the last row of a message; rows that are no entry are counted on from the one before."""
    for beyond, raw in enumerate(reversed(message.rows)):
        try:
            return cursor.decode_head(raw).seq + beyond
        except (msgspec.DecodeError, ValueError):
            continue
    return message.prev + len(message.rows)
