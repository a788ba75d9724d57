"""Who gets a lease (INVARIANTS A20): a service with `at_most_one` runs nowhere without one.

What bounds the copies is here, whatever moved them (a failing over, a drain, a changed selector, a second region): a
child gets a lease only while those that others may still run under, and its own, are no more than were asked for. A
lease ends early when the child says, with a manifest that does not ask for it, that nothing is there. Who runs it and
never had a lease (it needed none before) counts as long as it says so. A region gives its nodes no longer leases than
it has itself from its parent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hub.core.failover import rules
from hub.core.failover.ceiling import Ceiling
from hub.core.failover.given import Given, Lease
from hub.core.failover.waiting import Waiting
from hub.core.work.declared import Resource
from protocol import documents, limits, status
from protocol.effects import Effects, Now
from protocol.snapshot import Snapshot

if TYPE_CHECKING:
    from hub.core.hub import HubCore

_RUNS = frozenset({"starting", "running", "stopping"})
_ONE = Lease(bound_s=0.0)


class Leases:
    """Gives them, and keeps in mind who waits for one."""

    def __init__(self, snapshot: Snapshot, core: HubCore) -> None:
        self._core = core
        self.given = Given(snapshot)
        self._said: dict[str, set[str]] = {}
        """Who said last that a service runs there, of those that were looked for."""
        self.waiting = Waiting()
        self.ceiling = Ceiling(core)

    def start(self, now: Now) -> None:
        """A life begins."""
        self.given.start(now)
        self.given.leave(*(node.name for node in self._core.registry if node.revoked_ms))

    # -------------------------------------------------------------------------------------------- what children say

    def heard(self, child: str, report: status.Report, is_whole: bool, now: Now, fx: Effects) -> None:
        """A child says how it is. `is_whole`: it has all that is asked of it, and nothing else is to be."""
        core = self._core
        for service, names in self._said.items():
            said = report.services.get(service)
            if said is not None and said.state in _RUNS:
                names.add(child)
            elif child in names:
                names.discard(child)
                self.waiting.hurry(service)
        if not is_whole or core.registry.get(child).kind == "hub":
            return  # a region says nothing of single copies: its lease runs out
        placed = core.delegate.placed(child)
        for service in self.given.to(child):
            if service not in report.services and f"service/{service}" not in placed:
                self.given.end(service, child, fx)
                self._retry(service, now, fx)

    def ask(self, child: str, services: list[str], count: int, is_whole: bool, now: Now, fx: Effects) -> None:
        """A child's Status `count` asks for leases: give what can be given, keep in mind what cannot."""
        self.waiting.forget(child)
        granted = {service: self._grant(service, child, is_whole, now, fx) for service in services}
        for service in [service for service, seconds in granted.items() if seconds <= 0]:
            del granted[service]
            self.waiting.put(service, {child: count}, self.given.next_end(service, now))
        if granted:
            self._core.parent.lease(child, count, granted, fx)

    # -------------------------------------------------------------------------------------------- giving

    def _grant(self, service: str, child: str, is_whole: bool, now: Now, fx: Effects) -> float:
        """Return for how long `child` may run `service` from its request on; 0.0: it may not. Stored first."""
        record = self._core.resources.find(f"service/{service}")
        if record is None or not record.disconnect.at_most_one or not self._has_room(record, child, now):
            return 0.0
        grace_s = _grace_s(record)
        seconds = min(rules.lease_s(record.disconnect, grace_s), self.ceiling.seconds(record, now))
        if seconds <= 0:
            return 0.0
        is_hub = self._core.registry.get(child).kind == "hub"
        before = self.given.of(service).get(child, _ONE).copies
        copies = record.shares.get(child, 1) if is_whole else max(record.shares.get(child, 1), before)
        bound_s = rules.bound_s(seconds, grace_s, clocks=limits.TIERS_MAX if is_hub else 1)
        self.given.give(service, child, Lease(bound_s=bound_s, copies=copies), now, fx)
        return seconds

    def _has_room(self, record: Resource, child: str, now: Now) -> bool:
        """Tell whether `child` holds a copy that counts, and others may not run as many as were asked for."""
        if record.count is None:
            return record.key in self._core.delegate.placed(child)
        own = 1 if child in record.nodes else record.shares.get(child, 0)
        others = self.holders(record.name, now)
        others.pop(child, None)
        if record.per_region:  # each region, and this hub's own nodes, by themselves
            is_hub = child in record.shares
            others = {} if is_hub else {one: n for one, n in others.items() if one not in record.shares}
        return own > 0 and own + sum(others.values()) <= record.count

    def holders(self, service: str, now: Now) -> dict[str, int]:
        """Return how many copies may run now, by child: under a lease, or because it says so and never had one."""
        if service not in self._said:
            self._said[service] = {node.name for node in self._core.registry if self._says(node.name, service)}
        leased = {child: lease.copies for child, lease in self.given.binding(service, now).items()}
        said = self._said[service] - self.given.of(service).keys()
        return {child: 1 for child in said if not self._core.registry.get(child).revoked_ms} | leased

    def _says(self, child: str, service: str) -> bool:
        report = self._core.rollup.report(child)
        said = None if report is None else report.services.get(service)
        return said is not None and said.state in _RUNS

    # -------------------------------------------------------------------------------------------- time

    def changed(self, service: str) -> None:
        """A service is not what it was, or not where."""
        self.ceiling.changed()
        self.waiting.hurry(service)

    def granted(self, granted: dict[str, float], asked: float) -> None:
        """The parent lets this hub give leases: see Ceiling.granted."""
        self.ceiling.granted(granted, asked)
        self.waiting.hurry(*granted)

    def tick(self, now: Now, fx: Effects) -> None:
        """Give what has become free to who waits for it, of some services."""
        self.ceiling.ask(now)
        self.given.tick(now, fx)
        for service in self.waiting.due(now):
            self._retry(service, now, fx)

    def _retry(self, service: str, now: Now, fx: Effects) -> None:
        waiting = self.waiting.pop(service)
        for child, count in list(waiting.items()):
            seconds = self._grant(service, child, False, now, fx)
            if seconds > 0:
                del waiting[child]
                self._core.parent.lease(child, count, {service: seconds}, fx)
        self.waiting.put(service, waiting, self.given.next_end(service, now))


def _grace_s(record: Resource) -> float:
    document = documents.decode(bytes(record.document))
    return document.stop_grace_s if isinstance(document, documents.Assignment) else 0.0
