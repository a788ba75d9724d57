"""Which artifacts are here, which are on their way, and which may go (DESIGN 4: control and data are apart).

Nothing of it is durable: what is wanted follows from the documents, what is here from the disk.

    ABSENT --want--> ASKED --ticket--> FETCHING --Fetched--> here
      ^                                   |
      +------------- WAITING <--error-----+      `ticket_refused`: ASKED again at once
"""

from __future__ import annotations

import enum

import msgspec

from edge_agent.core import context, inputs
from edge_agent.core.context import Context
from protocol import limits
from protocol.effects import Effects, Now
from protocol.snapshot import Snapshot


class Stage(enum.Enum):
    """Where a wanted artifact stands."""

    ASKED = "asked"
    FETCHING = "fetching"
    WAITING = "waiting"


class Wanted(msgspec.Struct):
    """One artifact that is wanted and not here. `due` (mono) is when the next try or question is allowed."""

    stage: Stage
    due: float
    failures: int = 0
    error: str = ""


class Artifacts:
    """The artifacts of this device."""

    def __init__(self, snapshot: Snapshot, ctx: Context) -> None:
        self._ctx = ctx
        self._here: dict[str, None] = {}
        self._wanted: dict[str, Wanted] = {}
        self._kept = context.load(snapshot, "artifact", list[str])

    def start(self, here: list[str]) -> None:
        """Take what the disk holds."""
        self._here = dict.fromkeys(here)

    def has(self, digest: str) -> bool:
        """Tell whether `digest` can be used now; no artifact at all can."""
        return not digest or digest in self._here

    def error(self, digest: str) -> str:
        """Return why `digest` is not here yet, if a try failed."""
        wanted = self._wanted.get(digest)
        return wanted.error if wanted else ""

    def want(self, digest: str, now: Now, fx: Effects) -> None:
        """Get `digest` here; harmless when it is on its way."""
        if digest not in self._wanted:
            self._wanted[digest] = Wanted(Stage.ASKED, 0.0)
            self._ask(digest, now, fx)

    def used(self, owner: str, digest: str, fx: Effects) -> None:
        """`owner` (`service/NAME`, `workflow/NAME`) uses `digest` from now on; the ones before stay for a while."""
        last = self._kept.get(owner, [])
        if digest and last[:1] != [digest]:
            self._kept[owner] = [digest, *(d for d in last if d != digest)][: limits.ARTIFACTS_KEPT + 1]
            self._ctx.put("artifact", owner, self._kept[owner], fx)

    def gone(self, owner: str, fx: Effects) -> None:
        """`owner` is deleted: it keeps nothing."""
        if self._kept.pop(owner, None) is not None:
            self._ctx.drop("artifact", owner, fx)

    def ticket(self, digest: str, ticket: str, now: Now, fx: Effects) -> None:
        """A ticket came: fetch."""
        wanted = self._wanted.get(digest)
        if wanted is not None and wanted.stage is Stage.ASKED:
            wanted.stage, wanted.due = Stage.FETCHING, now.mono + limits.FETCH_WAIT_S
            fx.act.append(inputs.Fetch(digest=digest, ticket=ticket))

    def fetched(self, got: inputs.Fetched, now: Now, fx: Effects) -> None:
        """A fetch ended, well or not."""
        self._ctx.changed = True
        if not got.error:
            self._wanted.pop(got.digest, None)
            self._here[got.digest] = None
            return
        wanted = self._wanted.get(got.digest)
        if wanted is None:
            return
        wanted.failures += 1
        wanted.error = got.error
        if got.ticket_refused and wanted.failures < limits.FETCH_TRIES_MAX:
            self._ask(got.digest, now, fx)
        else:
            wait = self._ctx.backoff_s(wanted.failures, limits.RESTART_BACKOFF_S_MIN, limits.RESTART_BACKOFF_S_MAX)
            wanted.stage, wanted.due = Stage.WAITING, now.mono + wait

    def brought(self, digests: list[str]) -> None:
        """These were carried here, and are verified and unpacked."""
        for digest in digests:
            self._wanted.pop(digest, None)
            self._here[digest] = None

    def live(self, now: Now, fx: Effects) -> None:
        """The link is up: ask for what is wanted, at once."""
        for digest, wanted in self._wanted.items():
            if wanted.stage is not Stage.FETCHING:
                self._ask(digest, now, fx)

    def tick(self, now: Now, fx: Effects) -> None:
        """Ask (again) for what is due."""
        for digest, wanted in self._wanted.items():
            if wanted.due <= now.mono:
                self._ask(digest, now, fx)

    def next_wake(self) -> float | None:
        """Return when (mono) something is due."""
        return min((wanted.due for wanted in self._wanted.values()), default=None)

    def collect(self, needed: list[str], fx: Effects) -> None:
        """Let go what is neither `needed` nor among the last ones of an owner; give up fetching what nobody needs."""
        for digest in [d for d in self._wanted if d not in needed]:
            del self._wanted[digest]
        keep = dict.fromkeys([*needed, *(d for last in self._kept.values() for d in last)])
        if any(digest not in keep for digest in self._here):
            self._here = {digest: None for digest in self._here if digest in keep}
            fx.act.append(inputs.Collect(keep=list(keep)))

    def _ask(self, digest: str, now: Now, fx: Effects) -> None:
        wanted = self._wanted[digest]
        wanted.stage, wanted.due = Stage.ASKED, now.mono + limits.TICKET_WAIT_S
        self._ctx.child.need_ticket(digest, now, fx)
