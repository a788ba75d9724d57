"""A20. No workload waits on sync: what should run runs, whether or not anybody above is there.

Demands, of every service that the device's own manifest names, whose restart is `always`, that needs no artifact and
no lease, and that no person has stopped: while its agent lives, a process of it runs again within its longest wait
after the last one ended, and after the agent began (a boot with no network too).

Cannot see: services that end by themselves or cannot be started at all (the machine says so), and devices with a fault
on their disk; a service that needs an artifact may wait for it.
"""

from __future__ import annotations

import msgspec

from edge_agent.core import inputs
from protocol import documents, limits
from protocol.link import child_desired
from tests.checkers import base, followed
from tests.checkers.history import AnyFact, Born, Died, Fault, Gone, Ran, Took
from tests.checkers.world import Machine

SLACK_S = 30.0
"""Beyond the longest wait: a busy device."""

_decode_manifest = msgspec.json.Decoder(child_desired.Manifest).decode


class NoWaiting(base.Checker):
    """See the module."""

    rule = "A20"

    def watch(self) -> None:
        """Ask for processes, and for the time that passes."""
        self._due: dict[tuple[str, str], float] = {}
        self._next = float("inf")
        self.on(Born, self._born)
        self.on(Died, self._died)
        self.on(Ran, self._ran)
        self.on(Gone, self._gone)
        self.on(Fault, self._fault)
        self.on(Took, self._look)
        self.on_took(inputs.LaunchFailed, self._failed)

    def _born(self, fact: Born) -> None:
        self._forget(fact.node)
        if fact.role != "agent" or self.machine(fact).disk not in ("", fact.disk) or self.machine(fact).doubtful:
            return
        machine = self.machine(fact)
        for service, document in _wanted(machine).items():
            if not _runs(machine, service):
                self._expect(fact, service, document)

    def _died(self, fact: Died) -> None:
        self._forget(fact.node)

    def _fault(self, fact: Fault) -> None:
        if fact.kind not in ("cut", "drop", "clock", "flap", "delay"):
            self._forget(fact.node)

    def _forget(self, node: str) -> None:
        for where in [where for where in self._due if where[0] == node]:
            del self._due[where]

    def _ran(self, fact: Ran) -> None:
        if fact.instance.startswith("s-"):
            service = _service(fact.instance)
            self.judged += self._due.pop((fact.node, service), None) is not None

    def _gone(self, fact: Gone) -> None:
        machine, service = self.machine(fact), _service(fact.instance)
        if fact.instance.startswith("s-") and machine.alive:
            document = _wanted(machine).get(service)
            if document is not None:
                self._expect(fact, service, document)

    def _failed(self, fact: Took, failed: inputs.LaunchFailed) -> None:
        self._due.pop((fact.node, _service(failed.instance)), None)

    def _expect(self, fact: AnyFact, service: str, document: documents.Assignment) -> None:
        wait = max(document.backoff.max_s, limits.RESTART_BACKOFF_S_MIN) + document.stop_grace_s + SLACK_S
        self._due[fact.node, service] = fact.at + wait
        self._next = min(self._next, fact.at + wait)

    def _look(self, fact: Took) -> None:
        if fact.at <= self._next:
            return
        for (node, service), due in list(self._due.items()):
            if due < fact.at:
                del self._due[node, service]
                machine = self.world.machine(node)
                waits = machine.alive and service in _wanted(machine) and not _runs(machine, service)
                self.demand(not waits, f"{service} should run on {node} since {due:g}, and does not")
        self._next = min(self._due.values(), default=float("inf"))


def _service(instance: str) -> str:
    return instance[2:].rpartition("-")[0]


def _runs(machine: Machine, service: str) -> bool:
    return any(one.startswith("s-") and _service(one) == service for one in machine.running)


def _wanted(machine: Machine) -> dict[str, documents.Assignment]:
    """Return what should always run on `machine`, by what it has stored itself."""
    wanted: dict[str, documents.Assignment] = {}
    for key in followed.items(machine.spaces):
        raw = followed.document(machine.spaces, key) if key.startswith("assignment/") else None
        document = documents.decode(raw) if raw is not None else None
        if isinstance(document, documents.Assignment) and _always(machine, document):
            wanted[document.service] = document
    return wanted


def _always(machine: Machine, document: documents.Assignment) -> bool:
    stopped = b'"stop"' in (machine.get("override", document.service) or b"")
    free = not document.lease.at_most_one and document.lease.stop_after_s is None
    return document.restart == "always" and not document.process.artifact and not stopped and free
