"""The leases that were given, as far as they may still bind: stored before they are sent (INVARIANTS A20).

A lease is stored with how long it binds; when it was given is not, so after a restart of the hub it binds from the
restart on. One that is over stays here until the child says that nothing is there: what it reports is no other copy.
That it is over is stored when another child gets one: after a restart it binds no more.
"""

from __future__ import annotations

import math

import msgspec

from protocol import limits
from protocol.effects import Delete, Effects, Now, Put
from protocol.link.flow.agenda import Agenda
from protocol.snapshot import Snapshot

SPACE = "lease"


class Lease(msgspec.Struct, frozen=True, kw_only=True):
    """What is kept of one (space `lease`, under `SERVICE/CHILD`): the most that it may mean since its last grant.

    `bound_s`: for how long it may bind; `copies`: how many may run under it (of a region: its share).
    """

    bound_s: float
    copies: int = 1


class Given:
    """All of them, by service and child."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._kept: dict[str, dict[str, Lease]] = {}
        self._until: dict[tuple[str, str], float] = {}
        self._leaving = Agenda()
        decoder = msgspec.json.Decoder(Lease)
        for key, raw in snapshot.spaces.get(SPACE, {}).items():
            service, child = key.split("/")
            self._kept.setdefault(service, {})[child] = decoder.decode(raw)

    def start(self, now: Now) -> None:
        """A life begins: what was given may have been given just now."""
        for service, kept in self._kept.items():
            for child, lease in kept.items():
                self._until[service, child] = now.mono + lease.bound_s

    def of(self, service: str) -> dict[str, Lease]:
        """Return the leases of `service` by child, those that are over too."""
        return self._kept.get(service, {})

    def binding(self, service: str, now: Now) -> dict[str, Lease]:
        """Return the leases of `service` that are not over, by child."""
        return {child: one for child, one in self.of(service).items() if now.mono < self._ends(service, child)}

    def left(self, service: str, now: Now) -> dict[str, tuple[int, float]]:
        """Return the leases of `service` that are not over, by child: their copies, and for how long they bind yet."""
        binding = self.binding(service, now)
        return {child: (one.copies, self._ends(service, child) - now.mono) for child, one in binding.items()}

    def to(self, child: str) -> list[str]:
        """Return the services that `child` was given a lease of."""
        return [service for service, kept in self._kept.items() if child in kept]

    def give(self, service: str, child: str, lease: Lease, now: Now, fx: Effects) -> None:
        """Give `child` a lease, again or for the first time; it binds for the longest that it was ever given for."""
        kept = self._kept.setdefault(service, {})
        before = kept.get(child)
        if before is not None and before.bound_s > lease.bound_s:
            lease = msgspec.structs.replace(lease, bound_s=before.bound_s)
        if lease != before:
            kept[child] = lease
            fx.store.append(Put(SPACE, f"{service}/{child}", msgspec.json.encode(lease)))
        self._until[service, child] = max(self._ends(service, child), now.mono + lease.bound_s)
        for other, one in kept.items():
            if one.bound_s and now.mono >= self._ends(service, other):
                kept[other] = over = msgspec.structs.replace(one, bound_s=0.0)
                fx.store.append(Put(SPACE, f"{service}/{other}", msgspec.json.encode(over)))

    def end(self, service: str, child: str, fx: Effects) -> None:
        """Nothing runs under it any more, and will not."""
        del self._kept[service][child]
        self._until.pop((service, child), None)
        fx.store.append(Delete(SPACE, f"{service}/{child}"))

    def leave(self, *children: str) -> None:
        """These are revoked: what they were given goes when none of it binds any more, for they say nothing again."""
        for child in children:
            self._leaving.put(child, max((self._ends(service, child) for service in self.to(child)), default=0.0))

    def tick(self, now: Now, fx: Effects) -> None:
        """Let go of what was given to some of those that have left."""
        for _ in range(limits.FAILOVERS_PER_INPUT_MAX):
            child = self._leaving.pop(now.mono)
            if child is None:
                break
            for service in self.to(child):
                self.end(service, child, fx)

    def next_wake(self) -> float:
        """Return the mono time at which `tick` is due."""
        due = self._leaving.next()
        return math.inf if due is None else due

    def next_end(self, service: str, now: Now) -> float:
        """Return when (mono) the next lease of `service` is over."""
        ends = [self._ends(service, child) for child in self.of(service)]
        return min((at for at in ends if at > now.mono), default=math.inf)

    def _ends(self, service: str, child: str) -> float:
        return self._until.get((service, child), 0.0)
