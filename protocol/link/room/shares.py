"""Who gives way in a room that all below one child hub share: whoever holds most of it, hub by hub (A16).

Counted is by the addresses of nodes, at each tier. Where there is no more room one goes down from the child to the hub
that holds most, of what is below that to the next, and comes to a node. So a hub that invents nodes pays with what it
invented, whatever it calls them, and its siblings, at any depth, keep what they have.
"""

from __future__ import annotations


class Most:
    """Counts by name, of which the highest is always at hand."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._names: dict[int, dict[str, None]] = {}
        self._top = 0

    def __bool__(self) -> bool:
        return bool(self._counts)

    def of(self, name: str) -> int:
        """Return the count of `name`."""
        return self._counts.get(name, 0)

    def add(self, name: str, count: int) -> None:
        """Count `count` more of `name`, or fewer."""
        before = self._counts.pop(name, 0)
        if before:
            names = self._names[before]
            del names[name]
            if not names:
                del self._names[before]
        after = before + count
        if after:
            self._counts[name] = after
            self._names.setdefault(after, {})[name] = None
        self._top = max(self._top, after)
        while self._top and self._top not in self._names:
            self._top -= 1

    def most(self) -> str:
        """Return the name with the highest count, of several the one that has had it for longest."""
        return next(iter(self._names[self._top]))


class Shares:
    """What is held of each node, by its address: a child's id, then the way down from it."""

    def __init__(self) -> None:
        self._below: dict[str, Most] = {}
        """By the address of a hub: what is held below it, by the addresses of its own children."""

    def of(self, child: str) -> int:
        """Return how much is held of all below `child`, and of itself."""
        top = self._below.get("")
        return 0 if top is None else top.of(child)

    def add(self, address: str, count: int) -> None:
        """Hold `count` more of the node at `address`, or less."""
        while count and address:
            hub = address.rpartition("/")[0]
            below = self._below.setdefault(hub, Most())
            below.add(address, count)
            if not below:
                del self._below[hub]
            address = hub

    def most(self, child: str) -> str:
        """Return the address of who gives way below `child`, of which something is held."""
        address = child
        while address in self._below:
            address = self._below[address].most()
        return address


class Counted(Shares):
    """Shares of things that have keys."""

    def __init__(self) -> None:
        super().__init__()
        self._things: dict[str, tuple[str, int]] = {}

    def put(self, key: str, address: str, count: int) -> None:
        """The thing called `key` is at `address` now, and counts for so many; 0: it is gone."""
        before = self._things.pop(key, (address, 0))
        if count:
            self._things[key] = (address, count)
        if before != (address, count):
            self.add(before[0], -before[1])
            self.add(address, count)
