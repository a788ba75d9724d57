"""A21. A poison entry does not block its stream: it is set aside, counted, and the stream goes on.

Demands: where a parent sets a row aside that is no entry, its cursor passes it in the same transaction, and its count
of what was set aside rises by all of them.

Cannot see: whether anybody looks at what was set aside; that the stream reaches its end is A19's.
"""

from __future__ import annotations

from collections import Counter

import msgspec

from protocol import effects
from protocol.link import parent_entries
from protocol.link.relay import records
from tests.checkers import base
from tests.checkers.history import Stored

_POISON = "the row is no entry"
_decode_origin = msgspec.json.Decoder(records.Record).decode
_decode_cursor = msgspec.json.Decoder(parent_entries.Record).decode


class Poison(base.Checker):
    """See the module."""

    rule = "A21"

    def watch(self) -> None:
        """Ask for transactions that set something aside."""
        self.on(Stored, self._stored)

    def _stored(self, fact: Stored) -> None:
        aside: Counter[str] = Counter()
        last: dict[str, int] = {}
        for op in fact.ops:
            if isinstance(op, effects.SetAside) and op.reason == _POISON:
                if (op.node, op.epoch, op.stream) in self.world.relayed:
                    self._check_relayed(fact, op)
                    continue
                key = f"{op.node}/{op.stream}"
                aside[key] += 1
                last[key] = op.seq
        if aside:
            self._check(fact, aside, last)

    def _check_relayed(self, fact: Stored, op: effects.SetAside) -> None:
        key = f"{op.node}/{op.epoch}/{op.stream}"
        last = [one.value for one in fact.ops if isinstance(one, effects.Put) and one.key == key][-1]
        now = _decode_origin(last)
        text = f"{fact.node} sets row {op.seq} of {op.stream} of {op.node} aside, which came by way of a hub"
        self.demand(now.seq >= op.seq and now.aside > 0, f"{text}, and stays before it")

    def _check(self, fact: Stored, aside: Counter[str], last: dict[str, int]) -> None:
        puts = {op.key: op.value for op in fact.ops if isinstance(op, effects.Put) and op.space == "cursor"}
        for key, count in aside.items():
            node, _, stream = key.partition("/")
            text = f"{fact.node} sets {count} rows of {stream} of {node} aside"
            if key not in puts:
                raise self.broken(f"{text}, and its cursor stays")
            now, old = _decode_cursor(puts[key]), self.machine(fact).cursors.get((node, stream))
            self.demand(now.seq >= last[key], f"{text}, and its cursor stays before row {last[key]}")
            before = old.aside if old is not None else 0
            if self.machine(fact).is_sure("cursor", key):
                self.demand(now.aside - before >= count, f"{text}, and counts {now.aside - before}")
