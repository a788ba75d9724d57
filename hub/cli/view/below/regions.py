"""What a hub says of all that is below it: counts, what a resource comes to, who is to be looked at."""

from __future__ import annotations

from typing import Any

from hub.cli.view import human, words
from hub.cli.view.hubs import overridden as overrides

_ORDER = ("online", "away", "unheard", "quarantined", "revoked")


def nodes(region: dict[str, Any]) -> str:
    """Return `98/100 online`, or `98/100 online, 2 away`: the agents of a region, by how they are."""
    counts = {state: count for state, count in region.get("nodes", {}).items() if state != "revoked"}
    total = sum(counts.values())
    if not total:
        return "no nodes"
    rest = [f"{counts[state]} {state}" for state in _ORDER[1:] if counts.get(state)]
    return ", ".join([f"{counts.get('online', 0)}/{total} online", *rest])


def count(region: dict[str, Any], state: str) -> int:
    """Return how many agents are in `state`."""
    return region.get("nodes", {}).get(state, 0)


def total(region: dict[str, Any]) -> int:
    """Return how many agents there are, without those that were revoked."""
    return sum(number for state, number in region.get("nodes", {}).items() if state != "revoked")


def hubs(region: dict[str, Any]) -> str:
    """Return `3`, `3, 1 away`: the hubs below."""
    found: dict[str, int] = region.get("hubs", {})
    rest = [f"{found[state]} {state}" for state in _ORDER[1:] if found.get(state)]
    return ", ".join([str(sum(found.values())), *rest]) if found else "–"


def work(region: dict[str, Any]) -> str:
    """Return `118/120`: services that run of those that are placed, over all nodes."""
    tallies = [one for key, one in region.get("tallies", {}).items() if key.startswith("service/")]
    placed = sum(one.get("placed", 0) for one in tallies)
    return f"{sum(one.get('running', 0) for one in tallies)}/{placed}" if placed else "–"


def worst(region: dict[str, Any]) -> str:
    """Return the worst of what is to be looked at, and how much more there is."""
    found = region.get("worst", [])
    if not found:
        return "–"
    more = region.get("offenders", len(found)) - 1
    return f"{found[0]['at']}: {_what(found[0])}" + (f" (and {more} more)" if more else "")


def _what(one: dict[str, Any]) -> str:
    return f"{one['what']} {one.get('text', '')}".strip()


def offenders(region: dict[str, Any], now_ms: int) -> list[tuple[str, str]]:
    """Return a line for each node that is to be looked at, the worst first."""
    found = [
        (one["at"], _what(one) + (f", since {human.clock(one['since_ms'], now_ms)}" if one.get("since_ms") else ""))
        for one in region.get("worst", [])
    ]
    more = region.get("offenders", len(found)) - len(found)
    return [*found, ("…", f"and {more} more")] if more else found


def marks(region: dict[str, Any], now_ms: int) -> list[tuple[str, str]]:
    """Return a line for each override below."""
    return [(one.get("at") or "the hub", mark(one, now_ms)) for one in region.get("marks", [])]


def mark(one: dict[str, Any], now_ms: int) -> str:
    """Return `service/vision overridden by ola until 14:02: belt jammed`."""
    until = f"until {human.clock(one['until_ms'], now_ms)}" if one.get("until_ms") else "until released"
    why = f": {one['reason']}" if one.get("reason") else ""
    return f"{one['what']} {words.DECIDED.get(one['decision'], one['decision'])} by {one['user']} {until}{why}"


def overridden(one: dict[str, Any], hub: str, now_ms: int) -> str:
    """Return `overridden by ola at eu-north until 14:02, because belt jammed`: of a resource that is known."""
    until = f"until {human.clock(one['until_ms'], now_ms)}" if one.get("until_ms") else "until released"
    why = f", because {one['reason']}" if one.get("reason") else ""
    at = "/".join(filter(None, (hub, one.get("at", ""))))
    return f"{one['decision']} by {one['user']} at {at} {until}{why}{overrides.asked_back(one, now_ms)}"


def tallies(region: dict[str, Any]) -> list[tuple[str, str]]:
    """Return a line for each service and workflow of a region."""
    listed = region.get("tallies", {}).items()
    return [(key, tally(one)) for key, one in listed if not key.startswith("policy/")]


def tally(one: dict[str, Any]) -> str:
    """Return `4 placed, 3 running (2 healthy, 1 unhealthy), 1 away`, with what was asked where that is not placed."""
    words: list[str] = []
    asked, placed = one.get("asked", 0), one.get("placed", 0)
    if asked != placed:
        words.append(f"{asked} asked")
    words.append(f"{placed} placed")
    probed = [f"{one[name]} {name}" for name in ("healthy", "unhealthy") if one.get(name)]
    words.append(f"{one.get('running', 0)} running" + (f" ({', '.join(probed)})" if probed else ""))
    if one.get("current", 0) < placed:
        words.append(f"{placed - one.get('current', 0)} not current")
    if one.get("away"):
        words.append(f"{one['away']} away")
    return ", ".join(words)
