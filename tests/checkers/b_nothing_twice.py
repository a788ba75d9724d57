"""What a producer said once stands once: nothing is applied twice, whatever is sent, restored or copied.

Demands, of a hub's disk: no item stands in two rows, of any epoch or stream; and none that no producer ever tried.

Cannot see: the one case that nobody can tell, device and hub both restored to before what the other had fenced.
"""

from __future__ import annotations

from tests.checkers import base
from tests.checkers.history import Disk, Tried
from tests.checkers.items import item_of


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
            both = hub.foreign and self.world.machine(row.node).foreign
            self.demand(item not in seen or both, f"{item} stands a second time, in {where}")
            self.demand(item in self._tried, f"{item} stands in {where}, and nobody ever said it")
            seen.add(item)
