"""Copies of a service over cuts: who was taken over by whom, the fences of those that count, the leases that bind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hub.core.down.known import brief as briefs
from hub.core.work.declared import Resource
from protocol.effects import Now

if TYPE_CHECKING:
    from hub.core.hub import HubCore

JSON = dict[str, Any]


def copies(core: HubCore, record: Resource, now: Now) -> JSON | None:
    """Return what being cut off means for a service and what has come of it here; None if it says nothing of it.

    `fences` by child; `parked`: the children that were not heard for long, and who has taken over how many of their
    copies; `leases`: how many copies each child may run under one, and for how many more seconds at most; `waiting`:
    the children that asked for one in vain; `unleased`: those that run it, as they last said, and never had a lease.
    Such a one holds all others up until it says otherwise, or is revoked: how it stands, and since when.
    """
    book, ways = core.failover.books.get(record.key), record.disconnect
    if ways.replace_after_s is None and not ways.at_most_one and not book.parked:
        return None
    bound = core.failover.leases
    leases = bound.given.left(record.name, now) if ways.at_most_one else {}
    free = sorted(bound.holders(record.name, now).keys() - leases.keys()) if ways.at_most_one else []
    return {
        "replace_after_s": ways.replace_after_s,
        "on_return": ways.on_return,
        "at_most_one": ways.at_most_one,
        "fences": dict(sorted(book.copies.items())),
        "parked": {
            child: {"copies": one.copies, "by": one.by, "since_ms": one.since_ms, "kept": one.kept}
            for child, one in sorted(book.parked.items())
        },
        "waiting": bound.waiting.of(record.name),
        "unleased": {child: _standing(core, child) for child in free},
        "leases": {child: {"copies": count, "left_s": left_s} for child, (count, left_s) in sorted(leases.items())},
    }


def _standing(core: HubCore, child: str) -> JSON:
    node = core.registry.get(child)
    return {"state": briefs.state_of(core, node), "since_ms": briefs.since_ms(core, node)}
