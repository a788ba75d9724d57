"""What operators declared, and what has become of it: at this hub's own nodes, in its regions, and on their nodes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from hub.core.down.known import tallies
from hub.core.views import copies, spread
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


def services(core: HubCore) -> list[JSON]:
    """Return all services with how many nodes do what; also what hubs below own, as far as it is known here."""
    return _summaries(core, "service")


def service(core: HubCore, name: str, now: Now) -> JSON:
    """Return one service with its regions (on which nodes it is: `everywhere`). Raises Refusal (404)."""
    record = core.resources.get("service", name)
    return _whole(core, record) | {"copies": copies.copies(core, record, now)}


def workflows(core: HubCore) -> list[JSON]:
    """Return all workflows with how many nodes have them."""
    return _summaries(core, "workflow")


def workflow(core: HubCore, name: str) -> JSON:
    """Return one workflow with its regions (on which nodes it is: `everywhere`). Raises Refusal (404)."""
    return _whole(core, core.resources.get("workflow", name))


def _whole(core: HubCore, record: Resource) -> JSON:
    found, inside = _summary(core, record, core.subtree.sum()), spread.regions(core, record)
    return found | {"spec": msgspec.json.decode(record.spec), "in": inside, "short": spread.short(found, inside)}


def _summaries(core: HubCore, kind: str) -> list[JSON]:
    total, known = core.subtree.sum(), core.resources
    own = [_summary(core, record, total) for record in known.records(kind)]
    below = {key: tally for key, tally in total.tallies.items() if key.startswith(f"{kind}/")}
    return own + [_below(key, tally) for key, tally in below.items() if known.find(key) is None]


def _below(key: str, tally: Tally) -> JSON:
    """Return what is known of a resource that a hub below declared: its counts, and who owns it."""
    kind, _, name = key.partition("@")[0].partition("/")
    unknown: JSON = {"changed_ms": 0, "by": "", "selector": "", "count": None, "per_region": False, "digest": ""}
    unknown |= {"nodes": [], "regions": {}, "override": None}
    return {"name": name, "kind": kind, "generation": tally.generation, "owner": tally.owner} | unknown | _counts(tally)


def _summary(core: HubCore, record: Resource, total: RegionReport) -> JSON:
    return {
        "name": record.name,
        "kind": record.kind,
        "generation": record.generation,
        "owner": tallies.owner_of(core, record),
        "changed_ms": record.changed_ms,
        "by": record.by,
        "selector": record.selector,
        "count": record.count,
        "per_region": record.per_region,
        "digest": core.resources.document(record.key)[2],
        "nodes": spread.placed(core, record.key),
        "regions": spread.shares(core, record.key),
        "override": spread.override(core, record.key),
    } | _counts(total.tallies.get(record.key, Tally()))


def _counts(tally: Tally) -> JSON:
    return {name: getattr(tally, name) for name in tallies.COUNTS}
