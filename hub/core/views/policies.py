"""Policies: what each of them says, who declared it, whom it binds, and what all of them come to at this hub."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from hub.core.down.known import tallies
from hub.core.registry import Refusal
from hub.core.views import spread
from hub.core.work.declared import POLICY, Resource
from protocol.spec import policy

if TYPE_CHECKING:
    from hub.core.hub import HubCore

JSON = dict[str, Any]

_STREAMS = ("state", "metrics", "logs")


def policies(core: HubCore) -> list[JSON]:
    """Return all policies that this hub knows, its own and those that hubs above declared, by name."""
    return [_summary(core, record) for record in core.resources.records(POLICY)]


def one(core: HubCore, name: str) -> JSON:
    """Return one policy, with each region that it was handed to, and what all policies come to here.

    Raises Refusal (404).
    """
    record = core.resources.find(f"{POLICY}/{name}")
    if record is None:
        raise Refusal(f"there is no policy {name[:80]!r} here: see `skerry get policies`", 404)
    return _summary(core, record) | {
        "spec": msgspec.json.decode(record.spec),
        "on": [],
        "has_more": False,
        "in": spread.regions(core, record),
        "in_force": _said(core.policies.rules())
        | {"from": [_named(core, found.record) for found in core.resources.policies()]},
    }


def _summary(core: HubCore, record: Resource) -> JSON:
    document = policy.Policy.model_validate(msgspec.json.decode(record.spec))
    in_force = any(found.record.key == record.key for found in core.resources.policies())
    return {
        "name": record.name,
        "kind": record.kind,
        "owner": tallies.owner_of(core, record),
        "generation": record.generation,
        "changed_ms": record.changed_ms,
        "by": record.by,
        "inherited": record.origin is not None,
        "binds_here": in_force,
        "selector": document.spec.regions,
        "rules": _said(policy.rules(document)),
        "regions": list(spread.shares(core, record.key)),
    }


def _named(core: HubCore, record: Resource) -> JSON:
    return {"name": record.name, "owner": tallies.owner_of(core, record)}


def _said(rules: policy.Rules) -> JSON:
    """Return rules as they are in force; None: no bound."""
    return {
        "forward": {stream: rules.forwarded(stream) for stream in _STREAMS},
        "users": None if rules.users is None else sorted(rules.users),
        "services": rules.services,
        "may": None if rules.may is None else sorted(rules.may),
    }
