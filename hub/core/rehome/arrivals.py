"""Who has come to where it belongs, as it is heard here, and who turned to another hub by a grant."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hub.core.rehome import havens
from protocol import documents
from protocol.effects import Effects, Now

if TYPE_CHECKING:
    from hub.core.hub import HubCore
    from hub.core.rehome.orders import Orders, Record


_HEARD = (
    "{0} says that {1} turned to it, because its own hub is gone; but {2} hears it now: nobody is told to move. If {1} "
    "is a copy, see to that; if {0} never met it, {0} lies: revoke it"
)


class Arrivals:
    """Looks at what is heard of the subtree, on behalf of the orders of this hub."""

    def __init__(self, core: HubCore, orders: Orders) -> None:
        self._core, self._orders = core, orders

    def seen(self, address: str, now: Now, fx: Effects) -> None:
        """Something was heard of the node at `address`, or it is gone from there."""
        node = address.rpartition("/")[2]
        self._lodged(address, now, fx)
        record = self._orders.find(node)
        if record is not None and record.move.revoked:
            if not record.done_ms and self._is_out(record.move):
                self._orders.done(node, now, fx)
            return
        if record is not None and not record.arrived_ms and self._is_there(record.move):
            self._orders.arrived(node, now, fx)
            record = self._orders.find(node)
        if record is not None and record.arrived_ms and not record.done_ms and self._is_let_go(record):
            self._orders.done(node, now, fx)

    def _at(self, hub: str, node: str) -> str:
        return node if hub == self._core.node else f"{hub}/{node}"

    def _is_there(self, move: documents.Move) -> bool:
        found = self._core.subtree.find(self._at(move.to.id, move.node))
        if found is None or found.brief.key != move.key:
            return False
        return found.brief.state == "online" and not found.brief.lodger

    def _is_let_go(self, record: Record) -> bool:
        hubs = (record.move.former, *record.missed)
        found = [self._core.subtree.find(self._at(hub, record.move.node)) for hub in hubs]
        return all(one is None or one.brief.state == "moved" for one in found)

    def _is_out(self, move: documents.Move) -> bool:
        found = self._core.subtree.find(self._at(move.to.id, move.node))
        return found is not None and found.brief.state == "revoked"

    def _lodged(self, address: str, now: Now, fx: Effects) -> None:
        """If a device turned to another hub by a grant, and is who it says it is, say that it belongs there; if it was
        revoked, say that."""
        core, found = self._core, self._core.subtree.find(address)
        if found is None or not found.brief.lodger or found.brief.state == "revoked":
            return
        hub = address.rpartition("/")[0]
        to = havens.of(core, hub) if hub else core.haven
        former = core.subtree.find(f"{found.brief.lodger}/{found.name}") if "/" not in hub else None
        record = self._orders.find(found.name)
        if to is None or former is None or former.brief.key != found.brief.key or not self._orders.may_say(found.name):
            return
        if former.state == "online":
            if hub:
                core.registry.alarm(hub, "odd-lodger", _HEARD.format(hub, found.name, found.brief.lodger), now, fx)
            return
        revoked = f"revoked at {found.brief.lodger}" if former.brief.state == "revoked" else ""
        if record is None or record.move.to.id != to.id or record.arrived_ms or record.move.revoked != revoked:
            self._orders.say(former, found.brief.lodger, to, "its grant", now, fx, revoked=revoked)
