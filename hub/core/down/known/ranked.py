"""Things of many nodes in one order, kept: the first of them are known at once, however many there are."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

from protocol.link.roster.brief import Offender, OverrideMark

Thing = TypeVar("Thing")


class Ranked(Generic[Thing]):
    """The things of each node, sorted by `key` over all nodes."""

    def __init__(self, key: Callable[[Thing], Any]) -> None:
        self._key = key
        self._all: list[Thing] = []
        self._of: dict[str, Sequence[Thing]] = {}

    def __len__(self) -> int:
        return len(self._all)

    def put(self, name: str, things: Sequence[Thing]) -> None:
        """Know these of `name`, and no others; none is to be let go of."""
        for one in self._of.pop(name, ()):
            at = bisect_left(self._all, self._key(one), key=self._key)
            while self._all[at] is not one:  # equals stand side by side
                at += 1
            del self._all[at]
        if things:
            self._of[name] = things
        for one in things:
            insort(self._all, one, key=self._key)

    def first(self, count: int) -> list[Thing]:
        """Return the first `count`."""
        return self._all[:count]


def worst(one: Offender) -> tuple[int, int, str]:
    """Return what sorts offenders: the worst first, of equals who is so the longest."""
    return one.rank, one.since_ms, one.at


def newest(one: OverrideMark) -> tuple[int, str, str]:
    """Return what sorts overrides: the newest first."""
    return -one.since_ms, one.at, one.what
