"""A9. An epoch change is negotiated in an authenticated Hello; the parent fences the old epoch for ever.

Demands: a device takes a new epoch out of the one it was in, and says where that ended; it sends rows only in the epoch
that the Hello of this session named, after the Welcome to it; a parent's cursor changes its epoch only to one that a
Hello named in this life (a session's, or a bundle's), keeps the old one among the former ones, and never goes back into
one of them.

Cannot see: who authenticated the Hello; that is the transport's, and has tests of its own.
"""

from __future__ import annotations

import contextlib

import msgspec

from hub.core import inputs
from protocol import effects, messages
from protocol.bundle import head
from protocol.errors import SkerryError
from protocol.link import parent_entries
from tests.checkers import base
from tests.checkers.history import Born, Sent, Stored, Took

_decode_cursor = msgspec.json.Decoder(parent_entries.Record).decode


class EpochsNegotiated(base.Checker):
    """See the module."""

    rule = "A9"

    def watch(self) -> None:
        """Ask for hellos, welcomes, rows and cursors."""
        self._hello: dict[str, messages.Hello] = {}
        self._welcomed: dict[str, int] = {}
        self._named: dict[str, set[tuple[str, str, str]]] = {}
        self.on(Born, self._born)
        self.on_sent(messages.Hello, self._said)
        self.on_sent(messages.Entries, self._entries)
        self.on_heard(messages.Hello, self._heard)
        self.on_took(inputs.Request, self._carried)
        self.on_heard(messages.Welcome, self._welcome)
        self.on_op(effects.NewEpoch, self._turn)
        self.on_op(effects.Put, self._put)

    def _born(self, fact: Born) -> None:
        self._hello.pop(fact.node, None)
        self._named[fact.node] = set()

    def _said(self, fact: Sent, hello: messages.Hello) -> None:
        self._hello[fact.node] = hello

    def _welcome(self, fact: Took, welcome: messages.Welcome) -> None:
        self._welcomed[fact.node] = welcome.session

    def _carried(self, fact: Took, request: inputs.Request) -> None:
        if isinstance(request.op, inputs.TakeBundle):
            with contextlib.suppress(SkerryError):  # one that is no bundle names nothing
                self._heard(fact, head.read(request.op.head, head.Up)[0].hello)

    def _heard(self, fact: Took, hello: messages.Hello) -> None:
        named = self._named.setdefault(fact.node, set())
        named.update((hello.node, stream, one.epoch) for stream, one in hello.streams.items())

    def _entries(self, fact: Sent, message: messages.Entries) -> None:
        hello = self._hello.get(fact.node)
        if hello is None or hello.session != message.session:
            raise self.broken(f"{fact.node} sends entries in session {message.session} without a hello in it")
        if self._welcomed.get(fact.node) != message.session:
            raise self.broken(f"{fact.node} sends entries in session {message.session}, which nobody welcomed")
        one = hello.streams.get(message.stream)
        text = f"{fact.node} sends {message.stream} in epoch {message.epoch}, and said hello with {one and one.epoch}"
        self.demand(one is not None and one.epoch == message.epoch, text)

    def _turn(self, fact: Stored, op: effects.NewEpoch) -> None:
        own = self.machine(fact).own(op.stream)
        text = f"{fact.node} begins epoch {op.epoch} of {op.stream} out of {op.former.epoch}, and was in {own.epoch}"
        known = own.placed and own.sure
        self.demand(op.epoch != op.former.epoch and (not known or own.epoch == op.former.epoch), text)
        if known:
            text = f"{fact.node} says that {op.former.epoch} of {op.stream} ended at {op.former.seq}, beyond {own.last}"
            self.demand(op.former.seq <= own.last, text)

    def _put(self, fact: Stored, op: effects.Put) -> None:
        if op.space != parent_entries.CURSOR:
            return
        node, _, stream = op.key.partition("/")
        now, before = _decode_cursor(op.value), self.machine(fact).cursors.get((node, stream))
        if before is None or before.epoch == now.epoch or not self.machine(fact).is_sure(op.space, op.key):
            return
        text = f"{fact.node} turns its cursor for {stream} of {node} from epoch {before.epoch} to {now.epoch}"
        named = (node, stream, now.epoch) in self._named.get(fact.node, ())
        self.demand(named, f"{text}, which no hello named")
        former = [one.epoch for one in now.former]
        self.demand(before.epoch in former, f"{text}, and does not fence the one before")
        self.demand(now.epoch not in former, f"{text}, which is fenced")
