"""What is listed, from the hub's API: nodes by the page, of runs the newest ones."""

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


class Listed:
    """What is read while it is gone through, once. `has_more`: whether there may be more than were asked for."""

    has_more = False

    def __iter__(self) -> Iterator[dict[str, Any]]:
        raise NotImplementedError


class Runs(Listed):
    """The newest runs, at most `limit` (limits.PAGE_ROWS_MAX)."""

    def __init__(self, hub: Client, limit: int) -> None:
        self._hub, self._limit = hub, limit

    def __iter__(self) -> Iterator[dict[str, Any]]:
        found = self._hub.get("/v1/runs", limit=min(self._limit + 1, limits.PAGE_ROWS_MAX))
        self.has_more = len(found) > self._limit or len(found) == limits.PAGE_ROWS_MAX
        yield from found[: self._limit]


class Nodes(Listed):
    """The nodes that a selector takes, by address, as programs get them; at most `limit`, None for all."""

    def __init__(self, hub: Client, selector: str, limit: int | None) -> None:
        self._hub, self._selector, self._limit = hub, selector, limit
        self.count = 0

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
    """Return what a list of `kind` holds, or the one thing called `name`; nodes and runs as Listed."""
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
    return Runs(hub, limit or RUNS) if kind == "runs" else hub.get(f"/v1/{kind}")


def everywhere(hub: Client, found: dict[str, Any]) -> dict[str, Any]:
    """Return a resource with all nodes that it is on, by the page when they are many."""
    if not found["has_more"]:
        return found
    pages = hub.pages(f"/v1/{found['kind']}s/{found['name']}/on")
    return found | {"on": [one for page in pages for one in page], "has_more": False}


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
