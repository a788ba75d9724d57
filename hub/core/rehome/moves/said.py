"""The Moves that this hub says: made, and signed; and what is kept of them (space `order`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from protocol import documents
from protocol.trust import grants

if TYPE_CHECKING:
    from hub.core.down.known.spot import Spot
    from hub.core.hub import HubCore


class Record(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What was said of one node last. `arrived_ms` 0: it is still on its way, as far as it is known here; `done_ms` 0:
    its former hub has not let go of it. `again`: it had arrived, and somebody has to hear of it once more. `void`: a
    hub further up has said more since, and of this word the number alone counts."""

    move: documents.Move
    at_ms: int
    arrived_ms: int = 0
    done_ms: int = 0
    again: bool = False
    void: bool = False

    @property
    def is_open(self) -> bool:
        """Tell whether somebody has still to follow it."""
        return not (self.done_ms or self.void)


def first(
    core: HubCore, spot: Spot, to: documents.Haven, joins: str, number: int, who: str, revoked: str
) -> documents.Move:
    """Return the word that the node at `spot` belongs to `to`, the hub at `joins`."""
    leaves = spot.address.rpartition("/")[0]
    above = {*core.registry.path, *leaves.split("/")} - {core.node}
    bare = documents.Move(
        node=spot.name,
        key=spot.brief.key,
        labels=spot.brief.labels,
        former=leaves.rpartition("/")[2] or core.node,
        to=to,
        leaves=leaves,
        joins=joins,
        number=number,
        by=core.node,
        others={by: one for by, one in spot.brief.moves.items() if by in above},
        who=who,
        revoked=revoked,
    )
    return grants.sign(bare, core.signer)


def again(core: HubCore, move: documents.Move, leaves: str) -> documents.Move:
    """Return the same word, for a hub at `leaves` that still has the node."""
    former = leaves.rpartition("/")[2] or core.node
    return grants.sign(msgspec.structs.replace(move, former=former, leaves=leaves, arrived=False), core.signer)


def arrived(core: HubCore, move: documents.Move) -> documents.Move:
    """Return the same word, when the node is there."""
    return grants.sign(msgspec.structs.replace(move, arrived=True), core.signer)


def learned(core: HubCore, spot: Spot, to: documents.Haven, number: int) -> documents.Move:
    """Return a word of this hub that it has forgotten, as far as it can be told from what came of it."""
    bare = documents.Move(
        node=spot.name,
        key=spot.brief.key,
        labels=spot.brief.labels,
        former=core.node,
        to=to,
        joins=spot.address.rpartition("/")[0],
        number=number,
        by=core.node,
        arrived=True,
    )
    return grants.sign(bare, core.signer)
