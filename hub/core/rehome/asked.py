"""An operator asks that a node be moved: whether this hub, which must stand right above both, may say so."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hub.core import inputs
from hub.core.registry import Refusal
from hub.core.rehome import havens
from protocol import documents
from protocol.effects import Effects, Now

if TYPE_CHECKING:
    from hub.core.down.known.spot import Spot
    from hub.core.hub import HubCore


class Asked:
    """Judges what operators of this hub ask."""

    def __init__(self, core: HubCore) -> None:
        self._core = core

    def order(self, op: inputs.MoveNode, who: str, now: Now, fx: Effects) -> dict[str, Any]:
        """Say that a node belongs to another hub from now on. Raises Refusal; then nothing is said."""
        core = self._core
        spot = core.subtree.get(op.node)
        former, to = self._former(spot), self._haven(op.to)
        self._check(spot, former, to)
        number = core.orders.say(spot, former, to, who, now, fx)
        return {"node": spot.name, "from": former, "to": to.id, "number": number}

    def _former(self, spot: Spot) -> str:
        hub, _, below = spot.address.rpartition("/")
        if "/" in hub:
            raise Refusal(f"{spot.name} belongs to {hub}: move it at {hub.rpartition('/')[0]}, the hub above that one")
        return hub or (self._core.node if below else "")

    def _haven(self, hub: str) -> documents.Haven:
        core = self._core
        name = hub.removeprefix(f"{core.node}/")
        if name == core.node:
            found = core.haven
        else:
            if core.registry.find(name) is None:
                raise Refusal(f"no hub {hub[:80]!r} is right below {core.node}: ask the hub above both for a move", 404)
            child = core.registry.living(name)
            if child.kind != "hub":
                raise Refusal(f"{name} is no hub: name one that stands right below {core.node}, or {core.node}", 422)
            found = havens.of(core, name)
        if found is None:
            raise Refusal(f"{name} has not said yet where it listens: try again when it is online")
        return found

    def _check(self, spot: Spot, former: str, to: documents.Haven) -> None:
        brief = spot.brief
        if brief.kind != "agent" or not brief.key:
            raise Refusal(f"{spot.name} is no device that is known here by its key: only a device can be moved", 422)
        if brief.state == "revoked":
            raise Refusal(f"{spot.name} is revoked: enroll the device anew at {to.id}")
        if former == to.id:
            raise Refusal(f"{spot.name} belongs to {to.id} already", 422)
        said = self._core.orders.find(spot.name)
        if said is not None and not said.arrived_ms and said.move.to.id == former:
            where = f"wait for that, or move it from {said.move.former}"
            raise Refusal(f"{spot.name} has not arrived at {former} yet, and hears nothing from there: {where}")
        other = self._core.subtree.find(spot.name if to.id == self._core.node else f"{to.id}/{spot.name}")
        if other is not None and other.brief.key != brief.key:
            raise Refusal(f"{to.id} has another device called {spot.name}: it can take no second one of that name")
        going = self._core.orders.open
        if going.is_full:
            raise Refusal(f"{going.going} nodes are on their way already: wait until some have arrived", 503)
