"""The room for ranges of missing rows, of all origins below one child hub together (limits.MISSING_OF_CHILD_MAX).

Where it is full the lowest range of who lacks most is closed (protocol.link.room.shares): counted, and filled no more.
So a hub that invents origins and holes pays with these, and is named.
"""

from __future__ import annotations

from collections.abc import Callable

from protocol import limits
from protocol.link import events
from protocol.link.relay.missing import Missing
from protocol.link.room.shares import Counted

Ranges = tuple[str, str, list[Missing]]
"""The key of an origin's record, its address, and what is missing of it."""


class Lacking:
    """Counts the ranges of all records, below each child and each hub further down."""

    def __init__(self) -> None:
        self._counted = Counted()

    def note(self, key: str, address: str, ranges: list[Missing]) -> None:
        """So much is missing now of the record called `key`."""
        self._counted.put(key, address, len(ranges))

    def make_room(self, child: str, close: Callable[[str], Ranges]) -> list[events.ParentEvent]:
        """Close ranges below `child` until there is room. `close`: closes one of the node at an address."""
        hubs = dict[str, None]()
        while self._counted.of(child) > limits.MISSING_OF_CHILD_MAX:
            address = self._counted.most(child)
            self.note(*close(address))
            hubs[address.rpartition("/")[0] or child] = None
        return [events.Crowded(node=child, hub=hub) for hub in hubs]
