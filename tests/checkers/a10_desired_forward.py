"""A10. Desired only moves forward: (term, generation), stored before it is applied, after restarts too.

Demands: what a device holds rises with every manifest it stores, and is what some parent asked of it under that number
(its digest too); what a parent asks rises with every change of it, whatever was deleted and made again.

Cannot see: signatures (a forged manifest shows as one that nobody asked).
"""

from __future__ import annotations

from collections import defaultdict

import msgspec

from protocol import effects
from protocol.link import child_desired, parent_desired
from tests.checkers import base
from tests.checkers.history import Stored

_decode_asked = msgspec.json.Decoder(parent_desired.Record).decode
_decode_manifest = msgspec.json.Decoder(child_desired.Manifest).decode


class DesiredForward(base.Checker):
    """See the module."""

    rule = "A10"

    def watch(self) -> None:
        """Ask for what is asked and what is held."""
        self._asked: defaultdict[tuple[str, int, int], set[str]] = defaultdict(set)
        self.on_op(effects.Put, self._put)

    def _put(self, fact: Stored, op: effects.Put) -> None:
        if op.space == parent_desired.ASKED:
            self._ask(fact, op)
        elif op.space == child_desired.MANIFEST:
            self._hold(fact, op)

    def _ask(self, fact: Stored, op: effects.Put) -> None:
        now, hub = _decode_asked(op.value), self.machine(fact)
        self._asked[op.key, now.term, now.generation].add(now.digest)
        stored = hub.get(op.space, op.key)
        if stored is None or not hub.is_sure(op.space, op.key):
            return
        old = _decode_asked(stored)
        higher = (now.term, now.generation) > (old.term, old.generation)
        same = (now.term, now.generation, now.digest) == (old.term, old.generation, old.digest)
        text = f"{fact.node} asks {op.key} for generation {now.generation} of term {now.term} after "
        self.demand(higher or same, f"{text}{old.generation} of {old.term}")

    def _hold(self, fact: Stored, op: effects.Put) -> None:
        now, machine = _decode_manifest(op.value).signed, self.machine(fact)
        text = f"{fact.node} holds generation {now.generation} of term {now.term}"
        digests = self._asked.get((machine.node, now.term, now.generation))
        if digests is not None:
            self.demand(now.digest in digests, f"{text} with a content that nobody asked under that number")
        elif all(one.sure for one in self.world.machines.values() if one.role == "hub"):
            raise self.broken(f"{text}, which nobody asked")
        stored = machine.get(op.space, op.key)
        if stored is not None and machine.is_sure(op.space, op.key):
            old = _decode_manifest(stored).signed
            higher = (now.term, now.generation) > (old.term, old.generation)
            self.demand(higher, f"{text} after {old.generation} of {old.term}")
