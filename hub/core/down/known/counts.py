"""How many nodes stand right below each hub further down, by kind and state: counted once for each change of a roster,
however many of the hubs on a list ask for it."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from hub.core.down.known import report as reports
from hub.core.down.known import spot
from protocol.link.roster import brief as told
from protocol.link.roster.brief import RegionReport

if TYPE_CHECKING:
    from hub.core.hub import HubCore

_Counts = dict[str, Counter[tuple[bool, str]]]


class Counts:
    """The nodes below the hubs below each child hub."""

    def __init__(self, core: HubCore) -> None:
        self._core = core
        self._of: dict[str, _Counts] = {}

    def changed(self, child: str) -> None:
        """The roster of `child` is not what it was."""
        self._of.pop(child, None)

    def below(self, hub: str) -> RegionReport:
        """Return how many nodes are below the hub at the address `hub`, at any depth, by state; and how many hubs."""
        child = hub.partition("/")[0]
        if child not in self._of:
            self._of[child] = self._counted(child)
        standing: dict[str, tuple[str, int]] = {}
        nodes, hubs = Counter[str](), Counter[str]()
        for at, counts in self._of[child].items():
            if at == hub or at.startswith(f"{hub}/"):
                silent, _ = spot.silent(self._core, f"{at}/", standing)
                for (is_hub, state), count in counts.items():
                    said = reports.UNHEARD if silent and state != "revoked" else state
                    (hubs if is_hub else nodes)[said] += count
        return RegionReport(nodes=dict(nodes), hubs=dict(hubs))

    def _counted(self, child: str) -> _Counts:
        found: _Counts = {}
        for address, raw in self._core.parent.rosters.known(child).items():
            brief = told.decode(raw)
            at = f"{child}/{address}".rpartition("/")[0]
            found.setdefault(at, Counter())[brief.kind == "hub", brief.state] += 1
        return found
