"""When to turn to another hub by the grant, because this device's own is gone for good.

    nothing heard for the grant's `after_s` LookForHaven: a helper proves the grant, and that our hub cannot be reached
                                            while one that the grant names is there
    there is one                            the device belongs there from now on (upward/home)
    there is none                           this device itself is cut off, and stays; looked again by jitter, seldom

The time is upward/absence: it goes on over restarts and boots, and begins anew with each hub that is turned to. A hub
that turned this device away is there: from then on it waits that time within one life.
"""

from __future__ import annotations

import math

from edge_agent.core import inputs
from edge_agent.core.context import Context
from edge_agent.core.desired import Desired, Doc
from edge_agent.core.upward.absence import Absence
from edge_agent.core.upward.home import Home, Turned
from protocol import documents, limits
from protocol.effects import Effects, Now
from protocol.link.table import ChildState

_TRYING = (ChildState.WAITING, ChildState.CONNECTING, ChildState.GREETING)


class Gone:
    """The looks of one life."""

    def __init__(self, ctx: Context, home: Home, absence: Absence, parent: str) -> None:
        self._ctx, self._home, self._absence, self._parent = ctx, home, absence, parent
        self._grant: tuple[Doc, documents.Grant] | None = None
        self._due: float | None = None
        self._refused_at = -math.inf
        self._looking = False

    def know(self, desired: Desired) -> None:
        """Take the grant of a manifest; one of a former hub, which is in force until our hub's comes, counts too."""
        self._grant = next(iter(desired.of(documents.Grant).values()), None)
        self._absence.patience_s = None if self._grant is None else self._grant[1].after_s

    def tick(self, now: Now, fx: Effects) -> None:
        """See how the link fares, and look when it is time."""
        if self._ctx.child.state is ChildState.REFUSED:
            self._refused_at = now.mono
        if self._grant is None or self._ctx.child.state not in _TRYING:
            self._due = None
            return
        doc, grant = self._grant
        if self._due is None:
            waited_s = min(self._absence.of_parent(now), now.mono - self._refused_at)
            left_s = max(0.0, grant.after_s - waited_s)
            self._due = now.mono + left_s + self._ctx.entropy.fraction() * limits.DISCOVER_S_MIN
        elif now.mono >= self._due and not self._looking:
            self._looking = True
            fx.act.append(inputs.LookForHaven(digest=doc.digest, grant=doc.raw))

    def found(self, got: inputs.HavenFound, now: Now, fx: Effects) -> None:
        """The look is over."""
        self._looking = False
        if self._grant is None or self._grant[0].digest != got.digest or self._ctx.child.state not in _TRYING:
            return
        if got.to is None:
            self._due = now.mono + limits.DISCOVER_S_MAX * (0.5 + self._ctx.entropy.fraction() / 2)
            return
        grant = self._grant[1]
        body = Turned(former=self._parent, to=got.to.id, by=grant.by, number=grant.number, reason="its hub is gone")
        self._home.leave(got.to, body, now, fx)

    def next_wake(self) -> float | None:
        """Return when (mono) the next look is due."""
        return None if self._looking else self._due
