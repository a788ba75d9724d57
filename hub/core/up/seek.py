"""Looking for the parent at another address (protocol.link.flow.search): what came of it, and what is put on record."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from hub.core import inputs
from protocol.effects import Action, Effects, Now
from protocol.entropy import Entropy
from protocol.link.child import Child
from protocol.link.flow.search import Search
from protocol.link.table import ChildState


class Sought(inputs.UpInput, frozen=True, kw_only=True):
    """What Seek came to: where the parent proved to be (HOST:PORT), which is stored; or "", and the `reason`."""

    place: str = ""
    reason: str = ""


class Seek(Action, frozen=True, kw_only=True):
    """Look for the parent on the local network, and by the names in its certificate; Sought follows."""


class Seeking:
    """The looks of one life."""

    def __init__(self, child: Child, note: Callable[[str, dict[str, Any], Now, Effects], None]) -> None:
        self._child, self._note = child, note
        self._entropy = Entropy(b"")
        self._search = Search(child, lambda: self._entropy)
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
        self._search.closed(turned_away)

    def sought(self, got: Sought, now: Now, fx: Effects) -> None:
        """The look is over."""
        self._reason = got.reason
        if self._search.done(got.place, now):
            self._note("hub.found", {"place": got.place}, now, fx)

    def tick(self, now: Now, fx: Effects) -> None:
        """See how the link fares, and look when it is time."""
        if self._search.is_due(now):
            fx.act.append(Seek())

    def next_wake(self) -> float:
        """Return when (mono) the next look is due."""
        due = self._search.next_wake()
        return math.inf if due is None else due
