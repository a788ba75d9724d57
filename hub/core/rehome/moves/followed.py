"""Which Moves this hub has followed: of each node, and of each hub that says them, the newest number (space `taken`).

A Move that is said again changes nothing; an older one, of a hub above that was restored, neither. What is known here
of a node's numbers stands in its Brief, so that a hub above learns which ones it has given away in another past.
"""

from __future__ import annotations

import msgspec

from protocol import documents
from protocol.effects import Effects, Put
from protocol.snapshot import Snapshot

TAKEN = "taken"

_Seen = dict[str, tuple[int, bool]]
"""By the hub that says it: the number, and whether that said that the node has arrived."""


class Followed:
    """See the module."""

    def __init__(self, snapshot: Snapshot) -> None:
        decoder = msgspec.json.Decoder(_Seen)
        self._seen = {node: decoder.decode(raw) for node, raw in snapshot.spaces.get(TAKEN, {}).items()}

    def numbers(self, node: str) -> dict[str, int]:
        """Return the highest number that is known of `node`, by the hub that said it."""
        return {by: number for by, (number, _) in self._seen.get(node, {}).items()}

    def is_new(self, move: documents.Move) -> bool:
        """Tell whether `move` says more than what was followed."""
        seen = self._seen.get(move.node, {}).get(move.by)
        return seen is None or (move.number, move.arrived) > seen

    def note(self, move: documents.Move, fx: Effects) -> None:
        """`move` is followed now."""
        known = self._seen.get(move.node, {})
        told = {by: (number, True) for by, number in move.others.items()}
        newer = {by: seen for by, seen in told.items() if by not in known or seen > known[by]}
        self._seen[move.node] = {**known, **newer, move.by: (move.number, move.arrived)}
        fx.store.append(Put(TAKEN, move.node, msgspec.json.encode(self._seen[move.node])))
