"""A hub's share of a recovery: its children's entries, each held against its chain, and their cursors (A3, A4, A7)."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import msgspec

from protocol.aio.recovery.scan import Scan
from protocol.aio.sqlite import insert
from protocol.link import cursor, parent_entries
from protocol.link.relay import salvaged
from protocol.messages import CHAINED

_BATCH = 512
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(parent_entries.Record).decode
_json = msgspec.json.Decoder(msgspec.Raw).decode


@dataclass(slots=True)
class _Channel:
    """What one child's stream in one epoch has come to. `whole`: before the first hole, (seq, hash)."""

    node: str
    epoch: str
    stream: str
    last: int = 0
    hash: bytes = b""
    is_begun: bool = False
    is_broken: bool = False
    whole: tuple[int, bytes] = (0, b"")


@dataclass(slots=True)
class Children:
    """Copies what was received. `moved`: cursors that go back or are made anew; `..origins`: of those below."""

    source: sqlite3.Connection
    target: sqlite3.Connection
    cursors: Mapping[str, bytes]
    origins: Mapping[str, bytes]
    moved: dict[str, bytes] = field(default_factory=dict[str, bytes])
    moved_origins: dict[str, bytes] = field(default_factory=dict[str, bytes])
    _channels: dict[int, _Channel] = field(default_factory=dict[int, _Channel])
    _relayed: dict[int, salvaged.Origin] = field(default_factory=dict[int, salvaged.Origin])
    _aside: dict[tuple[str, str, str, int], bytes] = field(default_factory=dict[tuple[str, str, str, int], bytes])

    def run(self) -> None:
        """Copy what is true."""
        scan = Scan(self.source)
        known = [row for row in scan.numbered("channel", "id", "node, epoch, stream, at") if _are_texts(row[1:])]
        self._relayed = salvaged.origins(known, self.origins)
        for number, node, epoch, stream, at in known:
            if not at:
                self._channels[number] = _Channel(node, epoch, stream, hash=cursor.genesis(node, epoch, stream))
        self._copy("channel", iter(known))
        self._copy("aside", self._set_aside(scan))
        self._copy("entry", self._entries(scan))
        self._move()
        self.moved_origins = salvaged.moved(self._relayed.values(), self._aside)

    def _copy(self, table: str, rows: Iterator[tuple[Any, ...]]) -> None:
        while batch := list(islice(rows, _BATCH)):
            insert(self.target, f"INSERT OR IGNORE INTO {table}", batch)

    def _set_aside(self, scan: Scan) -> Iterator[tuple[Any, ...]]:
        for row in scan.numbered("aside", "id", "node, epoch, stream, seq, raw, reason"):
            if _are_texts((*row[1:4], row[6])) and isinstance(row[4], int) and isinstance(row[5], bytes):
                self._aside[row[1], row[2], row[3], row[4]] = row[5]
                yield row

    def _entries(self, scan: Scan) -> Iterator[tuple[Any, ...]]:
        for row in scan.numbered("entry", "id", "channel, seq, time_ms, kind, key, raw, hash"):
            channel, origin = self._channels.get(row[1]), self._relayed.get(row[1])
            if (channel is None and origin is None) or not _is_itself(row):
                continue
            _, _, seq, *_, raw, tip = row
            if origin.take(seq, raw, tip) if origin is not None else channel and self._is_true(channel, seq, raw, tip):
                yield row

    def _is_true(self, channel: _Channel, seq: int, raw: bytes, tip: bytes) -> bool:
        """Tell whether a row is what was received; follow its channel."""
        if seq <= channel.last and channel.is_begun:
            return False
        if channel.stream not in CHAINED:
            channel.is_begun, channel.last = True, seq
            return True
        self._bridge(channel, seq)
        gap = cursor.decode_gap(raw)
        follows = seq == channel.last + 1 and cursor.chain(channel.hash, raw) == tip
        if gap is not None:
            follows = gap.hash == tip.hex() and gap.first <= channel.last + 1
        if not follows and not channel.is_begun:
            # The rows before it are gone: it cannot be told from what it might have been.
            channel.last, channel.hash, channel.is_begun = seq, tip, True
            channel.whole = (seq, tip)
            return False
        channel.is_broken = channel.is_broken or not follows
        channel.last, channel.hash, channel.is_begun = seq, tip, True
        if not channel.is_broken:
            channel.whole = (seq, tip)
        return follows

    def _bridge(self, channel: _Channel, seq: int) -> None:
        """Go over rows that were set aside as poison: they are in the chain (A21)."""
        while channel.last + 1 < seq:
            raw = self._aside.get((channel.node, channel.epoch, channel.stream, channel.last + 1))
            if raw is None:
                return
            channel.last, channel.hash = channel.last + 1, cursor.chain(channel.hash, raw)

    def _move(self) -> None:
        for channel in self._channels.values():  # the newest of a stream comes last
            if channel.stream not in CHAINED or not channel.is_begun:
                continue
            key = f"{channel.node}/{channel.stream}"
            stored = self.cursors.get(key)
            seq, tip = channel.whole
            if stored is None:
                self.moved[key] = _encode(parent_entries.Record(epoch=channel.epoch, seq=seq, hash=tip.hex()))
                continue
            record = _decode(stored)
            self._bridge(channel, record.seq + 1)
            if record.epoch == channel.epoch and (channel.is_broken or channel.last < record.seq):
                record.seq, record.hash, record.forked = seq, tip.hex(), False
                self.moved[key] = _encode(record)


def _are_texts(values: tuple[Any, ...]) -> bool:
    return all(isinstance(one, str) for one in values)


def _is_itself(row: tuple[Any, ...]) -> bool:
    """Tell whether what stands beside the bytes of an entry is what they say."""
    _, _, seq, time_ms, kind, key, raw, tip = row
    if not isinstance(raw, bytes) or not isinstance(tip, bytes):
        return False
    try:
        head = cursor.decode_head(raw)
        _json(raw)
    except (msgspec.DecodeError, ValueError):
        return False
    return (head.seq, head.time_ms, head.kind, head.key) == (seq, time_ms, kind, key)
