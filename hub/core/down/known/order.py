"""All nodes below a hub in the order of their addresses, part by part: a list that is read a page at a time.

What is sorted is kept: own children as long as none is new (a record is never deleted), what is below a child until its
roster names others. So a page costs what it holds, however many nodes there are.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hub.core.hub import HubCore


class Order:
    """The addresses of all nodes below a hub, in order."""

    def __init__(self, core: HubCore) -> None:
        self._core = core
        self._own: list[str] = []
        self._below: dict[str, list[str]] = {}

    def since(self, start: str) -> Iterator[str]:
        """Yield the addresses that are not before `start`, which need not be one."""
        child, _, below = start.partition("/")
        own = self._children()
        for name in own[bisect_left(own, child) :]:
            if not below or name != child:
                yield name
            listed = self._under(name)
            first = bisect_left(listed, _key(below), key=_key) if below and name == child else 0
            for at in range(first, len(listed)):
                yield f"{name}/{listed[at]}"

    def left(self, child: str) -> None:
        """The roster of `child` names some no longer; whom it names anew shows by itself."""
        self._below.pop(child, None)

    def _children(self) -> list[str]:
        if len(self._own) != len(self._core.registry):
            self._own = sorted(node.name for node in self._core.registry)
        return self._own

    def _under(self, child: str) -> list[str]:
        known = self._core.parent.rosters.known(child)
        if len(known) != len(self._below.get(child, ())):
            self._below[child] = sorted(known, key=_key)
        return self._below.get(child, [])


def _key(address: str) -> str:
    """Return what sorts as the parts of an address do: the grammar of ids has nothing below a space."""
    return address.replace("/", " ")
