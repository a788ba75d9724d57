"""What is kept of the rosters of child hubs, and what is not: stored some at a time, and refused with the reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping

import msgspec

from protocol import effects, ids, limits
from protocol.effects import Effects, Now
from protocol.errors import BadId
from protocol.link.flow.bucket import Bucket
from protocol.link.roster import brief as briefs

ROSTER = "roster"
"""The space of what is stored: under `CHILD/ADDRESS`, the Brief as it came."""


class Listed:
    """What one child hub said."""

    __slots__ = ("bucket", "known", "named", "number", "session", "size")

    def __init__(self) -> None:
        self.session = self.number = self.size = 0
        self.known: dict[str, bytes] = {}
        self.named: set[str] | None = None
        """While the whole is said: whom it has named so far."""
        self.bucket = Bucket(limits.ROSTERS_BURST, limits.ROSTERS_EVERY_S)

    def put(self, address: str, brief: bytes) -> None:
        """Keep the Brief of the node at `address`."""
        self.size += len(brief) - len(self.known.get(address, b""))
        self.known[address] = brief

    def drop(self, address: str) -> None:
        """Keep none; harmless when there is none."""
        self.size -= len(self.known.pop(address, b""))

    def why_full(self, new: int, size: int, of_all: int) -> str:
        """Return why there is no room for `new` nodes more and `size` bytes; `of_all`: nodes of all children then."""
        if len(self.known) + new > limits.NODES_MAX:
            return f"its roster names more than {limits.NODES_MAX} nodes: those beyond are not shown"
        if self.size + size > limits.ROSTER_KEPT_BYTES_MAX:
            return f"its roster takes more than {limits.ROSTER_KEPT_BYTES_MAX} bytes: what is beyond is not shown"
        if of_all > limits.SUBTREE_NODES_MAX:
            return f"with its roster more than {limits.SUBTREE_NODES_MAX} nodes are below this hub's children: no room"
        return ""


class Unstored:
    """What has changed and is not stored yet, by key; the newest counts when it is."""

    def __init__(self) -> None:
        self._keys: dict[str, None] = {}
        self._counts: Counter[str] = Counter()
        self._due = float("inf")

    def note(self, child: str, addresses: Iterable[str], now: Now) -> None:
        """These have changed, or are gone."""
        keys = dict.fromkeys(f"{child}/{one}" for one in addresses)
        if keys:
            self._counts[child] += sum(key not in self._keys for key in keys)
            self._keys |= keys
            self._due = min(self._due, now.mono + limits.ROSTER_STORED_EVERY_S)

    def is_full(self, child: str) -> bool:
        """Tell whether so much waits of `child` that it must wait too: no child fills a memory by names it invents."""
        return self._counts[child] >= limits.ROSTER_UNSTORED_MAX

    def tick(self, known: Callable[[str], Mapping[str, bytes]], now: Now, fx: Effects) -> None:
        """Store some; `known`: the Briefs of a child's roster as they are now."""
        if now.mono < self._due:
            return
        for key in self._some():
            child, _, address = key.partition("/")
            brief = known(child).get(address)
            fx.store.append(effects.Delete(ROSTER, key) if brief is None else effects.Put(ROSTER, key, brief))
        self._due = now.mono + limits.ROSTER_STORED_EVERY_S / 10 if self._keys else float("inf")

    def _some(self) -> Iterator[str]:
        for _ in range(min(len(self._keys), limits.ROSTER_STORED_AT_ONCE)):
            key = next(iter(self._keys))
            del self._keys[key]
            self._counts[key.partition("/")[0]] -= 1
            yield key

    def next_wake(self) -> float | None:
        """Return when `tick` is due (mono), or None."""
        return None if self._due == float("inf") else self._due


def why_not(child: str, address: str, brief: bytes) -> str:
    """Return why this can be no node below `child`; empty when it can."""
    try:
        ids.address(f"{child}/{address}")
    except BadId as error:
        return f"in its roster, {error}"
    if len(brief) > limits.BRIEF_BYTES_MAX:
        return f"in its roster, {address} has {len(brief)} bytes: the most is {limits.BRIEF_BYTES_MAX}"
    try:
        briefs.decode(brief)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return f"in its roster, what it says of {address} cannot be read: is it of another version?"
    return ""
