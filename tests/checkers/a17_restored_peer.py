"""A17. A restored peer is detected, both ways; never a silent roll-back of a fleet.

Demands: a parent asks nothing of a child that is at or below what the child said it holds (but the same, again), and
raises an alarm when a child holds more than was ever asked; within an epoch a parent's cursor never falls; of a
child whose head is behind that cursor nothing more is taken in the same epoch; and a hub that lives from a backup asks
nothing, neither new nor as it asked before, until an operator has accepted that.

Cannot see: a restored peer that nobody could tell from the one that was lost.
"""

from __future__ import annotations

import msgspec

from hub.core import inputs, registry
from hub.core.rehome import orders
from protocol import effects, messages
from protocol.link import parent, parent_desired, parent_entries
from tests.checkers import base
from tests.checkers.history import Born, Fault, Sent, Stored, Took

_ALARM = b'"restored-parent"'
_decode_node = msgspec.json.Decoder(registry.Node).decode
_decode_child = msgspec.json.Decoder(parent.Record).decode
_decode_asked = msgspec.json.Decoder(parent_desired.Record).decode
_decode_cursor = msgspec.json.Decoder(parent_entries.Record).decode


class RestoredPeer(base.Checker):
    """See the module."""

    rule = "A17"

    def watch(self) -> None:
        """Ask for hellos and what is made of them."""
        self._held: dict[tuple[str, str], messages.Held] = {}
        self._behind: dict[tuple[str, str, str], str] = {}
        self._due: dict[tuple[str, str], tuple[str, float]] = {}
        """(hub, child) -> what the child said that it holds, and the hub's wall clock then."""
        self._newest: dict[tuple[str, str], int] = {}
        self._expired: dict[tuple[str, str], int] = {}
        self._doubted: set[str] = set()
        self._taken: set[tuple[str, str]] = set()
        """(hub, child) that an operator has accepted one by one."""
        self._moved: set[str] = set()
        """Whom some hub has told to move."""
        self.on(Born, self._born)
        self.on(Fault, self._fault)
        self.on_took(inputs.Request, self._asked)
        self.on(Stored, self._stored)
        self.on_took(inputs.Opened, self._opened)
        self.on_heard(messages.Hello, self._hello)
        self.on_heard(messages.Status, self._status)
        self.on_sent(messages.Desired, self._desired)
        self.on_op(effects.Received, self._received)
        self.on_op(effects.Put, self._put)

    def _born(self, fact: Born) -> None:
        for table in (self._held, self._due, self._newest, self._expired):
            for where in [where for where in table if where[0] == fact.node]:
                del table[where]
        self._behind = {where: epoch for where, epoch in self._behind.items() if where[0] != fact.node}

    def _fault(self, fact: Fault) -> None:
        if fact.kind == "restore" and "copied" in fact.note and self.machine(fact).role == "hub":
            self._doubted.add(fact.node)
            self._taken = {where for where in self._taken if where[0] != fact.node}

    def _asked(self, fact: Took, request: inputs.Request) -> None:
        if isinstance(request.op, inputs.AcceptRestore):
            self._doubted.discard(fact.node)
        elif isinstance(request.op, inputs.AcceptNode):
            self._taken.add((fact.node, request.op.node))

    def _opened(self, fact: Took, opened: inputs.Opened) -> None:
        self._expired[fact.node, opened.node] = opened.connection if opened.expired else -1

    def _is_greeted(self, fact: Took, hello: messages.Hello) -> bool:
        """Tell whether a hello is more than a late one, of a child that is served here."""
        where = (fact.node, hello.node)
        stored = self.machine(fact).get(parent.CHILD, hello.node)
        record = _decode_child(stored) if stored is not None else parent.Record()
        newest = max(record.session, self._newest.get(where, 0))
        self._newest[where] = max(newest, hello.session)
        expired = self._expired.get(where, -1) == getattr(fact.input, "connection", 0)
        return hello.session > newest and not (record.quarantined or record.revoked or expired)

    def _hello(self, fact: Took, hello: messages.Hello) -> None:
        if not self._is_greeted(fact, hello):
            return
        hub = self.machine(fact)
        self._held[fact.node, hello.node] = hello.held
        stored, asked = hub.get(parent.CHILD, hello.node), hub.get(parent_desired.ASKED, hello.node)
        record = _decode_child(stored) if stored is not None else parent.Record()
        elsewhere = record.adopted or record.left  # another parent asked; it is taken over, or waited for
        is_known = hub.is_sure(parent.CHILD, hello.node) or hello.node not in self._moved
        if asked is not None and not elsewhere and is_known and hub.is_sure(parent_desired.ASKED, hello.node):
            one = _decode_asked(asked)
            if (hello.held.term, hello.held.generation) > (one.term, one.generation):
                held = f"generation {hello.held.generation} of term {hello.held.term}"
                self._due[fact.node, hello.node] = held, fact.now.wall
        for stream, head in hello.streams.items():
            held = hub.cursors.get((hello.node, stream))
            if held is not None and held.epoch == head.epoch and head.seq < held.seq:
                self._behind[fact.node, hello.node, stream] = head.epoch

    def _status(self, fact: Took, status: messages.Status) -> None:
        node = getattr(fact.input, "node", "")
        known = self._held.get((fact.node, node))
        if known is not None and (status.held.term, status.held.generation) > (known.term, known.generation):
            self._held[fact.node, node] = status.held

    def _desired(self, fact: Sent, desired: messages.Desired) -> None:
        held, one = self._held.get((fact.node, fact.peer)), desired.signed
        if fact.node in self._doubted and (fact.node, fact.peer) not in self._taken:
            raise self.broken(
                f"{fact.node} lives from a backup, and sends {fact.peer} a manifest before that is accepted"
            )
        if held is not None:
            theirs, ours = (held.term, held.generation), (one.term, one.generation)
            text = f"{fact.node} asks {fact.peer} for generation {one.generation} of term {one.term}"
            again = ours == theirs and one.digest == held.digest
            self.demand(ours > theirs or again, f"{text}; it holds {held.generation} of {held.term}")

    def _stored(self, fact: Stored) -> None:
        """A hello that was greeted is stored in one commit with the alarm that it is worth. A child hub whose CA has
        expired is served a renewal alone (C15): what it holds is judged when it says hello with the new one."""
        for op in fact.ops:
            if not isinstance(op, effects.Put) or op.space != parent.CHILD or (fact.node, op.key) not in self._due:
                continue
            said, wall = self._due.pop((fact.node, op.key))
            told = [one.value for one in fact.ops if isinstance(one, effects.Put) and one.space == registry.SPACE]
            told.append(self.machine(fact).get(registry.SPACE, op.key) or b"")
            if any(0 < _decode_node(raw).until_ms < wall * 1000 for raw in told if b'"kind":"hub"' in raw):
                continue
            text = f"{op.key} holds {said}, which {fact.node} never asked, and nobody is alarmed"
            self.demand(any(_ALARM in one for one in told), text)

    def _received(self, fact: Stored, op: effects.Received) -> None:
        behind = self._behind.get((fact.node, op.node, op.stream))
        if behind == op.epoch:
            raise self.broken(
                f"{fact.node} takes {op.stream} of {op.node} in epoch {behind}, whose head had fallen back"
            )

    def _put(self, fact: Stored, op: effects.Put) -> None:
        is_asked = op.space == parent_desired.ASKED
        if is_asked and fact.node in self._doubted and (fact.node, op.key) not in self._taken:
            raise self.broken(
                f"{fact.node} lives from a backup, and asks {op.key} for more before anybody accepts that"
            )
        if op.space == orders.ORDER:
            self._moved.add(op.key)
        if op.space != parent_entries.CURSOR:
            return
        node, _, stream = op.key.partition("/")
        now, old = _decode_cursor(op.value), self.machine(fact).cursors.get((node, stream))
        if old is None or not self.machine(fact).is_sure(op.space, op.key):
            return
        if old.epoch != now.epoch:
            self._behind.pop((fact.node, node, stream), None)
        else:
            text = f"{fact.node} puts its cursor for {stream} of {node} back from {old.seq} to {now.seq}"
            self.demand(now.seq >= old.seq, text)
