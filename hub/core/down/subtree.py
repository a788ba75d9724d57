"""All nodes below this hub, at any depth: who they are, what was last known of them, and through which hub.

Its own children this hub hears itself; of the others it knows what its child hubs said in their rosters. It never acts
on what is merely absent there (INVARIANTS A11). Nothing here is stored but by the rosters' own end.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import msgspec

from hub.core.down import brief as briefs
from hub.core.down import report as reports
from hub.core.down.names import Names
from hub.core.down.sums import Said, Sums
from hub.core.registry import Refusal
from protocol import selector, status
from protocol.effects import Delete, Effects, Now, Put
from protocol.link.roster import brief as told
from protocol.link.roster.brief import Brief, RegionReport

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hub.core.hub import HubCore

_OF_NODES = frozenset({"node", "seen", "asked", "child", "status"})
"""Spaces whose keys are own children: what is stored there is what changed of them."""

_OF_DOCUMENTS = frozenset({"resource", "given", "override"})


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


class Subtree:
    """The table of all nodes below this hub."""

    def __init__(self, core: HubCore) -> None:
        self._core = core
        core.parent.rosters.is_hub = self._is_hub
        self._names = Names()
        for child in core.parent.rosters.children():
            for address in core.parent.rosters.known(child):
                self._names.put(f"{child}/{address}")
        self._sums = Sums()
        self._marked = dict.fromkeys(node.name for node in core.registry)
        self._is_stale = True
        self._raw = b""

    def _is_hub(self, node: str) -> bool:
        found = self._core.registry.find(node)
        return found is not None and found.kind == "hub"

    def __len__(self) -> int:
        return len(self._core.registry) + len(self._names)

    # -------------------------------------------------------------------------------------------- who

    def brief(self, node: str) -> Brief:
        """Return what is known of an own child. Raises Refusal (404)."""
        return briefs.of(self._core, self._core.registry.get(node))

    def raw(self, address: str) -> bytes | None:
        """Return the Brief (JSON) of the node at `address`, as this hub's own roster tells it; None: there is none."""
        child, _, below = address.partition("/")
        if below:
            return self._core.parent.rosters.known(child).get(below)
        own = self._core.registry.find(child)
        return None if own is None else told.encode(briefs.of(self._core, own))

    def find(self, address: str) -> Spot | None:
        """Return the node at `address`, if there is one."""
        child, _, below = address.partition("/")
        if below:
            raw = self.raw(address)
            return None if raw is None else self._spot(address, raw, {})
        own = self._core.registry.find(child)
        return None if own is None else Spot(address=child, brief=briefs.of(self._core, own))

    def _spot(self, address: str, raw: bytes, standing: dict[str, tuple[str, int]]) -> Spot:
        silent, silent_ms = self._silent(address, standing)
        through = address.partition("/")[0]
        return Spot(address=address, brief=told.decode(raw), through=through, silent=silent, silent_ms=silent_ms)

    def get(self, text: str) -> Spot:
        """Return the node that `text` names (see `resolve`). Raises Refusal."""
        found = self.find(self.resolve(text))
        assert found is not None
        return found

    def _silent(self, address: str, standing: dict[str, tuple[str, int]]) -> tuple[str, int]:
        """Return the first hub on the way that is not heard, and since when; `standing`: of hubs looked at so far."""
        levels = address.split("/")
        for depth in range(1, len(levels)):
            hub = "/".join(levels[:depth])
            if hub not in standing:
                standing[hub] = self._standing(hub)
            state, since_ms = standing[hub]
            if state != "online":
                return hub, since_ms
        return "", 0

    def _standing(self, hub: str) -> tuple[str, int]:
        own = self._core.registry.find(hub)
        if own is not None:
            return briefs.state_of(self._core, own), briefs.since_ms(self._core, own)
        raw = self.raw(hub)
        brief = told.decode(raw) if raw is not None else Brief()  # a node whose hub was not told yet
        return brief.state, brief.since_ms

    def resolve(self, text: str) -> str:
        """Return the address that `text` means: an address, a path that begins with this hub's id, or a plain name.

        Raises Refusal: 404 when there is none, 409 when a plain name is that of several nodes; both say what to write.
        """
        mine = f"{self._core.node}/"
        name = text.rpartition("/")[2]
        named = sorted(self._names.get(name))
        for address in (text.removeprefix(mine), text):
            if self.raw(address) is not None and not (named and self._has_left(address)):
                return address
        if len(named) == 1 and name == text:
            return named[0]
        if named:
            raise Refusal(_which(text, [mine + one for one in named]), 409 if name == text else 404)
        raise Refusal(f"there is no node {text[:80]!r} below {self._core.node}: see `skerry get nodes`", 404)

    def _has_left(self, address: str) -> bool:
        own = self._core.registry.find(address)
        return own is not None and bool(own.moved)

    def own(self, text: str) -> str:
        """Return the own child that `text` means. Raises Refusal: of what is further down its own hub decides."""
        address = self.resolve(text)
        hub, _, name = address.rpartition("/")
        if hub:
            raise Refusal(f"{name} belongs to {hub}: its operators decide there, with the context of that hub")
        return address

    # -------------------------------------------------------------------------------------------- all

    def addresses(self) -> Iterator[str]:
        """Yield the addresses of all nodes, own children before what is below them."""
        rosters = self._core.parent.rosters
        for node in self._core.registry:
            yield node.name
            for address in rosters.known(node.name):
                yield f"{node.name}/{address}"

    def spots(self) -> Iterator[Spot]:
        """Yield all nodes, own children first."""
        for node in self._core.registry:
            yield Spot(address=node.name, brief=briefs.of(self._core, node))
        yield from self.below()

    def below(self) -> Iterator[Spot]:
        """Yield all nodes that are not own children."""
        standing: dict[str, tuple[str, int]] = {}
        for child in self._core.parent.rosters.children():
            for address, raw in self._core.parent.rosters.known(child).items():
                yield self._spot(f"{child}/{address}", raw, standing)

    def having(self, service: str) -> Iterator[Spot]:
        """Yield the nodes below child hubs that say something of `service`."""
        standing: dict[str, tuple[str, int]] = {}
        sign = f'"{service}":'.encode()
        for child in self._core.parent.rosters.children():
            for address, raw in self._core.parent.rosters.known(child).items():
                if sign in raw:
                    spot = self._spot(f"{child}/{address}", raw, standing)
                    if service in spot.brief.services:
                        yield spot

    def select(self, chosen: selector.Selector, *, kind: str = "agent") -> list[str]:
        """Return the addresses of the nodes of `kind` that match, whether heard or not, and are not revoked.

        An empty selector selects nobody (C7).
        """
        if not chosen.terms:
            return []
        return [
            spot.address
            for spot in self.spots()
            if spot.brief.kind == kind and spot.brief.state != "revoked" and chosen.matches(spot.selectable())
        ]

    # -------------------------------------------------------------------------------------------- the sum

    def region(self, hub: str) -> RegionReport:
        """Return what a child hub last said of all that is below it; empty when it has said nothing.

        Of a hub further down only the counts of nodes are known here.
        """
        child, _, below = hub.partition("/")
        if below:
            return self._counted(child, f"{below}/")
        said = self._core.parent.view(hub).status
        try:
            return told.decode_region(bytes(said.body)) if said is not None else RegionReport()
        except (msgspec.DecodeError, ValueError):
            return RegionReport()

    def _counted(self, child: str, prefix: str) -> RegionReport:
        known = self._core.parent.rosters.known(child)
        standing: dict[str, tuple[str, int]] = {}
        found = [self._spot(f"{child}/{one}", raw, standing) for one, raw in known.items() if one.startswith(prefix)]
        return RegionReport(
            nodes=dict(Counter(spot.state for spot in found if spot.brief.kind != "hub")),
            hubs=dict(Counter(spot.state for spot in found if spot.brief.kind == "hub")),
        )

    def sum(self) -> RegionReport:
        """Return what all that is below this hub comes to."""
        self._count()
        core = self._core
        hubs = {
            node.name: (briefs.state_of(core, node), self.region(node.name))
            for node in core.registry
            if node.kind == "hub" and not node.revoked_ms
        }
        return reports.made(core, self._sums, hubs)

    def report(self, now: Now) -> bytes:
        """Return what this hub says in its Status: a RegionReport (JSON); the same bytes as long as nothing changes."""
        if self._is_stale:
            self._raw = told.encode(self.sum())
            self._is_stale = False
        return self._raw

    def _count(self) -> None:
        for name in self._marked:
            node = self._core.registry.get(name)
            if node.kind == "agent" and not node.moved:
                self._sums.put(name, self._said(name))
            else:
                self._sums.drop(name)
        self._marked.clear()

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
        return [f"{child}/{address}" for address in (*put, *gone)]

    def noticed(self, fx: Effects, now: Now) -> list[str]:
        """Look at what an input stored; return the own children that it may have changed."""
        found: dict[str, None] = {}
        for op in fx.store:
            if isinstance(op, Put | Delete):
                if op.space in _OF_NODES:
                    found[op.key] = None
                elif op.space in _OF_DOCUMENTS:
                    self._is_stale = True
        known = [name for name in found if self._core.registry.find(name) is not None]
        for name in known:
            self._marked[name] = None
            self._is_stale = True
            node = self._core.registry.get(name)
            if node.kind == "hub" and node.revoked_ms:
                self.heard(name, [], self._core.parent.rosters.forget(name, now))
        return known


def _which(text: str, paths: list[str]) -> str:
    several = (
        f"{text[:80]!r} is the name of {len(paths)} nodes" if len(paths) > 1 else f"there is no node {text[:80]!r}"
    )
    shown = ", ".join(paths[:5]) + (f" and {len(paths) - 5} more" if len(paths) > 5 else "")
    return f"{several}: write {shown}" if len(paths) == 1 else f"{several}: write one of {shown}"
