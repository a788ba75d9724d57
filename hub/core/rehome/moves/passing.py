"""Moves of hubs further up that this hub hands on, to those of its child hubs that stand on the way (space `passing`).

As long as the parent says them: what it asks is a level. What this hub itself once said of such a node holds no more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from hub.core.rehome.moves import ways
from protocol import documents
from protocol.effects import Delete, Effects, Put
from protocol.snapshot import Snapshot

if TYPE_CHECKING:
    from hub.core.hub import HubCore

PASSING = "passing"


class Passing:
    """The Moves that are handed on, by node."""

    def __init__(self, snapshot: Snapshot, core: HubCore) -> None:
        decoder = msgspec.json.Decoder(documents.Move)
        self._moves = {node: decoder.decode(raw) for node, raw in snapshot.spaces.get(PASSING, {}).items()}
        self._core = core

    def only(self, nodes: set[str], fx: Effects) -> None:
        """The parent says Moves of `nodes` alone: the others are over."""
        for node in [node for node in self._moves if node not in nodes]:
            self._put(node, None, fx)

    def take(self, move: documents.Move, fx: Effects) -> None:
        """The parent says this of a node."""
        is_onward = bool(ways.onward(move, self._core.registry.path))
        if self._moves.get(move.node) != (move if is_onward else None):
            self._put(move.node, move if is_onward else None, fx)

    def _put(self, node: str, move: documents.Move | None, fx: Effects) -> None:
        core, before = self._core, self._moves.pop(node, None)
        fx.store.append(Delete(PASSING, node))
        if move is not None:
            self._moves[node] = move
            fx.store.append(Put(PASSING, node, msgspec.json.encode(move)))
        for one in (before, move):
            for child in ways.onward(one, core.registry.path) if one is not None else ():
                if core.registry.find(child) is not None:
                    core.delegate.mark(child)

    def joins(self, node: str) -> str:
        """Return the child by which `node` is to come, if its Move is handed on; empty: by none."""
        move = self._moves.get(node)
        return ways.next_of(move.joins, move.by, self._core.registry.path) if move is not None else ""

    def items(self, hub: str) -> dict[str, bytes]:
        """Return what is handed on to the child `hub`."""
        path = self._core.registry.path
        moves = [move for move in self._moves.values() if hub in ways.onward(move, path)]
        return {documents.document_id(move): documents.encode(move) for move in moves}
