"""Makes rows of a hub's streams `relay_CLASS` of what its children told: the bytes stay, what is around them is new."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import TYPE_CHECKING

import msgspec

from protocol import limits
from protocol.link.relay.runs import RUN, About, Run

if TYPE_CHECKING:
    from protocol.link.events import ChildEntries


class Piece(msgspec.Struct, frozen=True):
    """Rows of one event that go up together; with no rows: one that is no entry, and too large to go up."""

    prev: int
    before: bytes
    last: int
    hash: bytes
    raws: list[bytes]
    odd: list[int]


Item = tuple[str, str, bytes]
"""`(kind, key, body)` of a row of `relay_CLASS`."""

_encode = msgspec.json.Encoder().encode


def pieces(event: ChildEntries) -> Iterator[Piece]:
    """Yield what the rows of `event` are wrapped as, each piece at most limits.RELAY_RUN_BYTES, or one row."""
    raws = [row[1] for row in event.rows]
    if not event.poison and sum(map(len, raws)) <= limits.RELAY_RUN_BYTES:
        yield Piece(event.prev, event.before, event.last, event.hash, raws, [])
        return
    prev, before = event.prev, event.before
    last, tip, size = prev, before, 0
    raws, odd = list[bytes](), list[int]()
    for seq, raw, hashed, is_odd in _in_order(event):
        is_large = is_odd and len(raw) > limits.ROW_BYTES_MAX
        shown = b'"%s"' % base64.b64encode(raw) if is_odd and not is_large else raw
        if raws and (is_large or size + len(shown) > limits.RELAY_RUN_BYTES):
            yield Piece(prev, before, last, tip, raws, odd)
            prev, before, raws, odd, size = last, tip, [], [], 0
        if is_large:
            yield Piece(prev, before, seq, hashed, [], [])
            prev, before = seq, hashed
        else:
            if is_odd:
                odd.append(len(raws))
            raws.append(shown)
            size += len(shown)
        last, tip = seq, hashed
    if raws:
        yield Piece(prev, before, last, tip, raws, odd)


def _in_order(event: ChildEntries) -> list[tuple[int, bytes, bytes, bool]]:
    rows = [(row[0], row[1], row[2], False) for row in event.rows]
    return sorted([*rows, *((seq, raw, hashed, True) for seq, raw, hashed in event.poison)])


def run_item(at: str, epoch: str, stream: str, piece: Piece) -> Item:
    """Return the row of `relay_CLASS` that carries `piece`."""
    run = Run(
        at=at,
        epoch=epoch,
        stream=stream,
        prev=piece.prev,
        before=piece.before.hex(),
        last=piece.last,
        hash=piece.hash.hex(),
        odd=piece.odd,
    )
    body = b'%s,"rows":[%s]}' % (_encode(run)[:-1], b",".join(piece.raws))
    return RUN, run.node, body


def item(kind: str, about: About) -> Item:
    """Return the row of `relay_CLASS` that says `about`."""
    return kind, about.node, _encode(about)
