"""What a parent knows of a child, put together for people and for the core."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from protocol import messages
from protocol.link.below.child import Child
from protocol.link.room.losses import Loss
from protocol.link.table import ParentState


class ChildView(msgspec.Struct, frozen=True, kw_only=True):
    """What a parent knows of a child, for people and for the core. Times are wall seconds; None: no contact yet."""

    node: str
    state: ParentState
    live: bool
    since_wall: float | None
    last_contact_wall: float | None
    quiet: bool
    """It is metered and has no session, but its contacts are not overdue: that is not away."""
    contact_s: float
    """The contact interval by which its presence is judged."""
    contact_mono: float
    """When anything was last heard (Now.mono); 0.0: never in this life."""
    session: int
    connection: int
    held: messages.Held
    term: int
    generation: int
    digest: str
    blocked: bool
    """The child holds a manifest beyond ours: an operator must confirm a new term."""
    status: messages.Status | None
    cursors: dict[str, messages.Cursor]
    lost: dict[str, int]
    losses: dict[str, list[Loss]]
    """The newest of what `lost` sums up."""
    waiting: list[str]
    """Streams that wait before a GAP which was refused, for `Parent.release`."""
    aside: dict[str, int]
    quarantined: str
    revoked: str
    version: str


def of(child: Child, credit: Mapping[str, int]) -> ChildView:
    """Return what is known of `child` now. `credit`: the rows that it may have beyond its cursors, by stream."""
    asked, cursors = child.asked, child.incoming.cursors
    return ChildView(
        node=child.node,
        state=child.state,
        live=child.state is ParentState.LIVE,
        since_wall=child.since_wall,
        last_contact_wall=child.last_contact_wall,
        quiet=child.quiet,
        contact_s=child.contact_s,
        contact_mono=child.contact_mono,
        session=child.record.session,
        connection=child.connection,
        held=asked.held,
        term=asked.record.term,
        generation=asked.record.generation,
        digest=asked.record.digest,
        blocked=asked.blocked,
        status=child.status,
        cursors=child.incoming.given(credit),
        lost={stream: one.lost for stream, one in cursors.items() if one.lost},
        losses=child.incoming.losses.known,
        waiting=[stream for stream in cursors if child.incoming.waits(stream)],
        aside={stream: one.aside for stream, one in cursors.items() if one.aside},
        quarantined=child.record.quarantined,
        revoked=child.record.revoked,
        version=child.version,
    )
