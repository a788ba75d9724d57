"""How much of what was asked for found no place, and where: `eu-north 1 of 2, and 3 of 7 nowhere`."""

from __future__ import annotations

from typing import Any

NAMED = 4
Short = list[tuple[str, int, int]]
"""(region, how many it placed, how many it was asked for); the region is empty for the resource as a whole."""


def of(found: dict[str, Any]) -> Short:
    """Return where copies of a resource lack a place. Of a region that is not heard, or has not seen it, nothing."""
    if found["kind"] == "policy" or found["count"] is None:
        return []
    regions = [one for one in found["in"] if one["is_asked"]]
    told = [(one["hub"], one["placed"], one["share"] or 0) for one in regions if _is_told(one, found)]
    lacking = [(name, placed, share) for name, placed, share in told if placed < share]
    if found["per_region"] and regions:
        return lacking
    placed = len(found["nodes"]) + sum(one["share"] or 0 for one in regions)
    return [*lacking, ("", placed, found["count"])] if placed < found["count"] else lacking


def count(lacking: Short) -> int:
    """Return how many copies have no place."""
    return sum(asked - placed for _, placed, asked in lacking)


def sentence(key: str, lacking: Short) -> str:
    """Return `short: service/line at eu-north 1 of 2, in all 5 of 7, ...`, with why and what to do."""
    where = [f"{f'at {name}' if name else 'in all'} {placed} of {asked}" for name, placed, asked in lacking[:NAMED]]
    where += [f"and at {len(lacking) - NAMED} more"] if len(lacking) > NAMED else []
    text = f"short: {key} {', '.join(where)}, for no more nodes match there"
    return f"{text}; label or enroll some, which get it by themselves, or ask for fewer"


def _is_told(region: dict[str, Any], found: dict[str, Any]) -> bool:
    """Tell whether a region has said what it makes of what its owner declares now."""
    is_heard = region["state"] == "online" and not region["refused"]
    return (
        is_heard and region["generation"] >= found["generation"] and not any(not m.get("at") for m in region["marks"])
    )
