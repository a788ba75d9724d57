"""A2. Only an application ack, sent after the receiver's own commit, moves a cursor.

Demands: an ack or a welcome names no row that its sender has not committed; and no child ever stores as acked what no
parent has committed (the parents' own commits say so, not what the child heard).

Cannot see: what moved a cursor that lies rightly by chance.
"""

from __future__ import annotations

from protocol import effects, messages
from tests.checkers import base
from tests.checkers.history import Sent, Stored


class AcksEndToEnd(base.Checker):
    """See the module."""

    rule = "A2"

    def watch(self) -> None:
        """Ask for acks, given and believed."""
        self.on_sent(messages.EntriesAck, self._ack)
        self.on_sent(messages.Welcome, self._welcome)
        self.on_op(effects.Acked, self._acked)

    def _ack(self, fact: Sent, ack: messages.EntriesAck) -> None:
        self._told(fact, ack.stream, ack.epoch, ack.seq)

    def _welcome(self, fact: Sent, welcome: messages.Welcome) -> None:
        for stream, one in welcome.cursors.items():
            self._told(fact, stream, one.epoch, one.seq)

    def _told(self, fact: Sent, stream: str, epoch: str, seq: int) -> None:
        machine = self.machine(fact)
        held = machine.cursors.get((fact.peer, stream))
        if not machine.is_sure("cursor", f"{fact.peer}/{stream}"):
            if held is None or (epoch, seq) != (held.epoch, held.seq):
                where = (fact.peer, stream)  # a commit that nobody noted
                self.world.committed[where] = max(seq, self.world.committed.get(where, 0))
            return
        committed = held.seq if held is not None else 0
        if held is not None and held.epoch != epoch:
            committed = max((one.seq for one in held.former if one.epoch == epoch), default=0)
        text = f"{fact.node} acks {stream} of {fact.peer} up to {seq}, and has committed {committed}"
        self.demand(seq <= committed, text)

    def _acked(self, fact: Stored, op: effects.Acked) -> None:
        node = self.machine(fact).node
        committed = self.world.committed.get((node, op.stream), 0)
        text = f"{fact.node} takes {op.stream} for acked up to {op.seq}; no parent has committed beyond {committed}"
        self.demand(op.seq <= committed, text)
