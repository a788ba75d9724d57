"""A8. Dedupe never expires by time: a row is received once, as long as the node is enrolled.

Demands: no chained row (its hash names it, and all before it) is received twice by one hub on one disk, under whatever
epoch and however late it comes again.

Cannot see: metrics and logs across epochs (they are not chained); a hub restored from a backup receives anew what the
backup lacked, and that is right.
"""

from __future__ import annotations

from collections import defaultdict

from protocol import effects
from protocol.link import cursor
from tests.checkers import base, world
from tests.checkers.history import Born, Stored


class Dedupe(base.Checker):
    """See the module."""

    rule = "A8"

    def watch(self) -> None:
        """Ask for what is received."""
        self._seen: defaultdict[str, set[int]] = defaultdict(set)
        self.on(Born, self._born)
        self.on_op(effects.Received, self._received)

    def _born(self, fact: Born) -> None:
        machine = self.machine(fact)
        if machine.doubtful or machine.disk != fact.disk:
            self._seen.pop(fact.node, None)

    def _received(self, fact: Stored, op: effects.Received) -> None:
        if not world.is_chained(op.stream):
            return
        if self.world.home.get(op.node, fact.node) != fact.node and not self.world.is_relayed(op):
            return  # late, of one who has left, and may have come by way of its new hub: the store must see it
        seen, number = self._seen[fact.node], int.from_bytes
        for seq, _, tip, _, kind, _ in op.rows:
            if kind == cursor.GAP:
                continue
            mark = number(tip[:8], "big")
            if mark in seen and seq > op.again:  # of the others the store must see it: "nothing twice" reads the disk
                raise self.broken(f"{fact.node} receives row {seq} of {op.stream} of {op.node} a second time")
            seen.add(mark)
        self.judged += len(op.rows)
