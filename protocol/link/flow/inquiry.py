"""When a child whose link is not to be had inquires by another way: how it stands with its parent, or where that is.

What counts as a sign is for the one who inquires to say, from how each try to connect ended. Then it inquires again by
decorrelated jitter, one inquiry at a time, until the link is live. Nothing is kept: a new life finds out anew.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass

from protocol.effects import Now
from protocol.entropy import Entropy
from protocol.link.child import Child
from protocol.link.table import ChildState

_TRYING = (ChildState.WAITING, ChildState.CONNECTING, ChildState.GREETING)


class Try(enum.Enum):
    """How a try to connect ended."""

    UNREACHABLE = "nobody was there"
    TURNED_AWAY = "somebody was there, and would not have us or did not answer"


@dataclass(frozen=True, kw_only=True)
class Times:
    """For how long there must be signs, and the bounds of the jittered wait between two inquiries; seconds."""

    after_s: float
    wait_s_min: float
    wait_s_max: float


class Inquiry:
    """The inquiries of one life. `entropy` returns its randomness."""

    def __init__(self, child: Child, times: Times, entropy: Callable[[], Entropy]) -> None:
        self._child, self._times, self._entropy = child, times, entropy
        self._was = ChildState.IDLE
        self._turned_away = self._is_under_way = False
        self.forget()

    def forget(self) -> None:
        """There is nothing to inquire about: the link is live, or what was missing has come."""
        self._since: float | None = None
        self._due: float | None = None
        self._wait_s = self._times.wait_s_min

    def closed(self, turned_away: bool) -> None:
        """The transport ended; the link has not been told yet."""
        self._turned_away = turned_away

    def ended(self) -> Try | None:
        """Return how a try to connect ended since this was last asked; None: none did, or the link is live."""
        state, was, turned_away = self._child.state, self._was, self._turned_away
        self._was, self._turned_away = state, False
        if state is ChildState.LIVE:
            self.forget()
        elif state is ChildState.WAITING and was in (ChildState.CONNECTING, ChildState.GREETING):
            return Try.TURNED_AWAY if turned_away or was is ChildState.GREETING else Try.UNREACHABLE
        return None

    def signs(self, is_one: bool, now: Now) -> bool:
        """Take the last try as a sign, or as one that ends them; tell whether there have been signs for long enough."""
        if not is_one:
            self._since = None
            return False
        if self._since is None:
            self._since = now.mono
        return now.mono - self._since >= self._times.after_s

    def plan(self, now: Now) -> None:
        """Inquire soon, unless that is planned or under way."""
        if self._due is None and not self._is_under_way:
            self._due = now.mono + self._entropy().fraction() * self._times.wait_s_min

    def drop(self) -> None:
        """Inquire no more until it is planned anew."""
        self._due = None

    def begin(self, now: Now) -> bool:
        """Tell whether to inquire now; then the inquiry is under way until `done`."""
        if self._due is None or now.mono < self._due or not self._may_begin:
            return False
        self._is_under_way, self._due = True, None
        return True

    def done(self) -> None:
        """The inquiry is over; `again` or `forget` says what comes of it."""
        self._is_under_way = False

    def again(self, now: Now) -> None:
        """It came to nothing: inquire again later, unless the link is live."""
        if self._child.state is ChildState.LIVE:
            return
        least = self._times.wait_s_min
        wait_s = least + self._entropy().fraction() * (self._wait_s * 3 - least)
        self._wait_s = min(self._times.wait_s_max, wait_s)
        self._due = now.mono + self._wait_s

    def next_wake(self) -> float | None:
        """Return when (mono) the next inquiry is due."""
        return self._due if self._may_begin else None

    @property
    def _may_begin(self) -> bool:
        return not self._is_under_way and self._child.state in _TRYING
