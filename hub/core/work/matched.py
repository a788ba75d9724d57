"""The agents of one region, and how many of them a selector matches: kept, and mended by who changed since."""

from __future__ import annotations

from collections import Counter

import msgspec

from hub.core.work.declared import Live
from protocol import limits


class Agent(msgspec.Struct, frozen=True):
    """What of an agent decides where something can be."""

    labels: dict[str, str]
    closed: bool
    """It gets nothing new, and keeps what it `has`."""
    has: frozenset[str] = frozenset()


class Able:
    """The agents that a selector matches: how many get something new, at which places, and the others by address."""

    def __init__(self, key: str, seen: int) -> None:
        self.open = 0
        self.places: Counter[str] = Counter()
        self.closed: dict[str, Agent] = {}
        self.seen = seen
        """How many changes are in it."""
        self._key = key

    def count(self, address: str, agent: Agent, sign: int) -> None:
        """Count an agent that matches (`sign` 1), or no longer (-1)."""
        if agent.closed:
            self.closed.pop(address, None)
            if sign > 0:
                self.closed[address] = agent
            return
        place = agent.labels.get(self._key, "")
        self.open += sign
        self.places[place] += sign
        if not self.places[place]:
            del self.places[place]


class Matched:
    """All agents of a region by address, and what is counted of them by selector and label of the places."""

    def __init__(self) -> None:
        self._agents: dict[str, Agent] = {}
        self._able: dict[tuple[str, str], Able] = {}
        self._changes: list[tuple[str, Agent | None, Agent | None]] = []

    def put(self, address: str, agent: Agent | None) -> bool:
        """Know an agent as it is now, None: it is none, or gone. Tells whether it is not what it was."""
        before = self._agents.get(address)
        if before == agent:
            return False
        if agent is None:
            del self._agents[address]
        else:
            self._agents[address] = agent
        if self._able:
            self._changes.append((address, before, agent))
        if len(self._changes) > limits.ROOM_CHANGES_MAX:
            self._forget()
        return True

    def able(self, live: Live, key: str) -> Able:
        """Return what is counted of the agents that the selector of `live` matches; places are told by label `key`."""
        sought = (live.record.selector, key)
        if sought not in self._able and len(self._able) >= limits.SERVICES_MAX:
            self._forget()
        found = self._able.get(sought)
        if found is None:
            found = self._able[sought] = Able(key, len(self._changes))
            for address, agent in self._agents.items():
                if live.selector.matches(agent.labels):
                    found.count(address, agent, 1)
        for address, *both in self._changes[found.seen :]:
            for agent, sign in zip(both, (-1, 1), strict=True):
                if agent is not None and live.selector.matches(agent.labels):
                    found.count(address, agent, sign)
        found.seen = len(self._changes)
        return found

    def _forget(self) -> None:
        self._able.clear()
        self._changes.clear()
