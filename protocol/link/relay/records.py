"""The cursors of origins, as stored in space `origin` under `NODE/EPOCH/STREAM`: node ids are not unique, epochs are.

Of one address and stream as many epochs are remembered as a parent remembers of a child (limits.EPOCHS_KEPT_MAX), of
all below one child hub at most limits.ORIGINS_OF_CHILD_MAX: what gives way then is said in protocol.link.relay.epochs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from protocol import effects, limits
from protocol.effects import Effects
from protocol.link import cursor, events, parent_entries
from protocol.link.relay.epochs import Epochs, Heirs
from protocol.link.relay.record import Place, Record, decode, encode
from protocol.link.relay.runs import About
from protocol.link.room.lacking import Lacking, Ranges
from protocol.messages import CHAINED, STREAMS, FormerEpoch
from protocol.snapshot import Snapshot

ORIGIN = "origin"

Direct = Callable[[str, str, str], parent_entries.Record | None]
"""(node, epoch, stream) -> the cursor of what the node itself has brought here, as a child of this hub."""

Belongs = Callable[[str], str]
"""A node -> the child hub that this hub itself, which stands above both, said that it belongs to; "": it did not."""


class Records:
    """All records, by key."""

    def __init__(self, snapshot: Snapshot, direct: Direct, belongs: Belongs) -> None:
        self.direct, self._belongs = direct, belongs
        stored = {key: decode(value) for key, value in snapshot.spaces.get(ORIGIN, {}).items()}
        self._records: dict[str, Record] = {}
        self._epochs, self.heirs, self._lacking = Epochs(), Heirs(), Lacking()
        self._newest = 0
        for key, record in sorted(stored.items(), key=lambda one: one[1].since):
            self._add(key, record)

    def _add(self, key: str, record: Record) -> None:
        self._records[key] = record
        self._newest = max(self._newest, record.since)
        self._epochs.put(key, record.at)
        self.heirs.put(key, record.former)
        self._lacking.note(key, record.at, record.missing)

    def all(self) -> Iterator[tuple[str, Record]]:
        """Yield (key, record) of all that is known."""
        yield from list(self._records.items())

    def newest(self, address: str) -> dict[str, tuple[str, Record]]:
        """Return what is known of the node at `address`: by stream, its newest epoch with its record."""
        found = {stream: self._epochs.at(address, stream) for stream in STREAMS}
        return {stream: (keys[-1].split("/")[1], self._records[keys[-1]]) for stream, keys in found.items() if keys}

    def find(self, about: About, epoch: str = "") -> tuple[str, Record] | None:
        """Return the key and record of what `about` names (in `epoch`, if given), if it is known."""
        key = f"{about.node}/{epoch or about.epoch}/{about.stream}"
        record = self._records.get(key)
        return None if record is None else (key, record)

    def at(self, child: str, about: About, fx: Effects) -> tuple[str, Record] | None:
        """Return the key and record of what `child` relays, a new one if need be. None: there are too many."""
        found = self.find(about) or self._begin(f"{child}/{about.at}", child, about, fx)
        if found is not None:
            heirs = (self._records[heir].reach for heir in self.heirs.of(found[0]))
            found[1].met(self.direct(about.node, about.epoch, about.stream), max(heirs, default=0))
        return found

    def meet(self, about: About, was: FormerEpoch | None, lowest: Place, fx: Effects) -> parent_entries.Met:
        """The node of `about` comes to this hub itself, with the rows after `lowest`, in an epoch after `was`.

        Returns the place up to which its rows are here, or will be: what its former hub has still to bring is a hole;
        the place up to which they are of this epoch; and what is told of others whose room that took.
        """
        told: list[events.ParentEvent] = []
        found, former = self.find(about), self.find(about, was.epoch) if was is not None else None
        if found is None:  # if anything comes so later, it is seen then that it came here itself
            place = former[1].shared(was, about.stream in CHAINED) if former is not None and was is not None else lowest
            if former is not None:
                told = self.save(former[0], fx)
            return (place if place[0] >= lowest[0] else lowest), lowest, told
        key, record = found
        if record.go_on(lowest):
            told = self.save(key, fx)
        return (record.seq, record.hash), (record.seq, record.hash), told

    def _begin(self, address: str, child: str, about: About, fx: Effects) -> tuple[str, Record] | None:
        if self._epochs.count(child) >= limits.ORIGINS_OF_CHILD_MAX:
            spare = self._epochs.spare(address)
            if spare is None:
                return None
            self._forget(spare, fx)
        key, chained = f"{about.node}/{about.epoch}/{about.stream}", about.stream in CHAINED
        first = cursor.genesis(about.node, about.epoch, about.stream).hex() if chained else ""
        record = Record(at=address, seq=0, hash=first, since=self._newest + 1)
        self._add(key, record)
        known = self._epochs.at(address, about.stream)
        if len(known) > limits.EPOCHS_KEPT_MAX + 1:
            self._forget(known[0], fx)
        return key, record

    def _forget(self, key: str, fx: Effects) -> None:
        gone = self._records.pop(key)
        self._epochs.drop(key, gone.at)
        self.heirs.drop(key)
        self._lacking.note(key, gone.at, [])
        fx.store.append(effects.Delete(ORIGIN, key))

    def came(self, key: str, record: Record, address: str) -> None:
        """What is new, and verified, came from `address`: that is where its origin is."""
        if record.at == address:
            return
        self._epochs.drop(key, record.at)
        record.at = address
        self._epochs.put(key, address)

    def there(self, put: Iterable[str], gone: Iterable[str]) -> None:
        """These addresses are in the rosters of child hubs, or not any more: what is known of those may give way."""
        for address in put:
            self._epochs.back(address)
        for address in gone:
            self._epochs.left(address)

    def is_elsewhere(self, record: Record, child: str, about: About) -> bool:
        """Tell whether the origin of `record` is not below `child`, and this hub never said that it should be."""
        return record.at.partition("/")[0] != child and self._belongs(about.node) != child

    def save(self, key: str, fx: Effects) -> list[events.ParentEvent]:
        """Store the record called `key` as it is now; return what is told when that took others' room."""
        record = self._records[key]
        self._lacking.note(key, record.at, record.missing)

        def close(address: str) -> Ranges:
            crowded = next(one for one in self._epochs.of(address) if self._records[one].missing)
            lowest = self._records[crowded]
            lowest.closed += lowest.missing.pop(0).count
            self._put(crowded, fx)
            return crowded, lowest.at, lowest.missing

        told = self._lacking.make_room(record.at.partition("/")[0], close)
        self._put(key, fx)
        return told

    def _put(self, key: str, fx: Effects) -> None:
        fx.store.append(effects.Put(ORIGIN, key, encode(self._records[key])))
