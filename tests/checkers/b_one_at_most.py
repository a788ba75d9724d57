"""A service with `at_most_one` never runs twice at one moment, wherever its copies are (INVARIANTS A20).

Demands, of what the machines themselves saw run, in the world's own time: no process of a service that is declared once
and under a lease begins while another one, launched under the same declaration, runs on any other machine.

A device that has turned to another hub takes its processes with it: what that hub places there under the same name is
its own, from then on.

Cannot see: devices whose disk came from elsewhere, and clones: two of them prove to be one; copies that were launched
before the declaration said so.
"""

from __future__ import annotations

import msgspec

from hub.core.work import declared, resources
from protocol.link import parent
from tests.checkers import base
from tests.checkers.b_two_copies import service_of
from tests.checkers.history import Gone, Ran
from tests.checkers.world import Machine

_Declared = tuple[str, str]
"""(owner, key)."""

_decode_resource = msgspec.json.Decoder(declared.Resource).decode


class OneAtMost(base.Checker):
    """See the module."""

    rule = "one at most"

    def watch(self) -> None:
        """Ask for what runs."""
        self._running: dict[_Declared, set[tuple[str, str]]] = {}
        self.on(Ran, self._ran)
        self.on(Gone, self._gone)

    def _ran(self, fact: Ran) -> None:
        machine, service = self.machine(fact), service_of(fact.instance)
        if not service or machine.foreign or "~" in machine.name:
            return
        one = self._declared(machine, f"service/{service}")
        if one is None:
            return
        self._turned(one[1])
        others = {where for where in self._running.get(one, ()) if where[0] != fact.node}
        text = f"{fact.instance} begins on {fact.node} while {', '.join(f'{what} runs on {on}' for on, what in others)}"
        self.demand(not others, f"{text}, and {one[1]} of {one[0]} may run once at most")
        self._running.setdefault(one, set()).add((fact.node, fact.instance))

    def _turned(self, key: str) -> None:
        """What runs as `key` is, by now, of the hub that places it where it runs."""
        for one in [one for one in self._running if one[1] == key]:
            for node, instance in list(self._running[one]):
                now = self._declared(self.world.machine(node), key) if node in self.world.home else None
                if now is not None and now != one:
                    self._running[one].discard((node, instance))
                    self._running.setdefault(now, set()).add((node, instance))

    def _gone(self, fact: Gone) -> None:
        for running in self._running.values():
            running.discard((fact.node, fact.instance))

    def _declared(self, machine: Machine, key: str) -> _Declared | None:
        """Return what is declared once at most and placed on `machine` as `key`, by the hub that it is under."""
        for hub in self.world.machines.values():
            if hub.role != "hub" or hub.get(parent.CHILD, machine.node) is None:
                continue
            raw = hub.get(resources.SPACE, key)
            record = _decode_resource(raw) if raw is not None else None
            if (
                record is None
                or record.deleted
                or not record.disconnect.at_most_one
                or machine.node not in record.nodes
            ):
                continue
            owner = record.origin.owner.rpartition("/")[2] if record.origin is not None else hub.node
            above = self.world.machine(owner).get(resources.SPACE, key)
            its = _decode_resource(above) if above is not None else None
            if its is not None and its.count == 1 and not its.per_region:
                return owner, key
        return None
