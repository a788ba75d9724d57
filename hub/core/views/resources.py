"""What operators declared, and what has become of it: at this hub's own nodes, in its regions, and on their nodes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from hub.core.down.known import tallies
from hub.core.views import spread
from hub.core.work.declared import Resource
from protocol.effects import Now
from protocol.link.roster.brief import RegionReport, Tally

if TYPE_CHECKING:
    from hub.core.hub import HubCore

JSON = dict[str, Any]


def resources(core: HubCore, kind: str = "") -> list[JSON]:
    """Return what operators declared, of `kind` (all when empty), by key."""
    return [_resource(core, record) for record in core.resources.records(kind)]


def resource(core: HubCore, kind: str, name: str) -> JSON:
    """Return one resource. Raises Refusal (404)."""
    return _resource(core, core.resources.get(kind, name))


def _resource(core: HubCore, record: Resource) -> JSON:
    return {
        "kind": record.kind,
        "name": record.name,
        "generation": record.generation,
        "owner": tallies.owner_of(core, record),
        "changed_ms": record.changed_ms,
        "by": record.by,
        "spec": msgspec.json.decode(record.spec),
        "digest": core.resources.document(record.key)[2],
        "placement": {
            "selector": record.selector,
            "count": record.count,
            "nodes": spread.placed(core, record.key),
            "regions": spread.shares(core, record.key),
        },
    }


def services(core: HubCore, now: Now) -> list[JSON]:
    """Return all services with how many nodes do what."""
    return _summaries(core, "service")


def service(core: HubCore, name: str, now: Now) -> JSON:
    """Return one service with its regions, and every node that is asked to run it, or still does.

    Raises Refusal (404).
    """
    return _whole(core, core.resources.get("service", name))


def nodes_of(core: HubCore, name: str) -> list[str]:
    """Return the addresses of the nodes that have a service, or are asked to. Raises Refusal (404)."""
    return [str(one["node"]) for one in spread.on(core, core.resources.get("service", name))]


def workflows(core: HubCore, now: Now) -> list[JSON]:
    """Return all workflows with how many nodes have them."""
    return _summaries(core, "workflow")


def workflow(core: HubCore, name: str, now: Now) -> JSON:
    """Return one workflow with its regions, and every node that is asked to have it, or still does.

    Raises Refusal (404).
    """
    return _whole(core, core.resources.get("workflow", name))


def _whole(core: HubCore, record: Resource) -> JSON:
    return _summary(core, record, core.subtree.sum()) | {
        "spec": msgspec.json.decode(record.spec),
        "on": spread.on(core, record),
        "in": spread.regions(core, record),
    }


def _summaries(core: HubCore, kind: str) -> list[JSON]:
    total = core.subtree.sum()
    return [_summary(core, record, total) for record in core.resources.records(kind)]


def _summary(core: HubCore, record: Resource, total: RegionReport) -> JSON:
    tally = total.tallies.get(record.key, Tally())
    return {
        "name": record.name,
        "kind": record.kind,
        "generation": record.generation,
        "owner": tallies.owner_of(core, record),
        "changed_ms": record.changed_ms,
        "by": record.by,
        "selector": record.selector,
        "count": record.count,
        "digest": core.resources.document(record.key)[2],
        "nodes": spread.placed(core, record.key),
        "regions": spread.shares(core, record.key),
        "asked": tally.asked,
        "placed": tally.placed,
        "current": tally.current,
        "running": tally.running,
        "healthy": tally.healthy,
        "unhealthy": tally.unhealthy,
        "away": tally.away,
        "override": spread.override(core, record.key),
    }
