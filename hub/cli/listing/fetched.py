"""What is listed, from the hub's API; nodes by the page, so that a fleet of thousands is never held whole."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from hub.cli import client
from hub.cli.view import human
from protocol import limits

if TYPE_CHECKING:
    from hub.cli.client import Client

RUNS = 50
"""How many runs are listed when nobody says."""


class Nodes:
    """The nodes that a selector takes, by address, as programs get them; at most `limit`, None for all. Read once."""

    def __init__(self, hub: Client, selector: str, limit: int | None) -> None:
        self._hub, self._selector, self._limit = hub, selector, limit
        self.count = 0
        self.has_more = False
        """Whether there may be more than were asked for."""

    def __iter__(self) -> Iterator[dict[str, Any]]:
        size = None if self._limit is None else min(self._limit, limits.NODES_PAGE_MAX)
        for page in self._hub.pages("/v1/nodes", selector=self._selector, limit=size):
            for at, node in enumerate(page):
                self.count += 1
                yield _exact(node)
                if self.count == self._limit:
                    self.has_more = at + 1 < len(page) or self._hub.has_more
                    return


def fetch(hub: Client, kind: str, name: str, selector: str, limit: int | None) -> Any:
    """Return what a list of `kind` holds, or the one thing called `name`; nodes as they are read."""
    if kind == "tokens":
        found = hub.get("/v1/tokens")
        if not name:
            return found
        return next((one for one in found if one["id"] == name), None) or _no_token(name)
    if kind == "hub":
        return hub.get("/v1/hub")
    if kind == "regions":
        return _regions(hub, name)
    if name:
        data = hub.get(f"/v1/{kind}/{name}")
        return _exact(data) if kind == "nodes" else data
    if kind == "nodes":
        return Nodes(hub, selector, limit)
    return hub.get(f"/v1/{kind}", limit=(limit or RUNS) if kind == "runs" else None)


def _regions(hub: Client, name: str) -> Any:
    found = hub.get("/v1/regions")
    if not name:
        return found
    address = hub.get(f"/v1/nodes/{name}")["address"]
    return [one for one in found if one["address"] == address]


def _no_token(name: str) -> Any:
    raise client.ApiRefused(f'there is no token "{name}": see `skerry get tokens`', 404, [])


def _exact(node: dict[str, Any]) -> dict[str, Any]:
    """Return the node as programs get it: the stable fields first."""
    first = ("name", "address", "path", "kind", "labels", "state")
    head = {key: node[key] for key in first} | {"last_contact": human.iso(node["last_contact_ms"])}
    return head | {key: value for key, value in node.items() if key not in first}
