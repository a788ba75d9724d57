"""Where one resource is: the regions that were asked for it, and every node that has it, with as of when that is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from hub.core.down.known import brief as briefs
from hub.core.down.known import report as reports
from hub.core.down.known.spot import Spot
from hub.core.views.further import service_json
from hub.core.work.declared import Resource
from protocol import status
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


# ------------------------------------------------------------------------------------------------ by region


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


# ------------------------------------------------------------------------------------------------ by node


def on(core: HubCore, record: Resource) -> list[JSON]:
    """Return every node that is asked to have a resource or still has it: own ones first, then those below regions."""
    digest = core.resources.document(record.key)[2]
    asked = dict.fromkeys(placed(core, record.key))
    others = [one.name for one in core.registry if one.name not in asked and not one.moved]
    lingering = [name for name in others if _said(core, record, name)]
    own = [_own(core, record, name, digest, name in asked) for name in sorted([*asked, *lingering])]
    return own + _below(core, record, digest)


def _own(core: HubCore, record: Resource, name: str, digest: str, is_placed: bool) -> JSON:
    """Return what one node says of a resource; `current`: it has what is asked now. Absent: it has said nothing."""
    one = core.registry.get(name)
    said = _said(core, record, name)
    seen = core.rollup.seen(name)
    return {
        "node": name,
        "path": f"{core.node}/{name}",
        "region": "",
        "node_state": briefs.state_of(core, one),
        "since_ms": briefs.since_ms(core, one),
        "silent": "",
        "last_contact_ms": core.rollup.contact_ms(name),
        "as_of_ms": seen.status_ms if seen is not None else 0,
        "placed": is_placed,
        "current": said is not None and said.digest == digest,
        "hold": _hold(core, name),
        "report": msgspec.to_builtins(said),
    }


def _hold(core: HubCore, name: str) -> JSON | None:
    report = core.rollup.report(name)
    return msgspec.to_builtins(report.hold) if report is not None else None


def _said(core: HubCore, record: Resource, name: str) -> status.ServiceReport | status.WorkflowReport | None:
    report = core.rollup.report(name)
    if report is None:
        return None
    return report.services.get(record.name) if record.kind == "service" else report.workflows.get(record.name)


def _below(core: HubCore, record: Resource, digest: str) -> list[JSON]:
    """Return the nodes below regions that report a service; of workflows only the counts come up."""
    if record.kind != "service":
        return []
    part = briefs.digest_part(digest)
    found = [_told(core, spot, record.name, part) for spot in core.subtree.having(record.name)]
    return sorted(found, key=lambda one: one["node"].split("/"))


def _told(core: HubCore, spot: Spot, service: str, digest: str) -> JSON:
    said = spot.brief.services[service]
    return {
        "node": spot.address,
        "path": f"{core.node}/{spot.address}",
        "region": spot.address.rpartition("/")[0],
        "node_state": spot.state,
        "since_ms": spot.since_ms,
        "silent": spot.silent,
        "last_contact_ms": spot.brief.contact_ms,
        "as_of_ms": spot.brief.as_of_ms,
        "placed": True,
        "current": said.digest == digest,
        "hold": msgspec.to_builtins(spot.brief.hold),
        "report": service_json(spot.brief, service, said),
    }
