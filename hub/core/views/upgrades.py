"""Upgrades: which version is asked for, how far its waves are, and how each node stands."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import msgspec

from hub.core.down.known import tallies
from hub.core.registry import Refusal
from hub.core.upgrade import standing, waves
from hub.core.upgrade.word import KIND
from hub.core.views import spread
from hub.core.work.declared import Resource
from protocol import documents
from protocol.effects import Now

if TYPE_CHECKING:
    from hub.core.hub import HubCore

JSON = dict[str, Any]


def upgrades(core: HubCore, now: Now) -> list[JSON]:
    """Return all Upgrades that this hub knows, its own and those of the root, by name."""
    return [_summary(core, record, now) for record in core.resources.records(KIND)]


def one(core: HubCore, name: str, now: Now) -> JSON:
    """Return one Upgrade, with each of this hub's nodes that are selected, and each region. Raises Refusal (404)."""
    record = core.resources.find(f"{KIND}/{name}")
    if record is None:
        raise Refusal(f"there is no upgrade {name[:80]!r} here: see `skerry get upgrades`", 404)
    document, rollout, nodes = core.rollouts.of(record)
    return _summary(core, record, now) | {
        "spec": msgspec.json.decode(record.spec),
        "on": [_node(core, node, document, rollout, now) for node in [*nodes, *core.rollouts.unfit(record)]],
        "in": [region | _versions(core, str(region["hub"]), document) for region in spread.regions(core, record)],
    }


def _summary(core: HubCore, record: Resource, now: Now) -> JSON:
    document, rollout, nodes = core.rollouts.of(record)
    spec = msgspec.json.decode(record.spec)["spec"]
    has = Counter(core.rollouts.state(name, document, now) for name in {*rollout.given}.intersection(nodes))
    wished: list[str] = spec.get("waves", ["all"])
    unfit, regions = len(core.rollouts.unfit(record)), list(spread.shares(core, record.key))
    is_done = rollout.wave + 1 == len(wished) and has[waves.RUNNING] == len(nodes)
    state = "stopped" if rollout.stopped else "no node here" if not nodes else "done" if is_done else "going on"
    return {
        "name": record.name,
        "kind": record.kind,
        "owner": tallies.owner_of(core, record),
        "generation": record.generation,
        "changed_ms": record.changed_ms,
        "by": record.by,
        "version": document.version,
        "packages": [f"deb{one.release} {one.arch}" for one in document.packages],
        "selector": record.selector,
        "only": document.only,
        "waves": wished,
        "wave": rollout.wave + 1,
        "stop_after": spec.get("stop_after", 0),
        "state": state,
        "reason": rollout.stopped or ("" if nodes else _nobody(unfit, is_handed_on=bool(regions))),
        "nodes": len(nodes),
        "unfit": unfit,
        "counts": {state: has[state] for state in (waves.RUNNING, waves.PENDING, waves.BACK, waves.SILENT)}
        | {"waiting": len(nodes) - sum(has.values()) + has[waves.SPARED]},
        "regions": regions,
    }


def _nobody(unfit: int, *, is_handed_on: bool) -> str:
    """Return why none of this hub's own nodes is to have it: that is no end, and may be a slip of who wrote it."""
    if unfit:
        return f"no package is for any of the {unfit} that it selects"
    return "its regions give it to theirs, each by itself" if is_handed_on else "it selects none"


def _node(core: HubCore, name: str, document: documents.Upgrade, rollout: waves.Rollout, now: Now) -> JSON:
    """Return how a node stands. `state`: waiting, away, held, or what it said: fetching, asked, trying, running, back,
    refused; `silent` when it was at it and is not heard any more, `unfit` when no package is for it."""
    report, seen = core.rollup.report(name), core.rollup.seen(name)
    said = report.upgrade if report is not None else None
    is_said = said is not None and said.number == document.number
    state, reason = (said.state, said.reason) if said is not None and is_said else ("waiting", "")
    hold = report.hold if report is not None else None
    package = standing.fitting(core, name, document)
    if package is None:
        state, reason = "unfit", f"it is {standing.machine(core, name) or 'not known yet what it is'}"
    elif state in ("waiting", "fetching") and hold is not None:
        state, reason = "held", f"held at the device by {hold.user}" + (f": {hold.reason}" if hold.reason else "")
    elif state == "waiting" and not core.rollup.is_online(name):
        state = "away"
    elif name in rollout.given and core.rollouts.state(name, document, now) == waves.SILENT:
        state, reason = "silent", "it was at it, and is not heard any more"
    return {
        "node": name,
        "given": name in rollout.given,
        "wanted": document.full(package.release) if package is not None else "",
        "version": seen.version if seen is not None else "",
        "state": state,
        "reason": reason,
        "online": core.rollup.is_online(name),
        "as_of_ms": seen.status_ms if seen is not None else 0,
    }


def _versions(core: HubCore, region: str, document: documents.Upgrade) -> JSON:
    """Return how many agents below a region there are, as its roster tells, and how many are of the version."""
    versions = [
        spot.brief.version
        for spot in core.subtree.spots()
        if f"{spot.address}/".startswith(f"{region}/") and spot.brief.kind != "hub"
    ]
    return {"agents": len(versions), "of_version": versions.count(document.version)}
