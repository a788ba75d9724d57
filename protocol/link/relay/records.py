"""The cursors of origins, as stored in space `origin` under `NODE/EPOCH/STREAM`: node ids are not unique, epochs are.

Of one address and stream as many epochs are remembered as a parent remembers of a child (limits.EPOCHS_KEPT_MAX), of
all below one child hub at most limits.ORIGINS_OF_CHILD_MAX.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import msgspec

from protocol import effects, limits
from protocol.effects import Effects
from protocol.link import cursor
from protocol.link.relay.missing import Missing
from protocol.link.relay.runs import About
from protocol.messages import CHAINED, STREAMS
from protocol.snapshot import Snapshot

ORIGIN = "origin"


class Record(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What came of one stream of one origin in one epoch. Hashes are hex, "" when it is unchained."""

    at: str
    """Its address below this hub, as last heard."""
    seq: int
    hash: str
    since: int
    """Counts records in the order in which they began."""
    again: int = 0
    """Rows up to here may have come under another epoch, and are stored only when they have not."""
    key: str = ""
    """The SHA-256 of the key that its GAPs are signed with, since the first one."""
    forked: str = ""
    """The child hub whose rows contradict what is held."""
    accepted: bool = False
    """An operator has looked: what comes next goes on, beyond a hole."""
    aside: int = 0
    closed: int = 0
    """Missing rows that are only counted any more."""
    missing: list[Missing] = []


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Record).decode


class Records:
    """All records, by key."""

    def __init__(self, snapshot: Snapshot) -> None:
        stored = {key: _decode(value) for key, value in snapshot.spaces.get(ORIGIN, {}).items()}
        self._records: dict[str, Record] = {}
        self._epochs: dict[tuple[str, str], list[str]] = {}
        """Keys by (address, stream), in the order in which they began."""
        self._of_child: Counter[str] = Counter()
        self._newest = 0
        for key, record in sorted(stored.items(), key=lambda one: one[1].since):
            self._add(key, record)

    def _add(self, key: str, record: Record) -> None:
        self._records[key] = record
        self._newest = max(self._newest, record.since)
        self._epochs.setdefault((record.at, key.rpartition("/")[2]), []).append(key)
        self._of_child[record.at.partition("/")[0]] += 1

    def all(self) -> Iterator[tuple[str, Record]]:
        """Yield (key, record) of all that is known."""
        yield from list(self._records.items())

    def newest(self, address: str) -> dict[str, tuple[str, Record]]:
        """Return what is known of the node at `address`: by stream, its newest epoch with its record."""
        found = {stream: self._epochs.get((address, stream), []) for stream in STREAMS}
        return {stream: (keys[-1].split("/")[1], self._records[keys[-1]]) for stream, keys in found.items() if keys}

    def find(self, about: About, epoch: str = "") -> tuple[str, Record] | None:
        """Return the key and record of what `about` names (in `epoch`, if given), if it is known."""
        key = f"{about.node}/{epoch or about.epoch}/{about.stream}"
        record = self._records.get(key)
        return None if record is None else (key, record)

    def at(self, child: str, about: About, fx: Effects) -> tuple[str, Record] | None:
        """Return the key and record of what `child` relays, a new one if need be. None: there are too many."""
        address, found = f"{child}/{about.at}", self.find(about)
        if found is None:
            return self._begin(address, child, about, fx)
        return found

    def _begin(self, address: str, child: str, about: About, fx: Effects) -> tuple[str, Record] | None:
        if self._of_child[child] >= limits.ORIGINS_OF_CHILD_MAX:
            return None
        key, chained = f"{about.node}/{about.epoch}/{about.stream}", about.stream in CHAINED
        first = cursor.genesis(about.node, about.epoch, about.stream).hex() if chained else ""
        record = Record(at=address, seq=0, hash=first, since=self._newest + 1)
        self._add(key, record)
        epochs = self._epochs[address, about.stream]
        if len(epochs) > limits.EPOCHS_KEPT_MAX + 1:
            gone = epochs.pop(0)
            del self._records[gone]
            self._of_child[child] -= 1
            fx.store.append(effects.Delete(ORIGIN, gone))
        return key, record

    def came(self, key: str, record: Record, child: str, about: About) -> None:
        """What is new came by `child`: that is where its origin is."""
        address, stream = f"{child}/{about.at}", about.stream
        if record.at == address:
            return
        self._epochs[record.at, stream].remove(key)
        self._of_child[record.at.partition("/")[0]] -= 1
        record.at = address
        self._epochs.setdefault((address, stream), []).append(key)
        self._of_child[address.partition("/")[0]] += 1

    def save(self, key: str, fx: Effects) -> None:
        """Store the record called `key` as it is now."""
        fx.store.append(effects.Put(ORIGIN, key, _encode(self._records[key])))
