"""All that is below this hub: who that is (hub.core.down.known.spots), and what it comes to.

A hub never acts on what is merely absent here (INVARIANTS A11). Nothing of this is stored but by the rosters' own end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from hub.core.down.known import brief as briefs
from hub.core.down.known import report as reports
from hub.core.down.known.counts import Counts
from hub.core.down.known.spots import Spots
from hub.core.down.known.sums import Said
from hub.core.down.known.totals import Totals
from protocol import messages, status
from protocol.effects import Delete, Effects, Now, Put
from protocol.link.roster import brief as told
from protocol.link.roster.brief import RegionReport

if TYPE_CHECKING:
    from hub.core.hub import HubCore

_OF_NODES = frozenset({"node", "seen", "asked", "child", "status"})
"""Spaces whose keys are own children: what is stored there is what changed of them."""

_OF_DOCUMENTS = frozenset({"resource", "given", "override"})


class Subtree(Spots):
    """The table of all nodes below this hub, and their sum."""

    def __init__(self, core: HubCore) -> None:
        super().__init__(core)
        core.parent.rosters.is_hub = self._is_hub
        self._totals, self._counts = Totals(core), Counts(core)
        self._marked = dict.fromkeys(node.name for node in core.registry)
        self._read: dict[str, tuple[messages.Status | None, RegionReport | None]] = {}
        """By child hub: its last Status, and what was read in it."""
        self._is_stale = True
        self._raw = b""

    def _is_hub(self, node: str) -> bool:
        found = self._core.registry.find(node)
        return found is not None and found.kind == "hub"

    # -------------------------------------------------------------------------------------------- the sum

    def region(self, hub: str) -> RegionReport:
        """Return what a child hub last said of all that is below it; empty when it has said nothing.

        Of a hub further down only the counts of nodes are known here.
        """
        if "/" in hub:
            return self._counts.below(hub)
        return self._said_by(hub) or RegionReport()

    def is_readable(self, node: str) -> bool:
        """Tell whether what a child last said in its Status can be counted, if it is a hub."""
        return not self._is_hub(node) or self._said_by(node) is not None

    def _said_by(self, hub: str) -> RegionReport | None:
        said = self._core.parent.view(hub).status
        if hub not in self._read or self._read[hub][0] is not said:
            self._read[hub] = said, _region_in(said)
        return self._read[hub][1]

    def sum(self) -> RegionReport:
        """Return what all that is below this hub comes to."""
        for name in self._marked:
            self._count(name)
        self._marked.clear()
        return reports.made(self._core, self._totals)

    @property
    def is_stale(self) -> bool:
        """Tell whether something has changed since the last `report`."""
        return self._is_stale

    def report(self, now: Now) -> bytes:
        """Return what this hub says in its Status: a RegionReport (JSON); the same bytes as long as nothing changes."""
        if self._is_stale:
            self._raw = told.encode(self.sum())
            self._is_stale = False
        return self._raw

    def _count(self, name: str) -> None:
        node = self._core.registry.get(name)
        if node.kind == "agent" and not node.moved:
            self._totals.own.put(name, self._said(name))
            return
        self._totals.own.drop(name)
        if node.kind == "hub" and not node.revoked_ms:
            self._totals.heard(name, briefs.state_of(self._core, node), self.region(name))
        else:
            self._totals.left(name)

    def _said(self, name: str) -> Said:
        core, node = self._core, self._core.registry.get(name)
        alarm = node.alarms[0] if node.alarms else None
        report = core.rollup.report(name) or status.Report()
        condition = report.conditions[0] if report.conditions else None
        return Said(
            state=briefs.state_of(core, node),
            since_ms=briefs.since_ms(core, node),
            alarm=alarm.text if alarm is not None else condition.text if condition is not None else "",
            alarm_ms=alarm.since_ms if alarm is not None else condition.since_ms if condition is not None else 0,
            placed={key: core.resources.document(key)[2] for key in core.resources.living(core.delegate.placed(name))},
            report=report,
        )

    # -------------------------------------------------------------------------------------------- hearing

    def heard(self, child: str, put: list[str], gone: list[str]) -> list[str]:
        """A child hub's roster changed; return the addresses that this concerns."""
        for address in put:
            self._names.put(f"{child}/{address}")
        for address in gone:
            self._names.drop(f"{child}/{address}")
            self.order.left(child)
        self._counts.changed(child)
        return [f"{child}/{address}" for address in (*put, *gone)]

    def noticed(self, fx: Effects, now: Now) -> tuple[list[str], list[str]]:
        """Look at what an input stored; return the own children that it may have changed, and who is gone below."""
        found, gone = dict[str, None](), list[str]()
        for op in fx.store:
            if isinstance(op, Put | Delete):
                if op.space in _OF_NODES:
                    found[op.key] = None
                elif op.space in _OF_DOCUMENTS:
                    self._totals.touch([op.key])
                    self._is_stale = True
        known = [name for name in found if self._core.registry.find(name) is not None]
        for name in known:
            self._marked[name] = None
            self._is_stale = True
            node = self._core.registry.get(name)
            if node.kind == "hub" and node.revoked_ms:
                gone += self.heard(name, [], self._core.parent.rosters.forget(name, now))
        return known, gone


def _region_in(said: messages.Status | None) -> RegionReport | None:
    try:
        return told.decode_region(bytes(said.body)) if said is not None else RegionReport()
    except (msgspec.DecodeError, ValueError, RecursionError):
        return None
