"""What bounds a region's own leases: of what was delegated to it with `at_most_one`, it may give no longer than it has.

A region asks its parent for a lease of its share as a device does; what it gives its nodes is over when that is. So the
parent knows when a region that it cannot reach has stopped, and may hand the share to another one. It is the one thing
that a region cannot go on with for days while its parent is away: that is what `at_most_one` declares.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from hub.core.work.declared import Resource
from protocol import limits
from protocol.effects import Now

if TYPE_CHECKING:
    from hub.core.hub import HubCore


class Ceiling:
    """The leases that this hub has from its parent, on its own clock (Now.mono); none after a restart."""

    def __init__(self, core: HubCore) -> None:
        self._core = core
        self._until: dict[str, float] = {}
        self._every_s = limits.LEASE_S_MIN / limits.LEASE_ASKED_SHARE
        self._is_stale = True

    def changed(self) -> None:
        """A service is not what it was."""
        self._is_stale = True

    def ask(self, now: Now) -> None:
        """Ask the parent for what is needed, if that has changed."""
        if self._core.up is not None and self._is_stale:
            self._is_stale = False
            records = self._core.resources.records("service")
            names = [record.name for record in records if record.disconnect.at_most_one and record.origin is not None]
            self._core.up.want_leases(names, self._every_s, now)

    def granted(self, granted: dict[str, float], asked: float) -> None:
        """The parent lets this hub give leases of each of these for so many seconds from `asked` (mono) on."""
        for service, seconds in granted.items():
            self._until[service] = max(self._until.get(service, 0.0), asked + min(seconds, limits.LEASE_S_MAX))
        self._every_s = max(1.0, min(granted.values(), default=self._every_s) / limits.LEASE_ASKED_SHARE)
        self._is_stale = True

    def seconds(self, record: Resource, now: Now) -> float:
        """Return for how long from now on a lease of `record` may last; inf when it is this hub's own."""
        if record.origin is None:
            return math.inf
        return max(0.0, self._until.get(record.name, 0.0) - now.mono)
