"""What being cut off means for a service, as operators read it: who was taken over, the fences, the leases."""

from __future__ import annotations

from typing import Any

from hub.cli.view import human

_RETURNS = {
    "keep_original": "the first one goes on when it is heard again",
    "keep_replacement": "the replacement stays when the first one is heard again",
    "keep_newest": "the newest one stays when the first one is heard again",
    "keep_both": "both stay when the first one is heard again",
}


def rows(copies: dict[str, Any] | None, now_ms: int) -> list[tuple[str, str]]:
    """Return a line for what is declared, and for each copy that is parked, fenced or leased."""
    if copies is None:
        return []
    after_s = copies["replace_after_s"]
    if after_s is None:
        declared = "waits for the node or region that is not heard"
    else:
        declared = f"replaced after {human.duration(after_s)}; {_RETURNS.get(copies['on_return'], copies['on_return'])}"
    found = [("declared", declared + ("; at most one, under a lease" if copies["at_most_one"] else ""))]
    found += [("parked", _parked(name, one, now_ms)) for name, one in copies["parked"].items()]
    if copies["fences"]:
        found.append(("fences", ", ".join(f"{name} {fence}" for name, fence in copies["fences"].items())))
    if copies["at_most_one"]:
        leases = [_lease(name, one) for name, one in copies["leases"].items()]
        found.append(("leases", ", ".join(leases) or "nobody may run it now"))
        found += [("held up", _held_up(name, one, now_ms, copies)) for name, one in copies["unleased"].items()]
    return found


def _held_up(name: str, one: dict[str, Any], now_ms: int, copies: dict[str, Any]) -> str:
    """Return who runs it without a lease, who waits because of that, and what ends it."""
    waiting = ", ".join(one for one in copies["waiting"] if one != name)
    whom = f"{waiting} may not run it: " if waiting else ""
    if one["state"] == "online":
        return f"{whom}{name} runs it and never had a lease; that ends when it says otherwise"
    since = f"{one['state']} since {human.clock(one['since_ms'], now_ms)}"
    ends = f"it ends when {name} is heard again; if it never will be: skerry node revoke {name}"
    return f"{whom}{name} ran it when it was last heard, without a lease ({since}), and may run it yet; {ends}"


def _parked(name: str, one: dict[str, Any], now_ms: int) -> str:
    since = f"since {human.clock(one['since_ms'], now_ms)}" if one["since_ms"] else "for long"
    by = ", ".join(f"{child} ({count})" if count > 1 else child for child, count in one["by"].items())
    many = f" ({one['copies']} copies)" if one["copies"] > 1 else ""
    if one["kept"]:
        return f"{name}{many}: heard again, and stays beside {by or 'its replacement'}"
    return f"{name}{many}: not heard, taken over {since} by {by or 'nobody any more'}"


def _lease(name: str, one: dict[str, Any]) -> str:
    many = f"{one['copies']} copies, " if one["copies"] > 1 else ""
    return f"{name} ({many}binds for up to {human.duration(one['left_s'])} more)"
