"""What each resource comes to in the subtree of a hub: its own agents and what its child hubs say, added up.

Two hubs may declare the same name while they are cut off from each other; who declared it is part of what it is. The
one that is in force at this hub stands under its key, another under `KEY@OWNER`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import msgspec

from hub.core.down.known.brief import digest_part
from hub.core.down.known.sums import Sums
from protocol import limits
from protocol.link.roster.brief import Tally

if TYPE_CHECKING:
    from hub.core.hub import HubCore
    from hub.core.work.declared import Resource

COUNTS = ("asked", "placed", "current", "running", "healthy", "unhealthy", "away")


def owner_of(core: HubCore, record: Resource) -> str:
    """Return the hub that owns a resource that is in force here; one that is overridden keeps its owner."""
    for override in core.delegated.overrides():
        if override.key == record.key:
            return override.owner
    return core.node if record.origin is None else record.origin.owner


def own(core: HubCore, sums: Sums) -> dict[str, Tally]:
    """Return what the resources of this hub come to at its own agents."""
    counted = sums.tallies()
    found: dict[str, Tally] = {}
    for record in core.resources.records():
        here = counted.pop(record.key, Tally())
        found[record.key] = msgspec.structs.replace(
            here,
            asked=here.placed if record.count is None else len(record.nodes),
            digest=digest_part(core.resources.document(record.key)[2]),
            owner=owner_of(core, record),
            generation=record.generation if record.origin is None else record.origin.generation,
        )
    return found | counted


def all_of(core: HubCore, sums: Sums, below: Mapping[str, Mapping[str, Tally]]) -> dict[str, Tally]:
    """Return what each resource comes to, here and `below` (by child hub)."""
    found = own(core, sums)
    for said in below.values():
        for key, one in said.items():
            add(found, key.partition("@")[0], one)
    for record in core.resources.records():
        if record.count is not None and not record.per_region:  # asked for as a whole, wherever it found a place
            found[record.key] = msgspec.structs.replace(found[record.key], asked=record.count)
    return dict(sorted(found.items()))


def add(found: dict[str, Tally], key: str, one: Tally) -> None:
    """Add `one` to what is there of the same resource, which is that of the same owner."""
    key = key[: limits.WORD_CHARS_MAX]
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
