"""Upgrades as operators read them: which version is asked for, how far it is, who went back and why."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from hub.cli.view import human

Section = tuple[str, list[tuple[str, str]]]

_WORDS = {
    "running": "runs it",
    "back": "went back",
    "waiting": "waits for its wave",
    "away": "away: hears of it on return",
    "asked": "putting it in place",
    "trying": "trying it",
    "unfit": "no package is for it",
}


def table(listed: list[dict[str, Any]], wide: bool, now_ms: int) -> tuple[Sequence[str], list[list[str]]]:
    """Return the heads and the rows."""
    heads = ["UPGRADE", "VERSION", "STATE", "WAVE", "RUNNING", "AT IT", "WAITING", "BACK"]
    rows = [
        [
            one["name"],
            one["version"],
            one["state"] + (f": {one['reason']}" if one["reason"] else ""),
            _wave(one),
            f"{one['counts']['running']}/{one['nodes']}",
            str(one["counts"]["pending"]),
            str(one["counts"]["waiting"]),
            _bad(one["counts"]),
        ]
        for one in listed
    ]
    if wide:
        heads += ["FOR", "OWNER", "SELECTOR", "BY", "CHANGED"]
        for row, one in zip(rows, listed, strict=True):
            row += [
                ", ".join(one["packages"]),
                one["owner"],
                one["selector"],
                one["by"],
                f"{human.age(one['changed_ms'], now_ms)} ago",
            ]
    return heads, rows


def tell(one: dict[str, Any], now_ms: int) -> Iterator[Section]:
    """Return all that is known of one upgrade."""
    changed = f"generation {one['generation']}, {human.clock(one['changed_ms'], now_ms)}, by {one['by']}"
    rows = [
        ("declared", changed),
        ("version", f"{one['version']} for {', '.join(one['packages'])}"),
        ("for", f'"{one["selector"]}": {human.plural(one["nodes"], "node")} of this hub{_unfit(one["unfit"])}'),
        *([("only", ", ".join(one["only"]))] if one["only"] else []),
        ("wave", f"{_wave(one)}; stops when more than {one['stop_after']} went back"),
        ("state", one["state"] + (f": {one['reason']}" if one["reason"] else "")),
    ]
    if one["state"] == "stopped":
        rows.append(("next", "see why below, then apply a version that mends it; the others stay as they are"))
    yield f"upgrade {one['name']}", rows
    yield "its nodes", [(node["node"], _node(node, now_ms)) for node in one["on"]]
    yield "its regions", [(region["hub"], _region(region)) for region in one["in"]]


def _unfit(count: int) -> str:
    return f", beside {count} that no package is for" if count else ""


def _wave(one: dict[str, Any]) -> str:
    return f"{one['wave']} of {len(one['waves'])} ({', '.join(one['waves'])})"


def _bad(counts: dict[str, int]) -> str:
    return str(counts["back"]) + (f" +{counts['silent']} silent" if counts["silent"] else "")


def _node(node: dict[str, Any], now_ms: int) -> str:
    state = str(node["state"])
    text = f"{node['version'] or '?'}: {_WORDS.get(state, state)}" + (f": {node['reason']}" if node["reason"] else "")
    return text if node["online"] else f"{text} (as of {human.clock(node['as_of_ms'], now_ms)})"


def _region(region: dict[str, Any]) -> str:
    if region["refused"]:
        return f"refused there: {region['refused']}"
    return f"{region['of_version']} of {human.plural(region['agents'], 'agent')} below it are of this version"
