"""How long this device has heard nothing of its parent: `disconnect: {device: stop_after}` and the grant of a hub that
is gone for good are measured by it.

It counts Now.mono, never the wall clock (INVARIANTS A15), and goes on over restarts of the agent and over boots. What
is not known counts as contact: the time without power, and at most one step of limits.ABSENCE_NOTED_S_MAX that a
sudden end left unnoted. So nothing is stopped, and no hub is left, too early.
"""

from __future__ import annotations

import msgspec

from edge_agent.core.context import Context
from protocol import limits
from protocol.effects import Effects, Now
from protocol.snapshot import Snapshot

_KEY = "absence"
_STEPS = 20  # in the shortest absence that means something


class Noted(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is kept (space `agent`, key `absence`), as of `at` (mono, in `boot`)."""

    boot: str
    at: float
    parent: str
    spent_s: float = 0.0
    """The absence until `at`; 0.0 while there is contact."""
    before_s: float = 0.0
    """As much of it went by before this parent was turned to."""
    live: bool = False
    step_s: float = 0.0
    """After how long it would have been noted anew; 0.0: not before the contact ends."""


class Absence:
    """Counts while the link is not live. `shortest_s`: the least that any service here means by it; `patience_s`: what
    the grant means; None: nothing does."""

    def __init__(self, snapshot: Snapshot, ctx: Context, parent: str) -> None:
        self._ctx, self._parent = ctx, parent
        raw = snapshot.spaces.get("agent", {}).get(_KEY)
        self._kept = msgspec.json.decode(raw, type=Noted) if raw is not None else None
        self._live = False
        self._spent_s = self._before_s = self._since = 0.0
        self._note_at = 0.0
        self.shortest_s: float | None = None
        self.patience_s: float | None = None

    def start(self, now: Now) -> None:
        """A life begins, without contact; what was noted goes on."""
        kept, self._since = self._kept, now.mono
        if kept is None:
            return
        self._spent_s, self._before_s = kept.spent_s, kept.before_s
        if kept.boot == self._ctx.boot and (kept.step_s or not kept.live):
            heard = kept.at + kept.step_s if kept.live else kept.at
            self._spent_s += max(0.0, now.mono - heard)
        if kept.parent != self._parent:
            self._before_s = self._spent_s

    def seconds(self, now: Now) -> float:
        """Return for how long nothing was heard; 0.0 while the link is live."""
        return 0.0 if self._live else self._spent_s + now.mono - self._since

    def of_parent(self, now: Now) -> float:
        """Return for how long nothing was heard since this parent was turned to."""
        return max(0.0, self.seconds(now) - self._before_s)

    def due(self, after_s: float, now: Now) -> float | None:
        """Return when (mono) the absence has lasted `after_s`; None while the link is live."""
        return None if self._live else now.mono + max(0.0, after_s - self.seconds(now))

    def heard(self, now: Now, fx: Effects) -> None:
        """The link is live."""
        self._live, self._spent_s, self._before_s = True, 0.0, 0.0
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
        """Return when (mono) it is to be noted; None when that is not before the contact ends, or for nobody."""
        step_s = self._step_s()
        if step_s is None:
            return None
        if self._kept is None or self._kept.step_s != step_s:
            return self._since
        return self._note_at if step_s else None

    def _step_s(self) -> float | None:
        """Return how often it is to be noted; 0.0: once; None: never. A grant alone costs a live device nothing."""
        meant = [one for one in (self.shortest_s, self.patience_s) if one is not None]
        if not meant:
            return None
        if self._live and self.shortest_s is None:
            return 0.0
        return max(1.0, min(limits.ABSENCE_NOTED_S_MAX, min(meant) / _STEPS))

    def _note(self, now: Now, fx: Effects) -> None:
        step_s = self._step_s()
        if step_s is None:
            return
        self._note_at = now.mono + step_s
        self._kept = Noted(
            boot=self._ctx.boot,
            at=now.mono,
            parent=self._parent,
            spent_s=self.seconds(now),
            before_s=self._before_s,
            live=self._live,
            step_s=step_s,
        )
        self._ctx.put("agent", _KEY, self._kept, fx)
