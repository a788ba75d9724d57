"""What each resource comes to in the subtree of a hub: its own agents and what its child hubs say, added up.

Two hubs may declare the same name while they are cut off from each other; who declared it is part of what it is. The
one that is in force at this hub stands under its key, another under `KEY@OWNER`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from hub.core.down.known.brief import digest_part
from protocol import limits
from protocol.link.roster.brief import Tally

if TYPE_CHECKING:
    from hub.core.hub import HubCore
    from hub.core.work.declared import Resource

COUNTS = ("asked", "placed", "current", "running", "healthy", "unhealthy", "away")


def owner_of(core: HubCore, record: Resource) -> str:
    """Return the hub that owns a resource that is in force here; one that is overridden keeps its owner."""
    override = core.overrides.by_key.get(record.key)
    if override is not None:
        return override.owner
    return core.node if record.origin is None else record.origin.owner


def of_record(core: HubCore, record: Resource, here: Tally) -> Tally:
    """Return what a resource of this hub comes to at its own agents, of which `here` are the counts."""
    return msgspec.structs.replace(
        here,
        asked=here.placed if record.count is None else len(record.nodes),
        digest=digest_part(core.resources.document(record.key)[2]),
        owner=owner_of(core, record),
        generation=record.generation if record.origin is None else record.origin.generation,
    )


def asked(record: Resource, found: Tally) -> Tally:
    """Return `found` with how many copies are asked for as a whole, wherever they found a place, if that is said."""
    if record.count is None or record.per_region:
        return found
    return msgspec.structs.replace(found, asked=record.count)


def add(found: dict[str, Tally], key: str, one: Tally) -> None:
    """Add `one` to what is there of the same resource, which is that of the same owner."""
    if key in found and found[key].owner != one.owner:
        key = f"{key}@{one.owner}"
    found[key] = _sum(found[key], one) if key in found else one


def _sum(one: Tally, other: Tally) -> Tally:
    known = [generation for generation in (one.generation, other.generation) if generation]
    return Tally(
        **{name: min(getattr(one, name) + getattr(other, name), limits.INTEGER_MAX) for name in COUNTS},
        digest=one.digest if one.digest == other.digest else "",
        owner=one.owner,
        generation=min(known, default=0),
    )
