"""A11. Level-triggered: nothing is deleted because it is absent from a view that is not yet complete.

Demands: a device holds a manifest only with every document that it names; what is kept of a service goes only while the
manifest in force does not name that service; a device that has never held a manifest deletes nothing. What goes while
updates are kept away is judged where that is (b_kept_away).

Cannot see: what a core believes between two commits.
"""

from __future__ import annotations

import msgspec

from protocol import effects
from protocol.link import child_desired
from tests.checkers import base, followed
from tests.checkers.history import Stored
from tests.checkers.world import Machine

_decode = msgspec.json.Decoder(child_desired.Manifest).decode
_DELETED_WITH = ("service", "assignment")


class CompleteView(base.Checker):
    """See the module."""

    rule = "A11"

    def watch(self) -> None:
        """Ask for manifests, documents and what is forgotten."""
        self.on(Stored, self._stored)

    def _stored(self, fact: Stored) -> None:
        machine = self.machine(fact)
        held: child_desired.Manifest | None = None
        is_free = machine.is_sure(*followed.HOLD) and machine.get(*followed.HOLD) is None
        documents: dict[str, bool] = {}
        for op in fact.ops:
            if isinstance(op, effects.Put):
                if op.space == child_desired.DOCUMENT:
                    documents[op.key] = True
                elif op.space == child_desired.MANIFEST:
                    held = _decode(op.value)
            elif isinstance(op, effects.Delete):
                if op.space == child_desired.DOCUMENT:
                    documents[op.key] = False
                elif (op.space, op.key) == followed.HOLD:
                    is_free = True
                elif op.space in _DELETED_WITH and machine.role != "hub" and is_free:
                    self._check_deletion(fact, machine, op, held)
        if held is not None:
            self._check_whole(fact, machine, held, documents)

    def _check_whole(
        self, fact: Stored, machine: Machine, held: child_desired.Manifest, documents: dict[str, bool]
    ) -> None:
        for key, digest in held.items.items():
            here = documents.get(digest)
            if here is None and machine.is_sure(child_desired.DOCUMENT, digest):
                here = machine.get(child_desired.DOCUMENT, digest) is not None
            generation = held.signed.generation
            self.demand(here is not False, f"{fact.node} holds generation {generation} without the document of {key}")

    def _check_deletion(
        self, fact: Stored, machine: Machine, op: effects.Delete, held: child_desired.Manifest | None
    ) -> None:
        known = (
            [held] if held is not None else [_decode(raw) for raw in machine.values(child_desired.MANIFEST).values()]
        )
        if not known and not machine.sure:
            return
        wanted = any(f"assignment/{op.key}" in one.items for one in known)
        why = "its manifest names it" if wanted else "it has never held a manifest"
        self.demand(bool(known) and not wanted, f"{fact.node} forgets the {op.space} {op.key}, and {why}")
