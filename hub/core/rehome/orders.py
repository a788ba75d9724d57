"""What this hub, which stands above both, says of where a node belongs: one Move for each node, the newest.

A Move goes, as a document, to the hub that the node leaves, which hands it on to the node as it is, and to the one that
it turns to, which takes the node in and waits for it. It is said until the node has arrived. The number of the next one
is kept for ever: a node believes no older one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from hub.core import inputs
from hub.core.registry import Refusal
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
    its former hub has not let go of it."""

    move: documents.Move
    at_ms: int
    arrived_ms: int = 0
    done_ms: int = 0


class Orders:
    """All Moves of this hub, by node."""

    def __init__(self, snapshot: Snapshot, core: HubCore) -> None:
        decoder = msgspec.json.Decoder(Record)
        self._records = {node: decoder.decode(raw) for node, raw in sorted(snapshot.spaces.get(ORDER, {}).items())}
        self._open = Open()
        for record in self._records.values():
            self._note(record)
        self._core = core

    # -------------------------------------------------------------------------------------------- saying

    def order(self, op: inputs.MoveNode, who: str, now: Now, fx: Effects) -> dict[str, Any]:
        """Say that a node belongs to another hub from now on. Raises Refusal; then nothing is said."""
        core = self._core
        spot = core.subtree.get(op.node)
        former, to = self._former(spot), self._haven(op.to)
        self._check(spot, former, to)
        number = self.say(spot, former, to, who, now, fx)
        return {"node": spot.name, "from": former, "to": to.id, "number": number}

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
        self._put(Record(move=move, at_ms=int(now.wall * 1000)), fx)
        said = {"who": who, "from": former, "to": to.id, "number": number}
        kind = "lodger.revoked" if revoked else "operator.move"
        core.streams.audit(kind, spot.address, said, now, fx)
        self._tell(move, now, fx)
        fx.act.append(inputs.Notify(topic=f"node/{spot.address}"))
        return number

    def _former(self, spot: Spot) -> str:
        hub, _, below = spot.address.rpartition("/")
        if "/" in hub:
            raise Refusal(f"{spot.name} belongs to {hub}: move it at {hub.rpartition('/')[0]}, the hub above that one")
        return hub or (self._core.node if below else "")

    def _haven(self, hub: str) -> documents.Haven:
        core = self._core
        name = hub.removeprefix(f"{core.node}/")
        if name == core.node:
            found = core.haven
        else:
            if core.registry.find(name) is None:
                raise Refusal(f"no hub {hub[:80]!r} is right below {core.node}: ask the hub above both for a move", 404)
            child = core.registry.living(name)
            if child.kind != "hub":
                raise Refusal(f"{name} is no hub: name one that stands right below {core.node}, or {core.node}", 422)
            found = core.subtree.region(name).haven
        if found is None:
            raise Refusal(f"{name} has not said yet where it listens: try again when it is online")
        return found

    def _check(self, spot: Spot, former: str, to: documents.Haven) -> None:
        brief = spot.brief
        if brief.kind != "agent" or not brief.key:
            raise Refusal(f"{spot.name} is no device that is known here by its key: only a device can be moved", 422)
        if brief.state == "revoked":
            raise Refusal(f"{spot.name} is revoked: enroll the device anew at {to.id}")
        if former == to.id:
            raise Refusal(f"{spot.name} belongs to {to.id} already", 422)
        other = self._core.subtree.find(spot.name if to.id == self._core.node else f"{to.id}/{spot.name}")
        if other is not None and other.brief.key != brief.key:
            raise Refusal(f"{to.id} has another device called {spot.name}: it can take no second one of that name")
        if self._open.is_full:
            raise Refusal(f"{self._open.going} nodes are on their way already: wait until some have arrived", 503)

    def _tell(self, move: documents.Move, now: Now, fx: Effects) -> None:
        core = self._core
        for hub in _concerned(move):
            if hub == core.node:
                core.lodging.take(move, now, fx)
            else:
                core.delegate.mark(hub)

    def _note(self, record: Record) -> None:
        self._open.note(record.move, arrived=record.arrived_ms > 0, done=record.done_ms > 0)

    def _put(self, record: Record, fx: Effects) -> None:
        self._records[record.move.node] = record
        self._note(record)
        fx.store.append(Put(ORDER, record.move.node, msgspec.json.encode(record)))

    # -------------------------------------------------------------------------------------------- until it is done

    def items(self, hub: str) -> dict[str, bytes]:
        """Return the documents for a child hub: the Moves that it is to be told, some of many."""
        moves = [self._records[node].move for node in self._open.of(hub)]
        return {documents.document_id(move): documents.encode(move) for move in moves}

    def may_say(self, node: str) -> bool:
        """Tell whether a node that turned to another hub by itself can be told now where it belongs."""
        known = self._records.get(node)
        return (known is not None and not known.arrived_ms) or not self._open.is_full

    def find(self, node: str) -> Record | None:
        """Return what was said of `node` last."""
        return self._records.get(node)

    def arrived(self, node: str, now: Now, fx: Effects) -> None:
        """`node` is where it belongs: its former hub is told so."""
        record = self._records[node]
        move = grants.sign(msgspec.structs.replace(record.move, arrived=True), self._core.signer)
        self._put(Record(move=move, at_ms=record.at_ms, arrived_ms=int(now.wall * 1000)), fx)
        self._core.streams.audit("node.arrived", node, {"to": move.to.id, "number": move.number}, now, fx)
        self._tell(move, now, fx)

    def done(self, node: str, now: Now, fx: Effects) -> None:
        """The former hub has let go of it, or it is revoked where it turned to: nothing more is said."""
        record, now_ms = self._records[node], int(now.wall * 1000)
        self._put(msgspec.structs.replace(record, arrived_ms=record.arrived_ms or now_ms, done_ms=now_ms), fx)
        for one in _concerned(record.move):
            if one != self._core.node:
                self._core.delegate.mark(one)


def _concerned(move: documents.Move) -> tuple[str, ...]:
    """Return the hubs that are told."""
    return (move.to.id,) if move.revoked else (move.former, move.to.id)
