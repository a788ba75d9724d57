"""How far a region or a node is with what was declared: done, overridden, away, failed, waiting; and in which words."""

from __future__ import annotations

import time
from typing import Any

from hub.cli.view import human

FAILURES = frozenset({"failed"})
RESTARTS_ARE_FAILURE = 3
REFUSED = "refused: "  # so begins what a device says of work that it will not start


def region(one: dict[str, Any], found: dict[str, Any], speaks: int) -> tuple[str, str]:
    """Return how far a region is with a resource (`open`: its nodes speak for themselves), and the words for it.

    `speaks`: how many nodes there are heard of. Of workflows a region tells only how many of its nodes have it.
    """
    overridden = [mark for mark in one["marks"] if not mark.get("at")]
    if one["state"] != "online":
        now_ms = int(time.time() * 1000)
        return "away", f"away since {human.clock(one['since_ms'], now_ms)}: will follow on return"
    if one["refused"]:
        return "failed", f"refused there: {one['refused']}"
    if overridden:
        return "overridden", f"overridden there by {overridden[0]['user']}: {overridden[0]['reason']}"
    if one["generation"] < found["generation"]:
        return "waiting", "on its way"
    if found["kind"] == "policy":
        return "done", "in force"
    if not one["placed"]:
        return "done", "placed on no node there"
    if found["kind"] == "service":
        return ("open", "") if speaks >= one["placed"] else ("waiting", "on its way")
    if one["current"] < one["placed"]:
        return "waiting", "on its way"
    return "done", f"received by {human.plural(one['placed'], 'node')}"


def node(one: dict[str, Any], kind: str, name: str, *, is_probed: bool) -> tuple[str, str]:
    """Return (done, overridden, away, failed or waiting) of one node, and the words for it."""
    if one["node_state"] in ("revoked", "quarantined"):
        return "failed", f"{one['node_state']}: see `skerry describe node {one['node']}`"
    if one["node_state"] in ("away", "unheard"):
        now_ms = int(time.time() * 1000)
        return "away", f"away since {human.clock(one['since_ms'], now_ms)}: will follow on return"
    if not one["current"] and _is_refused(one["report"] or {}):
        return "failed", one["report"].get("reason") or "refused there"
    if not one["current"] and one.get("hold"):
        return "overridden", f"updates are held there by {one['hold']['user']}: it waits"
    if not one["current"]:
        return "waiting", "on its way"
    if kind != "service":
        return "done", "received"
    return _service(one["report"], f"skerry logs {name} --node {one['node']}", is_probed=is_probed)


def _is_refused(report: dict[str, Any]) -> bool:
    return has_nothing(report) or report.get("reason", "").startswith(REFUSED)


def has_nothing(report: dict[str, Any]) -> bool:
    """Tell whether a device refused a service of which it has no older generation either."""
    return report.get("state") == "failed" and not report.get("digest")


def _service(report: dict[str, Any], logs: str, *, is_probed: bool) -> tuple[str, str]:
    override = report.get("override")
    if override:
        why = override.get("reason") or "no reason"
        return "overridden", f"{report['state']}: held there by {override['user']} ({why})"
    state, healthy = report["state"], report.get("healthy")
    if state == "running":
        if not is_probed:
            return "done", "running"
        return ("done", "running, healthy") if healthy else ("waiting", "running, not healthy yet")
    if state == "exited" and report.get("last_exit") == "code 0":
        return "done", "ended with code 0"
    if state in FAILURES or (state == "backoff" and report.get("restarts", 0) >= RESTARTS_ARE_FAILURE):
        last = report.get("last_exit")
        why = report.get("reason") or (f"last exit: {last}" if last else "it does not stay up")
        return "failed", f"{state}: {why}; see `{logs}`"
    return "waiting", state
