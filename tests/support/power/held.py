"""What a store holds, in one shape, whether it is read from a file or told by an independent model."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from protocol import effects
from protocol.aio import life
from protocol.aio.sqlite import of
from protocol.effects import StoredRow
from protocol.link import cursor
from protocol.messages import CHAINED, FormerEpoch
from tests.support.memory_store import MemoryStore, OwnRows

Entry = tuple[str, str, str, int, bytes, bytes]  # node, epoch, stream, seq, raw, hash

_ENTRIES = """
    SELECT node, epoch, stream, seq, raw, hash FROM entry JOIN channel ON channel.id = entry.channel ORDER BY entry.id
"""
_ASIDE = "SELECT node, epoch, stream, seq, raw, reason FROM aside ORDER BY id"


@dataclass(frozen=True, slots=True)
class Stream:
    """One own stream."""

    epoch: str
    last: int
    hash: bytes
    acked: int
    former: FormerEpoch | None
    rows: tuple[StoredRow, ...]


@dataclass(frozen=True, slots=True)
class Held:
    """One file's contents. Streams in which nothing ever happened are left out."""

    streams: dict[str, Stream] = field(default_factory=dict[str, Stream])
    state: dict[tuple[str, str], bytes] = field(default_factory=dict[tuple[str, str], bytes])
    entries: tuple[Entry, ...] = ()
    aside: tuple[tuple[str, str, str, int, bytes, str], ...] = ()

    def same(self, other: Held, *, epochs: bool = True) -> bool:
        """Tell whether `other` holds the same; without `epochs`, whatever epoch its rows are in."""
        if epochs or self == other:
            return self == other
        if self.streams.keys() != other.streams.keys():
            return False
        pairs = [(one, other.streams[name]) for name, one in self.streams.items()]
        return all((a.last, a.hash, a.acked, a.rows) == (b.last, b.hash, b.acked, b.rows) for a, b in pairs) and (
            (self.state, self.entries, self.aside) == (other.state, other.entries, other.aside)
        )


def read(db: sqlite3.Connection, streams: Sequence[str]) -> Held:
    """Return what the file of `db` holds."""
    found = {name: _read_stream(db, name) for name in streams}
    return Held(
        streams={name: one for name, one in found.items() if one.last},
        state={(space, key): value for space, key, value in db.execute("SELECT space, key, value FROM state")},
        entries=tuple(db.execute(_ENTRIES)),
        aside=tuple(db.execute(_ASIDE)),
    )


def told(model: MemoryStore, streams: Sequence[str], *, durable: bool) -> Held:
    """Return what the model says that a file with `streams` holds; `durable`: the one with all the rest, too."""
    found = {name: _told_stream(model.streams[name]) for name in streams if model.streams[name].last}
    if not durable:
        return Held(found)
    return Held(
        streams=found,
        state={(space, key): value for space, values in model.spaces.items() for key, value in values.items()},
        entries=tuple(model.entries),
        aside=tuple((one.node, one.epoch, one.stream, one.seq, one.raw, one.reason) for one in model.aside),
    )


def fork(model: MemoryStore) -> MemoryStore:
    """Return a copy that can go its own way."""
    return MemoryStore(
        node=model.node,
        streams={name: replace(own, rows=dict(own.rows)) for name, own in model.streams.items()},
        spaces={space: dict(values) for space, values in model.spaces.items()},
        entries=list(model.entries),
        aside=list(model.aside),
    )


def recall(found: Held, model: MemoryStore, streams: Sequence[str], *, durable: bool) -> None:
    """Let `model` hold what a file with `streams` was found to hold, beside what it knows of the other file."""
    for name in streams:
        one = found.streams.get(name)
        rows = {seq: (raw, tip) for seq, raw, tip in one.rows} if one else {}
        model.streams[name] = (
            OwnRows(one.epoch, rows, one.last, one.hash, one.acked, one.former) if one else OwnRows("")
        )
    if durable:
        model.spaces = {}
        for (space, key), value in found.state.items():
            model.spaces.setdefault(space, {})[key] = value
        model.entries = list(found.entries)
        model.aside = [effects.SetAside(*one) for one in found.aside]


def broken_chain(held: Held) -> str:
    """Return where a chain of hashes does not hold; "" when all do. GAP rows bear the hash of what they stand for."""
    for name, one in held.streams.items():
        if one.rows and one.rows[-1][0] == one.last and one.rows[-1][2] != one.hash:
            return f"{name}: the head's hash is not that of row {one.last}"
        if name not in CHAINED:
            continue
        for (_, _, before), (seq, raw, tip) in zip(one.rows, one.rows[1:], strict=False):
            if cursor.decode_head(raw).kind != cursor.GAP and cursor.chain(before, raw) != tip:
                return f"{name}: row {seq} does not follow the one before"
    return ""


def difference(wanted: Held, found: Held) -> str:
    """Return in words where two contents of a file are apart."""
    words: list[str] = []
    for name in sorted(wanted.streams.keys() | found.streams.keys()):
        a, b = wanted.streams.get(name), found.streams.get(name)
        if a != b:
            told = [
                f"{one.epoch} {len(one.rows)} rows to {one.last}, acked {one.acked}" if one else "-" for one in (a, b)
            ]
            words.append(f"{name}: {told[0]} acknowledged, {told[1]} found")
    if wanted.state != found.state:
        words.append(
            f"state: {sorted(k for k in wanted.state | found.state if wanted.state.get(k) != found.state.get(k))}"
        )
    if wanted.entries != found.entries:
        words.append(f"entries: {len(wanted.entries)} acknowledged, {len(found.entries)} found")
    if wanted.aside != found.aside:
        words.append("aside")
    return "; ".join(words) or "no difference"


def _read_stream(db: sqlite3.Connection, name: str) -> Stream:
    head = life.read_head(db, name)
    rows = tuple(db.execute(of(name, "SELECT seq, raw, hash FROM own_STREAM ORDER BY seq")))
    return Stream(head.epoch, head.last, head.hash, head.acked, head.former, rows)


def _told_stream(own: OwnRows) -> Stream:
    rows = tuple((seq, raw, tip) for seq, (raw, tip) in own.rows.items())
    return Stream(own.epoch, own.last, own.hash, own.acked, own.former, rows)
