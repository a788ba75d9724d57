"""What binds services to contact with the parent: leases that are asked for, and the absence that some stop at."""

from __future__ import annotations

from edge_agent.core.context import Context
from edge_agent.core.services.workload import Workload
from edge_agent.core.upward.absence import Absence
from protocol import limits
from protocol.effects import Effects, Now


class Bound:
    """The services by name, as far as they need to hear something."""

    def __init__(self, ctx: Context, absence: Absence) -> None:
        self._ctx, self._absence = ctx, absence
        self._asked_every_s = limits.LEASE_S_MIN / limits.LEASE_ASKED_SHARE
        self.all: dict[str, Workload] = {}

    def start(self, now: Now) -> None:
        """A life begins."""
        self._absence.start(now)

    def heard(self, now: Now, fx: Effects) -> None:
        """The link is live: what rested because it was not starts again."""
        self._absence.heard(now, fx)
        for service in self.all.values():
            if service.cut.why:
                service.settle(now, fx)

    def unheard(self, now: Now, fx: Effects) -> None:
        """The link is live no more."""
        self._absence.unheard(now, fx)

    def leased(self, granted: dict[str, float], asked: float, now: Now, fx: Effects) -> None:
        """The parent lets each of these run for so many seconds from `asked` (mono) on."""
        for name, seconds in granted.items():
            if name in self.all:
                self.all[name].leased(asked + min(seconds, limits.LEASE_S_MAX), now, fx)
        if granted:
            self._asked_every_s = max(1.0, min(granted.values()) / limits.LEASE_ASKED_SHARE)

    def ask(self, now: Now) -> None:
        """Ask the parent for the leases that are needed."""
        names = [name for name, service in sorted(self.all.items()) if service.wants_lease()]
        self._ctx.child.want_leases(names, self._asked_every_s, now)
