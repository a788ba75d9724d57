"""One node as the API shows it: an own child as this hub hears it (one further down: hub.core.views.further).

Every node has the same fields, whichever of the two it is; what a hub further down keeps to itself is empty here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from hub.core.down.known import brief as briefs
from hub.core.registry import Node
from protocol import status

if TYPE_CHECKING:
    from hub.core.hub import HubCore

JSON = dict[str, Any]

FIELDS: JSON = {
    **dict.fromkeys(("name", "address", "path", "kind", "through", "silent", "state", "last_state"), ""),
    **dict.fromkeys(("version", "epoch", "revoked_reason", "moved"), ""),
    **dict.fromkeys(("since_ms", "last_contact_ms", "as_of_ms", "enrolled_ms", "certificate_until_ms"), 0),
    **dict.fromkeys(("term", "desired_generation", "observed_generation", "clock_offset_ms", "more_services"), 0),
    "contact_s": 0.0,
    **dict.fromkeys(("settled", "cordoned", "drained"), False),
    **{name: {} for name in ("labels", "cursors", "missing", "lost", "losses", "aside")},
    **{name: {} for name in ("services", "workflows", "platform", "facts")},
    **{name: [] for name in ("waiting", "conditions", "alarms", "placed")},
    **dict.fromkeys(("vitals", "region", "hold")),
}
"""All fields of a node, empty; every view of a node has these, in this order."""


def own(core: HubCore, one: Node) -> JSON:
    """Return an own child."""
    seen = core.rollup.seen(one.name)
    state = briefs.state_of(core, one)
    known: JSON = {
        "name": one.name,
        "address": one.name,
        "path": f"{core.node}/{one.name}",
        "kind": one.kind,
        "labels": one.labels,
        "state": state,
        "since_ms": briefs.since_ms(core, one),
        "last_state": state,
        "last_contact_ms": core.rollup.contact_ms(one.name),
        "as_of_ms": seen.status_ms if seen is not None else 0,
        "observed_generation": seen.held.generation if seen is not None else 0,
        "settled": core.delegate.is_settled(one.name),
        "version": seen.version if seen is not None else "",
        "cordoned": one.cordoned,
        "drained": one.drained,
        "alarms": msgspec.to_builtins(one.alarms),
        "region": msgspec.to_builtins(core.subtree.region(one.name)) if one.kind == "hub" else None,
        "placed": core.delegate.placed(one.name),
        "facts": one.facts,
        "enrolled_ms": one.enrolled_ms,
        "certificate_until_ms": one.until_ms,
        "revoked_reason": one.revoked_reason,
        "moved": one.moved,
    }
    return FIELDS | known | _reported(core, one.name) | _linked(core, one.name)


def _reported(core: HubCore, name: str) -> JSON:
    """Return what a child last said of itself."""
    report = core.rollup.report(name) or status.Report()
    return {
        "services": msgspec.to_builtins(report.services),
        "workflows": msgspec.to_builtins(report.workflows),
        "vitals": msgspec.to_builtins(report.vitals),
        "conditions": msgspec.to_builtins(report.conditions),
        "platform": report.platform,
        "hold": msgspec.to_builtins(report.hold),
    }


def _linked(core: HubCore, name: str) -> JSON:
    """Return how the link to a child stands."""
    seen, link = core.rollup.seen(name), core.parent.view(name)
    heads = seen.heads if seen is not None else {}
    cursors = {
        stream: {"epoch": cursor.epoch, "seq": cursor.seq, "last": max(heads.get(stream, 0), cursor.seq)}
        for stream, cursor in link.cursors.items()
    }
    return {
        "desired_generation": link.generation,
        "term": link.term,
        "epoch": cursors["state"]["epoch"] if "state" in cursors else "",
        "cursors": cursors,
        "contact_s": link.contact_s,
        "lost": link.lost,
        "losses": msgspec.to_builtins(link.losses),
        "waiting": link.waiting,
        "aside": link.aside,
        "clock_offset_ms": link.status.time_ms - seen.status_ms if link.status is not None and seen is not None else 0,
    }
