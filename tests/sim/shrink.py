"""Makes a plan that breaks a rule shorter, as long as the same rule still breaks: delta debugging.

First everything after the break goes, then records in ever smaller groups, then what lasts is made to last less.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from tests.sim import plan as plans
from tests.sim.plan import AnyItem, Plan

Breaks = Callable[[Plan], float | None]
"""Runs a plan; returns the world's time of the break when the same rule breaks, else None."""


def shrink(plan: Plan, at: float, breaks: Breaks, *, tries: int) -> tuple[Plan, float]:
    """Return the shortest plan found within `tries` runs, and when it breaks. `at`: when `plan` does."""
    search = _Search(plan, at, breaks, tries)
    search.cut_end()
    search.drop_groups()
    search.shorten()
    search.cut_end()
    return search.plan, search.at


class _Search:
    def __init__(self, plan: Plan, at: float, breaks: Breaks, tries: int) -> None:
        self.plan, self.at = plan, at
        self._breaks, self._left = breaks, tries

    def _try(self, plan: Plan) -> bool:
        if self._left <= 0:
            return False
        self._left -= 1
        at = self._breaks(plan)
        if at is None:
            return False
        self.plan, self.at = plan, at
        return True

    def cut_end(self) -> None:
        """Let the plan end with its last record, and with what came before the break."""
        items = [item for item in self.plan.items if item.at <= self.at]
        end = max((plans.end_of(item) for item in items), default=0.0) + 60.0
        if len(items) < len(self.plan.items) or end < self.plan.seconds:
            self._try(msgspec.structs.replace(self.plan, items=items, seconds=min(end, self.plan.seconds)))

    def drop_groups(self) -> None:
        """Drop records: halves first, single ones at last, again as long as any can go."""
        size = max(1, len(self.plan.items) // 2)
        while self._left > 0:
            dropped = False
            start = 0
            while start < len(self.plan.items):
                rest = [*self.plan.items[:start], *self.plan.items[start + size :]]
                if self._try(msgspec.structs.replace(self.plan, items=rest)):
                    dropped = True
                else:
                    start += size
            if size == 1 and not dropped:
                return
            size = max(1, size // 2)

    def shorten(self) -> None:
        """Let what lasts last a tenth of it."""
        for place, item in enumerate(self.plan.items):
            if isinstance(item, plans.Lasting) and item.for_s > 2.0:
                shorter: AnyItem = msgspec.structs.replace(item, for_s=round(item.for_s / 10, 1))
                items = [*self.plan.items[:place], shorter, *self.plan.items[place + 1 :]]
                self._try(msgspec.structs.replace(self.plan, items=items))
