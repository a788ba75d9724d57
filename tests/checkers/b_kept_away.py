"""B. What a person at the device decided, silently undone: updates that a hold keeps away, what was declared there.

Demands: while a device keeps a hold, what is in force of each service, and what it asks root to install, is what was in
force when the hold began; what was declared there is in force whatever the hub asks under that name; neither is
forgotten while it stands. A hold goes when somebody there says so, or its life is over; a device's own document when
somebody there deletes it.

Cannot see: decisions that were lost with a disk.
"""

from __future__ import annotations

from edge_agent.core import inputs
from protocol import effects
from tests.checkers import base, followed
from tests.checkers.history import Acted, Stored, Took
from tests.checkers.world import Machine


class KeptAway(base.Checker):
    """See the module."""

    rule = "B kept away"

    def watch(self) -> None:
        """Ask for what people say, and what is in force."""
        self._said: set[tuple[str, str]] = set()
        """(device, what somebody there asked to go)."""
        self._wall: dict[str, float] = {}
        self.on(Took, self._took)
        self.on_took(inputs.Local, self._local)
        self.on_acted(inputs.Install, self._install)
        self.on_op(effects.Put, self._put)
        self.on_op(effects.Delete, self._delete)

    def _took(self, fact: Took) -> None:
        self._wall[fact.node] = fact.now.wall

    def _local(self, fact: Took, local: inputs.Local) -> None:
        match local.command:
            case inputs.LocalUnhold():
                self._said.add((fact.node, followed.HOLD[1]))
            case inputs.LocalDelete(kind=kind, name=name):
                self._said.add((fact.node, f"{'assignment' if kind == 'service' else kind}/{name}"))
            case _:
                pass

    def _stands(self, machine: Machine, key: str) -> bytes | None:
        """Return the document that a person's decision keeps in force under `key`; b"": none is to be; None: no
        decision is known."""
        own = machine.get(followed.OWN, key)
        if own is not None:
            return followed.of_own(own) if machine.is_sure(followed.OWN, key) else None
        held = self._held(machine)
        return None if held is None else held.get(key, b"")

    def _held(self, machine: Machine) -> dict[str, bytes] | None:
        return followed.of_hold(machine.spaces) if machine.is_sure(*followed.HOLD) else None

    def _put(self, fact: Stored, op: effects.Put) -> None:
        if op.space == "assignment":
            stands = self._stands(self.machine(fact), f"assignment/{op.key}")
            if stands is not None:
                text = f"{fact.node} puts another {op.key} in force than the person there keeps"
                self.demand(stands == op.value, text)

    def _delete(self, fact: Stored, op: effects.Delete) -> None:
        machine = self.machine(fact)
        if op.space == "assignment":
            stands = self._stands(machine, f"assignment/{op.key}")
            self.demand(not stands, f"{fact.node} forgets {op.key}, which the person there keeps")
        elif (op.space, op.key) == followed.HOLD:
            self._ended(fact, machine)
        elif op.space == followed.OWN and machine.is_sure(op.space, op.key):
            said = (fact.node, op.key) in self._said
            self.demand(said, f"{fact.node} lets go of its own {op.key}, and nobody there said so")
            self._said.discard((fact.node, op.key))

    def _ended(self, fact: Stored, machine: Machine) -> None:
        stored = machine.get(*followed.HOLD)
        if stored is None or not machine.is_sure(*followed.HOLD):
            return
        said = (fact.node, followed.HOLD[1]) in self._said
        self._said.discard((fact.node, followed.HOLD[1]))
        until_ms = followed.decode_hold(stored).until_ms
        is_over = 0 < until_ms <= self._wall.get(fact.node, 0.0) * 1000
        self.demand(said or is_over, f"{fact.node} ends a hold that nobody ended")

    def _install(self, fact: Acted, install: inputs.Install) -> None:
        held = self._held(self.machine(fact))
        if held is not None:
            is_held = install.request in held.values()
            self.demand(is_held, f"{fact.node} installs what came while updates are kept away")
