"""A15. Time decides no order, no dedupe, no pruning.

Demands: a core's `mono` never falls within a life; the commit in which a wall clock that jumped is first seen turns no
epoch and lets no row go, unless a message came too, or rows for which a small quota makes room; and rows whose times
run backwards are received in the order of their numbers all the same.

Cannot see: what was left undone because of a clock; A19 and A20 do.
"""

from __future__ import annotations

from protocol import effects
from protocol.link import cursor
from tests.checkers import base
from tests.checkers.history import Born, Stored, Took

JUMP_S = 3_600.0
"""A wall clock that leaves `mono` by so much at once has jumped."""


class TimeDecidesNothing(base.Checker):
    """See the module."""

    rule = "A15"

    def watch(self) -> None:
        """Ask for moments and what follows them."""
        self._last: dict[str, tuple[float, float]] = {}
        self._jumped: dict[str, float] = {}
        self._newest: dict[tuple[str, str, str], tuple[int, int]] = {}
        self.on(Born, self._born)
        self.on(Took, self._took)
        self.on(Stored, self._stored)
        self.on_op(effects.Received, self._received)

    def _born(self, fact: Born) -> None:
        self._last.pop(fact.node, None)
        self._jumped.pop(fact.node, None)
        for where in [where for where in self._newest if where[0] == fact.node]:
            del self._newest[where]

    def _took(self, fact: Took) -> None:
        now, last = fact.now, self._last.get(fact.node)
        self._last[fact.node] = now.mono, now.wall
        if last is None:
            return
        mono, wall = last
        if now.mono < mono:
            raise self.broken(f"the time of {fact.node} falls from {mono} to {now.mono} within a life")
        jump = (now.wall - wall) - (now.mono - mono)
        if hasattr(fact.input, "message"):
            self._jumped.pop(fact.node, None)
        elif abs(jump) > JUMP_S:
            self._jumped[fact.node] = jump

    def _stored(self, fact: Stored) -> None:
        jump = self._jumped.pop(fact.node, None)
        if jump is None:
            return
        grows = self.world.quota_bytes and any(isinstance(op, effects.Rows) for op in fact.ops)  # and needs the room
        for op in fact.ops:
            if isinstance(op, effects.NewEpoch) or (isinstance(op, effects.Trim | effects.Gap) and not grows):
                raise self.broken(f"{fact.node} sees its clock jump by {jump:g} s, and its {op.stream} changes: {op}")
        self.judged += 1

    def _received(self, fact: Stored, op: effects.Received) -> None:
        if self.world.is_relayed(op):
            return  # what was missing may come late (b_relay)
        where = (fact.node, op.node, op.stream)
        seq, time_ms = self._newest.get(where, (0, 0))
        for row in op.rows:
            if row[3] < time_ms and row[4] != cursor.GAP:
                held = self.machine(fact).cursors.get((op.node, op.stream))
                again = held is not None and held.seq < seq  # the numbers of a child's cursor fell: another epoch
                text = f"{fact.node} receives row {row[0]} of {op.stream} of {op.node} after row {seq}"
                self.demand(row[0] > seq or again, f"{text}, which is younger")
            seq, time_ms = row[0], row[3]
        self._newest[where] = seq, time_ms
