"""A6. A seq is never reused; an epoch belongs to one database file.

Demands: on one disk the rows of a stream rise by one, whatever dies in between; an epoch that a disk has left never
comes again on it; and a copy that its parent has welcomed goes on in no number that the parent holds already under the
same epoch.

Cannot see: numbers that a lost copy used and that reached nobody.
"""

from __future__ import annotations

from protocol import effects, messages
from tests.checkers import base
from tests.checkers.history import Born, Stored, Took


class NoReuse(base.Checker):
    """See the module."""

    rule = "A6"

    def watch(self) -> None:
        """Ask for what is appended."""
        self._left: dict[str, set[tuple[str, str]]] = {}
        self._met: dict[tuple[str, str], messages.Cursor] = {}
        self.on(Born, self._born)
        self.on_heard(messages.Welcome, self._welcomed)
        self.on_op(effects.NewEpoch, self._turned)
        self.on_op(effects.Rows, self._appended)

    def _born(self, fact: Born) -> None:
        machine = self.machine(fact)
        if machine.doubtful or machine.disk != fact.disk:
            self._left[fact.node] = set()
        self._met = {where: one for where, one in self._met.items() if where[0] != fact.node}

    def _welcomed(self, fact: Took, welcome: messages.Welcome) -> None:
        for stream, one in welcome.cursors.items():
            self._met[fact.node, stream] = one

    def _turned(self, fact: Stored, op: effects.NewEpoch) -> None:
        self._left.setdefault(fact.node, set()).add((op.stream, op.former.epoch))
        self._met.pop((fact.node, op.stream), None)

    def _appended(self, fact: Stored, op: effects.Rows) -> None:
        own = self.machine(fact).own(op.stream)
        first, count = op.rows[0][0], len(op.rows)
        if first <= own.last:
            raise self.broken(f"{fact.node} appends row {first} to {op.stream}, whose last row is {own.last}")
        if own.sure and first != own.last + 1:
            raise self.broken(f"{fact.node} appends row {first} to {op.stream} after row {own.last}")
        if op.rows[-1][0] != first + count - 1:
            raise self.broken(f"{fact.node} appends rows to {op.stream} that are not contiguous from {first}")
        if (op.stream, op.epoch) in self._left.get(fact.node, ()):
            raise self.broken(f"{fact.node} appends to {op.stream} in epoch {op.epoch}, which it has left")
        met = self._met.get((fact.node, op.stream))
        if met is not None and met.epoch == op.epoch and first <= met.seq and not _leaves(fact, op):
            raise self.broken(f"{fact.node} appends row {first} to {op.stream}; its parent holds {met.seq} of them")
        self.judged += count


def _leaves(fact: Stored, op: effects.Rows) -> bool:
    """Tell whether the epoch of `op` ends in the commit that holds it: its rows came before the word of the parent."""
    return any(isinstance(one, effects.NewEpoch) and one.stream == op.stream for one in fact.ops)
