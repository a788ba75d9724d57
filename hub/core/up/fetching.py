"""Artifacts that this hub fetches from its parent: each once, for all nodes below (DESIGN 6).

What is wanted follows from the resources that name it, what is here from the folder; nothing of this is stored. A node
that asks for the ticket of one that is still on its way gets it when it has come.

    ASKED --ticket--> FETCHING --fetched--> here
      ^                  |
      +---- WAITING <----+ error
"""

from __future__ import annotations

import enum
import math
from typing import TYPE_CHECKING

import msgspec

from hub.core import inputs
from hub.core.registry import Refusal
from protocol import limits
from protocol.effects import Effects, Now
from protocol.link.child import Child

if TYPE_CHECKING:
    from hub.core.hub import HubCore


class Stage(enum.Enum):
    """Where a wanted artifact stands."""

    ASKED = "asked"
    FETCHING = "fetching"
    WAITING = "waiting"


class Wanted(msgspec.Struct):
    """One artifact that is wanted and not here. `due` (mono): when it is asked for again. `nodes` wait for it."""

    stage: Stage
    due: float
    failures: int = 0
    error: str = ""
    nodes: dict[str, None] = msgspec.field(default_factory=dict[str, None])


class Fetching:
    """What this hub wants from its parent's folder."""

    def __init__(self, core: HubCore, child: Child) -> None:
        self._core, self._child = core, child
        self._wanted: dict[str, Wanted] = {}

    def errors(self) -> dict[str, str]:
        """Return why artifacts are not here, by digest; those whose first try is under way are not named."""
        return {digest: one.error for digest, one in self._wanted.items() if one.error}

    def is_awaited(self, node: str, digest: str) -> bool:
        """Tell whether `digest` is on its way; then `node` is told when it has come."""
        wanted = self._wanted.get(digest)
        if wanted is not None:
            wanted.nodes[node] = None
        return wanted is not None

    def settle(self, now: Now, fx: Effects) -> None:
        """What resources name may have changed: fetch what is not here, forget what nothing names any more."""
        missing = self._core.resources.artifacts() - self._core.artifacts.held.keys()
        for digest in self._wanted.keys() - missing:
            del self._wanted[digest]
        for digest in sorted(missing - self._wanted.keys()):
            self._wanted[digest] = Wanted(Stage.WAITING, now.mono)
        self.tick(now, fx)

    def live(self, now: Now, fx: Effects) -> None:
        """The link is up: ask at once."""
        for wanted in self._wanted.values():
            if wanted.stage is not Stage.FETCHING:
                wanted.due = now.mono
        self.settle(now, fx)

    def ticket(self, digest: str, ticket: str, now: Now, fx: Effects) -> None:
        """A ticket came: fetch; none ("") is asked for again."""
        wanted = self._wanted.get(digest)
        if wanted is not None and wanted.stage is Stage.ASKED and ticket:
            wanted.stage, wanted.due = Stage.FETCHING, math.inf
            fx.act.append(inputs.FetchArtifact(digest=digest, ticket=ticket))

    def fetched(self, got: inputs.ArtifactFetched, now: Now, fx: Effects) -> None:
        """A fetch ended, well or not."""
        wanted = self._wanted.pop(got.digest, None)
        if not got.error:
            self._core.artifacts.note(got.digest, got.size, now, fx)
            for node in wanted.nodes if wanted is not None else ():
                self._core.give_ticket(node, got.digest, fx)
        elif wanted is not None:
            self._wanted[got.digest] = wanted
            self._failed(wanted, got, now, fx)
        self.tick(now, fx)

    def _failed(self, wanted: Wanted, got: inputs.ArtifactFetched, now: Now, fx: Effects) -> None:
        wanted.failures += 1
        wanted.error = got.error
        wait_s = limits.BACKOFF_S_MIN * 2 ** min(wanted.failures, 10)
        wanted.stage, wanted.due = Stage.WAITING, now.mono + min(limits.RESTART_BACKOFF_S_MAX, wait_s)
        if got.ticket_refused and wanted.failures < limits.FETCH_TRIES_MAX:
            wanted.due = now.mono
        if got.lacks:
            try:
                self._core.artifacts.make_room(got.lacks, 0, now, fx)
            except Refusal as error:
                wanted.error = str(error)

    def tick(self, now: Now, fx: Effects) -> None:
        """Ask for what is due, as many as may be fetched at a time."""
        if not self._child.live:
            return
        for digest, wanted in self._wanted.items():
            if wanted.due <= now.mono and (wanted.stage is Stage.ASKED or self._has_room):
                wanted.stage, wanted.due = Stage.ASKED, now.mono + limits.TICKET_WAIT_S
                self._child.need_ticket(digest, now, fx)

    @property
    def _has_room(self) -> bool:
        return sum(1 for one in self._wanted.values() if one.stage is not Stage.WAITING) < limits.FETCHES_MAX

    def next_wake(self) -> float:
        """Return when (mono) something is due."""
        if not self._child.live:
            return math.inf
        may_begin = self._has_room
        due = (one.due for one in self._wanted.values() if may_begin or one.stage is not Stage.WAITING)
        return min(due, default=math.inf)
