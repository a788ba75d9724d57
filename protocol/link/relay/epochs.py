"""Which epochs of which stream are known at which address, by the keys of their records, and how many below each child.

Of one stream at one address the newest is in use; those before it are former ones. These may give way, and so may all
of a node that is gone from its hub's roster. Where each is in use, it is who has most that gives way to others. Of one
node its lowest class goes first, its audit last.
"""

from __future__ import annotations

from protocol import limits
from protocol.link.room.shares import Shares
from protocol.messages import STREAMS


class Epochs:
    """An index of records by where their origins are. A key ends in `/STREAM`."""

    def __init__(self) -> None:
        self._keys: dict[tuple[str, str], list[str]] = {}
        """By (address, stream), in the order in which they began."""
        self._former: dict[str, dict[str, None]] = {}
        """By child, the oldest first."""
        self._held = Shares()

    def at(self, address: str, stream: str) -> list[str]:
        """Return the keys of one stream of the node at `address`, the newest last."""
        return self._keys.get((address, stream), [])

    def of(self, address: str) -> list[str]:
        """Return the keys of all streams of the node at `address`, the lowest class first."""
        return [key for stream in reversed(STREAMS) for key in self.at(address, stream)]

    def count(self, child: str) -> int:
        """Return how many are known below `child`."""
        return self._held.of(child)

    def spare(self, address: str) -> str | None:
        """Return the key of what gives way to a stream of the node at `address`, below the same child; None: nothing.

        That is what has been former for longest, or the oldest of who has most, unless that is below the same hub.
        """
        child, hub = address.partition("/")[0], address.rpartition("/")[0]
        former = next(iter(self._former.get(child, ())), None)
        most = self._held.most(child)
        return former or (self.of(most)[0] if most.rpartition("/")[0] != hub else None)

    def left(self, address: str) -> None:
        """The node at `address` is not there any more: what is known of it may give way."""
        for stream in reversed(STREAMS):
            if self.at(address, stream):
                self._former.setdefault(address.partition("/")[0], {})[self.at(address, stream)[-1]] = None

    def back(self, address: str) -> None:
        """The node at `address` is there: the newest of each of its streams is in use."""
        former = self._former.get(address.partition("/")[0], {})
        for stream in STREAMS:
            if former and self.at(address, stream):
                former.pop(self.at(address, stream)[-1], None)

    def put(self, key: str, address: str) -> None:
        """Know `key`: the newest of its stream at `address`."""
        child, keys = address.partition("/")[0], self._keys.setdefault((address, key.rpartition("/")[2]), [])
        if keys:
            self._former.setdefault(child, {})[keys[-1]] = None
        keys.append(key)
        self._held.add(address, 1)

    def drop(self, key: str, address: str) -> None:
        """Forget `key`, which is known at `address`."""
        child, place = address.partition("/")[0], (address, key.rpartition("/")[2])
        keys, former = self._keys[place], self._former.get(child, {})
        was_newest = keys[-1] == key
        keys.remove(key)
        former.pop(key, None)
        if keys and was_newest:
            former.pop(keys[-1], None)
        if not keys:
            del self._keys[place]
        self._held.add(address, -1)


class Heirs:
    """An index of the epochs that go on from a former one, with some of its rows: by the key of the former."""

    def __init__(self) -> None:
        self._heirs: dict[str, list[str]] = {}
        self._formers: dict[str, str] = {}

    def put(self, key: str, former: str) -> None:
        """Know that `key` goes on from the epoch `former`; "": from none. Of one former the newest count."""
        if former and key not in self._formers:
            node, _, stream = key.split("/")
            self._formers[key] = f"{node}/{former}/{stream}"
            heirs = self._heirs.setdefault(self._formers[key], [])
            heirs.append(key)
            if len(heirs) > limits.EPOCHS_KEPT_MAX:
                del self._formers[heirs.pop(0)]

    def drop(self, key: str) -> None:
        """Forget `key`."""
        former = self._formers.pop(key, "")
        if former:
            self._heirs[former].remove(key)
            if not self._heirs[former]:
                del self._heirs[former]

    def of(self, key: str) -> list[str]:
        """Return the keys of those that go on from `key`, known or not."""
        return self._heirs.get(key, [])
