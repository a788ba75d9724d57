"""Which nodes a resource runs on, and which regions it is handed to: pure, the same answer for the same facts.

    count: all      every node that matches
    count: N        N of them, remembered: who has it and still matches keeps it (B: nothing healthy is moved because a
                    link came back); a free place goes to a node that is online, where the fewest are by the labels that
                    it is spread over, then by rendezvous hashing

A cordoned node keeps what it has and gets nothing new; a drained one has nothing; an empty selector selects nobody
(C7). A node that is away keeps its placement: its desired state is a level, and it reads it when it returns. A child
hub runs nothing itself: it is handed a share (hub.core.down.shares), by the same rules of cordon and drain.
"""

from __future__ import annotations

import hashlib
import heapq
from collections import Counter, deque
from collections.abc import Callable, Collection, Iterable, Sequence

from hub.core.registry import Node
from protocol.selector import Selector

REGION = "region"


def may_hold(node: Node, selector: Selector, has_it: bool) -> bool:
    """Tell whether `node` may run what `selector` places; `has_it`: it was placed there before."""
    return node.kind != "hub" and _is_open(node, has_it) and selector.matches(node.selectable())


def may_take(region: Node, regions: Selector | None, has_it: bool) -> bool:
    """Tell whether `region` may be handed what is for `regions`; None is every region."""
    if region.kind != "hub" or not _is_open(region, has_it):
        return False
    return regions is None or regions.matches(region.selectable())


def _is_open(node: Node, has_it: bool) -> bool:
    return not (node.revoked_ms or node.drained or (node.cordoned and not has_it))


def first_place(spread: Sequence[str]) -> str:
    """Return the key of the label whose values count more than regions do; empty: regions count as one each."""
    return "" if not spread or spread[0] == REGION else spread[0]


def choose(
    resource: str,
    selector: Selector,
    count: int,
    nodes: Iterable[Node],
    holders: Collection[str],
    is_online: Callable[[str], bool],
    spread: Sequence[str] = (),
) -> list[str]:
    """Return the names of at most `count` nodes, sorted: `holders` that may stay, then the best newcomers."""
    held = frozenset(holders)
    able = [node for node in nodes if may_hold(node, selector, node.name in held)]
    able.sort(key=lambda node: _rank(resource, node.name))
    keys = [key for key in spread if key != REGION]
    loads: Counter[tuple[str, ...]] = Counter()
    chosen: list[str] = []
    for pool in (
        [node for node in able if node.name in held],
        [node for node in able if node.name not in held and is_online(node.name)],
        [node for node in able if node.name not in held and not is_online(node.name)],
    ):
        chosen += _picked(resource, pool, count - len(chosen), keys, loads)
    return sorted(chosen)


def _picked(resource: str, pool: list[Node], count: int, keys: list[str], loads: Counter[tuple[str, ...]]) -> list[str]:
    """Return `count` of `pool` (by rank), each from where the fewest are; `loads` counts what stands where."""
    groups: dict[tuple[str, ...], deque[str]] = {}
    for node in pool:
        groups.setdefault(tuple(node.labels.get(key, "") for key in keys), deque()).append(node.name)
    heap = [(_load(values, loads), _rank(resource, names[0]), values) for values, names in groups.items()]
    heapq.heapify(heap)
    chosen: list[str] = []
    while heap and len(chosen) < count:
        load, rank, values = heapq.heappop(heap)
        now = _load(values, loads)
        if now != load:  # loads only grow: what is out of date goes back to its place
            heapq.heappush(heap, (now, rank, values))
            continue
        chosen.append(groups[values].popleft())
        loads.update(values[: depth + 1] for depth in range(len(values)))
        if groups[values]:
            heapq.heappush(heap, (_load(values, loads), _rank(resource, groups[values][0]), values))
    return chosen


def _load(values: tuple[str, ...], loads: Counter[tuple[str, ...]]) -> tuple[int, ...]:
    return tuple(loads[values[: depth + 1]] for depth in range(len(values)))


def _rank(resource: str, node: str) -> bytes:
    return hashlib.sha256(f"{resource}|{node}".encode()).digest()
