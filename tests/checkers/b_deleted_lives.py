"""B. A deleted workload that lives on.

Demands: while its agent lives, a process of a service that the device does not follow any more (its manifest does not
name it, nor does a hold, nor is it its own) is gone within the grace that was asked for it.

Cannot see: devices that never hear of the deletion (they may be away for long, and run on: that is the design), and
what people decided on a disk that came from elsewhere.
"""

from __future__ import annotations

from collections.abc import Collection

from edge_agent.core import inputs
from protocol import effects, limits
from protocol.link import child_desired
from tests.checkers import base, followed
from tests.checkers.b_two_copies import service_of
from tests.checkers.history import Acted, AnyFact, Born, Died, Fault, Gone, Stored, Took

SLACK_S = 30.0
"""Beyond the grace: a busy device."""

_SAYING = frozenset({child_desired.MANIFEST, followed.HOLD[0], followed.OWN})


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
        self.on(Stored, self._stored)

    def _launched(self, fact: Acted, launch: inputs.Launch) -> None:
        self._grace[launch.instance] = launch.stop_grace_s

    def _forget(self, fact: AnyFact) -> None:
        for where in [where for where in self._due if where[0] == fact.node]:
            del self._due[where]

    def _born(self, fact: Born) -> None:
        self._forget(fact)
        machine = self.machine(fact)
        if machine.disk == fact.disk and not machine.doubtful and machine.values(child_desired.MANIFEST):
            self._expect(fact, followed.items(machine.spaces))

    def _stored(self, fact: Stored) -> None:
        """Nothing of it is learned yet: of several changes in one commit the last ones count."""
        machine = self.machine(fact)
        if not any(isinstance(op, effects.Put | effects.Delete) and op.space in _SAYING for op in fact.ops):
            return
        spaces = {space: dict(machine.values(space)) for space in _SAYING}
        for op in fact.ops:
            if isinstance(op, effects.Put) and op.space in _SAYING:
                spaces[op.space][op.key] = op.value
            elif isinstance(op, effects.Delete) and op.space in _SAYING:
                spaces[op.space].pop(op.key, None)
        if spaces[child_desired.MANIFEST]:
            self._expect(fact, followed.items(spaces))

    def _expect(self, fact: AnyFact, names: Collection[str]) -> None:
        for instance in self.machine(fact).running:
            service = service_of(instance)
            if service and f"assignment/{service}" not in names:
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
                known = machine.is_sure(*followed.HOLD) and machine.is_sure(followed.OWN, key)
                wanted = not known or key in followed.items(machine.spaces)
                lives = instance in machine.running and machine.alive and not wanted
                self.demand(not lives, f"{instance} lives on on {node}, and its service was deleted")
        self._next = min(self._due.values(), default=float("inf"))
