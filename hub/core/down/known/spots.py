"""Who is below a hub, at any depth: found by address or by name, listed, selected, and how each of them stands.

Own children the hub hears itself; of the others it knows what its child hubs said in their rosters.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hub.core.down.known import brief as briefs
from hub.core.down.known import names, spot
from hub.core.down.known.order import Order
from hub.core.down.known.spot import Spot
from hub.core.registry import Refusal
from protocol import selector
from protocol.link.roster import brief as told
from protocol.link.roster.brief import Brief

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hub.core.hub import HubCore


class Spots:
    """All nodes below a hub."""

    def __init__(self, core: HubCore) -> None:
        self._core = core
        self._names = names.Names()
        self.order = Order(core)
        for child in core.parent.rosters.children():
            for address in core.parent.rosters.known(child):
                self._names.put(f"{child}/{address}")

    # -------------------------------------------------------------------------------------------- who

    def brief(self, node: str) -> Brief:
        """Return what is known of an own child. Raises Refusal (404)."""
        return briefs.of(self._core, self._core.registry.get(node))

    def raw(self, address: str) -> bytes | None:
        """Return the Brief (JSON) of the node at `address`, as this hub's own roster tells it; None: there is none."""
        child, _, below = address.partition("/")
        if below:
            return self._core.parent.rosters.known(child).get(below)
        own = self._core.registry.find(child)
        return None if own is None else briefs.raw(self._core, own)

    def find(self, address: str) -> Spot | None:
        """Return the node at `address`, if there is one."""
        child, _, below = address.partition("/")
        if below:
            return None if self.raw(address) is None else self.spot(address, {})
        own = self._core.registry.find(child)
        return None if own is None else Spot(address=child, brief=briefs.of(self._core, own))

    def spot(self, address: str, standing: dict[str, tuple[str, int]]) -> Spot:
        """Return the node at `address`, which is there and no own child; `standing`: of hubs looked at so far."""
        raw = self.raw(address)
        assert raw is not None
        silent, silent_ms = spot.silent(self._core, address, standing)
        through = address.partition("/")[0]
        return Spot(address=address, brief=told.decode(raw), through=through, silent=silent, silent_ms=silent_ms)

    def get(self, text: str) -> Spot:
        """Return the node that `text` names (see `resolve`). Raises Refusal."""
        found = self.find(self.resolve(text))
        assert found is not None
        return found

    def named(self, name: str) -> list[Spot]:
        """Return all nodes of the id `name`, an own child first."""
        return [spot for address in (name, *self._names.get(name)) if (spot := self.find(address)) is not None]

    def resolve(self, text: str) -> str:
        """Return the address that `text` means: an address, a path that begins with this hub's id, or a plain name.

        Raises Refusal: 404 when there is none, 409 when a plain name is that of several nodes; both say what to write.
        """
        mine = f"{self._core.node}/"
        name = text.rpartition("/")[2]
        named = sorted(self._names.get(name))
        for address in (text.removeprefix(mine), text):
            if self.raw(address) is not None and not (named and self._has_left(address)):
                return address
        if len(named) == 1 and name == text:
            return named[0]
        near = [*([name] if name != text and self.raw(name) is not None else []), *named]
        if near:
            raise Refusal(names.which(text, [mine + one for one in near]), 409 if name == text else 404)
        raise Refusal(f"there is no node {text[:80]!r} below {self._core.node}: see `skerry get nodes`", 404)

    def _has_left(self, address: str) -> bool:
        own = self._core.registry.find(address)
        return own is not None and bool(own.moved)

    def own(self, text: str) -> str:
        """Return the own child that `text` means. Raises Refusal: of what is further down its own hub decides."""
        address = self.resolve(text)
        hub = address.rpartition("/")[0]
        if hub:
            path = f"{self._core.node}/{address}"
            raise Refusal(f"{path} belongs to {hub}: its operators decide there, with the context of that hub")
        return address

    # -------------------------------------------------------------------------------------------- all

    def addresses(self) -> Iterator[str]:
        """Yield the addresses of all nodes, own children before what is below them."""
        rosters = self._core.parent.rosters
        for node in self._core.registry:
            yield node.name
            for address in rosters.known(node.name):
                yield f"{node.name}/{address}"

    def spots(self) -> Iterator[Spot]:
        """Yield all nodes, own children first."""
        for node in self._core.registry:
            yield Spot(address=node.name, brief=briefs.of(self._core, node))
        standing: dict[str, tuple[str, int]] = {}
        for child in self._core.parent.rosters.children():
            for address in self._core.parent.rosters.known(child):
                yield self.spot(f"{child}/{address}", standing)

    def having(self, service: str) -> Iterator[Spot]:
        """Yield the nodes below child hubs that say something of `service`."""
        standing: dict[str, tuple[str, int]] = {}
        sign = f'"{service}":'.encode()
        for child in self._core.parent.rosters.children():
            for address, raw in self._core.parent.rosters.known(child).items():
                if sign in raw:
                    found = self.spot(f"{child}/{address}", standing)
                    if service in found.brief.services:
                        yield found

    def select(self, chosen: selector.Selector, *, kind: str = "agent") -> list[str]:
        """Return the addresses of those of `kind` that match and belong here; nobody for an empty selector (C7)."""
        if not chosen.terms:
            return []
        return [
            spot.address
            for spot in self.spots()
            if spot.brief.kind == kind and spot.brief.state not in ("revoked", "moved")
            if chosen.matches(spot.selectable())
        ]
