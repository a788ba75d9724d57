"""What this hub tells its parent of the nodes below it: each of them in its roster, all of them added up in its Status.

While this hub's store is in doubt (A17) what the roster does not name is not gone: nothing above acts on that.

A level (INVARIANTS A11, A12): whatever changed is said as it is when there is room to say it. A node that only was
heard again, and is as it was, is said again every limits.BRIEF_TIMES_S: a thousand quiet devices are no traffic.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import msgspec

from protocol import limits
from protocol.effects import Effects, Now
from protocol.link import events
from protocol.link.child import Child
from protocol.link.roster import brief as briefs
from protocol.link.roster.child import Sender

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hub.core.hub import HubCore


class RosterUp:
    """The roster and the report of a hub that has a parent."""

    def __init__(self, core: HubCore, child: Child, parent: str) -> None:
        self._core, self._child = core, child
        self._sender = Sender(parent, self._told)
        self._said: dict[str, tuple[int, float]] = {}
        """Of own children: a hash of the Brief that was said, but for its times, and when (mono)."""
        self._report_at = -math.inf
        self._reported_at = -math.inf

    def told(self, event: events.ChildEvent, now: Now, fx: Effects) -> None:
        """The link says something: a session begins with all that there is, and its end is the end of that."""
        match event:
            case events.WentLive(renew_only=False):
                self._said.clear()
                addresses, is_sure = self._core.subtree.addresses(), not self._core.restore.waits
                self._sender.begin(self._child.session, addresses, now, fx, is_sure=is_sure)
            case events.WentOffline():
                self._sender.end()
            case events.RosterAcked(session=session, number=number):
                self._sender.acked(session, number, now, fx)
            case _:
                pass

    def changed(self, own: Iterable[str], below: Iterable[str], now: Now) -> None:
        """Own children may have changed, and what is below child hubs has."""
        if self._core.subtree.is_stale:
            self._stale(now)
        for address in below:
            self._sender.changed(address, now)
            self._stale(now)
        for name in own:
            self._stale(now)
            if self._is_worth_it(name, now):
                self._sender.changed(name, now)

    def _stale(self, now: Now) -> None:
        due = max(now.mono, self._reported_at + limits.STATUS_SETTLE_S)
        self._report_at = min(self._report_at, due)

    def _is_worth_it(self, name: str, now: Now) -> bool:
        before = self._said.get(name)
        if before is None or now.mono - before[1] >= limits.BRIEF_TIMES_S:
            return True
        return before[0] != _but_times(self._core.subtree.brief(name))

    def _told(self, address: str, now: Now) -> bytes | None:
        own = self._core.registry.find(address)
        raw = self._core.subtree.raw(address) if own is None or not own.moved else None
        if "/" not in address:
            if raw is None:
                self._said.pop(address, None)
            else:
                self._said[address] = _but_times(briefs.decode(raw)), now.mono
        return raw

    def tick(self, now: Now, fx: Effects) -> None:
        """Say what is due."""
        if not self._sender.is_sure and not self._core.restore.waits:
            self._sender.complete(self._core.subtree.addresses(), now, fx)
        if now.mono >= self._report_at:
            self._report_at, self._reported_at = math.inf, now.mono
            self._child.set_report(self._core.subtree.report(now), now, fx)
        self._sender.tick(now, fx)

    def next_wake(self) -> float:
        """Return the mono time at which `tick` is due."""
        return min(self._report_at, self._sender.next_wake())


def _but_times(brief: briefs.Brief) -> int:
    return hash(briefs.encode(msgspec.structs.replace(brief, contact_ms=0, as_of_ms=0)))
