"""What a row about a node says: never only "away", always as of when."""

from __future__ import annotations

from typing import Any

from hub.cli.view import human
from hub.cli.view.below import regions
from protocol import limits
from protocol.doctor import words

GOOD = ("running", "exited")
UNHEARD = "unheard"


def state(node: dict[str, Any], now_ms: int) -> str:
    """Return `online, catching up`, `away 3 h 12 m`, `moved to eu-south`; its alarm, and what a person changed."""
    if node.get("moved"):
        return f"moved to {node['moved']}"
    text = presence(node, now_ms)
    if text == "online" and behind(node) > CATCHING_UP_ROWS:
        text = "online, catching up"
    if node["alarms"]:
        text += ", ALARM"
    if node.get("hold"):
        text += ", updates held"
    return text + (", drained" if node.get("drained") else ", cordoned" if node.get("cordoned") else "")


def presence(node: dict[str, Any], now_ms: int) -> str:
    """Return `online`, `away 3 h 12 m`, `revoked`; `unheard 2 h (eu-north is away)` of one whose hub is not heard;
    `online, heard 41 m ago` of a metered one, which speaks that seldom."""
    name = str(node["state"])
    if name == UNHEARD:
        return f"{name} {human.age(node['since_ms'], now_ms)} ({node['silent']} is away)"
    if name == "away":
        return f"away {human.age(node['since_ms'], now_ms)}" if node["last_contact_ms"] else "away, never connected"
    if name == "online" and node.get("contact_s", 0.0) > limits.CONTACT_EVERY_S:
        return f"online, heard {human.age(node['last_contact_ms'], now_ms)} ago"
    return name


CATCHING_UP_ROWS = 1_000
"""A node that makes entries all the time is always some behind; only more than this is worth a word."""


def labels(node: dict[str, Any]) -> str:
    """Return `site=oslo gpu`."""
    return " ".join(f"{key}={value}" if value else key for key, value in sorted(node["labels"].items())) or "–"


def behind(node: dict[str, Any]) -> int:
    """Return how many entries the node has told of that the hub does not have."""
    return sum(max(0, cursor["last"] - cursor["seq"]) for cursor in node["cursors"].values())


def work(node: dict[str, Any], now_ms: int) -> str:
    """Return `4/4 healthy`, `3/4 (vision: backoff)`, and as of when if the node is away; of a hub how its nodes are."""
    if node["kind"] == "hub":
        return regions.nodes(node["region"])
    services: dict[str, Any] = node["services"]
    if not services:
        return "–"
    bad = {name: _trouble(one) for name, one in services.items() if not is_good(one)}
    text = f"{len(services) - len(bad)}/{len(services)}"
    if node["state"] != "online":
        return f"{text} ({human.clock(node.get('as_of_ms') or node['last_contact_ms'], now_ms)})"
    if not bad:
        return f"{text} healthy" if any(one.get("healthy") for one in services.values()) else f"{text} running"
    name, what = next(iter(bad.items()))
    return f"{text} ({name}: {what}" + (f", {len(bad) - 1} more)" if len(bad) > 1 else ")")


def is_good(report: dict[str, Any]) -> bool:
    """Tell whether a service does what it should."""
    return report["state"] in GOOD and report.get("healthy") is not False


def _trouble(report: dict[str, Any]) -> str:
    if report.get("override"):
        return f"{report['state']} there by {report['override']['user']}"
    if report["state"] == "running":
        return "unhealthy"
    return "crash looping" if report["state"] == "backoff" and report.get("restarts", 0) > 1 else str(report["state"])


def synced(node: dict[str, Any], now_ms: int) -> str:
    """Return `all`, `41 % of 1.2 M entries`, or until when; and what was declared lost."""
    lost = sum(node["lost"].values())
    tail = f", {human.number(lost)} declared lost" if lost else ""
    if node["through"]:
        return f"through {node['through']}{tail}"
    if not node["cursors"]:
        return "–"
    if node["state"] != "online":
        return f"{human.clock(node['last_contact_ms'], now_ms)}, {human.number(lost)} declared lost"
    if behind(node) == 0:
        return f"all{tail}"
    total = sum(cursor["last"] for cursor in node["cursors"].values())
    return f"{int(100 * (total - behind(node)) / total)} % of {human.number(total)} entries{tail}"


def lost(node: dict[str, Any]) -> str:
    """Return `metrics 1.2 M, logs 30`: what was declared lost, by class."""
    return ", ".join(f"{stream} {human.number(count)}" for stream, count in node["lost"].items()) or "–"


def vitals(node: dict[str, Any]) -> str:
    """Return `cpu 12 %, memory 410 MB of 2.0 GB, disk 61 %`, with the temperature where there is one."""
    seen = node.get("vitals")
    if not seen:
        return "–"
    return ", ".join(words.vitals(seen))


def short(one: dict[str, Any]) -> str:
    """Return where to look at a service that runs on fewer nodes than it is placed on, or nothing."""
    if one["running"] < one["placed"] or one["unhealthy"]:
        return f"{one['name']} runs well on not all of its nodes: see `skerry describe service {one['name']}`"
    return ""


def knocks(found: list[dict[str, Any]]) -> list[str]:
    """Return `oslo-gw-4 (key 9f3c2a1b…)` for each device that the hub turns away because it does not know it."""
    return [f"{one['node']} (key {one['key'][:8]}…)" for one in found]


def advice(node: dict[str, Any], shown: str) -> str:
    """Return what to do next about a node with which something is wrong, or nothing; `shown`: how it is spelled."""
    if node["state"] == "quarantined":
        return f"{shown} is quarantined: see `skerry describe node {shown}`"
    if node["alarms"] and node["state"] != "revoked":
        return f"{shown} has an alarm: see `skerry describe node {shown}`"
    for name, one in node["services"].items():
        if node["state"] == "online" and not is_good(one) and not one.get("override"):
            return f"{name} on {shown}: see `skerry describe service {name}`, or `skerry logs {name}`"
    return ""
