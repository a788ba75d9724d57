"""When to look for the parent elsewhere: it has not been reached at the address that is known for DISCOVER_AFTER_S.

As a device looks for its hub (decision 0034): who answers there and would not have us is no sign of it. Looked for
again by decorrelated jitter, one look at a time, until a session is up. The shell performs the look and proves what it
finds; here nothing is believed.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from hub.core import inputs
from protocol import limits
from protocol.effects import Action, Effects, Now
from protocol.entropy import Entropy
from protocol.link.child import Child
from protocol.link.flow.inquiry import Inquiry, Times, Try
from protocol.link.table import ChildState

_TIMES = Times(after_s=limits.DISCOVER_AFTER_S, wait_s_min=limits.DISCOVER_S_MIN, wait_s_max=limits.DISCOVER_S_MAX)


class Sought(inputs.UpInput, frozen=True, kw_only=True):
    """What Seek came to: where the parent proved to be (HOST:PORT), which is stored; or "", and the `reason`."""

    place: str = ""
    reason: str = ""


class Seek(Action, frozen=True, kw_only=True):
    """Look for the parent on the local network, and by the names in its certificate; Sought follows."""


class Seeking:
    """The looks of one life. Nothing is kept: a new life tries the address it knows first."""

    def __init__(self, child: Child, note: Callable[[str, dict[str, Any], Now, Effects], None]) -> None:
        self._child, self._note = child, note
        self._entropy = Entropy(b"")
        self._inquiry = Inquiry(child, _TIMES, lambda: self._entropy)
        self._reason = ""

    @property
    def looked(self) -> str:
        """What the last look came to, while the parent is not there."""
        return "" if self._child.state is ChildState.LIVE else self._reason

    def start(self, entropy: Entropy) -> None:
        """Take the randomness of this life."""
        self._entropy = entropy

    def closed(self, turned_away: bool) -> None:
        """The transport ended; the link has not been told yet."""
        self._inquiry.closed(turned_away)

    def sought(self, got: Sought, now: Now, fx: Effects) -> None:
        """The look is over."""
        self._inquiry.done()
        self._reason = got.reason
        if got.place and self._child.state is not ChildState.LIVE:
            self._note("hub.found", {"place": got.place}, now, fx)
            self._inquiry.forget()
            self._child.hurry(now)
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
            fx.act.append(Seek())

    def next_wake(self) -> float:
        """Return when (mono) the next look is due."""
        due = self._inquiry.next_wake()
        return math.inf if due is None else due
