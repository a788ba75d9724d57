"""A hub as a child: the ordinary child's end of a link, and what its events mean to a hub.

Being cut off changes nothing here but that nothing is sent (INVARIANTS A20): there is no `if offline` in a hub either.
What its parent asks goes to the parts that place and hand on; what its children told goes up in streams `relay_CLASS`.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from hub.core.up import contact
from hub.core.up.contact import Contact, UplinkView
from hub.core.up.papers import Answer, Papers
from protocol.effects import Effects, Now
from protocol.entropy import Entropy
from protocol.link import events
from protocol.link.child import Child
from protocol.messages import AnyMessage
from protocol.snapshot import Snapshot

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hub.core.hub import HubCore


class Uplink:
    """The link of this hub to its parent."""

    def __init__(self, snapshot: Snapshot, core: HubCore, child: Child, parent: str) -> None:
        self._core, self._child, self._parent = core, child, parent
        self._contact = Contact(snapshot, child, parent)
        self.papers = Papers(child, self._note)
        self._pump_at = math.inf

    @property
    def child(self) -> Child:
        """The child's end of the link."""
        return self._child

    def view(self) -> UplinkView:
        """Return the link as it stands."""
        return self._contact.view()

    # -------------------------------------------------------------------------------------------- a life

    def start(self, entropy: Entropy, version: str, dates: tuple[int, int], now: Now, fx: Effects) -> None:
        """Connect, and follow what the parent asked in an earlier life; `dates` as HubConfig.ca_dates."""
        self._contact.start(now)
        self.papers.start(entropy, *dates)
        self._told(self._child.start(entropy, version, ("hub",), {}, now, fx), now, fx)

    def stop(self, now: Now, fx: Effects) -> None:
        """End in order."""
        self._child.stop(now, fx)

    def append(self, stream: str, items: Sequence[tuple[str, str, bytes]], now: Now, fx: Effects) -> int:
        """Append `(kind, key, body)` items to `stream`; return its last seq. They go with what shares their commit."""
        self._pump_at = now.mono
        return self._child.append(stream, items, now, fx, hold=True)

    def want_leases(self, names: list[str], every_s: float, now: Now) -> None:
        """Ask the parent for the leases of `names`, at least every `every_s` (INVARIANTS A20)."""
        self._child.want_leases(names, every_s, now)

    def tick(self, now: Now, fx: Effects) -> None:
        """Do what is due: the link's own timers, and what waits for company (the driver ticks last in each batch)."""
        self._told(self._child.tick(now, fx), now, fx)
        self.papers.tick(now, fx)
        if now.mono >= self._pump_at:
            self._pump_at = math.inf
            self._child.pump(now, fx)

    def next_wake(self) -> float:
        """Return the mono time at which `tick` is due."""
        due = self._child.next_wake()
        return min(math.inf if due is None else due, self._pump_at, self.papers.next_wake())

    # -------------------------------------------------------------------------------------------- the link

    def opened(self, session: int, now: Now, fx: Effects) -> None:
        """The transport of `session` is connected."""
        self._child.opened(session, now, fx)

    def closed(self, session: int, reason: str, turned_away: bool, now: Now, fx: Effects) -> None:
        """The transport of `session` ended or could not be connected; `turned_away`: the peer did not let us in."""
        self._contact.failed(reason)
        self.papers.closed(turned_away)
        self._told(self._child.closed(session, reason, now, fx), now, fx)

    def got(self, message: AnyMessage, now: Now, fx: Effects) -> None:
        """The parent said something."""
        self._told(self._child.got(message, now, fx), now, fx)

    def answered(self, answer: Answer, now: Now, fx: Effects) -> None:
        """The shell has done what was asked of it about this hub's papers."""
        self._told(self.papers.answered(answer, now, fx), now, fx)

    def _told(self, told: list[events.ChildEvent], now: Now, fx: Effects) -> None:
        for event in told:
            for part in (self._core.roster, self._core.questions, self.papers):
                if part is not None:
                    part.told(event, now, fx)
            match event:
                case events.Ticket(digest=digest, ticket=ticket):
                    if self._core.fetching is not None:
                        self._core.fetching.ticket(digest, ticket, now, fx)
                case events.Wanted(items=items, held=held):
                    self._contact.received(now, fx)
                    self._core.failover.numbers.follow(items)
                    self._core.delegated.wanted(items, now, fx)
                    self._core.lodging.wanted(items, now, fx)
                    if self._core.fetching is not None:
                        self._core.fetching.settle(now, fx)
                    self._note("desired.applied", {"generation": held.generation, "term": held.term}, now, fx)
                case events.WentLive():
                    self._contact.live(now, fx)
                    if self._core.fetching is not None:
                        self._core.fetching.live(now, fx)
                case events.WentOffline(reason=reason):
                    self._contact.offline(reason, now, fx)
                case events.Leased(granted=granted, asked=asked):
                    self._core.failover.leases.granted(granted, asked)
                case _:
                    self._told_seldom(event, now, fx)

    def _told_seldom(self, event: events.ChildEvent, now: Now, fx: Effects) -> None:
        match event:
            case events.DesiredRefused(reason=reason):
                self._contact.refused = f"a manifest was refused, the last good one stays: {reason}"
                self._note("desired.refused", {"reason": reason}, now, fx)
            case events.RevokedBy(reason=reason):
                self._contact.turned_away(f"revoked: {reason}; what runs below this hub goes on", now, fx)
                self._note("revoked", {"reason": reason}, now, fx)
            case events.Quarantined(reason=reason):
                above = "an operator of its parent decides"
                self._contact.turned_away(f"turned away: {reason}; what runs below goes on, {above}", now, fx)
                self._note("clone.seen", {"reason": reason}, now, fx)
            case events.GapDeclared() | events.EpochBegun() | events.ParentBehind():
                self._note(*contact.of_stream(event), now, fx)
            case _:
                pass

    def _note(self, kind: str, body: dict[str, Any], now: Now, fx: Effects) -> None:
        self._core.streams.audit(kind, self._parent, body, now, fx)
