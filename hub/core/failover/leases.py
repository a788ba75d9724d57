"""The leases that a hub gives (INVARIANTS A20): a service with `at_most_one` runs nowhere without one.

What bounds the copies is here, whatever moved them (a failing over, a drain, a changed selector, a second region): a
child gets a lease only while those that others may still run under, and its own, are no more than were asked for. A
lease is stored before it is sent, with how long it binds; when that was is not stored, so after a restart of the hub it
binds from the restart on. It ends early when the child says, with a manifest that does not ask for it, that nothing is
there. Who runs it and never had a lease (it needed none before) counts as long as it says so.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from hub.core.failover import rules
from hub.core.work.declared import Resource
from protocol import documents, status
from protocol.effects import Delete, Effects, Now, Put
from protocol.snapshot import Snapshot

if TYPE_CHECKING:
    from hub.core.hub import HubCore

SPACE = "lease"
_RUNS = frozenset({"starting", "running", "stopping"})


class Lease(msgspec.Struct, frozen=True, kw_only=True):
    """What is kept of one (space `lease`, under `SERVICE/CHILD`): the most that it may mean since its last grant.

    `bound_s`: for how long it may bind; `copies`: how many may run under it (of a region: its share).
    """

    bound_s: float
    copies: int = 1


class Leases:
    """Who may run what, as far as this hub has said, and is told."""

    def __init__(self, snapshot: Snapshot, core: HubCore) -> None:
        self._core = core
        self._kept: dict[str, dict[str, Lease]] = {}
        self._until: dict[tuple[str, str], float] = {}
        decoder = msgspec.json.Decoder(Lease)
        for key, raw in snapshot.spaces.get(SPACE, {}).items():
            service, child = key.split("/")
            self._kept.setdefault(service, {})[child] = decoder.decode(raw)
        self._said: dict[str, set[str]] = {}
        """Who said last that a service runs there, of those that were looked for."""
        self._waiting: dict[str, dict[str, int]] = {}
        """Who asked in vain, by service, with the count of the Status that did."""
        self.ceiling: Callable[[str, Now], float] = lambda service, now: math.inf
        """For how long from now on this hub itself may let a service run: what its own parent grants."""

    def start(self, now: Now) -> None:
        """A life begins: what was given may have been given just now."""
        for service, kept in self._kept.items():
            for child, lease in kept.items():
                self._until[service, child] = now.mono + lease.bound_s

    # -------------------------------------------------------------------------------------------- what children say

    def heard(self, child: str, report: status.Report, is_whole: bool, now: Now, fx: Effects) -> None:
        """A child says how it is. `is_whole`: it has all that is asked of it, and nothing else is to be."""
        core = self._core
        for service, names in self._said.items():
            said = report.services.get(service)
            (names.add if said is not None and said.state in _RUNS else names.discard)(child)
        if not is_whole or core.registry.get(child).kind == "hub":
            return  # a region says nothing of single copies: its lease runs out
        placed = core.delegate.placed(child)
        for service in [one for one, kept in self._kept.items() if child in kept]:
            if service not in report.services and f"service/{service}" not in placed:
                self._end(service, child, fx)
                self._retry(service, now, fx)

    def ask(self, child: str, services: list[str], count: int, is_whole: bool, now: Now, fx: Effects) -> None:
        """A child's Status `count` asks for leases: give what can be given, keep in mind what cannot."""
        for waiting in self._waiting.values():
            waiting.pop(child, None)
        granted: dict[str, float] = {}
        for service in services:
            seconds = self._grant(service, child, is_whole, now, fx)
            if seconds > 0:
                granted[service] = seconds
            else:
                self._waiting.setdefault(service, {})[child] = count
        if granted:
            self._core.parent.lease(child, count, granted, fx)

    def forget(self, child: str) -> None:
        """A child is away: what it asked for goes to nobody."""
        for waiting in self._waiting.values():
            waiting.pop(child, None)

    # -------------------------------------------------------------------------------------------- giving

    def _grant(self, service: str, child: str, is_whole: bool, now: Now, fx: Effects) -> float:
        """Return for how long `child` may run `service` from its request on; 0.0: it may not. Stored first."""
        record = self._core.resources.find(f"service/{service}")
        if record is None or not record.disconnect.at_most_one or not self._has_room(record, child, now):
            return 0.0
        grace_s = _grace_s(record)
        seconds = min(rules.lease_s(record.disconnect, grace_s), self.ceiling(service, now))
        if seconds <= 0:
            return 0.0
        kept = self._kept.setdefault(service, {})
        before = kept.get(child, _NONE)
        copies = max(record.shares.get(child, 1), 0 if is_whole else before.copies)
        lease = Lease(bound_s=max(before.bound_s, rules.bound_s(seconds, grace_s)), copies=copies)
        if lease != before:
            kept[child] = lease
            fx.store.append(Put(SPACE, f"{service}/{child}", msgspec.json.encode(lease)))
        until = self._until.get((service, child), 0.0)
        self._until[service, child] = max(until, now.mono + kept[child].bound_s)
        return seconds

    def _has_room(self, record: Resource, child: str, now: Now) -> bool:
        """Tell whether `child` holds a copy that counts, and others may not run as many as were asked for."""
        if record.count is None:
            return record.key in self._core.delegate.placed(child)
        own = 1 if child in record.nodes else record.shares.get(child, 0)
        count = record.count
        if record.per_region:
            return own > 0
        kept = self._kept.get(record.name, {})
        others = sum(kept.get(one, _ONE).copies for one in self.holders(record.name, now) if one != child)
        return own > 0 and own + others <= count

    def holders(self, service: str, now: Now) -> list[str]:
        """Return the children where `service` may run now: under a lease, or because they say so and have had none."""
        kept = self._kept.get(service, {})
        if service not in self._said:
            self._said[service] = {node.name for node in self._core.registry if self._says(node.name, service)}
        leased = [child for child in kept if now.mono < self._until.get((service, child), 0.0)]
        return sorted({*leased, *(self._said[service] - kept.keys())})

    def _says(self, child: str, service: str) -> bool:
        report = self._core.rollup.report(child)
        said = None if report is None else report.services.get(service)
        return said is not None and said.state in _RUNS

    def _end(self, service: str, child: str, fx: Effects) -> None:
        del self._kept[service][child]
        self._until.pop((service, child), None)
        fx.store.append(Delete(SPACE, f"{service}/{child}"))

    # -------------------------------------------------------------------------------------------- time

    def tick(self, now: Now, fx: Effects) -> None:
        """Give what has become free to who waits for it."""
        for service in [one for one, waiting in self._waiting.items() if waiting]:
            if self._free_at(service) <= now.mono:
                self._retry(service, now, fx)

    def _retry(self, service: str, now: Now, fx: Effects) -> None:
        waiting = self._waiting.get(service, {})
        for child, count in list(waiting.items()):
            seconds = self._grant(service, child, False, now, fx)
            if seconds > 0:
                del waiting[child]
                self._core.parent.lease(child, count, {service: seconds}, fx)

    def _free_at(self, service: str) -> float:
        """Return when (mono) the next lease of `service` is over."""
        untils = [
            self._until[service, child] for child in self._kept.get(service, {}) if (service, child) in self._until
        ]
        return min(untils, default=math.inf)

    def next_wake(self, now: Now) -> float:
        """Return when (mono) a lease is over that somebody waits for."""
        ends = [
            self._until[service, child]
            for service, waiting in self._waiting.items()
            if waiting
            for child in self._kept.get(service, {})
            if self._until.get((service, child), 0.0) > now.mono
        ]
        return min(ends, default=math.inf)


_NONE, _ONE = Lease(bound_s=0.0, copies=0), Lease(bound_s=0.0)


def _grace_s(record: Resource) -> float:
    document = documents.decode(bytes(record.document))
    return document.stop_grace_s if isinstance(document, documents.Assignment) else 0.0
