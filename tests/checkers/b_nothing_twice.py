"""What a producer said once stands once: nothing is applied twice, whatever is sent, restored or copied.

Demands, of a hub's disk: no item stands in two rows, of any epoch or stream; and none that no producer ever tried.

Cannot see: the one case that nobody can tell, device and hub both restored to before what the other had fenced; and
metrics and logs of a device that was copied: they are not chained, so that no row of a copy proves to be another's.
"""

from __future__ import annotations

from tests.checkers import base
from tests.checkers.history import Disk, Row, Tried
from tests.checkers.items import item_of
from tests.checkers.world import is_chained


class NothingTwice(base.Checker):
    """See the module."""

    rule = "nothing twice"

    def watch(self) -> None:
        """Ask for what is tried, and for what stands at the end."""
        self._tried: set[str] = set()
        self.on(Tried, self._try)
        self.on(Disk, self._disk)

    def _try(self, fact: Tried) -> None:
        self._tried.add(fact.item)

    def _disk(self, fact: Disk) -> None:
        hub = self.machine(fact)
        if hub.role != "hub":
            return
        seen: set[str] = set()
        for row in fact.entries:
            item = item_of(row.node, row.raw)
            if not item:
                continue
            where = f"row {row.seq} of {row.stream} of {row.node} on {fact.node}"
            self.demand(item not in seen or self._is_open(row), f"{item} stands a second time, in {where}")
            self.demand(item in self._tried, f"{item} stands in {where}, and nobody ever said it")
            seen.add(item)

    def _is_open(self, row: Row) -> bool:
        """Tell whether a second row proves nothing."""
        its = [one for one in self.world.machines.values() if one.node == row.node]
        copied = len(its) > 1 or any(one.foreign for one in its)
        restored = any(one.foreign for one in self.world.machines.values() if one.role == "hub")
        return copied and (restored or not is_chained(row.stream))
