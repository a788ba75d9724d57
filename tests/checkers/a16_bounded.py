"""A16. Bounded, and loss is declared.

Demands: after every commit the streams of a device that share a file take no more bytes than their quota (the world's
own, or limits.QUOTA_BYTES), plus what open segments and one batch may take; where a parent receives a GAP, its own
count of lost rows rises by what is gone in the same transaction; and the GAP is signed with the key that the node
enrolled with, unless an operator has accepted it.

Cannot see: the size of the file around the rows; the disk tests measure that.
"""

from __future__ import annotations

from collections import ChainMap, deque
from collections.abc import Mapping

import msgspec

from hub.core import registry
from protocol import effects, limits, messages
from protocol.errors import TrustError
from protocol.link import cursor, parent_entries
from protocol.link.room import pool
from protocol.trust import gaps
from tests.checkers import base
from tests.checkers.history import Born, Stored

SLACK_BYTES = 1 * limits.MIB
"""One batch of inputs on top of a full quota."""
_SLACK_SMALL_BYTES = 32 * limits.KIB
"""The same, in a world that was made small."""

_decode_cursor = msgspec.json.Decoder(parent_entries.Record).decode
_decode_node = msgspec.json.Decoder(registry.Node).decode


class _Size:
    """The bytes of one stream, summed by transaction: (last seq, bytes)."""

    def __init__(self) -> None:
        self.total = 0
        self.parts: deque[tuple[int, int]] = deque()

    def add(self, last: int, size: int) -> None:
        self.parts.append((last, size))
        self.total += size

    def trim(self, upto: int) -> None:
        while self.parts and self.parts[0][0] <= upto:
            self.total -= self.parts.popleft()[1]


class Bounded(base.Checker):
    """See the module."""

    rule = "A16"

    def watch(self) -> None:
        """Ask for what grows, what shrinks, and what is lost."""
        self._sizes: dict[tuple[str, str], _Size] = {}
        quota = self.world.quota_bytes
        self._small = pool.split(quota) if quota else limits.QUOTA_BYTES
        self._of_hubs = limits.QUOTA_BYTES | pool.relays(self.world.relay_bytes)
        self.on(Born, self._born)
        self.on(Stored, self._stored)
        self.on_op(effects.Rows, self._rows)
        self.on_op(effects.Trim, self._trim)
        self.on_op(effects.Gap, self._gap)
        self.on_op(effects.NewEpoch, self._turn)

    def _born(self, fact: Born) -> None:
        machine = self.machine(fact)
        if machine.doubtful or machine.disk != fact.disk:
            for where in [where for where in self._sizes if where[0] == fact.node]:
                del self._sizes[where]

    def _size(self, fact: Stored, stream: str) -> _Size:
        return self._sizes.setdefault((fact.node, stream), _Size())

    def _rows(self, fact: Stored, op: effects.Rows) -> None:
        size = self._size(fact, op.stream)
        size.add(op.rows[-1][0], sum(len(raw) for _, raw, _ in op.rows))
        shares = self._of_hubs if self.machine(fact).role == "hub" else self._small
        if size.total > shares[op.stream]:  # else its file cannot be over either
            self._check_file(fact, op.stream, shares)
        self.judged += 1

    def _check_file(self, fact: Stored, stream: str, shares: Mapping[str, int]) -> None:
        names = next(names for names in pool.FILES if stream in names)
        room = sum(shares.get(name, 0) for name in names)
        taken = sum(self._size(fact, name).total for name in names)
        is_default = room == sum(limits.QUOTA_BYTES.get(name, 0) for name in names)
        slack = room // 16 + (SLACK_BYTES if is_default else _SLACK_SMALL_BYTES)
        if taken > room + slack and not _shrinks(fact, stream):
            raise self.broken(f"{', '.join(names)} of {fact.node} take {taken} bytes; their quota is {room}")

    def _trim(self, fact: Stored, op: effects.Trim) -> None:
        self._size(fact, op.stream).trim(op.upto)

    def _gap(self, fact: Stored, op: effects.Gap) -> None:
        self._size(fact, op.stream).trim(op.last)

    def _turn(self, fact: Stored, op: effects.NewEpoch) -> None:
        self._size(fact, op.stream).trim(op.base)

    def _stored(self, fact: Stored) -> None:
        gone: dict[str, int] = {}
        held = ChainMap[tuple[str, str], parent_entries.Record]({}, self.machine(fact).cursors)
        for op in fact.ops:  # one transaction may hold many messages of one stream
            if isinstance(op, effects.Received):
                if not self.world.is_relayed(op):
                    self._count_gone(fact, op, held.get((op.node, op.stream)), gone)
            elif isinstance(op, effects.Put) and op.space == parent_entries.CURSOR:
                node, _, stream = op.key.partition("/")
                now = _decode_cursor(op.value)
                if op.key in gone:
                    self._check_lost(fact, op, held[node, stream], now, gone.pop(op.key))
                held[node, stream] = now

    def _count_gone(
        self, fact: Stored, op: effects.Received, held: parent_entries.Record | None, gone: dict[str, int]
    ) -> None:
        for index, (seq, raw, _, _, kind, _) in enumerate(op.rows):
            body = cursor.decode_gap(raw) if kind == cursor.GAP else None
            if body is None or held is None:
                continue
            self._check_signature(fact, op, body, held)
            before = op.rows[index - 1][0] if index else max(held.seq, body.first - 1)
            key = f"{op.node}/{op.stream}"
            gone[key] = gone.get(key, 0) + seq - before

    def _check_signature(
        self, fact: Stored, op: effects.Received, body: messages.GapBody, held: parent_entries.Record
    ) -> None:
        record = self.machine(fact).get(registry.SPACE, op.node)
        if record is None or held.accepted:
            return
        try:
            gaps.check(op.node, _decode_node(record).key, op.epoch, op.stream, body)
        except TrustError as error:
            raise self.broken(f"{fact.node} counts a gap of {op.stream} of {op.node}, though {error}") from error
        self.judged += 1

    def _check_lost(
        self, fact: Stored, op: effects.Put, old: parent_entries.Record, now: parent_entries.Record, gone: int
    ) -> None:
        text = f"{fact.node} counts {now.lost - old.lost} lost rows of {_of(op)}; the gap says {gone}"
        if self.machine(fact).is_sure(op.space, op.key) and old.epoch == now.epoch:
            self.demand(now.lost - old.lost >= gone, text)


def _of(op: effects.Put) -> str:
    node, _, stream = op.key.partition("/")
    return f"{stream} of {node}"


def _shrinks(fact: Stored, stream: str) -> bool:
    """Tell whether rows of `stream` go in the same transaction."""
    return any(isinstance(op, effects.Trim | effects.Gap) and op.stream == stream for op in fact.ops)
