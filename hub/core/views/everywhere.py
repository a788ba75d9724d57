"""How one resource is on each node of the subtree, by the page.

A service stands on thousands of nodes. What is looked at for one answer is bounded here; who wants more asks again.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import msgspec

from hub.core.down.known import brief as briefs
from hub.core.down.known.spot import Spot
from hub.core.registry import Node
from hub.core.views.further import service_json
from hub.core.views.nodes import Page
from protocol import limits, status

if TYPE_CHECKING:
    from hub.core.hub import HubCore

JSON = dict[str, Any]


def on(core: HubCore, key: str, start: str = "", limit: int = limits.NODES_PAGE_MAX) -> Page:
    """Return at most `limit` of the nodes that are asked to have a resource or still have it, from the address `start`.

    A page looks at limits.NODES_LOOKED_AT_MAX at most, as that of nodes does. Raises Refusal (404).
    """
    there, found = _Nodes(core, key), list[JSON]()
    for looked, address in enumerate(core.subtree.order.since(start)):
        if len(found) == limit or looked == limits.NODES_LOOKED_AT_MAX:
            return Page(found, address)
        one = there.at(address)
        if one is not None:
            found.append(one)
    return Page(found, "")


def nodes_of(core: HubCore, name: str) -> list[str]:
    """Return the addresses of the nodes that have a service, or are asked to. Raises Refusal (404)."""
    return list(_Nodes(core, f"service/{name}").all())


class _Nodes:
    """One resource on whatever node is asked for."""

    def __init__(self, core: HubCore, key: str) -> None:
        self._core, self._record = core, core.resources.get(*key.split("/", 1))
        self._digest = core.resources.document(key)[2]
        self._is_placed = core.resources.placing(key, core.delegate.holds(key))
        self._is_service = self._record.kind == "service"
        self._sign = f'"{self._record.name}":'.encode()
        self._standing: dict[str, tuple[str, int]] = {}

    def all(self) -> Iterator[str]:
        """Yield all addresses at which it is, or is to be."""
        for address in self._core.subtree.order.since(""):
            own = self._core.registry.find(address)
            if self._below(address) is not None if own is None else self._is_there(own):
                yield address

    def at(self, address: str) -> JSON | None:
        """Return how it is on the node at `address`; None when it is not there, nor asked to be."""
        own = self._core.registry.find(address)
        if own is not None:
            return self._own(own) if self._is_there(own) else None
        spot = self._below(address)
        return None if spot is None else self._told(spot)

    def _is_there(self, own: Node) -> bool:
        return self._is_placed(own.name) or (not own.moved and self._said(own.name) is not None)

    def _said(self, name: str) -> status.ServiceReport | status.WorkflowReport | None:
        report = self._core.rollup.report(name)
        if report is None:
            return None
        return report.services.get(self._record.name) if self._is_service else report.workflows.get(self._record.name)

    def _own(self, one: Node) -> JSON:
        """Return what one node says of a resource; `current`: it has what is asked now. Absent: it has said nothing."""
        core, said, report = self._core, self._said(one.name), self._core.rollup.report(one.name)
        seen = core.rollup.seen(one.name)
        return {
            "node": one.name,
            "path": f"{core.node}/{one.name}",
            "region": "",
            "node_state": briefs.state_of(core, one),
            "since_ms": briefs.since_ms(core, one),
            "silent": "",
            "last_contact_ms": core.rollup.contact_ms(one.name),
            "as_of_ms": seen.status_ms if seen is not None else 0,
            "placed": self._is_placed(one.name),
            "current": said is not None and said.digest == self._digest,
            "hold": msgspec.to_builtins(report.hold) if report is not None else None,
            "report": msgspec.to_builtins(said),
        }

    def _below(self, address: str) -> Spot | None:
        """Return the node at an address further down if it reports the service; of workflows only counts come up."""
        raw = self._core.subtree.raw(address) if self._is_service else None
        if raw is None or self._sign not in raw:
            return None
        spot = self._core.subtree.spot(address, self._standing)
        return spot if self._record.name in spot.brief.services else None

    def _told(self, spot: Spot) -> JSON:
        said = spot.brief.services[self._record.name]
        return {
            "node": spot.address,
            "path": f"{self._core.node}/{spot.address}",
            "region": spot.address.rpartition("/")[0],
            "node_state": spot.state,
            "since_ms": spot.since_ms,
            "silent": spot.silent,
            "last_contact_ms": spot.brief.contact_ms,
            "as_of_ms": spot.brief.as_of_ms,
            "placed": True,
            "current": said.digest == briefs.digest_part(self._digest),
            "hold": msgspec.to_builtins(spot.brief.hold),
            "report": service_json(spot.brief, self._record.name, said),
        }
