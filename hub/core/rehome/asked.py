"""An operator asks that a node be moved: whether this hub, which must stand above both at any distance, may say so."""

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
        if core.restore.waits:
            raise Refusal(f"{core.node} waits for an operator: first say `skerry hub accept-restore`")
        spot, joins = core.subtree.get(op.node), self._joins(op.to)
        to = havens.of(core, joins)
        if to is None:
            raise Refusal(f"{op.to[:80]} has not said yet where it listens: try again when it is online")
        self._check(spot, joins, to)
        move = core.orders.say(spot, to, joins, who, now, fx)
        return {"node": spot.name, "from": move.former, "to": to.id, "number": move.number}

    def _joins(self, text: str) -> str:
        """Return the address of the hub that `text` names, "" for this one."""
        core = self._core
        if text == core.node:
            return ""
        try:
            found = core.subtree.get(text)
        except Refusal as error:
            if error.status == 409:
                raise
            name = text[:80]
            raise Refusal(f"no hub {name!r} is below {core.node}: ask a hub above both for the move", 404) from error
        if found.brief.kind != "hub":
            raise Refusal(f"{text[:80]} is no hub: name one that stands below {core.node}, or {core.node}", 422)
        if found.brief.state == "revoked":
            raise Refusal(f"{text[:80]} is revoked: name another hub")
        return found.address

    def _check(self, spot: Spot, joins: str, to: documents.Haven) -> None:
        brief, leaves = spot.brief, spot.address.rpartition("/")[0]
        if brief.kind != "agent" or not brief.key:
            raise Refusal(f"{spot.name} is no device that is known here by its key: only a device can be moved", 422)
        if brief.state == "revoked":
            raise Refusal(f"{spot.name} is revoked: enroll the device anew at {to.id}")
        if leaves == joins:
            raise Refusal(f"{spot.name} belongs to {to.id} already", 422)
        said = self._core.orders.find(spot.name)
        if said is not None and not said.arrived_ms and not said.void and said.move.joins == leaves:
            where = f"wait for that, or move it from {said.move.former}"
            raise Refusal(
                f"{spot.name} has not arrived at {said.move.to.id} yet, and hears nothing from there: {where}"
            )
        other = self._core.subtree.find(f"{joins}/{spot.name}".removeprefix("/"))
        if other is not None and other.brief.key != brief.key:
            raise Refusal(f"{to.id} has another device called {spot.name}: it can take no second one of that name")
        going = self._core.orders.open
        if going.is_full:
            raise Refusal(f"{going.going} nodes are on their way already: wait until some have arrived", 503)
