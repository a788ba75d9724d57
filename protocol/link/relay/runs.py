"""What stands in a hub's stream `relay`: runs of rows of one origin, untouched; what is held back; where epochs turn.

A run carries many rows, for a wrapper around each would double the cost. Rows are the very bytes that their origin
stored and hashed (INVARIANTS A7); only rows that are no entries are spelled in base64, since nobody knows what is in
them. `at` is the origin's address below the hub that speaks; each hub on the way up prefixes it with its child's id.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, TypeVar

import msgspec

from protocol import ids, limits
from protocol.errors import BadId
from protocol.link import cursor
from protocol.messages import CHAINED, STREAMS, Count, GapBody, Word

if TYPE_CHECKING:
    from protocol.link.events import ChildEntries

RELAY = "relay"
RUN, HELD, EPOCH = "relay", "relay.held", "relay.epoch"
"""Kinds of rows in the stream; their key is the origin's node id."""

_STREAMS = frozenset(STREAMS) - {RELAY}
_Address = Annotated[str, msgspec.Meta(max_length=64 * limits.TIERS_MAX)]


class About(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Whose rows: the origin's address below the speaker, its epoch, its stream."""

    at: _Address
    epoch: Word
    stream: Word

    @property
    def node(self) -> str:
        """Return the origin's node id."""
        return self.at.rpartition("/")[2]


class Run(About, frozen=True, kw_only=True, omit_defaults=True):
    """Rows of one origin up to `last`, which follow row `prev`; the hashes (hex) of both, "" when it is unchained.

    The first row has seq `prev` + 1, or is a GAP that covers it. `odd`: which of `rows` are no entries, and base64.
    """

    prev: Count
    before: Word = ""
    last: Count
    hash: Word = ""
    odd: list[Count] = []
    rows: list[msgspec.Raw] = []


class Held(About, frozen=True, kw_only=True, omit_defaults=True):
    """Rows `gap.first`..`gap.last` stay at the hub `by`, which says why and signs; `before` is the hash before them.

    The signature is that of a GAP of the hub `by`, under the origin's epoch, of the stream that `signed_as` names.
    """

    before: Word = ""
    by: Word
    gap: GapBody

    @property
    def signed_as(self) -> str:
        """Return what binds the signature to the origin: no stream is called so, hence no GAP says the same."""
        return f"held/{self.node}/{self.stream}"


class Turn(About, frozen=True, kw_only=True, omit_defaults=True):
    """The origin goes on in `epoch`, after row `seq` with hash `hash`. The `former` epoch ended at `ends`.

    `again`: rows up to here may have come under former epochs. `lost` rows were given up, as the origin declares.
    """

    seq: Count
    hash: Word = ""
    former: Word = ""
    ends: Count = 0
    ends_hash: Word = ""
    again: Count = 0
    lost: Count = 0
    reason: Word = ""


class Piece(msgspec.Struct, frozen=True):
    """Rows of one event that go up together; with no rows: one that is no entry, and too large to go up."""

    prev: int
    before: bytes
    last: int
    hash: bytes
    raws: list[bytes]
    odd: list[int]


Item = tuple[str, str, bytes]
"""`(kind, key, body)` of a row of `relay`."""

_encode = msgspec.json.Encoder().encode
T = TypeVar("T", bound=About)


# ------------------------------------------------------------------------------------------------ wrapping


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
    """Return the row of `relay` that carries `piece`."""
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
    """Return the row of `relay` that says `about`."""
    return kind, about.node, _encode(about)


# ------------------------------------------------------------------------------------------------ unwrapping


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
        match kind:
            case "relay":
                return _whole_run(_decode_run(raw).body)
            case "relay.held":
                return _whole_held(_decode_held(raw).body)
            case "relay.epoch":
                return _whole_turn(_decode_turn(raw).body)
            case _:
                return None
    except (msgspec.DecodeError, ValueError, RecursionError, BadId):
        return None


def rows_of(run: Run) -> list[msgspec.Raw | bytes] | None:
    """Return the rows as their origin made them; None when what is no entry is no base64 either."""
    rows: list[msgspec.Raw | bytes] = list(run.rows)
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
    if about.stream not in _STREAMS:
        raise ValueError("no stream that is relayed")
    return about


def _hashes(stream: str, *texts: str) -> None:
    """Raise ValueError unless `texts` are hashes as `stream` has them."""
    is_chained = stream in CHAINED
    if not all(cursor.is_hash(text) and bool(text) is is_chained for text in texts):
        raise ValueError("no hash")


def _whole_run(run: Run) -> Run | None:
    _hashes(_about(run).stream, run.before, run.hash)
    return run if run.prev < run.last and run.rows and len(run.rows) <= limits.ENTRIES_COUNT_MAX else None


def _whole_held(held: Held) -> Held | None:
    gap = held.gap
    _hashes(_about(held).stream, held.before, gap.hash)
    whole = 1 <= gap.first <= gap.last <= limits.INTEGER_MAX and gap.count == gap.last - gap.first + 1
    return held if whole and len(gap.reason) <= cursor.KEY_CHARS_MAX else None


def _whole_turn(turn: Turn) -> Turn | None:
    _hashes(_about(turn).stream, turn.hash)
    if turn.former:
        ids.epoch(turn.former)
        _hashes(turn.stream, turn.ends_hash)
    return turn
