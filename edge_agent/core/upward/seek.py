"""Looking for the hub at another address (protocol.link.flow.search), and what is put on record of it.

Who answers at the known one and would not have us is asked apart from the link (upward/apart), but for one whose
certificate is not the hub's: the address may be another's by now.
"""

from __future__ import annotations

import msgspec

from edge_agent.core import inputs
from edge_agent.core.context import Context
from protocol.effects import Effects, Now
from protocol.link.flow.search import Search


class HubFound(msgspec.Struct, frozen=True, kw_only=True):
    """Body of the entry `hub.found`: the hub answers at `place` (HOST:PORT) now, and proved itself there."""

    place: str


class Seek:
    """The looks of one life."""

    def __init__(self, ctx: Context) -> None:
        self._ctx, self._search = ctx, Search(ctx.child, lambda: ctx.entropy)

    def closed(self, turned_away: bool) -> None:
        """The transport ended; the link has not been told yet."""
        self._search.closed(turned_away)

    def sought(self, got: inputs.Sought, now: Now, fx: Effects) -> None:
        """The look is over."""
        if self._search.done(got.place, now):
            self._ctx.note("audit", "hub.found", "", HubFound(place=got.place), now, fx)

    def tick(self, now: Now, fx: Effects) -> None:
        """See how the link fares, and look when it is time."""
        if self._search.is_due(now):
            fx.act.append(inputs.Seek())

    def next_wake(self) -> float | None:
        """Return when (mono) the next look is due."""
        return self._search.next_wake()
