"""B. A deleted workload that lives on.

Demands: while its agent lives, a process of a service that the device's manifest does not name any more is gone within
the grace that was asked for it.

Cannot see: devices that never hear of the deletion (they may be away for long, and run on: that is the design), and
processes that an agent met on a disk that came from elsewhere.
"""

from __future__ import annotations

import msgspec

from edge_agent.core import inputs
from protocol import effects, limits
from protocol.link import child_desired
from tests.checkers import base
from tests.checkers.b_two_copies import service_of
from tests.checkers.history import Acted, AnyFact, Born, Died, Fault, Gone, Stored, Took

SLACK_S = 30.0
"""Beyond the grace: a busy device."""

_decode = msgspec.json.Decoder(child_desired.Manifest).decode


class DeletedLives(base.Checker):
    """See the module."""

    rule = "B deleted lives"

    def watch(self) -> None:
        """Ask for manifests, processes, and the time that passes."""
        self._grace: dict[str, float] = {}
        self._due: dict[tuple[str, str], float] = {}
        self._next = float("inf")
        self.on(Born, self._born)
        self.on(Died, self._forget)
        self.on(Fault, self._forget)
        self.on(Gone, self._gone)
        self.on(Took, self._look)
        self.on_acted(inputs.Launch, self._launched)
        self.on_op(effects.Put, self._put)

    def _launched(self, fact: Acted, launch: inputs.Launch) -> None:
        self._grace[launch.instance] = launch.stop_grace_s

    def _forget(self, fact: AnyFact) -> None:
        for where in [where for where in self._due if where[0] == fact.node]:
            del self._due[where]

    def _born(self, fact: Born) -> None:
        self._forget(fact)
        machine = self.machine(fact)
        if machine.disk == fact.disk and not machine.doubtful:
            for stored in machine.values(child_desired.MANIFEST).values():
                self._expect(fact, _decode(stored))

    def _put(self, fact: Stored, op: effects.Put) -> None:
        if op.space == child_desired.MANIFEST:
            self._expect(fact, _decode(op.value))

    def _expect(self, fact: AnyFact, held: child_desired.Manifest) -> None:
        for instance in self.machine(fact).running:
            service = service_of(instance)
            if service and f"assignment/{service}" not in held.items:
                wait = self._grace.get(instance, limits.STOP_GRACE_S_MAX) + SLACK_S
                due = self._due.setdefault((fact.node, instance), fact.at + wait)
                self._next = min(self._next, due)

    def _gone(self, fact: Gone) -> None:
        self.judged += self._due.pop((fact.node, fact.instance), None) is not None

    def _look(self, fact: Took) -> None:
        if fact.at <= self._next:
            return
        for (node, instance), due in list(self._due.items()):
            if due < fact.at:
                del self._due[node, instance]
                machine = self.world.machine(node)
                key = f"assignment/{service_of(instance)}"
                wanted = any(key in _decode(raw).items for raw in machine.values(child_desired.MANIFEST).values())
                lives = instance in machine.running and machine.alive and not wanted
                self.demand(not lives, f"{instance} lives on on {node}, and its service was deleted")
        self._next = min(self._due.values(), default=float("inf"))
