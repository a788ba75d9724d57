"""A13. Sessions are fenced: what is of an older one changes nothing; one counter with two nonces is a clone.

Demands: a device's counter rises with every session it stores, and no counter goes out with two nonces from one disk;
a parent's record of a child's session never falls, nor does that of the bundles it brought; it serves (acks, manifests,
documents) only the session it has stored, or the one before in the same transaction; two nonces under one counter are
refused.

Cannot see: what an older session's close would have changed, if nothing was sent about it.
"""

from __future__ import annotations

import msgspec

from protocol import effects, messages
from protocol.link import parent
from tests.checkers import base, world
from tests.checkers.history import Born, Sent, Stored

_decode = msgspec.json.Decoder(parent.Record).decode


class SessionsFenced(base.Checker):
    """See the module."""

    rule = "A13"

    def watch(self) -> None:
        """Ask for sessions, said, stored and served."""
        self._said: dict[str, tuple[int, str]] = {}
        self._before: dict[tuple[str, str], int] = {}
        self.on(Born, self._born)
        self.on(Stored, self._stored)
        self.on_sent(messages.Hello, self._hello)
        self.on_sent(messages.Welcome, self._welcome)
        self.on_sent(messages.EntriesAck, self._served)
        self.on_sent(messages.Desired, self._served)
        self.on_sent(messages.Documents, self._served)
        self.on_op(effects.Put, self._put)

    def _born(self, fact: Born) -> None:
        machine = self.machine(fact)
        if machine.doubtful or machine.disk != fact.disk:
            self._said.pop(fact.node, None)

    def _stored(self, fact: Stored) -> None:
        for where in [where for where in self._before if where[0] == fact.node]:
            del self._before[where]

    def _hello(self, fact: Sent, hello: messages.Hello) -> None:
        session, nonce = self._said.get(fact.node, (0, ""))
        once = hello.session > session or (hello.session == session and hello.nonce == nonce)
        text = f"{fact.node} says hello in session {hello.session} ({hello.nonce}) after {session} ({nonce})"
        self.demand(once, text)
        self._said[fact.node] = hello.session, hello.nonce

    def _put(self, fact: Stored, op: effects.Put) -> None:
        machine = self.machine(fact)
        old = machine.get(op.space, op.key)
        if old is None or not machine.is_sure(op.space, op.key):
            return
        if (op.space, op.key) == world.SESSION:
            text = f"{fact.node} counts its sessions {int(old)}, {int(op.value)}"
            self.demand(int(op.value) > int(old), text)
        elif op.space == parent.CHILD:
            self._greeted(fact, op.key, _decode(old), _decode(op.value))

    def _greeted(self, fact: Stored, node: str, old: parent.Record, now: parent.Record) -> None:
        text = f"{fact.node} takes session {now.session} ({now.nonce}) of {node} after {old.session} ({old.nonce})"
        fenced = now.session > old.session or (now.session, now.nonce) == (old.session, old.nonce)
        self.demand(fenced, text)
        if now.carried != old.carried:
            text = f"{fact.node} takes the bundle {now.carried} of {node} for its newest word after {old.carried}"
            self.demand(now.carried > old.carried, text)
        if now.session > old.session:
            self._before[fact.node, node] = old.session

    def _welcome(self, fact: Sent, welcome: messages.Welcome) -> None:
        stored = self.machine(fact).get(parent.CHILD, fact.peer)
        if stored is None or welcome.refused:
            return
        record = _decode(stored)
        if record.session == welcome.session:
            text = f"{fact.node} welcomes {fact.peer} with nonce {welcome.nonce}; the session is {record.nonce}'s"
            self.demand(record.nonce == welcome.nonce, text)

    def _served(self, fact: Sent, message: messages.EntriesAck | messages.Desired | messages.Documents) -> None:
        hub = self.machine(fact)
        stored = hub.get(parent.CHILD, fact.peer)
        if stored is None or not hub.is_sure(parent.CHILD, fact.peer):
            return
        session = _decode(stored).session
        fenced = message.session in (session, self._before.get((fact.node, fact.peer)))
        text = f"{fact.node} serves session {message.session} of {fact.peer}; the newest is {session}"
        self.demand(fenced, text)
