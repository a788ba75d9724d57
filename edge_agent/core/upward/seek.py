"""When to look for the hub elsewhere: it has not been reached at the address that is known for DISCOVER_AFTER_S.

Whoever answers there and would not have us is no sign of it (upward/apart asks then), but for one whose certificate is
not the hub's: the address may be another's by now. Looked for again by decorrelated jitter, one look at a time, until a
session is up. A shell performs the look and proves what it finds; here nothing is believed.
"""

from __future__ import annotations

import msgspec

from edge_agent.core import inputs
from edge_agent.core.context import Context
from protocol import limits
from protocol.effects import Effects, Now
from protocol.link.table import ChildState

_TRYING = (ChildState.WAITING, ChildState.CONNECTING, ChildState.GREETING)


class HubFound(msgspec.Struct, frozen=True, kw_only=True):
    """Body of the entry `hub.found`: the hub answers at `place` (HOST:PORT) now, and proved itself there."""

    place: str


class Seek:
    """The looks of one life. Nothing is kept: a new life tries the address it knows first."""

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        self._was = ChildState.IDLE
        self._turned_away = self._looking = False
        self._forget()

    def _forget(self) -> None:
        self._since: float | None = None
        self._due: float | None = None
        self._wait_s = limits.DISCOVER_S_MIN

    def closed(self, turned_away: bool) -> None:
        """The transport ended; the link has not been told yet."""
        self._turned_away = turned_away

    def sought(self, got: inputs.Sought, now: Now, fx: Effects) -> None:
        """The look is over."""
        self._looking = False
        if self._ctx.child.state is ChildState.LIVE:
            return
        if got.place:
            self._ctx.note("audit", "hub.found", "", HubFound(place=got.place), now, fx)
            self._forget()
            self._ctx.child.hurry(now)
            return
        span = self._wait_s * 3 - limits.DISCOVER_S_MIN
        self._wait_s = min(limits.DISCOVER_S_MAX, limits.DISCOVER_S_MIN + self._ctx.entropy.fraction() * span)
        self._due = now.mono + self._wait_s

    def tick(self, now: Now, fx: Effects) -> None:
        """See how the link fares, and look when it is time."""
        state, was = self._ctx.child.state, self._was
        self._was = state
        if state is ChildState.LIVE:
            self._forget()
        elif state is ChildState.WAITING and was in (ChildState.CONNECTING, ChildState.GREETING):
            self._failed(was is ChildState.CONNECTING and not self._turned_away, now)
        self._turned_away = False
        if self._due is not None and now.mono >= self._due and self._may_look:
            self._looking, self._due = True, None
            fx.act.append(inputs.Seek())

    def _failed(self, unreachable: bool, now: Now) -> None:
        if not unreachable:
            self._since = self._due = None
        elif self._since is None:
            self._since = now.mono
        elif self._due is None and not self._looking and now.mono - self._since >= limits.DISCOVER_AFTER_S:
            self._due = now.mono + self._ctx.entropy.fraction() * limits.DISCOVER_S_MIN

    @property
    def _may_look(self) -> bool:
        return not self._looking and self._ctx.child.state in _TRYING

    def next_wake(self) -> float | None:
        """Return when (mono) the next look is due."""
        return self._due if self._may_look else None
