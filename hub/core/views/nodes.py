"""Nodes of the whole subtree: listed, found, and why one of them cannot be reached."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from hub.core.down.known.spot import Spot
from hub.core.registry import Refusal
from hub.core.views import further, one_node
from protocol import limits, selector
from protocol.effects import Now

if TYPE_CHECKING:
    from hub.core.hub import HubCore

JSON = dict[str, Any]


class Page(NamedTuple):
    """Some nodes, by address; `more` is where the next page starts, empty when there is none."""

    nodes: list[JSON]
    more: str


def nodes(core: HubCore, chosen: str, start: str = "", limit: int = limits.NODES_PAGE_MAX) -> Page:
    """Return at most `limit` of the nodes that `chosen` selects, from the address `start` on; revoked ones too, and all
    when it is empty. Who belongs to another hub now is listed there; `node` says where. A page looks at
    limits.NODES_LOOKED_AT_MAX at most: it may hold fewer, and yet have more after it.

    Raises BadSelector.
    """
    which = selector.parse(chosen)
    found: list[JSON] = []
    standing: dict[str, tuple[str, int]] = {}
    for looked, address in enumerate(core.subtree.order.since(start)):
        if len(found) == limit or looked == limits.NODES_LOOKED_AT_MAX:
            return Page(found, address)
        own = core.registry.find(address)
        if own is not None:
            if not own.moved and (not which.terms or which.matches(own.selectable())):
                found.append(one_node.own(core, own))
            continue
        spot = core.subtree.spot(address, standing)
        if not which.terms or which.matches(spot.selectable()):
            found.append(further.below(core, spot))
    return Page(found, "")


def node(core: HubCore, name: str, now: Now) -> JSON:
    """Return one node, by address, path or a plain name. Raises Refusal (404, 409)."""
    spot = core.subtree.get(name)
    return further.below(core, spot) if spot.through else one_node.own(core, core.registry.get(spot.address))


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
        return f"{text}: {core.node}/{spot.address} was {spot.brief.state} then, {heard} through it"
    if spot.state == "online":
        every_s = core.parent.view(spot.name).contact_s
        text = f"{spot.name} is metered and speaks every {every_s:g} s; the network let go of its connection"
        return f"{text} ({heard}): it is reached at its next contact"
    if not spot.brief.contact_ms:
        return f"{spot.name} has never connected since it was enrolled (since_ms {spot.since_ms})"
    return f"{spot.name} is away (since_ms {spot.since_ms}, {heard}): it answers when it is back"
