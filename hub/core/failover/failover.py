"""Failing over: a copy that is not heard for long is parked, others take over, and its return is decided.

What decides is in hub.core.failover.rules, what is kept in hub.core.failover.book. Absence is measured from the last
contact by Now.mono; after a restart of the hub it begins anew. A copy is parked when another child can take over, and
not before: that alone would help nobody.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from hub.core.failover.absent import Absent
from hub.core.failover.book import Books
from hub.core.failover.leases import Leases
from hub.core.failover.moves import Moves
from hub.core.failover.numbers import Numbers
from hub.core.work.declared import Resource
from protocol import limits, messages, status
from protocol.effects import Effects, Now
from protocol.link.flow.agenda import Agenda
from protocol.snapshot import Snapshot

if TYPE_CHECKING:
    from hub.core.hub import HubCore


class Failover:
    """Of all services that say what being cut off means to them."""

    def __init__(self, snapshot: Snapshot, core: HubCore) -> None:
        self._core = core
        self.books = Books(snapshot)
        self._absent = Absent(core)
        self._moves = Moves(core, self.books, self._absent)
        self.numbers = Numbers(core, self.books)
        self.leases = Leases(snapshot, core)
        self._agenda = Agenda()
        core.resources.parked = self.parked
        core.resources.changed = self.numbers.mark

    def start(self, now: Now) -> None:
        """A life begins: nobody is heard yet."""
        self._absent.start(now)
        self.leases.start(now)
        for record in self._core.resources.records("service"):
            self.numbers.mark(record.key)

    # -------------------------------------------------------------------------------------------- reading

    def parked(self, key: str) -> dict[str, int]:
        """Return the children whose copies of `key` are parked, with how many each has."""
        return {child: one.copies for child, one in self.books.get(key).parked.items()}

    def fence(self, key: str, child: str) -> int:
        """Return the fence of the copy of `key` that is asked for from `child`; 0: none."""
        return self.books.get(key).copies.get(child, 0)

    def items(self, child: str) -> dict[str, bytes]:
        """Return the fences of what is placed on `child`: document id -> bytes."""
        fences = {key: self.fence(key, child) for key in self._core.delegate.placed(child)}
        return self.numbers.documents({key: fence for key, fence in fences.items() if fence})

    # -------------------------------------------------------------------------------------------- hearing

    def away(self, child: str, reason: str, now: Now) -> None:
        """`child` is connected no longer."""
        self._absent.went(child, reason, now)
        self.leases.waiting.forget(child)
        for key in self._core.delegate.placed(child):
            record = self._core.resources.find(key)
            if record is not None:
                self._watch(record, [child], now)

    def live(self, child: str) -> None:
        """`child` is heard again."""
        self._absent.came(child)

    def heard(self, child: str, said: messages.Status, report: status.Report, now: Now, fx: Effects) -> None:
        """A child says how it is, and may ask for leases."""
        core = self._core
        if core.restore.waits:
            return
        for name, one in report.services.items():
            self.books.raise_to(f"service/{name}", one.fence, fx)
        for key in self.books.concerned(child):
            self._moves.decide(key, now, fx)
            self.numbers.mark(key)
        link = core.parent.view(child)
        is_up_to_date = (said.held.term, said.held.generation) == (link.term, link.generation)
        is_whole = is_up_to_date and core.delegate.is_settled(child)
        self.leases.heard(child, report, is_whole, now, fx)
        self.leases.ask(child, said.leases, said.count, is_whole, now, fx)

    # -------------------------------------------------------------------------------------------- time

    def tick(self, now: Now, fx: Effects) -> None:
        """Do what is due, some of it: fences of what has changed, and copies whose children are away for too long."""
        if self._core.restore.waits:
            return
        self._settle(now, fx)
        for _ in range(limits.FAILOVERS_PER_INPUT_MAX):
            key = self._agenda.pop(now.mono)
            if key is None:
                break
            self._look(key, now, fx)
        self.leases.tick(now, fx)
        self._settle(now, fx)

    def _settle(self, now: Now, fx: Effects) -> None:
        for key in self.numbers.some(fx):
            self.leases.changed(key.partition("/")[2])
            record = self._core.resources.find(key)
            if record is not None:
                self._watch(record, [*record.nodes, *record.shares], now)

    def next_wake(self, now: Now) -> float:
        """Return when (mono) something is due."""
        if self._core.restore.waits:
            return math.inf
        due = self._agenda.next()
        soonest = min(math.inf if due is None else due, self.leases.waiting.next_wake(), self.leases.given.next_wake())
        return now.mono if self.numbers.waits else soonest

    # -------------------------------------------------------------------------------------------- absences

    def _watch(self, record: Resource, children: list[str], now: Now) -> None:
        """Have a service looked at when one of `children`, which have it, was away for long enough."""
        after_s = record.disconnect.replace_after_s
        if after_s is not None and record.count is not None:
            for child in children:
                since = self._absent.since(child, now)
                if since is not None:
                    self._agenda.put(record.key, since + after_s)

    def _look(self, key: str, now: Now, fx: Effects) -> None:
        record = self._core.resources.find(key)
        after_s = None if record is None else record.disconnect.replace_after_s
        if record is None or record.count is None or after_s is None:
            return
        for child in (*record.nodes, *record.shares):
            since = self._absent.since(child, now)
            if since is None:
                continue
            record = self._core.resources.get(record.kind, record.name)
            if now.mono < since + after_s or not self._moves.replace(record, child, now, fx):
                self._agenda.put(key, max(since + after_s, now.mono + limits.FAILOVER_RETRY_S))
