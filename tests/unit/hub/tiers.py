"""Hubs above hubs, joined by hand: what one asks of another is carried over as the link would, whole and in order."""

from __future__ import annotations

from typing import Any

import msgspec

from hub.core import inputs
from hub.core.registry import Node
from protocol import documents
from protocol.effects import Effects
from tests.unit.hub.world import World, key_of


class Tier(World):
    """A hub in a test's hands that may have regions below it."""

    def __init__(self, name: str = "cloud") -> None:
        self.regions: dict[str, Tier] = {}
        super().__init__(name)

    def region(self, name: str, **labels: str) -> Tier:
        """Have a region below this hub, with these labels."""
        fx = Effects()
        node = Node(
            name=name, key=key_of(name), token="tok", enrolled_ms=int(self.wall * 1000), labels=labels, kind="hub"
        )
        self.core.registry.put(node, fx)
        self.core.parent.add_child(name, self.now, fx)
        for child in (name, *self.core.resources.settle(node, fx)):
            self.core.delegate.mark(child)
        self.store.apply(fx)
        self.regions[name] = Tier(name)
        self.later(0.0)
        self.settle()
        return self.regions[name]

    def items(self, child: str) -> dict[str, bytes]:
        """Return the manifest that `child` is asked for now."""
        asked = self.store.spaces.get("asked", {}).get(child, b'{"items":{}}')
        return {item: self.store.spaces["body"][digest] for item, digest in msgspec.json.decode(asked)["items"].items()}

    def delegations(self, region: str) -> dict[str, documents.Delegation]:
        found = (documents.decode(raw) for raw in self.items(region).values())
        return {f"{one.kind}/{one.name}": one for one in found if isinstance(one, documents.Delegation)}

    def shares(self, name: str) -> dict[str, int | None]:
        """Return what each region is asked for, of a service."""
        found = {region: self.delegations(region).get(f"service/{name}") for region in self.regions}
        return {region: one.share for region, one in found.items() if one is not None}

    def flow(self) -> None:
        """Carry every manifest down, to all depths."""
        self.settle()
        for name, below in self.regions.items():
            below.give(self.items(name))
            below.flow()

    def give(self, items: dict[str, bytes]) -> None:
        """Be asked for exactly `items` by the hub above."""
        fx = Effects()
        self.core.delegated.wanted(items, self.now, fx)
        self.store.apply(fx)
        self.later(0.0)

    def runs(self, node: str) -> list[str]:
        """Return the services and workflows that a device is asked for."""
        return sorted(
            item.partition("/")[2] for item in self.items(node) if item.startswith(("assignment/", "workflow/"))
        )

    def apply(self, *all_of: dict[str, Any], **more: Any) -> list[dict[str, Any]]:
        return self.ask(inputs.Apply(documents=list(all_of), **more))["results"]
