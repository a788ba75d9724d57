"""Nodes that come to this hub from another one, and those that leave it, as a hub above says.

Who comes by a grant, because its own hub is gone, is let in as a lodger: heard, and asked nothing, for only the hub
above both knows its labels, and whether it was revoked. That says a Move: it is as any other, or revoked and told so.

Who comes is known from then on, by the key and with the labels that it had, and takes part in placement at once: so
what it is asked when it arrives is settled (INVARIANTS A11). Who leaves is handed the Move as it came, signed by who
stands above, until it holds it or has arrived; then it is let go of: `moved`. Its record stays, for a name is never
reused by another key (C5).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from hub.core import inputs
from hub.core.registry import Node
from hub.core.rehome import lodgers
from hub.core.rehome.moves import ways
from hub.core.rehome.moves.followed import Followed
from hub.core.rehome.moves.passing import Passing
from protocol import documents
from protocol.effects import Delete, Effects, Now, Put
from protocol.errors import RemoteProtocolError
from protocol.snapshot import Snapshot

if TYPE_CHECKING:
    from hub.core.hub import HubCore

LEAVING = "leaving"
_PREFIX = "move/"


class Lodging:
    """Who comes and who goes. `leaving`: the Moves that nodes of this hub are to be told."""

    def __init__(self, snapshot: Snapshot, core: HubCore) -> None:
        moves = msgspec.json.Decoder(documents.Move)
        self._leaving = {node: moves.decode(raw) for node, raw in snapshot.spaces.get(LEAVING, {}).items()}
        self.followed, self.passing = Followed(snapshot), Passing(snapshot, core)
        self._core = core

    # -------------------------------------------------------------------------------------------- from above

    def wanted(self, items: dict[str, bytes], now: Now, fx: Effects) -> None:
        """Take the whole of what the parent asks: the Moves in it, and the grants."""
        self._core.family.wanted(items, fx)
        asked = {item.removeprefix(_PREFIX): raw for item, raw in items.items() if item.startswith(_PREFIX)}
        for node in [node for node in self._leaving if node not in asked]:
            self.over(node, now, fx)
        self.passing.only(set(asked), fx)
        for node, raw in asked.items():
            try:
                move = documents.decode(raw)
            except RemoteProtocolError:
                continue  # of another version: what is asked of the node stays as it is
            if isinstance(move, documents.Move) and move.node == node:
                if self.followed.is_new(move):
                    self._core.orders.void(node, fx)
                self.passing.take(move, fx)
                self.take(move, now, fx)

    def take(self, move: documents.Move, now: Now, fx: Effects) -> None:
        """Follow a Move as far as it concerns this hub; one that was followed before changes nothing."""
        if not self.followed.is_new(move):
            return
        self.followed.note(move, fx)
        path = self._core.registry.path
        if ways.is_end(move, move.joins, path):
            self._come(move, now, fx)
        elif ways.is_end(move, move.leaves, path):
            self._leave(move, now, fx)

    # -------------------------------------------------------------------------------------------- coming

    def _come(self, move: documents.Move, now: Now, fx: Effects) -> None:
        if move.revoked:
            lodgers.bar(self._core, move, now, fx)
            return
        core, known = self._core, self._core.registry.find(move.node)
        said = {"who": move.who, "by": move.by, "from": move.former, "number": move.number}
        is_other = known is not None and (known.key != move.key or known.revoked_ms > 0)
        if is_other or move.node in core.registry.path or core.registry.owner(move.key) != known:
            core.streams.audit("node.refused", move.node, {**said, "reason": "another node is known here so"}, now, fx)
            return
        if known is None:
            known = Node(name=move.node, key=move.key, token="", enrolled_ms=int(now.wall * 1000))
        self._leaving.pop(move.node, None)
        fx.store.append(Delete(LEAVING, move.node))
        core.registry.put(node := lodgers.taken_in(known, move.labels), fx)
        core.admit(node.name, now, fx)
        core.parent.adopt(node.name, fx)
        core.streams.audit("node.adopted", move.node, said, now, fx)

    def may_come(self, node: str, key: str, scope: str) -> bool:
        """Tell whether a device that stands in `scope` is let in by a grant; one that is known may, as it is known."""
        return lodgers.may_come(self._core, node, key, scope)

    def welcome(self, came: inputs.Opened, now: Now, fx: Effects) -> None:
        """Somebody is at the door: a device that comes by a grant is a lodger from now on."""
        lodgers.welcome(self._core, came, now, fx)

    # -------------------------------------------------------------------------------------------- leaving

    def _leave(self, move: documents.Move, now: Now, fx: Effects) -> None:
        known = self._core.registry.find(move.node)
        if known is None or known.key != move.key or known.revoked_ms or known.moved:
            return
        self._core.parent.leave(move.node, fx)
        self._leaving[move.node] = move
        fx.store.append(Put(LEAVING, move.node, msgspec.json.encode(move)))
        self._core.delegate.mark(move.node)
        if move.arrived:
            self.over(move.node, now, fx)

    def numbers(self, node: str) -> dict[str, int]:
        """Return the highest number of the Moves that brought `node` here, or past here, by the hub that said it."""
        leaving = self._leaving.get(node)
        return {by: one for by, one in self.followed.numbers(node).items() if leaving is None or by != leaving.by}

    def items(self, node: str) -> dict[str, bytes]:
        """Return the document that tells `node` where it belongs, if it is to leave."""
        move = self._leaving.get(node)
        said = {} if move is None else {documents.document_id(move): documents.encode(move)}
        return said | self.passing.items(node) | self._core.family.items(node)

    def heard(self, node: str, now: Now, fx: Effects) -> None:
        """`node` said what it holds: once that is the Move, it is no more this hub's to ask."""
        if node in self._leaving and self._core.delegate.is_settled(node):
            link = self._core.parent.view(node)
            if (link.held.term, link.held.generation) == (link.term, link.generation):
                self.over(node, now, fx)

    def over(self, node: str, now: Now, fx: Effects) -> None:
        """It knows, or has arrived: let go of it. What it ran is placed elsewhere, if it is to run as many times."""
        move, core = self._leaving.pop(node, None), self._core
        if move is None:
            return
        fx.store.append(Delete(LEAVING, node))
        gone = msgspec.structs.replace(core.registry.get(node), moved=move.to.id, cordoned=True, drained=True)
        core.registry.put(gone, fx)
        for name in core.resources.settle(gone, fx):
            core.delegate.mark(name)
        core.errands.give_up(node, f"{node} belongs to hub {move.to.id} now: what it says is heard there", now, fx)
        core.recalls.forget(node, f"{node} belongs to hub {move.to.id} now", now, fx)
        said = {"who": move.who, "by": move.by, "to": move.to.id, "number": move.number}
        core.streams.audit("node.moved", node, said, now, fx)
