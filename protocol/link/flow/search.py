"""When a child looks for its parent elsewhere: for DISCOVER_AFTER_S nobody was there at the address that is known.

Whoever answers there and would not have us is no sign of it (decision 0034). Looked for again by decorrelated jitter,
one look at a time, until a session is up. A shell performs the look and proves what it finds; here nothing is believed.
"""

from __future__ import annotations

from collections.abc import Callable

from protocol import limits
from protocol.effects import Now
from protocol.entropy import Entropy
from protocol.link.child import Child
from protocol.link.flow.inquiry import Inquiry, Times, Try
from protocol.link.table import ChildState

_TIMES = Times(after_s=limits.DISCOVER_AFTER_S, wait_s_min=limits.DISCOVER_S_MIN, wait_s_max=limits.DISCOVER_S_MAX)


class Search:
    """The looks of one life. Nothing is kept: a new life tries the address it knows first."""

    def __init__(self, child: Child, entropy: Callable[[], Entropy]) -> None:
        self._child, self._inquiry = child, Inquiry(child, _TIMES, entropy)

    def closed(self, turned_away: bool) -> None:
        """The transport ended; the link has not been told yet."""
        self._inquiry.closed(turned_away)

    def done(self, place: str, now: Now) -> bool:
        """The look is over, and found the parent at `place`, or nobody (""). Tell whether that helps: it is tried."""
        self._inquiry.done()
        helps = bool(place) and self._child.state is not ChildState.LIVE
        if helps:
            self._inquiry.forget()
            self._child.hurry(now)
        else:
            self._inquiry.again(now)
        return helps

    def is_due(self, now: Now) -> bool:
        """See how the link fares; tell whether to look now. Then it is under way until `done`."""
        ended = self._inquiry.ended()
        if ended is Try.TURNED_AWAY:
            self._inquiry.drop()
        if ended is not None and self._inquiry.signs(ended is Try.UNREACHABLE, now):
            self._inquiry.plan(now)
        return self._inquiry.begin(now)

    def next_wake(self) -> float | None:
        """Return when (mono) the next look is due."""
        return self._inquiry.next_wake()
