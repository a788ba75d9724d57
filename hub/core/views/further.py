"""A node below a child hub as JSON, from what that hub told of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from hub.core.down.known.spot import Spot
from hub.core.views.one_node import FIELDS, JSON
from protocol.link.roster.brief import Brief, ServiceBrief

if TYPE_CHECKING:
    from hub.core.hub import HubCore


def below(core: HubCore, spot: Spot) -> JSON:
    """Return a node below a child hub."""
    brief = spot.brief
    return FIELDS | {
        "name": spot.name,
        "address": spot.address,
        "path": f"{core.node}/{spot.address}",
        "kind": brief.kind,
        "through": spot.through,
        "silent": spot.silent,
        "labels": brief.labels,
        "state": spot.state,
        "since_ms": spot.since_ms,
        "last_state": brief.state,
        "last_contact_ms": brief.contact_ms,
        "as_of_ms": brief.as_of_ms,
        "desired_generation": brief.asked,
        "observed_generation": brief.held,
        "settled": brief.asked == brief.held,
        "epoch": brief.epoch,
        "cursors": core.relayed.cursors(spot.address),
        "missing": core.relayed.missing(spot.address),
        "version": brief.version,
        "lost": {"all": brief.lost} if brief.lost else {},
        "cordoned": brief.cordoned,
        "services": {name: service_json(brief, name, one) for name, one in brief.services.items()},
        "more_services": brief.more_services,
        **_to_look_at(brief),
        "hold": msgspec.to_builtins(brief.hold),
        "region": msgspec.to_builtins(core.subtree.region(spot.address)) if brief.kind == "hub" else None,
    }


def service_json(brief: Brief, name: str, one: ServiceBrief) -> JSON:
    """Return what is known of a service of a node below another hub, as a report of the device would say it."""
    known: JSON = {"state": one.state, "digest": one.digest, "healthy": one.healthy, "restarts": one.restarts}
    if name in brief.overrides:
        known["override"] = msgspec.to_builtins(brief.overrides[name])
    return known


def _to_look_at(brief: Brief) -> JSON:
    said = {"conditions": ("condition", brief.condition), "alarms": ("alarm", brief.alarm)}
    return {key: [{"what": what, "text": text, "since_ms": 0}] if text else [] for key, (what, text) in said.items()}
