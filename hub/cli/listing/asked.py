"""A device below another hub, as it answers now: that hub tells of it only what a list shows (protocol.link.roster)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from hub.cli import client
from protocol import status
from protocol.errors import SkerryError

if TYPE_CHECKING:
    from hub.cli.client import Client

_SAID = ("services", "workflows", "conditions", "platform", "vitals")


def fuller(hub: Client, node: dict[str, Any]) -> dict[str, Any]:
    """Return a node with what it says itself; where it cannot be asked, with the vitals that it told last."""
    if not node["through"] or node["kind"] == "hub":
        return node
    if node["state"] == "online":
        try:
            said = hub.get(f"/v1/status/{node['address']}")
        except client.ApiRefused:
            pass  # it went away meanwhile, or does not answer in time
        else:
            return node | {name: said[name] for name in _SAID if name in said}
    return node | {"vitals": _last(hub, node["address"])}


def _last(hub: Client, address: str) -> dict[str, Any] | None:
    """Return the newest of a node's entries of its vitals; None when there is none that can be read."""
    try:
        found = list(hub.lines("GET", "/v1/events", params={"node": address, "kind": "vitals", "limit": 1}))
        return msgspec.to_builtins(msgspec.convert(found[-1]["body"], status.Vitals))
    except (SkerryError, IndexError, msgspec.ValidationError):
        return None
