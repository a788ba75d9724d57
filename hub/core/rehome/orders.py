"""What this hub, which stands above both, says of where a node belongs: one Move for each node, the newest.

A Move goes, as a document, to the hub that the node leaves, which hands it on to the node as it is, and to the one that
it turns to, which takes the node in and waits for it. It is said until the node has arrived. The number of the next one
is kept for ever: a node believes no older one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from hub.core import inputs
from hub.core.rehome.moves import said, ways
from hub.core.rehome.moves.open import Open
from hub.core.rehome.moves.said import Record
from protocol import documents
from protocol.effects import Effects, Now, Put
from protocol.snapshot import Snapshot

if TYPE_CHECKING:
    from hub.core.down.known.spot import Spot
    from hub.core.hub import HubCore

ORDER = "order"


class Orders:
    """All Moves of this hub, by node."""

    def __init__(self, snapshot: Snapshot, core: HubCore) -> None:
        decoder = msgspec.json.Decoder(Record)
        self._records = {node: decoder.decode(raw) for node, raw in sorted(snapshot.spaces.get(ORDER, {}).items())}
        self.open = Open()
        for record in self._records.values():
            self._note(record)
        self._core = core

    # -------------------------------------------------------------------------------------------- saying

    def say(
        self, spot: Spot, to: documents.Haven, joins: str, who: str, now: Now, fx: Effects, *, revoked: str = ""
    ) -> documents.Move:
        """Say that the node at `spot` belongs to `to`, the hub at `joins`; `revoked`: why it may not. Return it."""
        known = self._records.get(spot.name)
        number = known.move.number + 1 if known is not None else 1
        move = said.first(self._core, spot, to, joins, number, who, revoked)
        self._put(Record(move=move, at_ms=int(now.wall * 1000)), fx)
        self._note_said("lodger.revoked" if revoked else "operator.move", move, now, fx)
        self._tell(move, now, fx)
        fx.act.append(inputs.Notify(topic=f"node/{spot.address}"))
        return move

    def again(self, record: Record, leaves: str, now: Now, fx: Effects) -> None:
        """Who should know it does not, a hub that was restored from a backup: the hub at `leaves`, which still has the
        node, or the one that it belongs to. Say it once more, under its number: who knows it does nothing."""
        move = said.again(self._core, record.move, leaves)
        self._put(Record(move=move, at_ms=record.at_ms, again=True), fx)
        self._note_said("move.again", move, now, fx)
        self._tell(move, now, fx)

    def learn(self, spot: Spot, to: documents.Haven, number: int, now: Now, fx: Effects) -> None:
        """This hub said more of the node at `spot` than it knows: it was restored from a backup since."""
        move, now_ms = said.learned(self._core, spot, to, number), int(now.wall * 1000)
        self._put(Record(move=move, at_ms=now_ms, arrived_ms=now_ms, done_ms=now_ms), fx)
        self._note_said("move.learned", move, now, fx)
        if move.joins:
            self._core.lodging.take(move, now, fx)

    def void(self, node: str, fx: Effects) -> None:
        """A hub further up says where `node` belongs: what was said here is over."""
        record = self._records.get(node)
        if record is not None and not record.void:
            self._put(msgspec.structs.replace(record, void=True), fx)
            for child in ways.onward(record.move, [self._core.node]):
                self._mark(child)

    def _note_said(self, kind: str, move: documents.Move, now: Now, fx: Effects) -> None:
        word = {"who": move.who, "from": move.former, "to": move.to.id, "number": move.number}
        self._core.streams.audit(kind, f"{move.leaves}/{move.node}".removeprefix("/"), word, now, fx)

    def _tell(self, move: documents.Move, now: Now, fx: Effects) -> None:
        for child in ways.onward(move, [self._core.node]):
            self._mark(child)
        if not move.joins or (not move.leaves and not move.revoked):
            self._core.lodging.take(move, now, fx)

    def _mark(self, child: str) -> None:
        if self._core.registry.find(child) is not None:
            self._core.delegate.mark(child)

    def _note(self, record: Record) -> None:
        told = ways.onward(record.move, [record.move.by]) if record.is_open else ()
        self.open.note(record.move.node, told, going=record.is_open and not record.arrived_ms)

    def _put(self, record: Record, fx: Effects) -> None:
        self._records[record.move.node] = record
        self._note(record)
        fx.store.append(Put(ORDER, record.move.node, msgspec.json.encode(record)))

    # -------------------------------------------------------------------------------------------- until it is done

    def items(self, hub: str) -> dict[str, bytes]:
        """Return the documents for a child hub: the Moves that it is to be told, some of many."""
        moves = [self._records[node].move for node in self.open.of(hub)]
        return {documents.document_id(move): documents.encode(move) for move in moves}

    def may_say(self, node: str) -> bool:
        """Tell whether a node that turned to another hub by itself can be told now where it belongs."""
        known = self._records.get(node)
        return (known is not None and not known.arrived_ms) or not self.open.is_full

    def find(self, node: str) -> Record | None:
        """Return what was said of `node` last."""
        return self._records.get(node)

    def before(self, address: str) -> str:
        """Return the address that the node at `address` had until its newest Move brought it there; empty: none."""
        hub, _, name = address.rpartition("/")
        record = self._records.get(name)
        if record is None or record.void or record.move.revoked or record.move.joins != hub:
            return ""
        return f"{record.move.leaves}/{name}".removeprefix("/")

    def belongs(self, node: str) -> str:
        """Return the child hub through which `node` was last said to come, here or further up; empty: through none."""
        known = self._records.get(node)
        if known is None or known.void:
            return self._core.lodging.passing.joins(node)
        return "" if known.move.revoked else known.move.joins.partition("/")[0]

    def arrived(self, node: str, now: Now, fx: Effects) -> Record:
        """`node` is where it belongs: its former hub is told so. Return what stands of it now."""
        record = self._records[node]
        move = said.arrived(self._core, record.move)
        self._put(msgspec.structs.replace(record, move=move, arrived_ms=int(now.wall * 1000)), fx)
        self._core.streams.audit("node.arrived", node, {"to": move.to.id, "number": move.number}, now, fx)
        self._tell(move, now, fx)
        return self._records[node]

    def done(self, node: str, now: Now, fx: Effects) -> None:
        """The former hub has let go of it, or it is revoked where it turned to: nothing more is said."""
        record, now_ms = self._records[node], int(now.wall * 1000)
        self._put(msgspec.structs.replace(record, arrived_ms=record.arrived_ms or now_ms, done_ms=now_ms), fx)
        for child in ways.onward(msgspec.structs.replace(record.move, arrived=False), [self._core.node]):
            self._mark(child)
