"""Reading the rows of a child hub's streams `relay_*`: each is checked by itself before anything believes it.

Sizes and depth of the rows inside a run are looked at when they are walked (protocol.link.below.walk).
"""

from __future__ import annotations

import base64
import binascii
from typing import TypeVar

import msgspec

from protocol import ids, limits
from protocol.errors import BadId
from protocol.link import cursor
from protocol.link.relay.runs import EPOCH, HELD, RUN, About, Held, Run, Turn
from protocol.messages import CHAINED, CLASSES

T = TypeVar("T", bound=About)
Rows = list[msgspec.Raw | bytes]


class _RunRow(msgspec.Struct, frozen=True, array_like=True):
    seq: int
    time_ms: int
    kind: str
    key: str
    body: Run


class _HeldRow(msgspec.Struct, frozen=True, array_like=True):
    seq: int
    time_ms: int
    kind: str
    key: str
    body: Held


class _TurnRow(msgspec.Struct, frozen=True, array_like=True):
    seq: int
    time_ms: int
    kind: str
    key: str
    body: Turn


_decode_run = msgspec.json.Decoder(_RunRow).decode
_decode_held = msgspec.json.Decoder(_HeldRow).decode
_decode_turn = msgspec.json.Decoder(_TurnRow).decode


def decode(kind: str, raw: bytes) -> Run | Held | Turn | None:
    """Return what a row of `relay` says, checked by itself; None when it makes no sense."""
    try:
        if kind == RUN:
            return _whole_run(_decode_run(raw).body)
        if kind == HELD:
            return _whole_held(_decode_held(raw).body)
        return _whole_turn(_decode_turn(raw).body) if kind == EPOCH else None
    except (msgspec.DecodeError, ValueError, RecursionError, BadId):
        return None


def rows_of(run: Run) -> Rows | None:
    """Return the rows as their origin made them; None when what is no entry is no base64 either."""
    rows: Rows = list(run.rows)
    try:
        for index in run.odd:
            rows[index] = base64.b64decode(bytes(run.rows[index])[1:-1], validate=True)
    except (IndexError, binascii.Error):
        return None
    return rows


def _about(about: T) -> T:
    """Return `about` when it can be an origin. Raises BadId or ValueError."""
    if about.at.count("/") + 2 > limits.TIERS_MAX:
        raise ValueError("too deep a tree")
    ids.address(about.at)
    ids.epoch(about.epoch)
    if about.stream not in CLASSES:
        raise ValueError("no stream that is relayed")
    return about


def _hashes(stream: str, *texts: str) -> None:
    """Raise ValueError unless `texts` are hashes as `stream` has them."""
    is_chained = stream in CHAINED
    if not all(cursor.is_hash(text) and bool(text) is is_chained for text in texts):
        raise ValueError("no hash")


def _whole_run(run: Run) -> Run | None:
    _hashes(_about(run).stream, run.hash)
    if run.before or not _begins_with_gap(run):  # what stood before a GAP that is the lowest row left, nobody knows
        _hashes(run.stream, run.before)
    return run if run.prev < run.last and run.rows and len(run.rows) <= limits.ENTRIES_COUNT_MAX else None


def _begins_with_gap(run: Run) -> bool:
    return bool(run.rows) and cursor.decode_gap(bytes(run.rows[0])) is not None


def _whole_held(held: Held) -> Held | None:
    gap = held.gap
    _hashes(_about(held).stream, held.before, gap.hash)
    whole = 1 <= gap.first <= gap.last <= limits.INTEGER_MAX and gap.count == gap.last - gap.first + 1
    return held if whole and len(gap.reason) <= limits.ROW_KEY_CHARS_MAX else None


def _whole_turn(turn: Turn) -> Turn | None:
    _hashes(_about(turn).stream, turn.hash)
    if turn.former:
        ids.epoch(turn.former)
    if turn.ends:
        _hashes(turn.stream, turn.ends_hash)
    return turn
