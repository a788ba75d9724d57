"""Where one resource is: own nodes and regions that were asked for it, and what each region makes of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from hub.core.down.known import report as reports
from hub.core.down.known.spot import Spot
from hub.core.work.declared import Resource
from protocol.link.roster.brief import OverrideMark, RegionReport, Tally

if TYPE_CHECKING:
    from hub.core.hub import HubCore

JSON = dict[str, Any]


def placed(core: HubCore, key: str) -> list[str]:
    """Return the names of this hub's own nodes that a resource is placed on."""
    return core.resources.placed_on(key, core.delegate.holds(key))


def shares(core: HubCore, key: str) -> dict[str, int | None]:
    """Return how many copies each region was asked for; None: on all nodes that match there."""
    return core.resources.regions_of(key, core.delegate.holds(key))


def override(core: HubCore, key: str) -> JSON | None:
    """Return what this hub's operators put in the place of a delegated resource, for how long; None mostly."""
    return msgspec.to_builtins(core.overrides.by_key.get(key))


def regions(core: HubCore, record: Resource) -> list[JSON]:
    """Return what each child hub says of a resource: those that were asked for it, and those that still have it."""
    asked = shares(core, record.key)
    found: list[JSON] = []
    for node in core.registry:
        if node.kind != "hub" or node.revoked_ms:
            continue
        report = core.subtree.region(node.name)
        if node.name not in asked and record.key not in report.tallies:
            continue
        spot = core.subtree.find(node.name)
        assert spot is not None
        told = report if spot.state == "online" else reports.unheard(report)
        found.append(_region(core, spot, asked, record.key, told))
    return found


def _region(core: HubCore, spot: Spot, asked: dict[str, int | None], key: str, told: RegionReport) -> JSON:
    return {
        "hub": spot.address,
        "path": f"{core.node}/{spot.address}",
        "state": spot.state,
        "since_ms": spot.since_ms,
        "last_contact_ms": spot.brief.contact_ms,
        "as_of_ms": spot.brief.as_of_ms,
        "is_asked": spot.address in asked,
        "share": asked.get(spot.address),
        **msgspec.structs.asdict(told.tallies.get(key, Tally())),
        "marks": [_mark(core, spot.address, mark) for mark in told.marks if mark.what == key],
        "refused": next((one.text for one in told.conditions if one.text.startswith(f"{key}: ")), ""),
    }


def _mark(core: HubCore, hub: str, mark: OverrideMark) -> JSON:
    """Return an override in the region `hub`; `asked_back`: who asked for it back, when and why, or null."""
    asked = core.recalls.find(mark.what, f"{hub}/{mark.at}" if mark.at else hub, mark.since_ms)
    return msgspec.to_builtins(mark) | {"asked_back": msgspec.to_builtins(asked)}


def short(found: JSON, inside: list[JSON]) -> list[JSON]:
    """Return where copies of a resource lack a place: `{hub, placed, asked}`; `hub` is empty for the whole of it.

    `found`: its count, who has it and who is asked, as in its summary; `inside`: its `regions`. Of a region that is not
    heard, was overridden there, or has not seen what is declared now, nothing is known, and nothing is said.
    """
    if found["count"] is None:
        return []
    asked = [one for one in inside if one["is_asked"]]
    told = [(one["hub"], one["placed"], one["share"] or 0) for one in asked if _is_told(one, found["generation"])]
    lacking = [_lack(*one) for one in told if one[1] < one[2]]
    if found["per_region"] and asked:
        return lacking
    placed = len(found["nodes"]) + sum(one["share"] or 0 for one in asked)
    return [*lacking, _lack("", placed, found["count"])] if placed < found["count"] else lacking


def _lack(hub: str, placed: int, asked: int) -> JSON:
    return {"hub": hub, "placed": placed, "asked": asked}


def _is_told(region: JSON, generation: int) -> bool:
    """Tell whether a region has said what it makes of what its owner declares now."""
    is_heard = region["state"] == "online" and not region["refused"]
    return is_heard and region["generation"] >= generation and not any(not one.get("at") for one in region["marks"])
