"""What child hubs relay: unwrapped in the Effects of the row that carried it, stored as its origin's (decision 0030).

The hub's own chain has been checked by then, as any child's is. Here each row of it is opened: runs go to their
origin's cursor, and what comes of it is told as if the origin were a child, under its address. So what hears a hub's
children hears its whole subtree, and passes it on upward.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from protocol import effects, limits
from protocol.effects import Effects
from protocol.errors import TrustError
from protocol.link import cursor, events
from protocol.link.parent_entries import Met, Place
from protocol.link.relay import missing, runs, unwrap
from protocol.link.relay.origins import Origins
from protocol.link.relay.records import Record
from protocol.messages import GapBody, StreamHead
from protocol.snapshot import Snapshot

if TYPE_CHECKING:
    from hub.core.hub import HubCore

_GOES_ON = (events.ChildEntries, events.EpochChanged, events.HeldBack)


class Relayed:
    """The subtree's entries, as they come through the child hubs."""

    def __init__(self, snapshot: Snapshot, core: HubCore, signer: events.Signer) -> None:
        self._core, self._signer = core, signer
        self.origins = Origins(snapshot, self._doubt, self._key_of, core.parent.brought, core.orders.belongs)
        core.parent.elsewhere = self._meet
        core.parent.reach = self._reach
        self.origins.records.there((), [record.at for _, record in self.origins.records.all() if self._is_gone(record)])

    def take(self, event: events.ChildEntries, fx: Effects) -> list[events.ParentEvent]:
        """Unwrap new rows of a child's streams `relay_CLASS`; return what their origins tell."""
        child = event.node
        node = self._core.registry.find(child)
        if node is None or node.kind != "hub":
            return [events.Misbehaved(node=child, reason="it relays, and is no hub")]
        told: list[events.ParentEvent] = []
        odd: list[tuple[int, bytes]] = []
        for row in event.rows:
            if row[4] == cursor.GAP:
                fx.store.append(effects.Received(child, event.epoch, event.stream, [row]))
                continue
            said = unwrap.decode(row[4], row[1])
            match said:
                case runs.Run():
                    told += self.origins.run(child, said, fx)
                case runs.Held():
                    told += self.origins.held(child, said, fx)
                case runs.Turn():
                    told += self.origins.turn(child, said, fx)
                case None:
                    odd.append(row[:2])
        if odd:
            told.append(_poison(event, odd, fx))
        return bounded(told)

    def heard(self, event: events.ChildRoster) -> None:
        """The roster of a child hub changed."""
        put, gone = ([f"{event.node}/{one}" for one in some] for some in (event.put, event.gone))
        self.origins.records.there(put, gone)

    def _is_gone(self, record: Record) -> bool:
        child, _, address = record.at.partition("/")
        known = self._core.parent.rosters.known(child)
        return bool(known) and address not in known

    def cursors(self, address: str) -> dict[str, dict[str, str | int]]:
        """Return how far each stream of the node at `address` has come, in its newest epoch."""
        found = self.origins.records.newest(address)
        return {
            stream: {"epoch": epoch, "seq": record.seq, "last": record.seq} for stream, (epoch, record) in found.items()
        }

    def missing(self, address: str) -> dict[str, dict[str, int]]:
        """Return how many rows up to there are not here, by stream and by why (hole, lost, held, closed)."""
        found = self.origins.records.newest(address)
        counted = {stream: missing.counts(one.missing, one.closed) for stream, (_, one) in found.items()}
        return {stream: counts for stream, counts in counted.items() if counts}

    def _meet(self, node: str, stream: str, head: StreamHead, lowest: Place, fx: Effects) -> Met:
        return self.origins.records.meet(runs.About(at=node, epoch=head.epoch, stream=stream), head.was, lowest, fx)

    def _reach(self, node: str, epoch: str, stream: str) -> int:
        found = self.origins.records.find(runs.About(at=node, epoch=epoch, stream=stream))
        return found[1].reach if found is not None else 0

    def _key_of(self, node: str) -> str:
        found = self._core.registry.find(node)
        return "" if found is None else found.key

    def _doubt(self, node: str, key: str, epoch: str, stream: str, body: GapBody) -> str:
        try:
            self._signer.check_gap(node, key, epoch, stream, body)
        except TrustError as error:
            return str(error)
        return ""


def bounded(told: list[events.ParentEvent]) -> list[events.ParentEvent]:
    """Return what is told of one message: all that goes on upward, and some of what alarms, for each costs a store."""
    alarms = itertools.count()
    return [one for one in told if isinstance(one, _GOES_ON) or next(alarms) < limits.RELAY_ALARMS_MAX]


def _poison(event: events.ChildEntries, odd: list[tuple[int, bytes]], fx: Effects) -> events.ParentEvent:
    """Set rows aside that say nothing; the stream goes on (A21)."""
    fx.store += [
        effects.SetAside(event.node, event.epoch, event.stream, seq, raw[: limits.ROW_BYTES_MAX], "it wraps nothing")
        for seq, raw in odd[: limits.ENTRIES_POISON_KEPT]
    ]
    return events.Poison(node=event.node, stream=event.stream, epoch=event.epoch, seq=odd[0][0], count=len(odd))
