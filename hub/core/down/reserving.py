"""A name is kept for a device that has not been met: it is asked for work, and by its token becomes who has that."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hub.core import inputs
from hub.core.registry import Node, Refusal, check_name
from protocol.effects import Effects, Now

if TYPE_CHECKING:
    from hub.core.hub import HubCore


def reserve(core: HubCore, op: inputs.ReserveNode, who: str, now: Now, fx: Effects) -> dict[str, Any]:
    """Keep the name for whoever shows the token; again for one that is kept: with another token. Raises Refusal."""
    name = check_name(op.node)
    known = core.registry.find(name)
    if name in core.registry.path or (known is not None and not known.reserved):
        raise Refusal(f"there is a {name} already: choose another name, or `skerry bundle export {name}` for that one")
    wished = inputs.CreateToken(
        id=op.token, secret_hash=op.secret_hash, ttl_s=op.ttl_s, uses=1, labels=op.labels, node=name
    )
    token = core.enrollment.create(wished, who, now, fx)
    if known is not None and known.reserved in core.enrollment.tokens:
        core.enrollment.delete(inputs.DeleteToken(id=known.reserved), who, now, fx)
    node = Node(
        name=name,
        key=f"reserved-{name}",
        token="",
        enrolled_ms=int(now.wall * 1000),
        labels=token.labels,
        reserved=token.id,
    )
    core.registry.put(node, fx)
    core.admit(name, now, fx)
    core.streams.audit("node.reserved", name, {"who": who, "token": token.id}, now, fx)
    return {"node": name, "expires_ms": token.expires_ms}
