"""Copies of a service over cuts: who was taken over by whom, the fences of those that count, the leases that bind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hub.core.work.declared import Resource
from protocol.effects import Now

if TYPE_CHECKING:
    from hub.core.hub import HubCore

JSON = dict[str, Any]


def copies(core: HubCore, record: Resource, now: Now) -> JSON | None:
    """Return what being cut off means for a service and what has come of it here; None if it says nothing of it.

    `fences` by child; `parked`: the children that were not heard for long, and who has taken over how many of their
    copies; `leases`: how many copies each child may run under one, and for how many more seconds at most.
    """
    book, ways = core.failover.books.get(record.key), record.disconnect
    if ways.replace_after_s is None and not ways.at_most_one and not book.parked:
        return None
    leases = core.failover.leases.given.left(record.name, now) if ways.at_most_one else {}
    return {
        "replace_after_s": ways.replace_after_s,
        "on_return": ways.on_return,
        "at_most_one": ways.at_most_one,
        "fences": dict(sorted(book.copies.items())),
        "parked": {
            child: {"copies": one.copies, "by": one.by, "since_ms": one.since_ms, "kept": one.kept}
            for child, one in sorted(book.parked.items())
        },
        "leases": {child: {"copies": count, "left_s": left_s} for child, (count, left_s) in sorted(leases.items())},
    }
