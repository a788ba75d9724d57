"""Copies that move: parked when their child is not heard for long, and back or gone when it is heard again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from hub.core.failover import rules
from hub.core.failover.absent import Absent
from hub.core.failover.book import Books, Parked
from hub.core.failover.rules import Copy, Verdict
from hub.core.work.declared import Resource
from protocol.effects import Effects, Now

if TYPE_CHECKING:
    from hub.core.hub import HubCore


class Moves:
    """Parks copies and decides on their return; each decision is an entry `failover.decided`."""

    def __init__(self, core: HubCore, books: Books, absent: Absent) -> None:
        self._core = core
        self._books = books
        self._absent = absent

    # -------------------------------------------------------------------------------------------- replacing

    def replace(self, record: Resource, child: str, now: Now, fx: Effects) -> bool:
        """Let others take over from `child`, and park its copy; False when nobody can, and nothing has happened.

        Who is parked and heard goes before newcomers: it runs already.
        """
        core, key, book = self._core, record.key, self._books.get(record.key)
        back = [one for one in book.parked if self._absent.is_heard(one)]
        parked = Parked(copies=record.shares.get(child, 1), since_ms=int(now.wall * 1000))
        rest = {name: one for name, one in book.parked.items() if name not in back} | {child: parked}
        after = core.resources.moved(key, out=rest, back=back)
        by = {one: n for one, n in _gained(record, after).items() if self._absent.is_heard(one)}
        if not by:
            return False
        rest = {name: _instead(one, {child: 0}, by) for name, one in rest.items()}
        rest[child] = msgspec.structs.replace(parked, by=by)
        self._books.put(key, msgspec.structs.replace(book, parked=rest), fx)
        self._place(after, fx)
        self._note(key, child, "replaced", by, now, fx)
        return True

    # -------------------------------------------------------------------------------------------- returning

    def decide(self, key: str, now: Now, fx: Effects) -> None:
        """Decide on the parked copies of a service whose children are heard; harmless when nothing is to be decided."""
        for child in sorted(self._books.get(key).parked):
            record, parked = self._core.resources.find(key), self._books.get(key).parked[child]
            if record is not None and not parked.kept and self._absent.is_heard(child):
                verdict = self._verdict(record, child, parked)
                if verdict is not Verdict.WAIT:
                    self._follow(record, child, parked, verdict, now, fx)

    def _verdict(self, record: Resource, child: str, parked: Parked) -> Verdict:
        rivals = [one for one in parked.by if one in record.nodes or one in record.shares]
        taken = len(record.nodes) + sum(record.shares.values())
        if taken + parked.copies <= (record.count or 0):
            return Verdict.BACK  # its place is free
        if not rivals:
            return Verdict.GONE  # others have it, for another reason
        others = self._copy(record, {one: parked.by[one] for one in rivals})
        return rules.decide(record.disconnect, self._copy(record, {child: parked.copies}), others)

    def _copy(self, record: Resource, children: dict[str, int]) -> Copy:
        """Return what is known of a copy, or of all those together that took over for one (child -> copies)."""
        said = [self._said(record, child, copies) for child, copies in children.items()]
        fences = self._books.get(record.key).copies
        return Copy(
            fence=max(fences.get(child, 0) for child in children),
            online=all(self._absent.is_heard(child) for child in children),
            runs=all(runs for runs, _ in said),
            current=all(current for _, current in said),
        )

    def _said(self, record: Resource, child: str, copies: int) -> tuple[bool, bool]:
        """Return whether `child` last said that its copies run, and of the document that is asked for now."""
        core = self._core
        if core.registry.get(child).kind == "hub":
            tally = core.subtree.region(child).tallies.get(record.key)
            generation = record.generation if record.origin is None else record.origin.generation
            return (False, False) if tally is None else (tally.running >= copies, tally.generation == generation)
        report = core.rollup.report(child)
        one = None if report is None else report.services.get(record.name)
        if one is None:
            return False, False
        return one.state == "running" and one.healthy is not False, one.digest == core.resources.document(record.key)[2]

    def _follow(self, record: Resource, child: str, parked: Parked, verdict: Verdict, now: Now, fx: Effects) -> None:
        key, book, after = record.key, self._books.get(record.key), record
        rest = {name: one for name, one in book.parked.items() if name != child}
        match verdict:
            case Verdict.BACK:
                after = self._core.resources.moved(key, out=rest, back=[child], less=parked.by)
                rest = {name: _instead(one, parked.by, {child: parked.copies}) for name, one in rest.items()}
            case Verdict.BOTH:
                rest[child] = msgspec.structs.replace(parked, kept=True)
            case _:
                pass
        self._books.put(key, msgspec.structs.replace(book, parked=rest), fx)
        self._place(after, fx)
        self._core.delegate.mark(child)
        self._note(key, child, verdict.value, parked.by, now, fx)

    # -------------------------------------------------------------------------------------------- both

    def _place(self, after: Resource, fx: Effects) -> None:
        for child in self._core.resources.place(after, fx):
            self._core.delegate.mark(child)

    def _note(self, key: str, child: str, decided: str, by: dict[str, int], now: Now, fx: Effects) -> None:
        body: dict[str, Any] = {"child": child, "decided": decided, "by": by}
        body |= {"fence": self._books.get(key).copies.get(child, 0)} | self._absent.evidence(child, now)
        self._core.streams.audit("failover.decided", key, body, now, fx)


def _gained(before: Resource, after: Resource) -> dict[str, int]:
    """Return who has more copies than before, and how many."""
    had = dict.fromkeys(before.nodes, 1) | before.shares
    has = dict.fromkeys(after.nodes, 1) | after.shares
    return {child: n - had.get(child, 0) for child, n in has.items() if n > had.get(child, 0)}


def _instead(parked: Parked, gone: dict[str, int], by: dict[str, int]) -> Parked:
    """Let `by` stand for those that are `gone`, where they had taken over for another one."""
    if not parked.by.keys() & gone.keys():
        return parked
    return msgspec.structs.replace(parked, by={one: n for one, n in parked.by.items() if one not in gone} | by)
