"""`apply --wait`: what each node makes of what was declared, as it comes true."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from hub.cli.view import human, output

if TYPE_CHECKING:
    from hub.cli.client import Client

FAILURES = frozenset({"failed"})
LOOK_EVERY_S = 0.2
RESTARTS_ARE_FAILURE = 3


class _Watch:
    """One resource on its nodes; says each change once."""

    def __init__(self, result: dict[str, Any], quiet: bool, widths: tuple[int, int]) -> None:
        self.key = _key(result)
        self.path = f"/v1/{result['kind']}s/{result['name']}"
        self.told: dict[str, str] = {}
        self.states: dict[str, str] = {}
        self._quiet = quiet
        self._widths = widths
        self._began = time.monotonic()
        self._head = f"{self.key:<{widths[0]}}  {result['action']}"
        if result.get("generation"):
            self._head += f", generation {result['generation']}"
        if not quiet:
            note = f"; {result['note']}" if result.get("note") else ""
            output.say(f"{self._head}: {human.plural(len(result['nodes']), 'node')}{note}")

    def look(self, hub: Client) -> None:
        """Ask the hub, and say what changed."""
        found = hub.get(self.path)
        is_probed = "health" in found["spec"]["spec"]
        for one in found["on"]:
            if not one["placed"]:
                continue
            state, words = _judge(one, *self.key.split("/"), is_probed=is_probed)
            node = one["node"]
            self.states[node] = state
            if self.told.get(node) != words:
                self.told[node] = words
                if not self._quiet and state != "waiting":
                    key, name = (f"{text:<{width}}" for text, width in zip((self.key, node), self._widths, strict=True))
                    took = "" if state == "away" else human.duration(time.monotonic() - self._began)
                    output.say(f"  {key}  {name}  {took:>8}  {words}", style=_STYLES[state])


def _key(result: dict[str, Any]) -> str:
    return f"{result['kind']}/{result['name']}"


def _widths(results: list[dict[str, Any]]) -> tuple[int, int]:
    """Return how wide the resources' and the nodes' names are, so that their lines stand in columns."""
    names = [node for result in results for node in result["nodes"]]
    return max((len(_key(one)) for one in results), default=0), max(map(len, names), default=0)


_STYLES = {"done": "green", "away": "yellow", "failed": "red", "waiting": ""}


def until_true(hub: Client, results: list[dict[str, Any]], wait_s: float, *, patient: bool, quiet: bool) -> int:
    """Watch until every node did what was declared, or failed, or is away (unless `patient`); return the exit code."""
    widths = _widths(results)
    watches = [_Watch(result, quiet, widths) for result in results]
    until = time.monotonic() + wait_s
    pending = True
    while pending:
        for watch in watches:
            watch.look(hub)
        open_states = {"waiting", "away"} if patient else {"waiting"}
        pending = any(state in open_states for watch in watches for state in watch.states.values())
        if pending and time.monotonic() > until:
            break
        if pending:
            time.sleep(LOOK_EVERY_S)
    counts = {state: sum(list(w.states.values()).count(state) for w in watches) for state in _STYLES}
    if not quiet:
        output.say(_verdict(counts, wait_s))
    return 1 if counts["failed"] or counts["waiting"] or (patient and counts["away"]) else 0


def _judge(one: dict[str, Any], kind: str, name: str, *, is_probed: bool) -> tuple[str, str]:
    """Return (done, away, failed or waiting) of one node, and the words for it."""
    if one["node_state"] in ("revoked", "quarantined"):
        return "failed", f"{one['node_state']}: see `skerry describe node {one['node']}`"
    if one["node_state"] == "away":
        now_ms = int(time.time() * 1000)
        return "away", f"away since {human.clock(one['since_ms'], now_ms)}: will follow on return"
    if not one["current"]:
        return "waiting", "on its way"
    if kind != "service":
        return "done", "received"
    return _judge_service(one["report"], f"skerry logs {name} --node {one['node']}", is_probed=is_probed)


def _judge_service(report: dict[str, Any], logs: str, *, is_probed: bool) -> tuple[str, str]:
    override = report.get("override")
    if override:
        return "done", f"{report['state']}: held there by {override['user']} ({override.get('reason') or 'no reason'})"
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


def _verdict(counts: dict[str, int], wait_s: float) -> str:
    total = sum(counts.values())
    if not total:
        return "nothing to wait for: it is placed on no node"
    words = [f"{counts['done']} of {total} done"]
    if counts["away"]:
        words.append(f"{counts['away']} away")
    if counts["failed"]:
        words.append(f"{counts['failed']} failed")
    if counts["waiting"]:
        words.append(f"{counts['waiting']} still not after {human.duration(wait_s)}")
    tail = "; nothing failed (--wait=all waits for those away)" if counts["away"] and not counts["failed"] else ""
    return ", ".join(words) + tail
