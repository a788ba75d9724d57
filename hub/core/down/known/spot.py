"""One node below a hub as that hub sees it: what was last said of it, and whether anybody can speak for it now."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from hub.core.down.known import brief as briefs
from hub.core.down.known import report as reports
from protocol.link.roster import brief as told
from protocol.link.roster.brief import Brief

if TYPE_CHECKING:
    from hub.core.hub import HubCore


class Spot(msgspec.Struct, frozen=True, kw_only=True):
    """One node below this hub. `through`: the child that speaks for it; empty for an own child.

    `silent`: the address of the nearest hub from here on the way to it that is not heard now, and since when; nothing
    newer than that is known of the node then.
    """

    address: str
    brief: Brief
    through: str = ""
    silent: str = ""
    silent_ms: int = 0

    @property
    def name(self) -> str:
        """The node's own id."""
        return self.address.rpartition("/")[2]

    @property
    def state(self) -> str:
        """What the node is to this hub: as its own hub says, or `unheard` (protocol.link.roster.brief.Brief)."""
        return reports.UNHEARD if self.silent and self.brief.state != "revoked" else self.brief.state

    @property
    def since_ms(self) -> int:
        """Since when it is in that state."""
        return self.silent_ms if self.state == reports.UNHEARD else self.brief.since_ms

    def selectable(self) -> dict[str, str]:
        """Return what a selector sees."""
        return {**self.brief.labels, "node": self.name}


def silent(core: HubCore, address: str, standing: dict[str, tuple[str, int]]) -> tuple[str, int]:
    """Return the first hub on the way that is not heard, and since when; `standing`: of hubs looked at so far."""
    levels = address.split("/")
    for depth in range(1, len(levels)):
        hub = "/".join(levels[:depth])
        if hub not in standing:
            standing[hub] = _standing(core, hub)
        state, since_ms = standing[hub]
        if state != "online":
            return hub, since_ms
    return "", 0


def _standing(core: HubCore, hub: str) -> tuple[str, int]:
    own = core.registry.find(hub)
    if own is not None:
        return briefs.state_of(core, own), briefs.since_ms(core, own)
    raw = core.subtree.raw(hub)
    brief = told.decode(raw) if raw is not None else Brief()  # a node whose hub was not told yet
    return brief.state, brief.since_ms
