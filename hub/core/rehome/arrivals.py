"""Who has come to where it belongs, as it is heard here, and who turned to another hub by a grant.

A hub that has followed a Move says so in what it tells of the node (Brief.moves). So this hub sees what somebody has
forgotten who was restored from a backup, and mends it:

    the hub that the node belongs to does not name it     the Move is said again: it takes the node in
    another hub names it, and knows nothing of the Move   the Move is said again, to that one as the former: it lets go
    a hub knows a higher number than this one             this hub was restored itself: it takes that number over
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hub.core.down.known.spot import Spot
from hub.core.hearing import child_of
from hub.core.rehome import havens
from protocol import limits
from protocol.effects import Effects, Now

if TYPE_CHECKING:
    from hub.core.hub import HubCore
    from hub.core.rehome.orders import Orders, Record


_HEARD = (
    "{0} says that {1} turned to it, because its own hub is gone; but {2} hears it now: nobody is told to move. If {1} "
    "is a copy, see to that; if {0} never met it, {0} lies: revoke it"
)
_ELSEWHERE = (
    "{0} says that {1} was moved to it; but {2} hears it now, and nothing is known here of that move: nobody is told "
    "to move. If {1} is a copy, see to that; if {0} never met it, {0} lies: revoke it"
)


class Arrivals:
    """Looks at what is heard of the subtree, on behalf of the orders of this hub."""

    def __init__(self, core: HubCore, orders: Orders) -> None:
        self._core, self._orders = core, orders

    def seen(self, address: str, now: Now, fx: Effects) -> None:
        """Something was heard of the node at `address`, or it is gone from there."""
        found, node = self._core.subtree.find(address), address.rpartition("/")[2]
        if found is not None:
            self._lodged(found, now, fx)
            self._learned(found, now, fx)
        record = self._orders.find(node)
        if record is not None and not record.void:
            self._judge(record, now, fx)

    def _judge(self, record: Record, now: Now, fx: Effects) -> None:
        """See whether all that is heard of a node is as it was said."""
        move, states, others = record.move, list[str](), list[str]()
        for spot in self._core.subtree.named(move.node):
            if spot.brief.key == move.key and not spot.brief.lodger and spot.brief.state != "moved":
                if spot.brief.moves.get(self._core.node, 0) >= move.number:
                    states.append(spot.brief.state)
                elif spot.brief.state != "revoked":
                    others.append(_hub(spot))
        if move.revoked:
            if "revoked" in states and not record.done_ms:
                self._orders.done(move.node, now, fx)
        elif not record.arrived_ms:
            if "online" in states or (record.again and states and not others):
                self._judge(self._orders.arrived(move.node, now, fx), now, fx)
        elif not states:
            if self._is_served(move.joins):
                self._orders.again(record, move.leaves, now, fx)
        elif not others:
            if not record.done_ms:
                self._orders.done(move.node, now, fx)
        elif record.done_ms or move.leaves not in others:
            self._orders.again(record, others[0], now, fx)

    def _is_served(self, hub: str) -> bool:
        """Tell whether a hub is there at `hub` that a node can belong to."""
        found = self._core.subtree.find(hub) if hub else None
        return not hub or (found is not None and found.brief.state != "revoked")

    def _learned(self, spot: Spot, now: Now, fx: Effects) -> None:
        """If this hub has said more of a node than it knows, take that over; not of one that another hub hears."""
        core, number, known = self._core, spot.brief.moves.get(self._core.node, 0), self._orders.find(spot.name)
        if number <= (known.move.number if known is not None else 0) or spot.brief.state in ("moved", "revoked"):
            return
        to = havens.of(core, _hub(spot))
        if to is None or core.rollup.is_online(spot.name) or number > limits.MOVE_SAID_MAX:
            return
        online = [one for one in core.subtree.named(spot.name) if one.address != spot.address and _is_heard(one, spot)]
        if not online:
            self._orders.learn(spot, to, number, now, fx)
        elif hub := _hub(spot):
            text = _ELSEWHERE.format(hub, spot.name, _hub(online[0]) or core.node)
            core.registry.alarm(child_of(hub), "odd-lodger", text, now, fx)

    def _lodged(self, spot: Spot, now: Now, fx: Effects) -> None:
        """If a device turned to another hub by a grant, and is who it says it is, say that it belongs there; if it was
        revoked, say that."""
        if not spot.brief.lodger or spot.brief.state == "revoked":
            return
        hub, core = _hub(spot), self._core
        to = havens.of(core, hub)
        former = core.subtree.find(f"{spot.brief.lodger}/{spot.name}") if "/" not in hub else None
        record = self._orders.find(spot.name)
        if to is None or former is None or former.brief.key != spot.brief.key or not self._orders.may_say(spot.name):
            return
        if former.state == "online":
            if hub:
                core.registry.alarm(hub, "odd-lodger", _HEARD.format(hub, spot.name, spot.brief.lodger), now, fx)
            return
        revoked = f"revoked at {spot.brief.lodger}" if former.brief.state == "revoked" else ""
        if record is None or record.void or self._is_old(record, hub, revoked):
            self._orders.say(former, to, hub, "its grant", now, fx, revoked=revoked)

    def _is_old(self, record: Record, hub: str, revoked: str) -> bool:
        return record.move.joins != hub or record.arrived_ms > 0 or record.move.revoked != revoked


def _hub(spot: Spot) -> str:
    return spot.address.rpartition("/")[0]


def _is_heard(one: Spot, spot: Spot) -> bool:
    """Tell whether `one` is the same device as `spot`, and heard now."""
    return one.brief.key == spot.brief.key and one.state == "online"
