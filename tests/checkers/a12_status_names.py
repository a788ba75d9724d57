"""A12. Status names what it saw; older never overwrites newer, and history never overwrites live.

Demands: a status names no manifest that its device does not hold (or held until it turned away from the one who hears
it: that it holds the Move is its last word there, in that session), and its count rises within a session; what a parent
keeps as a child's status rises by (session, count), and is what that child said.

Cannot see: whether the report inside is true; the convergence of A19 compares it with the device.
"""

from __future__ import annotations

import msgspec

from protocol import effects, messages
from protocol.link import child_desired, parent
from tests.checkers import base
from tests.checkers.history import Sent, Stored
from tests.checkers.world import SESSION

_decode_manifest = msgspec.json.Decoder(child_desired.Manifest).decode
_decode_status = msgspec.json.Decoder(messages.Status).decode


class StatusNames(base.Checker):
    """See the module."""

    rule = "A12"

    def watch(self) -> None:
        """Ask for statuses, said and kept."""
        self._counts: dict[tuple[str, str], tuple[int, int]] = {}
        """(node, parent) -> session, count."""
        self._let_go: dict[tuple[str, str], tuple[int, bytes | None]] = {}
        """(node, former parent) -> the session in which it let go of what that asked, and that."""
        self.on_sent(messages.Status, self._said)
        self.on_op(effects.Put, self._put)
        self.on_op(effects.Delete, self._delete)

    def _said(self, fact: Sent, status: messages.Status) -> None:
        machine, held = self.machine(fact), status.held
        where = fact.node, fact.peer
        session, count = self._counts.get(where, (0, 0))
        if session == status.session:
            self.demand(status.count > count, f"{fact.node} counts its statuses {count}, {status.count}")
        self._counts[where] = status.session, status.count
        if not held.generation or not machine.is_sure(child_desired.MANIFEST, fact.peer):
            return
        let_go = self._let_go.get(where, (0, None))
        stored = machine.get(child_desired.MANIFEST, fact.peer) or (let_go[1] if let_go[0] == status.session else None)
        one = _decode_manifest(stored).signed if stored is not None else None
        known = one is not None and (held.term, held.generation) <= (one.term, one.generation)
        text = f"{fact.node} says that it holds generation {held.generation} of term {held.term}"
        self.demand(known, f"{text}, and has stored {one and one.generation}")

    def _delete(self, fact: Stored, op: effects.Delete) -> None:
        if op.space == child_desired.MANIFEST:
            machine = self.machine(fact)
            session = int(machine.get(*SESSION) or b"0")
            self._let_go[fact.node, op.key] = session, machine.get(op.space, op.key)

    def _put(self, fact: Stored, op: effects.Put) -> None:
        hub = self.machine(fact)
        if op.space != parent.STATUS or hub.role != "hub":
            return
        now, stored = _decode_status(op.value), hub.get(op.space, op.key)
        if stored is not None and hub.is_sure(op.space, op.key):
            old = _decode_status(stored)
            text = f"{fact.node} keeps status {now.session}/{now.count} of {op.key} after {old.session}/{old.count}"
            self.demand((now.session, now.count) > (old.session, old.count), text)
