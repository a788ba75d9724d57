"""How much room a region has for a resource, as far as its roster tells; and placing again when that changed.

A roster that is not whole tells nothing: on what is merely absent nobody acts (INVARIANTS A11). What changed below
marks what is counted, and is settled a while later and some at a time: a region that comes back says much at once.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

import msgspec

from hub.core import placement
from hub.core.work.declared import Live
from hub.core.work.matched import Agent, Matched
from protocol import limits
from protocol.effects import Effects, Now
from protocol.link.roster import brief as told

if TYPE_CHECKING:
    from hub.core.hub import HubCore


class Room(msgspec.Struct, frozen=True):
    """How many nodes of a region could have a resource (None: nobody knows), and at how many places of its spread."""

    nodes: int | None = None
    places: int = 1


class Rooms:
    """The room in the regions below this hub."""

    def __init__(self, core: HubCore) -> None:
        self._core = core
        self._agents: dict[str, Matched] = {}
        self._whole: set[str] = set()
        self._due: dict[str, None] = {}
        self._due_at = math.inf
        core.resources.room_in = self.of

    def of(self, region: str, live: Live) -> Room:
        """Return the room that `region` has for a resource."""
        if not self._core.parent.rosters.is_whole(region):
            return Room()
        key = placement.first_place(live.record.spread)
        able = self._below(region).able(live, key)
        kept = [agent for agent in able.closed.values() if live.record.name in agent.has]
        places = able.places.keys() | {agent.labels.get(key, "") for agent in kept}
        return Room(able.open + len(kept), len(places) if key else 1)

    def _below(self, region: str) -> Matched:
        found = self._agents.get(region)
        if found is None:
            found = self._agents[region] = Matched()
            self._look(region, self._core.parent.rosters.known(region))
        return found

    def _look(self, region: str, addresses: Iterable[str]) -> bool:
        """Look at these nodes below `region`; tell whether any is not what it was."""
        known, found = self._core.parent.rosters.known(region), self._agents[region]
        differs = False
        for address in addresses:
            differs = found.put(address, _agent(address, known[address]) if address in known else None) or differs
        return differs

    # -------------------------------------------------------------------------------------------- what changed

    def changed(self, region: str, addresses: Iterable[str], now: Now) -> None:
        """A page of the roster of `region` came, about these nodes below it."""
        is_whole = self._core.parent.rosters.is_whole(region)
        is_known = region in self._agents
        self._below(region)
        if not self._look(region, addresses) and is_known and is_whole == (region in self._whole):
            return
        (self._whole.add if is_whole else self._whole.discard)(region)
        counted = [record.key for record in self._core.resources.records() if record.count is not None]
        if counted:
            self._due.update(dict.fromkeys(counted))
            self._due_at = min(self._due_at, now.mono + limits.SHARES_SETTLE_S)

    def tick(self, now: Now, fx: Effects) -> None:
        """Place again what is due, some of it."""
        if now.mono < self._due_at:
            return
        for key in list(self._due)[: limits.SHARES_PER_INPUT_MAX]:
            del self._due[key]
            for child in self._core.resources.resettle(key, fx):
                self._core.delegate.mark(child)
        self._due_at = now.mono if self._due else math.inf

    def next_wake(self) -> float:
        """Return the mono time at which `tick` is due."""
        return self._due_at


def _agent(address: str, raw: bytes) -> Agent | None:
    """Return what a Brief says of an agent; None: it is a hub, or revoked."""
    brief = told.decode(raw)
    if brief.kind != "agent" or brief.state == "revoked":
        return None
    labels = {**brief.labels, "node": address.rpartition("/")[2]}
    return Agent(labels, brief.cordoned, frozenset(brief.services) if brief.cordoned else frozenset())
