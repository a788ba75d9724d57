"""B. A device whose bytes cost: bytes spent between its contacts, or the device called away between them.

Demands: between two contacts a metered device says nothing that was not asked: no status before its interval is over,
no row that came after the last contact; a word from above that wants something opens a contact, and so does the end of
a task. A hub calls such a device away for its goodbye, for what its operators or its certificate say, for being one of
two, or after three intervals of silence; a lost connection is none of these. And whatever the link is: what a manifest
asks is confirmed at once when it has come in a session.

Cannot see: bytes below the messages (protocol.aio, and the wire's own figures in tests/bench).
"""

from __future__ import annotations

import msgspec

from edge_agent.core import inputs as agent
from hub.core import inputs as hub
from protocol import effects, limits, messages
from protocol.link import child_desired, cursor, table
from protocol.link.below.child import CLONE
from tests.checkers import base
from tests.checkers.history import AnyFact, Died, Fault, Sent, Stored, Took
from tests.checkers.items import last_seq, words_of

SLACK_S = 10.0
"""A slow disk, twice."""
URGENT_S = 15.0

_decode_manifest = msgspec.json.Decoder(child_desired.Manifest).decode

_SAID = (CLONE, "revoked: ", "its certificate has expired")
_Wanting = messages.Desired | messages.Documents | messages.Ask | messages.Welcome


class Contacts(base.Checker):
    """See the module."""

    rule = "B contacts"

    def watch(self) -> None:
        """Ask for what metered devices say and hear, and for what is said of them."""
        self._every: dict[str, float] = {}
        """Device -> the interval that it declared last; 0: it is not metered."""
        self._peer: dict[str, str] = {}
        """Device -> whom it said hello to last."""
        self._open: dict[str, float] = {}
        self._status: dict[str, tuple[float, bool]] = {}
        """Device -> when it sent its last status, and whether that asked for leases."""
        self._free: dict[tuple[str, str], int] = {}
        """(device, stream) -> the last row that it may send."""
        self._heard: dict[tuple[str, str], float] = {}
        self._byes: dict[tuple[str, str], str] = {}
        self._session: dict[str, str] = {}
        """Device -> the hub that has welcomed it, while that session lasts."""
        self._due: dict[str, tuple[float, messages.Held]] = {}
        """Device -> until when it is to confirm what."""
        self.on_sent(messages.Hello, self._hello)
        self.on_sent(messages.Status, self._said)
        self.on_sent(messages.Entries, self._sent)
        self.on_op(effects.Rows, self._rows)
        self.on_op(effects.Put, self._put)
        self.on_acted(table.Disconnect, self._left)
        self.on(Died, self._left)
        self.on(Fault, self._excuse)
        self.on(Took, self._took)

    # ---------------------------------------------------------------------------------------- a device's side

    def _hello(self, fact: Sent, hello: messages.Hello) -> None:
        self._every[fact.node], self._peer[fact.node] = hello.contact_s, fact.peer
        self._left(fact)

    def _left(self, fact: AnyFact, _: object = None) -> None:
        self._session.pop(fact.node, None)
        self._due.pop(fact.node, None)

    def _excuse(self, fact: Fault) -> None:
        self._due.pop(fact.node, None)

    def _took(self, fact: Took) -> None:
        taken = fact.input
        if isinstance(taken, hub.Got):
            where = fact.node, taken.node
            self._heard[where] = fact.at
            if isinstance(taken.message, messages.Bye):
                self._byes[where] = taken.message.reason
        elif isinstance(taken, agent.Got):
            self._asked(fact, taken.message)
        elif isinstance(taken, agent.Closed | agent.Started):
            self._left(fact)
        elif fact.node in self._due and fact.at > self._due[fact.node][0]:
            generation = self._due.pop(fact.node)[1].generation
            raise self.broken(f"{fact.node} took generation {generation} {URGENT_S:g} s ago, and has not said so")

    def _asked(self, fact: Took, message: messages.AnyMessage) -> None:
        if isinstance(message, messages.Welcome) and not (message.refused or message.renew_only):
            self._session[fact.node] = self._peer.get(fact.node, "")
        if isinstance(message, _Wanting):
            self._opens(fact)

    def _opens(self, fact: AnyFact) -> None:
        if self._every.get(fact.node):
            self._open[fact.node] = fact.at + limits.CONTACT_OPEN_S + SLACK_S
            self._release(fact.node)

    def _release(self, node: str) -> None:
        for stream, own in self.world.machine(node).streams.items():
            self._free[node, stream] = own.last

    def _said(self, fact: Sent, status: messages.Status) -> None:
        due = self._due.get(fact.node)
        if due is not None and _reaches(status.held, due[1]):
            del self._due[fact.node]
            self.judged += 1
        every = self._every.get(fact.node)
        if not every:
            return
        before, leased = self._status.get(fact.node, (-every, False))
        self._status[fact.node] = fact.at, bool(status.leases)
        self._release(fact.node)
        asked = fact.at <= self._open.get(fact.node, 0.0) or leased or bool(status.leases)
        text = (
            f"{fact.node} has a contact each {every:g} s, and says how it is {fact.at - before:.1f} s after it last did"
        )
        self.demand(asked or fact.at - before >= every - SLACK_S, text)

    def _sent(self, fact: Sent, message: messages.Entries) -> None:
        if not self._every.get(fact.node) or fact.at <= self._open.get(fact.node, 0.0):
            return
        gap = cursor.decode_gap(message.rows[-1]) if message.rows else None  # it stands for rows that may be sent, too
        free, last = self._free.get((fact.node, message.stream), 0), gap.first if gap else last_seq(message)
        self.demand(last <= free, f"{fact.node} sends row {last} of {message.stream} before its next contact")

    # ---------------------------------------------------------------------------------------- what is committed

    def _rows(self, fact: Stored, op: effects.Rows) -> None:
        if fact.at <= self._open.get(fact.node, 0.0):
            self._free[fact.node, op.stream] = op.rows[-1][0]
        for _, raw, _ in op.rows:
            if b'"task.' in raw and self._every.get(fact.node):
                self._opens(fact)
                self._free[fact.node, op.stream] = op.rows[-1][0]
            elif b'"node.away"' in raw:
                self._away(fact, raw)

    def _away(self, fact: Stored, raw: bytes) -> None:
        kind, node, body = words_of(raw)
        where = fact.node, node
        every = self._every.get(node)
        if kind != "node.away" or not every or self.machine(fact).role != "hub" or where not in self._heard:
            return
        silent_s = fact.at - self._heard[where]
        bye = self._byes.pop(where, None)
        known = any(one.encode() in body for one in (*_SAID, *((bye,) if bye else ())))
        text = f"{fact.node} calls {node} away after {silent_s:.0f} s; it has a contact each {every:g} s"
        self.demand(known or silent_s >= every * limits.CONTACT_MISSES_MAX - SLACK_S, text)

    def _put(self, fact: Stored, op: effects.Put) -> None:
        if op.space == child_desired.MANIFEST and self._session.get(fact.node) == op.key:
            one = _decode_manifest(op.value).signed
            held = messages.Held(term=one.term, generation=one.generation, digest=one.digest)
            self._due[fact.node] = fact.at + URGENT_S, held


def _reaches(said: messages.Held, due: messages.Held) -> bool:
    return (said.term, said.generation) >= (due.term, due.generation)
