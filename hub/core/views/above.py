"""This hub itself: how its link to the hub above it stands, what is to be looked at, and what all below it comes to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from protocol.effects import Now

if TYPE_CHECKING:
    from hub.core.hub import HubCore
    from hub.core.up.uplink import Uplink

JSON = dict[str, Any]


def hub(core: HubCore, now: Now) -> JSON:
    """Return this hub. `parent` is None at a root; `conditions`: what its operators are to look at, with why.

    What a `what` may be: `restored`, `turned-away`, `manifest-refused`, `ca`, `delegation-refused`, `artifact-missing`.
    """
    return {
        "name": core.node,
        "parent": None if core.up is None else _parent(core.up),
        "conditions": _conditions(core, now),
        "overrides": msgspec.to_builtins(core.overrides.all()),
        "region": msgspec.to_builtins(core.subtree.sum()),
    }


def _parent(up: Uplink) -> JSON:
    """Return the link to the parent; `waiting`: rows of each stream that the parent has not acked."""
    seen = up.view()
    return {
        "name": seen.parent,
        "state": seen.state,
        "since_ms": seen.since_ms,
        "last_contact_ms": seen.last_contact_ms,
        "reason": seen.reason,
        "looked": up.papers.seeking.looked,
        "term": seen.held.term,
        "generation": seen.held.generation,
        "received_ms": seen.received_ms,
        "waiting": seen.waiting,
    }


def _conditions(core: HubCore, now: Now) -> list[JSON]:
    found = [_condition("restored", core.restore.alarm)]
    if core.up is not None:
        seen = core.up.view()
        found += [
            _condition("turned-away", seen.standing, seen.since_ms),
            _condition("manifest-refused", seen.refused),
            _condition("ca", core.up.papers.condition(now)),
        ]
    found += [msgspec.to_builtins(one) for one in core.delegated.conditions()]
    if core.fetching is not None:
        found += [
            _condition("artifact-missing", f"{digest} did not come from the hub above: {error}")
            for digest, error in sorted(core.fetching.errors().items())
        ]
    return [one for one in found if one["text"]]


def _condition(what: str, text: str, since_ms: int = 0) -> JSON:
    return {"what": what, "text": text, "since_ms": since_ms}
