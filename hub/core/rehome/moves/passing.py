"""Moves of hubs further up that this hub hands on, to those of its child hubs that stand on the way (space `passing`).

As long as the parent says them: what it asks is a level. What this hub itself once said of such a node holds no more.
"""

from __future__ import annotations

from collections.abc import Sequence
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
    """The Moves that are handed on: by node, and by the child hub that is told."""

    def __init__(self, snapshot: Snapshot, core: HubCore) -> None:
        decoder = msgspec.json.Decoder(documents.Move)
        self._moves: dict[str, documents.Move] = {}
        self._of: dict[str, dict[str, documents.Move]] = {}
        self._core = core
        for raw in snapshot.spaces.get(PASSING, {}).values():
            self._note(decoder.decode(raw))

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
        told = self._forget(node)
        fx.store.append(Delete(PASSING, node))
        if move is not None:
            told = [*told, *self._note(move)]
            fx.store.append(Put(PASSING, node, msgspec.json.encode(move)))
        for child in told:
            if self._core.registry.find(child) is not None:
                self._core.delegate.mark(child)

    def _note(self, move: documents.Move) -> Sequence[str]:
        """Hand `move` on from now on; return the children that are told."""
        self._moves[move.node] = move
        told = ways.onward(move, self._core.registry.path)
        for child in told:
            self._of.setdefault(child, {})[move.node] = move
        return told

    def _forget(self, node: str) -> Sequence[str]:
        """Return the children that were told of `node`."""
        before = self._moves.pop(node, None)
        told = ways.onward(before, self._core.registry.path) if before is not None else ()
        for child in told:
            del self._of[child][node]
            if not self._of[child]:
                del self._of[child]
        return told

    def joins(self, node: str) -> str:
        """Return the child by which `node` is to come, if its Move is handed on; empty: by none."""
        move = self._moves.get(node)
        return ways.next_of(move.joins, move.by, self._core.registry.path) if move is not None else ""

    def items(self, hub: str) -> dict[str, bytes]:
        """Return what is handed on to the child `hub`."""
        moves = self._of.get(hub, {}).values()
        return {documents.document_id(move): documents.encode(move) for move in moves}
