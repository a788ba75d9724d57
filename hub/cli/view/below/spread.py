"""Where a resource is: one line for each node, or a tree of regions and their nodes when there are hubs below."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hub.cli.view import human, nodes
from hub.cli.view.below import regions
from hub.cli.view.hubs import judged

NODES_SHOWN = 12  # of one region; those in trouble first
Words = Callable[[dict[str, Any], int], str]
Rows = list[tuple[str, str]]


def on(one: dict[str, Any], tell: Words, now_ms: int) -> Rows:
    """Return what each node makes of a resource, below the regions that were asked for it; `tell` says a report."""
    if one["in"]:
        return _tree(one, tell, now_ms)
    if not one["on"]:
        return [("none", _nobody(one))]
    return [(on["node"], words(on, tell, now_ms)) for on in one["on"]] + _more(one)


def _more(one: dict[str, Any]) -> Rows:
    return [("…", "and more nodes; those in trouble come first: see them all with -o json")] if one["has_more"] else []


def _nobody(one: dict[str, Any]) -> str:
    """Return why a resource is nowhere: at a hub with no region of those that it is for, regions come first."""
    asked = one["spec"]["spec"].get("placement", {}).get("regions")
    if asked is not None:
        return f'no hub below matches "{asked}", no node "{one["selector"]}": see `skerry get regions`'
    return f'no node matches "{one["selector"]}": see `skerry get nodes`'


def words(on: dict[str, Any], tell: Words, now_ms: int) -> str:
    """Return what one node makes of it, and as of when if it is not heard now."""
    text = tell(on["report"], now_ms) if on["report"] else "nothing heard of it yet"
    if not on["placed"]:
        text += "; no longer asked there"
    elif on["report"] and not on["current"] and not judged.has_nothing(on["report"]):
        text += "; an older generation" + (", for updates are held there" if on.get("hold") else "")
    if on["node_state"] == "online":
        return text
    since, seen = human.clock(on["since_ms"], now_ms), human.clock(on["as_of_ms"], now_ms)
    why = f" ({on['silent']} is away)" if on["silent"] else ""
    return f"{on['node_state']} since {since}{why}; last known ({seen}): {text}"


def _tree(one: dict[str, Any], tell: Words, now_ms: int) -> Rows:
    branches = [_region(region, one["on"], tell, now_ms) for region in one["in"]]
    branches += [[(on["node"], words(on, tell, now_ms))] for on in one["on"] if not on["region"]]
    branches += [_more(one)] if one["has_more"] else []
    rows: Rows = [("in all", regions.tally(one))]
    for at, branch in enumerate(branches):
        is_last = at == len(branches) - 1
        for number, (left, right) in enumerate(branch):
            sign = ("└─ " if is_last else "├─ ") if number == 0 else ("   " if is_last else "│  ")
            rows.append((sign + left, right))
    return rows


def _region(region: dict[str, Any], everywhere: list[dict[str, Any]], tell: Words, now_ms: int) -> Rows:
    prefix = f"{region['hub']}/"
    below = [on for on in everywhere if on["node"].startswith(prefix)]
    below.sort(key=lambda on: not _is_troubled(on))
    rows: Rows = [(region["hub"], _region_words(region, now_ms))]
    rows += [("", regions.overridden(one, region["hub"], now_ms)) for one in region["marks"]]
    shown = [(on["node"].removeprefix(prefix), words(on, tell, now_ms)) for on in below[:NODES_SHOWN]]
    if len(below) > NODES_SHOWN:
        shown.append(("…", f"and {len(below) - NODES_SHOWN} more: see them all with -o json"))
    for at, (left, right) in enumerate(shown):
        rows.append((("└─ " if at == len(shown) - 1 else "├─ ") + left, right))
    return rows


def _is_troubled(on: dict[str, Any]) -> bool:
    return not on["report"] or not nodes.is_good(on["report"]) or not on["current"]


def _region_words(region: dict[str, Any], now_ms: int) -> str:
    text = regions.tally(region)
    if region["refused"]:
        text = f"refused there: {region['refused']}"
    elif not region["is_asked"]:
        text += "; no longer asked there"
    elif not region["generation"]:
        text += "; it has not seen this yet"
    seen = human.clock(region["as_of_ms"], now_ms)
    if region["state"] == "online":
        return f"{text}, as of {seen}"
    return f"{region['state']} since {human.clock(region['since_ms'], now_ms)}; last known ({seen}): {text}"
