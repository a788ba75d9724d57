"""What this hub, which stands above both, says of where a node belongs: one Move for each node, the newest.

A Move goes, as a document, to the hub that the node leaves, which hands it on to the node as it is, and to the one that
it turns to, which takes the node in and waits for it. It is said until the node has arrived. The number of the next one
is kept for ever: a node believes no older one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from hub.core import inputs
from hub.core.rehome.open import Open
from protocol import documents
from protocol.effects import Effects, Now, Put
from protocol.snapshot import Snapshot
from protocol.trust import grants

if TYPE_CHECKING:
    from hub.core.down.known.spot import Spot
    from hub.core.hub import HubCore

ORDER = "order"


class Record(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What was said of one node last. `arrived_ms` 0: it is still on its way, as far as it is known here; `done_ms` 0:
    its former hub has not let go of it. `missed`: hubs that were to take it in before, and to which it never came."""

    move: documents.Move
    at_ms: int
    missed: tuple[str, ...] = ()
    arrived_ms: int = 0
    done_ms: int = 0


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
        self, spot: Spot, former: str, to: documents.Haven, who: str, now: Now, fx: Effects, *, revoked: str = ""
    ) -> int:
        """Say that the node at `spot` belongs to `to`; `revoked`: why it may not. Return the number of that word."""
        core, known = self._core, self._records.get(spot.name)
        number = known.move.number + 1 if known is not None else 1
        key, labels = spot.brief.key, spot.brief.labels
        bare = documents.Move(
            node=spot.name,
            key=key,
            labels=labels,
            former=former,
            to=to,
            number=number,
            by=core.node,
            who=who,
            revoked=revoked,
        )
        move = grants.sign(bare, core.signer)
        self._put(Record(move=move, at_ms=int(now.wall * 1000), missed=_missed(known, move)), fx)
        said = {"who": who, "from": former, "to": to.id, "number": number}
        kind = "lodger.revoked" if revoked else "operator.move"
        core.streams.audit(kind, spot.address, said, now, fx)
        self._tell(self._records[spot.name], now, fx)
        fx.act.append(inputs.Notify(topic=f"node/{spot.address}"))
        return number

    def _tell(self, record: Record, now: Now, fx: Effects) -> None:
        core = self._core
        for hub in _concerned(record):
            if hub == core.node:
                core.lodging.take(record.move, now, fx)
            else:
                core.delegate.mark(hub)

    def _note(self, record: Record) -> None:
        told = _concerned(record)
        if record.done_ms:
            told = ()
        elif record.arrived_ms and not record.move.revoked:
            told = (record.move.former, *record.missed)
        self.open.note(record.move.node, told, going=not (record.arrived_ms or record.done_ms))

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

    def belongs(self, node: str) -> str:
        """Return the hub that `node` was last said to belong to; empty: nothing was said."""
        known = self._records.get(node)
        return "" if known is None or known.move.revoked else known.move.to.id

    def arrived(self, node: str, now: Now, fx: Effects) -> None:
        """`node` is where it belongs: its former hub is told so."""
        record = self._records[node]
        move = grants.sign(msgspec.structs.replace(record.move, arrived=True), self._core.signer)
        self._put(msgspec.structs.replace(record, move=move, arrived_ms=int(now.wall * 1000)), fx)
        self._core.streams.audit("node.arrived", node, {"to": move.to.id, "number": move.number}, now, fx)
        self._tell(self._records[node], now, fx)

    def done(self, node: str, now: Now, fx: Effects) -> None:
        """The former hub has let go of it, or it is revoked where it turned to: nothing more is said."""
        record, now_ms = self._records[node], int(now.wall * 1000)
        self._put(msgspec.structs.replace(record, arrived_ms=record.arrived_ms or now_ms, done_ms=now_ms), fx)
        for one in _concerned(record):
            if one != self._core.node:
                self._core.delegate.mark(one)


def _missed(known: Record | None, move: documents.Move) -> tuple[str, ...]:
    """Return who waits for the node in vain once `move` is said."""
    if known is None or known.done_ms:
        return ()
    before = known.missed if known.arrived_ms or known.move.revoked else (*known.missed, known.move.to.id)
    return tuple(sorted({*before} - {move.former, move.to.id}))


def _concerned(record: Record) -> tuple[str, ...]:
    """Return the hubs that are told."""
    move = record.move
    return (move.to.id,) if move.revoked else (move.former, move.to.id, *record.missed)
