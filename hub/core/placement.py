"""Which nodes a resource runs on: pure functions, the same answer for the same facts.

    count: all      every node that matches
    count: N        N of them, remembered: who has it and still matches keeps it (B: nothing healthy is moved because a
                    link came back); a free place goes to a node that is online, then by rendezvous hashing

A cordoned node keeps what it has and gets nothing new; a drained one has nothing; an empty selector selects nobody
(C7). A node that is away keeps its placement: its desired state is a level, and it reads it when it returns.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable

from hub.core.registry import Node
from protocol.selector import Selector


def may_hold(node: Node, selector: Selector, has_it: bool) -> bool:
    """Tell whether `node` may run what `selector` places; `has_it`: it was placed there before."""
    if node.revoked_ms or node.drained or (node.cordoned and not has_it):
        return False
    return selector.matches(node.selectable())


def choose(
    resource: str,
    selector: Selector,
    count: int,
    nodes: Iterable[Node],
    holders: Collection[str],
    is_online: Callable[[str], bool],
) -> list[str]:
    """Return the names of at most `count` nodes, sorted: `holders` that may stay, then the best newcomers."""
    held = frozenset(holders)
    able = [node.name for node in nodes if may_hold(node, selector, node.name in held)]
    ranked = sorted(
        able, key=lambda name: (name not in held, name not in held and not is_online(name), _rank(resource, name))
    )
    return sorted(ranked[:count])


def _rank(resource: str, node: str) -> bytes:
    return hashlib.sha256(f"{resource}|{node}".encode()).digest()
