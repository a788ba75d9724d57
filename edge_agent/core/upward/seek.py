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
from protocol.link.flow.inquiry import Inquiry, Times, Try
from protocol.link.table import ChildState

_TIMES = Times(after_s=limits.DISCOVER_AFTER_S, wait_s_min=limits.DISCOVER_S_MIN, wait_s_max=limits.DISCOVER_S_MAX)


class HubFound(msgspec.Struct, frozen=True, kw_only=True):
    """Body of the entry `hub.found`: the hub answers at `place` (HOST:PORT) now, and proved itself there."""

    place: str


class Seek:
    """The looks of one life. Nothing is kept: a new life tries the address it knows first."""

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        self._inquiry = Inquiry(ctx.child, _TIMES, lambda: ctx.entropy)

    def closed(self, turned_away: bool) -> None:
        """The transport ended; the link has not been told yet."""
        self._inquiry.closed(turned_away)

    def sought(self, got: inputs.Sought, now: Now, fx: Effects) -> None:
        """The look is over."""
        self._inquiry.done()
        if got.place and self._ctx.child.state is not ChildState.LIVE:
            self._ctx.note("audit", "hub.found", "", HubFound(place=got.place), now, fx)
            self._inquiry.forget()
            self._ctx.child.hurry(now)
        else:
            self._inquiry.again(now)

    def tick(self, now: Now, fx: Effects) -> None:
        """See how the link fares, and look when it is time."""
        ended = self._inquiry.ended()
        if ended is Try.TURNED_AWAY:
            self._inquiry.drop()
        if ended is not None and self._inquiry.signs(ended is Try.UNREACHABLE, now):
            self._inquiry.plan(now)
        if self._inquiry.begin(now):
            fx.act.append(inputs.Seek())

    def next_wake(self) -> float | None:
        """Return when (mono) the next look is due."""
        return self._inquiry.next_wake()
