"""A16. Bounded, and loss is declared.

Demands: after every commit a device's stream takes no more bytes than its quota (limits.QUOTA_BYTES), plus what one
segment and one batch may take; and where a parent receives a GAP, its own count of lost rows rises by what is gone in
the same transaction.

Cannot see: the size of the file around the rows; the disk tests measure that.
"""

from __future__ import annotations

from collections import deque

import msgspec

from protocol import effects, limits
from protocol.link import cursor, parent_entries
from tests.checkers import base
from tests.checkers.history import Born, Stored

SLACK_BYTES = 1 * limits.MIB
"""One batch of inputs on top of a full quota."""

_decode_cursor = msgspec.json.Decoder(parent_entries.Record).decode


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
        self._touched: set[str] = set()
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
        quota = limits.QUOTA_BYTES[op.stream]
        if size.total > quota + quota // 16 + SLACK_BYTES and not _shrinks(fact, op.stream):
            raise self.broken(f"{op.stream} of {fact.node} takes {size.total} bytes; its quota is {quota}")
        self.judged += 1

    def _trim(self, fact: Stored, op: effects.Trim) -> None:
        self._size(fact, op.stream).trim(op.upto)

    def _gap(self, fact: Stored, op: effects.Gap) -> None:
        self._size(fact, op.stream).trim(op.last)

    def _turn(self, fact: Stored, op: effects.NewEpoch) -> None:
        self._size(fact, op.stream).trim(op.base)

    def _stored(self, fact: Stored) -> None:
        gone: dict[str, int] = {}
        for op in fact.ops:
            if isinstance(op, effects.Received):
                self._count_gone(fact, op, gone)
            elif isinstance(op, effects.Put) and op.space == parent_entries.CURSOR and op.key in gone:
                self._check_lost(fact, op, gone)

    def _count_gone(self, fact: Stored, op: effects.Received, gone: dict[str, int]) -> None:
        held = self.machine(fact).cursors.get((op.node, op.stream))
        for index, (seq, raw, _, _, kind, _) in enumerate(op.rows):
            body = cursor.decode_gap(raw) if kind == cursor.GAP else None
            if body is not None and held is not None:
                before = op.rows[index - 1][0] if index else max(held.seq, body.first - 1)
                key = f"{op.node}/{op.stream}"
                gone[key] = gone.get(key, 0) + seq - before

    def _check_lost(self, fact: Stored, op: effects.Put, gone: dict[str, int]) -> None:
        node, _, stream = op.key.partition("/")
        old, now = self.machine(fact).cursors[node, stream], _decode_cursor(op.value)
        text = f"{fact.node} counts {now.lost - old.lost} lost rows of {stream} of {node}; the gap says {gone[op.key]}"
        if self.machine(fact).is_sure(op.space, op.key) and old.epoch == now.epoch:
            self.demand(now.lost - old.lost >= gone.pop(op.key), text)


def _shrinks(fact: Stored, stream: str) -> bool:
    """Tell whether rows of `stream` go in the same transaction."""
    return any(isinstance(op, effects.Trim | effects.Gap) and op.stream == stream for op in fact.ops)
