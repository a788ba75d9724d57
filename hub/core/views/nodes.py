"""Nodes: this hub's own children as it hears them, and those below its child hubs as they were last told.

Every node has the same fields, whichever of the two it is; what a hub further down keeps to itself is empty here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from hub.core.down import brief as briefs
from hub.core.down.subtree import Spot
from hub.core.registry import Node, Refusal
from protocol import selector, status
from protocol.effects import Now
from protocol.link.roster.brief import Brief, ServiceBrief

if TYPE_CHECKING:
    from hub.core.hub import HubCore

JSON = dict[str, Any]


def nodes(core: HubCore, chosen: str, now: Now) -> list[JSON]:
    """Return the nodes that `chosen` selects, by address; all of them, revoked ones too, when it is empty.

    Raises BadSelector.
    """
    which = selector.parse(chosen)
    own = [_own(core, one) for one in core.registry if not which.terms or which.matches(one.selectable())]
    below = [_below(core, spot) for spot in core.subtree.below() if not which.terms or which.matches(spot.selectable())]
    return sorted([*own, *below], key=lambda one: one["address"].split("/"))


def node(core: HubCore, name: str, now: Now) -> JSON:
    """Return one node, by address, path or a plain name. Raises Refusal (404, 409)."""
    spot = core.subtree.get(name)
    return _below(core, spot) if spot.through else _own(core, core.registry.get(spot.address))


def named(core: HubCore, text: str) -> str:
    """Return the address under which what is known of a node is kept: of one that is gone, and of this hub too.

    Raises Refusal (409) when several nodes have that name.
    """
    if text in ("", core.node):
        return text
    try:
        return core.subtree.resolve(text)
    except Refusal as error:
        if error.status == 409:
            raise
        return text.removeprefix(f"{core.node}/")


def regions(core: HubCore) -> list[JSON]:
    """Return the hubs below this one, by address, each with what all that is below it comes to."""
    found = [
        {
            "name": spot.name,
            "address": spot.address,
            "path": f"{core.node}/{spot.address}",
            "labels": spot.brief.labels,
            "state": spot.state,
            "since_ms": spot.since_ms,
            "last_contact_ms": spot.brief.contact_ms,
            "as_of_ms": spot.brief.as_of_ms,
            "silent": spot.silent,
            "version": spot.brief.version,
            "region": msgspec.to_builtins(core.subtree.region(spot.address)),
        }
        for spot in core.subtree.spots()
        if spot.brief.kind == "hub"
    ]
    return sorted(found, key=lambda one: one["address"].split("/"))


def away_text(core: HubCore, spot: Spot) -> str:
    """Return the sentence for a node that cannot be reached: which tier is away, and when the node was last heard."""
    heard = f"last heard {spot.brief.contact_ms}"
    if spot.silent:
        hub = core.subtree.find(spot.silent)
        assert hub is not None
        text = f"{spot.silent} is away (since_ms {hub.since_ms}), and nothing below it is heard"
        return f"{text}: {spot.name} was {spot.brief.state} then, {heard} through it"
    if not spot.brief.contact_ms:
        return f"{spot.name} has never connected since it was enrolled (since_ms {spot.since_ms})"
    return f"{spot.name} is away (since_ms {spot.since_ms}, {heard}): it answers when it is back"


# ------------------------------------------------------------------------------------------------ one node


def _own(core: HubCore, one: Node) -> JSON:
    seen = core.rollup.seen(one.name)
    report = core.rollup.report(one.name) or status.Report()
    link = core.parent.view(one.name)
    heads = seen.heads if seen is not None else {}
    cursors = {
        stream: {"epoch": cursor.epoch, "seq": cursor.seq, "last": max(heads.get(stream, 0), cursor.seq)}
        for stream, cursor in link.cursors.items()
    }
    is_hub = one.kind == "hub"
    return {
        "name": one.name,
        "address": one.name,
        "path": f"{core.node}/{one.name}",
        "kind": one.kind,
        "through": "",
        "silent": "",
        "labels": one.labels,
        "state": briefs.state_of(core, one),
        "since_ms": briefs.since_ms(core, one),
        "last_state": briefs.state_of(core, one),
        "last_contact_ms": core.rollup.contact_ms(one.name),
        "as_of_ms": seen.status_ms if seen is not None else 0,
        "desired_generation": link.generation,
        "observed_generation": seen.held.generation if seen is not None else 0,
        "term": link.term,
        "settled": core.delegate.is_settled(one.name),
        "epoch": cursors["state"]["epoch"] if "state" in cursors else "",
        "cursors": cursors,
        "version": seen.version if seen is not None else "",
        "lost": link.lost,
        "losses": msgspec.to_builtins(link.losses),
        "waiting": link.waiting,
        "aside": link.aside,
        "clock_offset_ms": link.status.time_ms - seen.status_ms if link.status is not None and seen is not None else 0,
        "cordoned": one.cordoned,
        "drained": one.drained,
        "services": msgspec.to_builtins(report.services),
        "more_services": 0,
        "workflows": msgspec.to_builtins(report.workflows),
        "vitals": msgspec.to_builtins(report.vitals),
        "conditions": msgspec.to_builtins(report.conditions),
        "platform": report.platform,
        "alarms": msgspec.to_builtins(one.alarms),
        "region": msgspec.to_builtins(core.subtree.region(one.name)) if is_hub else None,
        "placed": core.delegate.placed(one.name),
        "facts": one.facts,
        "enrolled_ms": one.enrolled_ms,
        "certificate_until_ms": one.until_ms,
        "revoked_reason": one.revoked_reason,
    }


def _below(core: HubCore, spot: Spot) -> JSON:
    brief = spot.brief
    is_hub = brief.kind == "hub"
    return {
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
        "term": 0,
        "settled": brief.asked == brief.held,
        "epoch": brief.epoch,
        "cursors": {},
        "version": brief.version,
        "lost": {"all": brief.lost} if brief.lost else {},
        "losses": {},
        "waiting": [],
        "aside": {},
        "clock_offset_ms": 0,
        "cordoned": brief.cordoned,
        "drained": False,
        "services": {name: service_json(brief, name, one) for name, one in brief.services.items()},
        "more_services": brief.more_services,
        "workflows": {},
        "vitals": None,
        "conditions": [],
        "platform": {},
        "alarms": _alarms(brief),
        "region": msgspec.to_builtins(core.subtree.region(spot.address)) if is_hub else None,
        "placed": [],
        "facts": {},
        "enrolled_ms": 0,
        "certificate_until_ms": 0,
        "revoked_reason": "",
    }


def service_json(brief: Brief, name: str, one: ServiceBrief) -> JSON:
    """Return what is known of a service of a node below another hub, as a report of the device would say it."""
    known: JSON = {"state": one.state, "digest": one.digest, "healthy": one.healthy, "restarts": one.restarts}
    if name in brief.overrides:
        known["override"] = msgspec.to_builtins(brief.overrides[name])
    return known


def _alarms(brief: Brief) -> list[JSON]:
    if not brief.alarms:
        return []
    more = f" (and {brief.alarms - 1} more: ask its own hub)" if brief.alarms > 1 else ""
    return [{"what": "alarm", "text": brief.alarm + more, "since_ms": 0}]
