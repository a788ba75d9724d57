"""B. Healthy work restarted or moved because the link came back.

Demands: an agent stops what runs only for a cause that is there to see: the manifest deletes it or changes its runtime
part (not its labels, restart or health), a person stops or restarts it at the device, it is unhealthy and is to be
restarted then, or what it declares for being cut off asks for that (its lease ends, its device is away for long).

Cannot see: whether a probe was right.
"""

from __future__ import annotations

import msgspec

from edge_agent.core import inputs
from edge_agent.core.services import workload
from protocol import documents
from protocol.link import child_desired
from tests.checkers import base, followed
from tests.checkers.b_two_copies import service_of
from tests.checkers.history import Acted, Took
from tests.checkers.world import Machine

_decode = msgspec.json.Decoder(workload.Record).decode
_decode_manifest = msgspec.json.Decoder(child_desired.Manifest).decode


class NeedlessRestart(base.Checker):
    """See the module."""

    rule = "B needless restart"

    def watch(self) -> None:
        """Ask for launches, stops and what people ask."""
        self._process: dict[str, documents.Process] = {}
        self._asked: set[tuple[str, str]] = set()
        self.on_took(inputs.Local, self._local)
        self.on_acted(inputs.Launch, self._launch)
        self.on_acted(inputs.Stop, self._stop)

    def _local(self, fact: Took, local: inputs.Local) -> None:
        if isinstance(local.command, inputs.LocalRestart):
            self._asked.add((fact.node, local.command.service))

    def _launch(self, fact: Acted, launch: inputs.Launch) -> None:
        self._process[f"{fact.node} {launch.instance}"] = launch.process

    def _stop(self, fact: Acted, stop: inputs.Stop) -> None:
        machine, service = self.machine(fact), service_of(stop.instance)
        stored = machine.get("service", service)
        if not service or stored is None or not machine.is_sure("service", service):
            return
        record = _decode(stored)
        if record.instance != stop.instance:
            return  # an orphan of another life of the disk
        was = self._process.get(f"{fact.node} {stop.instance}")
        text = f"{fact.node} stops {stop.instance} because it was {record.cause or 'nothing'}"
        self.demand(self._is_true(machine, service, record.cause, was), f"{text}, which is not so")

    def _is_true(self, machine: Machine, service: str, cause: str, was: documents.Process | None) -> bool:
        wanted = _assignment(machine, service)
        match cause:
            case "deleted":
                return wanted is None
            case "changed":
                return was is None or wanted is None or wanted.process != was
            case "stopped":
                return b'"stop"' in (machine.get("override", service) or b"")
            case "restarted":
                return (machine.name, service) in self._asked
            case "lease":
                return was is None or wanted is None or wanted.lease.at_most_one
            case "cut off":
                return wanted is None or wanted.lease.stop_after_s is not None
            case "unhealthy":
                return wanted is None or wanted.restart_unhealthy
            case _:
                return False


def _assignment(machine: Machine, service: str) -> documents.Assignment | None:
    """Return what the device follows for `service`; None: nothing."""
    raw = followed.document(machine.spaces, f"assignment/{service}")
    document = documents.decode(raw) if raw is not None else None
    return document if isinstance(document, documents.Assignment) else None
