"""All services of this device: the difference between the manifest's assignments and what is there."""

from __future__ import annotations

from edge_agent.core import context, inputs
from edge_agent.core.artifacts import Artifacts
from edge_agent.core.context import Context
from edge_agent.core.desired import Desired
from edge_agent.core.services import workload
from edge_agent.core.services.bound import Bound
from edge_agent.core.services.overrides import Overrides
from edge_agent.core.services.workload import Workload
from edge_agent.core.upward.absence import Absence
from protocol import documents, status
from protocol.effects import Effects, Now
from protocol.snapshot import Snapshot


class Roster(Bound):
    """The services by name."""

    def __init__(
        self, snapshot: Snapshot, ctx: Context, artifacts: Artifacts, overrides: Overrides, absence: Absence
    ) -> None:
        super().__init__(ctx, absence)
        self._artifacts = artifacts
        self._overrides = overrides
        force = snapshot.spaces.get("assignment", {})
        for name, record in context.load(snapshot, "service", workload.Record).items():
            self._add(name, record)
            if name in force:
                self.all[name].restore(force[name])

    def adopt(self, found: dict[str, inputs.Found], now: Now, fx: Effects) -> None:
        """At start: meet again what the last life left behind; takes what is a service's out of `found`."""
        for service in list(self.all.values()):
            service.adopt(found.pop(service.record.instance, None), now, fx)

    def take_in(self, found: dict[str, inputs.Found], now: Now, fx: Effects) -> None:
        """At start, when some of the state is lost: what runs and nobody claims runs on until a manifest is known."""
        for one in [one for one in found.values() if one.exit is None and one.instance.startswith("s-")]:
            name = one.instance[2:].rpartition("-")[0]
            if name not in self.all:
                self._add(name, workload.Record(since_ms=context.ms(now)))
            if self.all[name].record.stage is workload.Stage.RESTING:
                self.all[name].take_in(found.pop(one.instance), now, fx)

    def want(self, desired: Desired, now: Now, fx: Effects) -> None:
        """Take a complete manifest and follow it."""
        self.know(desired, now)
        self.settle(now, fx)

    def know(self, desired: Desired, now: Now) -> None:
        """Take a complete manifest; at start this comes before `adopt`, or what was deleted would be started again."""
        assigned, fences = desired.of(documents.Assignment), desired.of(documents.Fence)
        for name in assigned:
            if name not in self.all:
                self._add(name, workload.Record(since_ms=context.ms(now)))
        for name, service in self.all.items():
            doc, assignment = assigned.get(name, (None, None))
            if doc is not None:
                service.want(assignment, doc.digest, doc.raw)
            elif f"assignment/{name}" not in desired.bad:
                service.want(None, "", b"")
            service.known = f"assignment/{name}" not in desired.bad
            service.fence = fences[name][1] if name in fences else None
        meant = [one.wanted.lease.stop_after_s for one in self.all.values() if one.wanted is not None]
        self._absence.shortest_s = min((one for one in meant if one is not None), default=None)

    def settle(self, now: Now, fx: Effects) -> None:
        """Make what is there follow what is wanted, for all of them."""
        for service in self.all.values():
            service.settle(now, fx)
        self._sweep(now, fx)

    def of(self, instance: str) -> Workload | None:
        """Return the service whose current instance this is."""
        service = self.all.get(instance[2:].rpartition("-")[0])
        return service if service is not None and service.record.instance == instance else None

    def launched(self, got: inputs.Launched, now: Now, fx: Effects) -> None:
        """A shim reported a pid."""
        service = self.of(got.instance)
        if service is not None:
            service.launched(got.pid, now, fx)
        else:
            fx.act.append(inputs.Stop(instance=got.instance, grace_s=0.0))

    def launch_failed(self, got: inputs.LaunchFailed, now: Now, fx: Effects) -> None:
        """A launch failed."""
        service = self.of(got.instance)
        if service is not None:
            service.launch_failed(got.error, now, fx)
            self._sweep(now, fx)

    def ended(self, got: inputs.Ended, now: Now, fx: Effects) -> None:
        """A process ended."""
        service = self.of(got.instance)
        if service is None:
            fx.act.append(inputs.Forget(instance=got.instance))
            return
        service.ended(got.exit, now, fx)
        self._sweep(now, fx)

    def probed(self, got: inputs.Probed, now: Now, fx: Effects) -> None:
        """A probe answered."""
        service = self.of(got.instance)
        if service is not None:
            service.probed(got, now, fx)

    def tick(self, now: Now, fx: Effects) -> None:
        """Do what is due."""
        self._absence.tick(now, fx)
        for service in self.all.values():
            due = service.next_wake(now)
            if due is not None and due <= now.mono:
                service.tick(now, fx)

    def next_wake(self, now: Now) -> float | None:
        """Return when (mono) something is due."""
        return context.soonest(self._absence.next_wake(), *(service.next_wake(now) for service in self.all.values()))

    def report(self) -> dict[str, status.ServiceReport]:
        """Return all services as the report shows them."""
        return {name: service.report() for name, service in self.all.items()}

    def artifacts_wanted(self) -> list[str]:
        """Return the artifacts that services need."""
        return [digest for service in self.all.values() for digest in service.artifacts_wanted()]

    def _add(self, name: str, record: workload.Record) -> None:
        self.all[name] = Workload(name, record, self._ctx, self._artifacts, self._overrides, self._absence)

    def _sweep(self, now: Now, fx: Effects) -> None:
        """Forget the services that are deleted and at rest; their overrides die with them."""
        for name, service in list(self.all.items()):
            if service.aim() is workload.reconcile.Aim.GONE:
                self._overrides.end(name, "the service was deleted", now, fx)
                if service.is_gone():
                    service.forget(fx)
                    del self.all[name]
