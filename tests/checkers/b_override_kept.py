"""B. An operator's change made at the device, silently overwritten.

Demands: while a device keeps a person's decision to stop a service, it begins no new instance of it; and what ran of it
is gone within the grace, while the agent lives.

Cannot see: an override that was lost with a disk.
"""

from __future__ import annotations

import msgspec

from edge_agent.core import inputs
from edge_agent.core.services import overrides, workload
from protocol import effects, limits
from tests.checkers import base
from tests.checkers.b_two_copies import service_of
from tests.checkers.history import Acted, AnyFact, Born, Died, Fault, Stored, Took
from tests.checkers.world import Machine

SLACK_S = 30.0
"""Beyond the grace: a busy device."""

_SPACE = "override"
_decode_override = msgspec.json.Decoder(overrides.Override).decode
_decode_service = msgspec.json.Decoder(workload.Record).decode


class OverrideKept(base.Checker):
    """See the module."""

    rule = "B override kept"

    def watch(self) -> None:
        """Ask for decisions, instances, and the time that passes."""
        self._grace: dict[str, float] = {}
        self._due: dict[tuple[str, str], float] = {}
        self.on(Born, self._forget)
        self.on(Died, self._forget)
        self.on(Fault, self._forget)
        self.on(Took, self._look)
        self.on_acted(inputs.Launch, self._launched)
        self.on_op(effects.Put, self._put)

    def _forget(self, fact: AnyFact) -> None:
        for where in [where for where in self._due if where[0] == fact.node]:
            del self._due[where]

    def _launched(self, fact: Acted, launch: inputs.Launch) -> None:
        self._grace[launch.instance] = launch.stop_grace_s

    def _put(self, fact: Stored, op: effects.Put) -> None:
        machine = self.machine(fact)
        if machine.role == "hub":
            return  # what a hub's operators put in the place of a delegated document is another thing
        if op.space == "service" and _is_stopped(machine, op.key):
            instance, stored = _decode_service(op.value).instance, machine.get("service", op.key)
            if machine.is_sure("service", op.key):
                before = _decode_service(stored).instance if stored is not None else ""
                text = f"{fact.node} begins {instance}, though a person there has stopped {op.key}"
                self.demand(instance in ("", before), text)
        elif op.space == _SPACE and _decode_override(op.value).decision == "stop":
            for instance in machine.running:
                if service_of(instance) == op.key:
                    grace_s = self._grace.get(instance, limits.STOP_GRACE_S_MAX)
                    self._due[fact.node, instance] = fact.at + grace_s + SLACK_S

    def _look(self, fact: Took) -> None:
        if not self._due or fact.at <= min(self._due.values()):
            return
        for (node, instance), due in list(self._due.items()):
            if due < fact.at:
                del self._due[node, instance]
                machine, service = self.world.machine(node), service_of(instance)
                lives = machine.alive and instance in machine.running and _is_stopped(machine, service)
                self.demand(not lives, f"{instance} lives on on {node}, though a person there has stopped {service}")


def _is_stopped(machine: Machine, service: str) -> bool:
    stored = machine.get(_SPACE, service)
    return stored is not None and machine.is_sure(_SPACE, service) and _decode_override(stored).decision == "stop"
