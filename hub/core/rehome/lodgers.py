"""Who comes by a grant: let in as a lodger, taken in when the hub above or an operator says so, or revoked here too."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from hub.core import inputs
from hub.core.registry import Node
from protocol import documents
from protocol.effects import Effects, Now

if TYPE_CHECKING:
    from hub.core.hub import HubCore

_WAITS = (
    "{node} came from {of}, and nothing is asked of it before a hub above both says where it belongs. If none will "
    "(this hub is revoked, or {of} is forgotten there): `skerry token create`, then at the device `skerry-agent enroll "
    "--again --token TOKEN` makes it one of this hub"
)


def may_come(core: HubCore, node: str, key: str, scope: str) -> bool:
    """Tell whether a device that stands in `scope` is let in by a grant; one that is known may, as it is known."""
    unknown = core.registry.find(node) is None and core.registry.owner(key) is None
    unknown = unknown and node not in core.registry.path
    return unknown and bool(scope) and core.family.by(scope) is not None


def welcome(core: HubCore, came: inputs.Opened, now: Now, fx: Effects) -> None:
    """Somebody is at the door: a device that comes by a grant is a lodger from now on."""
    if not may_come(core, came.node, came.key, came.scope):
        return
    grant = core.family.by(came.scope)
    assert grant is not None
    fresh = Node(name=came.node, key=came.key, token="", enrolled_ms=int(now.wall * 1000), lodger=grant.of)
    core.registry.put(msgspec.structs.replace(fresh, cordoned=True, drained=True), fx)
    core.registry.alarm(came.node, "lodger", _WAITS.format(node=came.node, of=grant.of), now, fx)
    core.admit(came.node, now, fx)
    core.parent.adopt(came.node, fx)
    said = {"from": grant.of, "by": grant.by, "number": grant.number}
    core.streams.audit("node.lodged", came.node, said, now, fx)


def taken_in(known: Node, labels: dict[str, str]) -> Node:
    """Return `known`, a lodger or one that had left, as a node of this hub with `labels`: it takes part in all."""
    alarms = [alarm for alarm in known.alarms if alarm.what != "lodger"]
    return msgspec.structs.replace(
        known, labels=labels, moved="", lodger="", cordoned=False, drained=False, alarms=alarms
    )


def bar(core: HubCore, move: documents.Move, now: Now, fx: Effects) -> None:
    """A lodger was revoked where it came from: it is out here too, and hears that from us as any child would."""
    known = core.registry.find(move.node)
    if known is None or known.key != move.key or known.revoked_ms or known.lodger != move.former:
        return
    core.operations.revoke(msgspec.structs.replace(known, lodger=""), move.revoked, now, fx)
    said = {"who": move.who, "by": move.by, "reason": move.revoked}
    core.streams.audit("node.revoked", move.node, said, now, fx)
