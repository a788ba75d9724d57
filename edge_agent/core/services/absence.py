"""How long this device has heard nothing of its parent: what `disconnect: {device: stop_after}` is measured by.

It counts Now.mono, never the wall clock (INVARIANTS A15), and goes on over restarts of the agent and over boots. What
is not known counts as contact: the time without power, and at most one step of limits.ABSENCE_NOTED_S_MAX that a
sudden end left unnoted. So nothing is stopped too early.
"""

from __future__ import annotations

import msgspec

from edge_agent.core.context import Context
from protocol import limits
from protocol.effects import Effects, Now
from protocol.snapshot import Snapshot

_KEY = "absence"
_STEPS = 20  # in the shortest absence that means something to a service


class Noted(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is kept (space `agent`, key `absence`), as of `at` (mono, in `boot`)."""

    boot: str
    at: float
    spent_s: float = 0.0
    """The absence until `at`; 0.0 while there is contact."""
    live: bool = False
    step_s: float = 0.0
    """After how long it would have been noted anew."""


class Absence:
    """Counts while the link is not live. `shortest_s`: the least that any service here means by it; None: none does."""

    def __init__(self, snapshot: Snapshot, ctx: Context) -> None:
        self._ctx = ctx
        raw = snapshot.spaces.get("agent", {}).get(_KEY)
        self._kept = msgspec.json.decode(raw, type=Noted) if raw is not None else None
        self._live = False
        self._spent_s = self._since = 0.0
        self._note_at = 0.0
        self.shortest_s: float | None = None

    def start(self, now: Now) -> None:
        """A life begins, without contact; what was noted goes on."""
        kept, self._since = self._kept, now.mono
        self._spent_s = 0.0 if kept is None else kept.spent_s
        if kept is None or kept.boot != self._ctx.boot:
            return
        heard = kept.at + kept.step_s if kept.live else kept.at
        self._spent_s += max(0.0, now.mono - heard)

    def seconds(self, now: Now) -> float:
        """Return for how long nothing was heard; 0.0 while the link is live."""
        return 0.0 if self._live else self._spent_s + now.mono - self._since

    def due(self, after_s: float, now: Now) -> float | None:
        """Return when (mono) the absence has lasted `after_s`; None while the link is live."""
        return None if self._live else now.mono + max(0.0, after_s - self.seconds(now))

    def heard(self, now: Now, fx: Effects) -> None:
        """The link is live."""
        self._live, self._spent_s = True, 0.0
        self._note(now, fx)

    def unheard(self, now: Now, fx: Effects) -> None:
        """The link is live no more."""
        if self._live:
            self._live, self._spent_s, self._since = False, 0.0, now.mono
            self._note(now, fx)

    def tick(self, now: Now, fx: Effects) -> None:
        """Note it anew, if that is due."""
        due = self.next_wake()
        if due is not None and now.mono >= due:
            self._note(now, fx)

    def next_wake(self) -> float | None:
        """Return when (mono) it is to be noted; None when it means nothing to any service."""
        return None if self.shortest_s is None else self._note_at

    def _note(self, now: Now, fx: Effects) -> None:
        if self.shortest_s is None:
            return
        step_s = max(1.0, min(limits.ABSENCE_NOTED_S_MAX, self.shortest_s / _STEPS))
        self._note_at = now.mono + step_s
        spent_s = self.seconds(now)
        kept = Noted(boot=self._ctx.boot, at=now.mono, spent_s=spent_s, live=self._live, step_s=step_s)
        self._ctx.put("agent", _KEY, kept, fx)
