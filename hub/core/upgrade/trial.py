"""A version of the hub on trial: it says of itself whether all is well.

its API or its door does not answer in UPGRADE_ANSWER_S          it is not
who was online before is back, and the parent is heard           it is
the time for that is over                                        it is; but when of all who were online nobody is
                                                                 back, or the parent has turned this hub away, it is not
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from protocol import limits

if TYPE_CHECKING:
    from hub.core.hub import HubCore


class Before(msgspec.Struct, frozen=True, kw_only=True):
    """How it was when the last life ended. `online`: the nodes that were, and when (ms) each had said how it is.

    `standing`: what the parent had said against us.
    """

    online: dict[str, int]
    standing: str


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """How it is now. `fault`: why it does not answer; `turned_away`: why the parent wants nothing of this hub.

    `back` of `online` nodes are; `lacks_parent`: there is one, and it is not heard.
    """

    since_s: float
    patience_s: float
    fault: str
    back: int
    online: int
    lacks_parent: bool
    turned_away: str


def before(core: HubCore) -> Before:
    """Return how it was. To be asked before this life's first input."""
    known = {node.name: core.rollup.seen(node.name) for node in core.registry}
    online = {name: seen.status_ms for name, seen in known.items() if seen and core.last_life.was_online(seen)}
    return Before(online=online, standing="" if core.up is None else core.up.view().standing)


def look(core: HubCore, was: Before, *, since_s: float, patience_s: float, fault: str) -> Standing:
    """Return how it is: `since_s` after this life began, in which who is awaited has `patience_s` to come."""
    up = None if core.up is None else core.up.view()
    awaited = {name: said_ms for name, said_ms in was.online.items() if _is_ours(core, name)}
    return Standing(
        since_s=since_s,
        patience_s=patience_s,
        fault=fault,
        back=sum(_is_back(core, name, said_ms) for name, said_ms in awaited.items()),
        online=len(awaited),
        lacks_parent=up is not None and up.state != "live",
        turned_away="" if up is None or up.standing == was.standing else up.standing,
    )


def _is_ours(core: HubCore, name: str) -> bool:
    """Tell whether a node may come at all: people revoke and move them during a trial, too."""
    node = core.registry.find(name)
    return node is not None and not node.revoked_ms and not node.moved


def _is_back(core: HubCore, name: str, said_ms: int) -> bool:
    """Tell whether a node has said again how it is, which it does when it was let in; a metered one is not awaited."""
    seen = core.rollup.seen(name)
    has_said = seen is not None and seen.status_ms != said_ms
    return core.rollup.is_online(name) and (has_said or core.parent.view(name).quiet)


def judge(now: Standing) -> str | None:
    """Return what speaks against this version, empty when all is well; None: it is too soon to say."""
    if now.fault:
        return now.fault if now.since_s >= limits.UPGRADE_ANSWER_S else None
    if now.back == now.online and not now.lacks_parent:
        return ""
    if now.since_s < now.patience_s:
        return None
    if now.turned_away:
        return f"its parent has turned it away: {now.turned_away}"
    if now.online and not now.back:
        return f"{now.online} nodes were online before, and none of them is back after {now.patience_s:g} s"
    return ""


def said(now: Standing) -> str:
    """Return in a few words what is waited for."""
    if now.fault:
        return f"not well yet: {now.fault}"
    words = [f"{now.back} of {now.online} nodes are back"] if now.back < now.online else []
    return "; ".join([*words, *(["its parent is not heard yet"] if now.lacks_parent else [])]) or "all is well"
