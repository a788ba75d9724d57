"""A3. Prune only what is acked, or covered by a declared GAP.

Demands, of every node that has a parent: rows go (Trim, NewEpoch) only up to what a parent has committed (its own
commits say so), or up to where a GAP of the same transaction reaches, or where rows had gone before; a new epoch
declares what it gives up.

Cannot see: a root's own rows, which nobody above acks; whether a prune was needed.
"""

from __future__ import annotations

from protocol import effects
from protocol.link import cursor
from tests.checkers import base, world
from tests.checkers.history import Stored


class PruneAcked(base.Checker):
    """See the module."""

    rule = "A3"

    def watch(self) -> None:
        """Ask for what lets rows go."""
        self._gaps: list[effects.Gap] = []
        self.on(Stored, self._stored)
        self.on_op(effects.Trim, self._trim)
        self.on_op(effects.Gap, self._gap)
        self.on_op(effects.NewEpoch, self._turn)

    def _stored(self, fact: Stored) -> None:
        self._gaps = [op for op in fact.ops if isinstance(op, effects.Gap)]

    def _gone(self, fact: Stored, stream: str) -> int:
        machine = self.machine(fact)
        return max(self.world.committed.get((machine.node, stream), 0), machine.own(stream).floor)

    def _trim(self, fact: Stored, op: effects.Trim) -> None:
        machine = self.machine(fact)
        if machine.role == "hub" and machine.get(*world.SESSION) is None:
            return
        reach = self._gone(fact, op.stream)
        for gap in self._gaps:
            if gap.stream == op.stream and gap.first <= reach + 1:
                reach = max(reach, gap.last)
        text = f"{fact.node} lets {op.stream} go up to {op.upto}; acked or declared lost is all up to {reach}"
        self.demand(op.upto <= reach, text)

    def _gap(self, fact: Stored, op: effects.Gap) -> None:
        body = cursor.decode_gap(op.raw)
        same = body is not None and (body.first, body.last) == (op.first, op.last)
        whole = same and body is not None and body.count == op.last - op.first + 1 and bool(body.reason)
        text = f"{fact.node} puts a gap at {op.first} to {op.last} of {op.stream} whose row does not say so"
        self.demand(whole, text)

    def _turn(self, fact: Stored, op: effects.NewEpoch) -> None:
        lost = op.base - self._gone(fact, op.stream)
        text = f"{fact.node} gives {op.stream} up to {op.base}, {lost} rows beyond what is acked, and declares fewer"
        self.demand(lost <= op.former.lost, text)
