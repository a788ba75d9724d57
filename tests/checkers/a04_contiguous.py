"""A4. Only last + 1 is applied; a hole is an explicit GAP entry with its range, count and reason, never a skip.

Demands: what a parent receives follows its cursor, row by row, in the cursor's epoch; where numbers are missing, a GAP
row covers them, or the bytes were set aside in the same transaction (A21).

Cannot see: rows of a hub whose disk came from elsewhere, until its first cursor of the child is seen.
"""

from __future__ import annotations

from protocol import effects
from protocol.link import cursor
from protocol.messages import RELAYS
from tests.checkers import base
from tests.checkers.history import Stored


class Contiguous(base.Checker):
    """See the module."""

    rule = "A4"

    def watch(self) -> None:
        """Ask for what is received."""
        self._aside: set[tuple[str, str, int]] = set()
        self.on(Stored, self._stored)
        self.on_op(effects.SetAside, self._set_aside)
        self.on_op(effects.Received, self._received)

    def _stored(self, fact: Stored) -> None:
        self._aside.clear()

    def _set_aside(self, fact: Stored, op: effects.SetAside) -> None:
        self._aside.add((op.node, op.stream, op.seq))

    def _received(self, fact: Stored, op: effects.Received) -> None:
        if self.world.is_relayed(op) or op.stream in RELAYS:
            return  # what a child hub relays has a rule of its own (b_relay)
        machine = self.machine(fact)
        where = f"{op.stream} of {op.node}"
        held = machine.cursors.get((op.node, op.stream))
        if held is None or not machine.is_sure("cursor", f"{op.node}/{op.stream}"):
            if machine.sure:
                raise self.broken(f"{fact.node} receives {where} without a cursor")
            return
        if held.epoch != op.epoch:
            raise self.broken(f"{fact.node} receives {where} in epoch {op.epoch}; its cursor is in {held.epoch}")
        due = held.seq + 1
        for seq, raw, *_ in op.rows:
            while (op.node, op.stream, due) in self._aside:
                due += 1
            if seq != due:
                gap = cursor.decode_gap(raw)
                if gap is None or not gap.first <= due <= gap.last:
                    raise self.broken(f"{fact.node} receives row {seq} of {where}, where row {due} is due")
                if gap.count != gap.last - gap.first + 1 or not gap.reason:
                    raise self.broken(
                        f"{fact.node} receives a gap of {where} that does not say how much is lost, or why"
                    )
            due = seq + 1
        self.judged += len(op.rows)
