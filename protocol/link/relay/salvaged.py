"""A stream of a node below a child hub, in a recovery: its rows stand in the order in which runs of them came (A4, A7).

What was known to be missing stays so. Where more is missing now, the cursor goes back to before it: the next run leaves
a hole that is listed, and filled by whoever still has the rows (protocol.link.relay).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import msgspec

from protocol.link import cursor
from protocol.link.relay.missing import Missing
from protocol.link.relay.records import Record
from protocol.messages import CHAINED

Channel = tuple[int, str, str, str, str]
"""`(id, node, epoch, stream, at)`, as the store has it."""
Aside = Mapping[tuple[str, str, str, int], bytes]
"""Rows that are no entries, by (node, epoch, stream, seq)."""

_decode = msgspec.json.Decoder(Record).decode
_encode = msgspec.json.Encoder().encode


@dataclass(slots=True)
class Origin:
    """What has come by of one (node, epoch, stream). `record`: its cursor, as it was stored."""

    node: str
    epoch: str
    stream: str
    record: Record
    _ends: dict[int, bytes] = field(default_factory=dict[int, bytes])
    """The hash at the end of each piece that stands, and of each that is missing."""
    _pieces: dict[int, int] = field(default_factory=dict[int, int])
    """First row by last row."""

    def __post_init__(self) -> None:
        self._ends = {one.last: bytes.fromhex(one.hash) for one in self.record.missing}
        self._ends[0] = cursor.genesis(self.node, self.epoch, self.stream)

    def take(self, seq: int, raw: bytes, tip: bytes) -> bool:
        """Tell whether a row is what was received, as far as the one before it is here."""
        gap = cursor.decode_gap(raw)
        before = self._ends.get(seq - 1)
        if gap is not None:
            is_true = gap.hash == tip.hex()
        else:
            is_true = self.stream not in CHAINED or before is None or cursor.chain(before, raw) == tip
        if is_true:
            first = seq if gap is None else gap.first
            self._pieces[seq] = min(first, self._pieces.pop(first - 1, first))
            self._ends[seq] = tip
        return is_true

    @property
    def key(self) -> str:
        """Return the key of its record."""
        return f"{self.node}/{self.epoch}/{self.stream}"

    def moved(self, aside: Aside) -> Record | None:
        """Return the record as it must be when rows are lost here that it holds for received; None: none are."""
        if not self._pieces:
            return None
        pieces = dict(sorted((first, last) for last, first in self._pieces.items()))
        known = {one.first: one.last for one in self.record.missing}
        seq = min([*pieces, *known]) - 1
        tip = self._ends.get(seq, b"")
        while seq < self.record.seq:
            last = pieces.get(seq + 1, known.get(seq + 1, 0))
            if last:
                seq, tip = last, self._ends[last]
                continue
            raw = aside.get((self.node, self.epoch, self.stream, seq + 1))
            if raw is None:
                return self._back(seq, tip)
            seq, tip = seq + 1, cursor.chain(tip, raw)
        return None

    def _back(self, seq: int, tip: bytes) -> Record:
        left: list[Missing] = [one for one in self.record.missing if one.last <= seq]
        shown = tip.hex() if self.stream in CHAINED else ""
        return msgspec.structs.replace(self.record, seq=seq, hash=shown, missing=left, forked="")


def origins(channels: Iterable[Channel], records: Mapping[str, bytes]) -> dict[int, Origin]:
    """Return those of `channels` that are of nodes below child hubs and have a stored record, by id."""
    found = ((number, at, (node, epoch, stream)) for number, node, epoch, stream, at in channels)
    return {
        number: Origin(*whose, _decode(records["/".join(whose)]))
        for number, at, whose in found
        if at and "/".join(whose) in records
    }


def moved(found: Iterable[Origin], aside: Aside) -> dict[str, bytes]:
    """Return the records that go back, encoded, by key."""
    back = {one.key: one.moved(aside) for one in found}
    return {key: _encode(record) for key, record in back.items() if record is not None}
