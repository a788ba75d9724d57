"""This hub, as its operators see it: the link to the hub above, what is to be looked at, what all below it comes to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from hub.cli.view import human, words
from hub.cli.view.below import regions

Section = tuple[str, list[tuple[str, str]]]


def table(listed: list[dict[str, Any]], wide: bool, now_ms: int) -> tuple[Sequence[str], list[list[str]]]:
    """Return the heads and the rows."""
    heads = ["HUB", "LINK UP", "WAITS", "NODES", "WORK", "TROUBLE"]
    rows = [
        [
            one["path"],
            link(one, now_ms),
            waits(one),
            regions.nodes(one["region"]),
            regions.work(one["region"]),
            _trouble(one),
        ]
        for one in listed
    ]
    if wide:
        heads += ["HUBS", "OVERRIDES", "LAST CONTACT", "CA UNTIL", "VERSION"]
        for row, one in zip(rows, listed, strict=True):
            contact = human.clock(one["parent"]["last_contact_ms"], now_ms) if one["parent"] else "–"
            until = human.clock(one["ca_until_ms"], now_ms)
            row += [regions.hubs(one["region"]), str(len(one["overrides"]) or "–"), contact, until, one["version"]]
    return heads, rows


def link(one: dict[str, Any], now_ms: int) -> str:
    """Return `live`, `cloud away 3 h`, `refused by cloud`; `–` at a root."""
    up = one["parent"]
    if up is None:
        return "–"
    age = human.age(up["since_ms"], now_ms)
    found = {"live": "live", "connecting": "connecting", "refused": f"refused by {up['name']}"}
    return found.get(up["state"], f"{up['name']} away {age}" if up["last_contact_ms"] else "never connected")


def waits(one: dict[str, Any]) -> str:
    """Return `1,204`: how many entries the hub above has not acked."""
    return human.number(sum(one["parent"]["waiting"].values())) if one["parent"] else "–"


def _trouble(one: dict[str, Any]) -> str:
    found = one["conditions"]
    if found:
        return found[0]["what"] + (f" (and {len(found) - 1} more)" if len(found) > 1 else "")
    return regions.worst(one["region"])


def advice(one: dict[str, Any], now_ms: int) -> str:
    """Return what an operator of a region should know of its link, or nothing."""
    up = one["parent"]
    if one["conditions"]:
        return f"{one['conditions'][0]['what']}: see `skerry describe hub`"
    if up is None or up["state"] == "live":
        return ""
    waiting = human.entries(sum(up["waiting"].values()))
    return f"{link(one, now_ms)}: all here goes on, {waiting} to go up (see `skerry describe hub`)"


def tell(one: dict[str, Any], now_ms: int) -> Iterator[Section]:
    """Return all that is known of it."""
    until = words.certificate(one["ca_until_ms"], now_ms)
    yield f"hub {one['name']}", [("path", one["path"]), ("version", one["version"] or "–"), ("its CA", until)]
    if one["parent"] is None:
        yield "the hub above", [("none", "this is the root")]
    else:
        yield f"the link to {one['parent']['name']}", _link(one["parent"], now_ms)
    yield "to look at", [(found["what"], human.times(found["text"], now_ms)) for found in one["conditions"]]
    yield "overridden here", [(found["key"], _override(found, now_ms)) for found in one["overrides"]]
    region = one["region"]
    yield "below it", [("nodes", regions.nodes(region)), ("hubs", regions.hubs(region))]
    yield "its resources", regions.tallies(region)
    yield "in trouble", regions.offenders(region, now_ms)


def _link(up: dict[str, Any], now_ms: int) -> list[tuple[str, str]]:
    since = f"since {human.clock(up['since_ms'], now_ms)} ({human.age(up['since_ms'], now_ms)})"
    goes_on = "" if up["state"] == "live" else "; all here goes on"
    contact = f"{human.clock(up['last_contact_ms'], now_ms)}, {words.ago(up['last_contact_ms'], now_ms)}"
    held = f"generation {up['generation']}, received {human.clock(up['received_ms'], now_ms)}"
    waiting = ", ".join(f"{human.entries(count)} of {name}" for name, count in up["waiting"].items() if count)
    return [
        ("state", f"{up['state']} {since}{goes_on}"),
        *([("why", up["reason"])] if up["reason"] and up["state"] != "live" else []),
        *([("looked for", one_look)] if (one_look := up.get("looked")) else []),
        *([("what to do", _next(up))] if up["state"] == "refused" else []),
        ("last contact", contact),
        ("asked of us", held if up["received_ms"] else "nothing yet"),
        ("waits", waiting or "nothing: it has all that is here"),
    ]


def _next(up: dict[str, Any]) -> str:
    """Return what an operator of a hub can do that its parent does not let in."""
    if not up["reason"].startswith("revoked"):
        return f"at {up['name']}, if its operators trust this hub: skerry node accept NAME"
    new = f"skerry token create --hub at {up['name']}, then skerry hub init --name ANOTHER --parent URL --token TOKEN"
    return f"nothing takes that back at {up['name']}; a hub of another name can take this one's place: {new}"


def _override(one: dict[str, Any], now_ms: int) -> str:
    until = human.clock(one["until_ms"], now_ms)
    return f"of {one['owner']}, overridden by {one['by']} until {until}, because {one['reason']}"
