"""Policies as operators read them: what each says, whom it binds, and what all of them come to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from hub.cli.view import human

Section = tuple[str, list[tuple[str, str]]]


def table(listed: list[dict[str, Any]], wide: bool, now_ms: int) -> tuple[Sequence[str], list[list[str]]]:
    """Return the heads and the rows."""
    heads = ["POLICY", "OWNER", "BINDS", "FORWARD", "USERS", "SERVICES", "MAY"]
    rows = [[one["name"], one["owner"], _binds(one), *_rules(one["rules"], "–")] for one in listed]
    if wide:
        heads += ["GEN", "BY", "CHANGED"]
        for row, one in zip(rows, listed, strict=True):
            row += [str(one["generation"]), one["by"], f"{human.age(one['changed_ms'], now_ms)} ago"]
    return heads, rows


def tell(one: dict[str, Any], now_ms: int) -> Iterator[Section]:
    """Return all that is known of one policy, and what is in force with it."""
    changed = f"generation {one['generation']}, {human.clock(one['changed_ms'], now_ms)}, by {one['by']}"
    inherited = f"inherited from {one['owner']}: it is changed there" if one["inherited"] else f"of {one['owner']}"
    yield (
        f"policy {one['name']}",
        [("declared", changed), ("owner", inherited), ("binds", _binds(one)), *_lines(one["rules"], "not bounded")],
    )
    yield "its regions", [(region["hub"], _region(region, one, now_ms)) for region in one["in"]]
    force = one["in_force"]
    sources = ", ".join(f"{found['name']} ({found['owner']})" for found in force["from"]) or "no policy"
    yield "in force here", [("from", sources), *_lines(force, "not bounded")]


def _binds(one: dict[str, Any]) -> str:
    if one["inherited"]:
        return "this hub and all below"
    return "this hub and all below" if one["selector"] is None else f'regions "{one["selector"]}"'


def _rules(rules: dict[str, Any], none: str) -> list[str]:
    """Return the words for `forward`, `users`, `services` and `may`; `none`: that there is no bound."""
    bounds = [f"{stream}={extent}" for stream, extent in rules["forward"].items() if extent != "all"]
    return [
        " ".join(bounds) or "all",
        none if rules["users"] is None else ", ".join(user or "(none named)" for user in rules["users"]),
        none if rules["services"] is None else str(rules["services"]),
        none if rules["may"] is None else ", ".join(rules["may"]) or "nothing",
    ]


def _lines(rules: dict[str, Any], none: str) -> list[tuple[str, str]]:
    names = ("goes up", "run as", "services", "operators may")
    return list(zip(names, _rules(rules, none), strict=True))


def _region(region: dict[str, Any], one: dict[str, Any], now_ms: int) -> str:
    seen = human.clock(region["as_of_ms"], now_ms)
    if region["refused"]:
        text = f"refused there: {region['refused']}"
    elif not region["is_asked"]:
        text = "no longer bound by it"
    elif region["generation"] == one["generation"]:
        text = "in force"
    else:
        text = "in force, an older version of it" if region["generation"] else "it has not seen this yet"
    if region["state"] == "online":
        return f"{text}, as of {seen}"
    return f"{region['state']} since {human.clock(region['since_ms'], now_ms)}; last known ({seen}): {text}"
