"""Which epochs of which stream are known at which address, by the keys of their records, and how many below each child.

Of one stream at one address the newest is in use; those before it are former ones, which may give way.
"""

from __future__ import annotations

from collections import Counter

from protocol.messages import STREAMS


class Epochs:
    """An index of records by where their origins are. A key ends in `/STREAM`."""

    def __init__(self) -> None:
        self._keys: dict[tuple[str, str], list[str]] = {}
        """By (address, stream), in the order in which they began."""
        self._former: dict[str, dict[str, None]] = {}
        """By child, the oldest first."""
        self._of_child: Counter[str] = Counter()

    def at(self, address: str, stream: str) -> list[str]:
        """Return the keys of one stream of the node at `address`, the newest last."""
        return self._keys.get((address, stream), [])

    def of(self, address: str) -> list[str]:
        """Return the keys of all streams of the node at `address`."""
        return [key for stream in STREAMS for key in self.at(address, stream)]

    def count(self, child: str) -> int:
        """Return how many are known below `child`."""
        return self._of_child[child]

    def oldest_former(self, child: str) -> str | None:
        """Return the key of the former epoch below `child` that has been one for longest; None: each is in use."""
        return next(iter(self._former.get(child, ())), None)

    def put(self, key: str, address: str) -> None:
        """Know `key`: the newest of its stream at `address`."""
        child, keys = address.partition("/")[0], self._keys.setdefault((address, key.rpartition("/")[2]), [])
        if keys:
            self._former.setdefault(child, {})[keys[-1]] = None
        keys.append(key)
        self._of_child[child] += 1

    def drop(self, key: str, address: str) -> None:
        """Forget `key`, which is known at `address`."""
        child, place = address.partition("/")[0], (address, key.rpartition("/")[2])
        keys, former = self._keys[place], self._former.get(child, {})
        keys.remove(key)
        former.pop(key, None)
        if keys:
            former.pop(keys[-1], None)
        else:
            del self._keys[place]
        self._of_child[child] -= 1
