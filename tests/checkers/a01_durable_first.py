"""A1. A row is committed before it is sent, before its side effect starts, before anybody is told that it is kept.

Demands: what a message names is committed on its machine (a session, the heads, the last row of Entries, a manifest);
what is launched is stored as started; what a producer was told is kept, is; and a daemon that begins anew from the same
disk stands at least where it stood. Telemetry alone (metrics, logs) may stand lower after a bad death.

Cannot see: whether a commit had reached the platter. The power-loss tests look there.
"""

from __future__ import annotations

import msgspec

from edge_agent.core import inputs
from protocol import messages
from protocol.link import parent, parent_desired
from tests.checkers import base, items, world
from tests.checkers.history import Acted, Born, Kept, Sent

_decode_asked = msgspec.json.Decoder(parent_desired.Record).decode
_decode_child = msgspec.json.Decoder(parent.Record).decode


class DurableFirst(base.Checker):
    """See the module."""

    rule = "A1"

    def watch(self) -> None:
        """Ask for what is sent, launched, promised."""
        self._before: dict[str, dict[str, int]] = {}
        self.on(Born, self._born)
        self.on(Kept, self._kept)
        self.on_sent(messages.Hello, self._hello)
        self.on_sent(messages.Entries, self._entries)
        self.on_sent(messages.Status, self._status)
        self.on_sent(messages.Welcome, self._welcome)
        self.on_sent(messages.Desired, self._desired)
        self.on_acted(inputs.Launch, self._launch)

    def _born(self, fact: Born) -> None:
        machine = self.machine(fact)
        same = machine.disk == fact.disk and not machine.doubtful
        held = {name: own.last for name, own in machine.streams.items() if world.is_chained(name) and own.placed}
        self._before[fact.node] = held if same else {}

    def _kept(self, fact: Kept) -> None:
        self.demand(fact.item in self.world.items, f"{fact.item} was promised to be kept, and is in no commit")

    def _hello(self, fact: Sent, hello: messages.Hello) -> None:
        stored = self.machine(fact).get(*world.SESSION)
        text = f"{fact.node} says hello in session {hello.session}, and has stored {stored!r}"
        self.demand(stored is not None and int(stored) >= hello.session, text)
        self._check_heads(fact, {name: head.seq for name, head in hello.streams.items()})
        for name, last in self._before.pop(fact.node, {}).items():
            head = hello.streams.get(name)
            text = f"{fact.node} had committed {name} up to {last}, and begins again with {head and head.seq}"
            self.demand(head is not None and head.seq >= last, text)

    def _status(self, fact: Sent, status: messages.Status) -> None:
        self._check_heads(fact, status.heads)

    def _check_heads(self, fact: Sent, heads: dict[str, int]) -> None:
        for name, seq in heads.items():
            own = self.machine(fact).own(name)
            if own.sure:
                self.demand(seq <= own.last, f"{fact.node} tells of {name} {seq}, and has committed {own.last}")

    def _entries(self, fact: Sent, message: messages.Entries) -> None:
        own = self.machine(fact).own(message.stream)
        if own.sure and message.rows:
            last = items.last_seq(message)
            text = f"{fact.node} sends {message.stream} up to {last}, and has committed {own.last}"
            self.demand(last <= own.last, text)

    def _welcome(self, fact: Sent, welcome: messages.Welcome) -> None:
        if welcome.refused:
            return
        stored = self.machine(fact).get(parent.CHILD, fact.peer)
        session = _decode_child(stored).session if stored is not None else 0
        text = f"{fact.node} welcomes {fact.peer} to session {welcome.session}, and has stored {session}"
        self.demand(session >= welcome.session, text)

    def _desired(self, fact: Sent, desired: messages.Desired) -> None:
        machine = self.machine(fact)
        if not machine.is_sure(parent_desired.ASKED, fact.peer):
            return
        stored = machine.get(parent_desired.ASKED, fact.peer)
        asked = _decode_asked(stored) if stored is not None else parent_desired.Record(term=0)
        signed = desired.signed
        text = f"{fact.node} asks {fact.peer} for generation {signed.generation}, and has stored {asked.generation}"
        self.demand((asked.term, asked.generation) >= (signed.term, signed.generation), text)

    def _launch(self, fact: Acted, launch: inputs.Launch) -> None:
        space, key = _place(launch)
        machine = self.machine(fact)
        if not machine.is_sure(space, key):
            return
        stored = machine.get(space, key)
        known = stored is not None and (space == "step" or f'"{launch.instance}"'.encode() in stored)
        self.demand(known, f"{fact.node} launches {launch.instance}, which is not stored as started")


def _place(launch: inputs.Launch) -> tuple[str, str]:
    """Return (space, key) of the record that says that the instance was started."""
    if launch.instance.startswith("s-"):
        return "service", launch.key
    if launch.instance.startswith("t-"):
        return "task", launch.key
    step = launch.instance.removeprefix(f"r-{launch.key}-").rpartition("-")[0]
    return "step", f"{launch.key}/{step}"
