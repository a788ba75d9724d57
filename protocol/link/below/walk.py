"""One pass over the rows of one stream, as a receiver makes it: what is new, and where it ends.

Nothing is applied here. A walk begins at what is held, passes over what is known, chains what is new, and tells GAPs
and rows that are no entries apart; who walks decides what becomes of it (INVARIANTS A4, A7, A16, A21).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

import msgspec

from protocol import codec, limits
from protocol.link import cursor
from protocol.messages import CHAINED, RELAYS, GapBody

Row = tuple[int, bytes, bytes, int, str, str]
"""`(seq, raw, hash, time_ms, kind, key)`."""

Poison = tuple[int, bytes, bytes]
"""`(seq, raw, hash)` of a row that is no entry."""

_SHALLOW_BYTES = 2 * limits.JSON_DEPTH_MAX  # no row of so few bytes nests too deep


class Unproven(msgspec.Struct, frozen=True):
    """A new GAP, its row, what is held before it with its hash, and when it was declared."""

    body: GapBody
    raw: bytes
    held: int
    tip: bytes
    time_ms: int


Refused = tuple[Unproven, str]
"""A GAP, and why it is not believed."""


class Walk:
    """One pass over `rows`, which follow seq `prev`, for one who holds everything up to (`seq`, hash `tip`)."""

    def __init__(self, stream: str, prev: int, rows: Sequence[msgspec.Raw | bytes], seq: int, tip: bytes) -> None:
        self._rows, self._chained = rows, stream in CHAINED
        self._is_odd = _is_large if stream in RELAYS else _is_odd
        self.begin: tuple[int, bytes] = (seq, tip)
        """What is held: new rows follow it."""
        self.position: int = prev
        self.seq, self.tip = seq, tip
        self.rows: list[Row] = []
        """New entries, GAPs among them."""
        self.poison: list[Poison] = []
        """New rows that are no entries."""
        self.unproven: list[Unproven] = []
        """New GAPs, nobody's word yet."""

    def run(self) -> bool:
        """Walk; return False when a row does not follow the one before it, or GAPs are too many: nothing is applied.

        The one hot loop of a receiver.
        """
        decode, sha256, add = cursor.decode_head, hashlib.sha256, self.rows.append
        chained, gap = self._chained, cursor.GAP
        position, seq, tip, shallow, is_odd = self.position, self.seq, self.tip, _SHALLOW_BYTES, self._is_odd
        for part in self._rows:
            raw = bytes(part)
            position += 1
            try:
                head = None if (len(raw) > shallow or not raw.isascii()) and is_odd(raw) else decode(raw)
            except (msgspec.DecodeError, ValueError, RecursionError):
                head = None
            if head is not None and (head.kind == gap or head.seq != position):
                self.position, self.seq, self.tip = position - 1, seq, tip
                if not self._gap(raw, head):
                    return False
                position, seq, tip = self.position, self.seq, self.tip
                continue
            if position <= seq:
                continue
            seq = position
            if chained:
                tip = sha256(tip + raw).digest()
            if head is None:
                self.poison.append((seq, raw, tip))
            else:
                add((seq, raw, tip, head.time_ms, head.kind, head.key))
        self.position, self.seq, self.tip = position, seq, tip
        return True

    def _gap(self, raw: bytes, head: cursor.Head) -> bool:
        body = cursor.decode_gap(raw) if head.kind == cursor.GAP else None
        if body is None or not body.first <= self.position + 1 <= body.last:
            return False
        if self._chained is not bool(body.hash):
            return False
        if body.last > self.seq:
            if len(self.unproven) == limits.ENTRIES_GAPS_MAX:
                return False
            self.unproven.append(Unproven(body, raw, self.seq, self.tip, head.time_ms))
            self.seq, self.tip = body.last, bytes.fromhex(body.hash)
            self.rows.append((body.last, raw, self.tip, head.time_ms, head.kind, head.key))
        self.position = body.last
        return True

    def is_whole(self, stated: str) -> bool:
        """Tell whether the chain comes to `stated` (hex), the sender's hash of the last row; "" says nothing (A7)."""
        return not (self._chained and stated) or self.position != self.seq or self.tip.hex() == stated

    def prove(
        self, doubt: Callable[[GapBody], str], *, accepted: bool
    ) -> tuple[Refused | None, list[tuple[GapBody, int]]]:
        """Check the signatures of the GAPs, after all that costs less.

        Return the first one that does not hold, unless an operator `accepted` it; and what the others take from who
        holds `begin`, with the time at which each was declared.
        """
        gone: list[tuple[GapBody, int]] = []
        for one in self.unproven:
            why = doubt(one.body)
            if why and not accepted:
                return (one, why), gone
            gone.append((_gone(one.body, one.held, why), one.time_ms))
        return None, gone


def cut(raw: bytes) -> bytes:
    """Return as much of a row that is no entry as is kept for people."""
    return raw[: limits.ROW_BYTES_MAX]


def _gone(body: GapBody, held: int, doubt: str) -> GapBody:
    """Return what of a GAP is lost to a parent that stands at `held`."""
    reason = f"{body.reason} (accepted by an operator, though {doubt})" if doubt else body.reason
    return GapBody(
        first=held + 1, last=body.last, count=body.last - held, reason=reason[: limits.ROW_KEY_CHARS_MAX], hash=""
    )


def _is_odd(raw: bytes) -> bool:
    """Tell whether nobody could read a row. Raises UnicodeDecodeError, a ValueError, when it is no text."""
    return len(raw) > limits.ROW_BYTES_MAX or codec.is_deep(raw) or not raw.decode()


def _is_large(raw: bytes) -> bool:
    """Tell whether a row of `relay` is over its bound; the rows in it are looked at when it is unwrapped."""
    return len(raw) > limits.RELAY_ROW_BYTES_MAX
