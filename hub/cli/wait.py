"""`apply --wait`: what each node makes of what was declared, as it comes true."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from hub.cli.view import human, output
from hub.cli.view.hubs import placed

if TYPE_CHECKING:
    from hub.cli.client import Client

FAILURES = frozenset({"failed"})
LOOK_EVERY_S = 0.2
NAMED = 4  # of those that are away
RESTARTS_ARE_FAILURE = 3


class _Watch:
    """One resource on its nodes; says each change once."""

    def __init__(self, result: dict[str, Any], quiet: bool, widths: tuple[int, int]) -> None:
        self.key = _key(result)
        plural = "policies" if result["kind"] == "policy" else f"{result['kind']}s"
        self.path = f"/v1/{plural}/{result['name']}"
        self.regions: list[dict[str, Any]] = []
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
            output.say(f"{self._head}: {_whither(result)}{note}")

    def look(self, hub: Client) -> None:
        """Ask the hub, and say what changed."""
        found = hub.get(self.path)
        is_probed = "health" in found["spec"]["spec"]
        regions = {one["hub"]: one for one in found["in"] if one["is_asked"]}
        self.regions = list(regions.values()) if found["kind"] != "policy" else []
        for name, region in regions.items():
            speaks = [one for one in found["on"] if f"{one['region']}/".startswith(f"{name}/")]
            self._note(name, *_judge_region(region, found, len(speaks)))
        for one in found["on"]:
            region = regions.get(one["region"].partition("/")[0])
            if one["placed"] and (region is None or self.states[region["hub"]] == "open"):
                self._note(one["node"], *_judge(one, *self.key.split("/"), is_probed=is_probed))

    def _note(self, name: str, state: str, words: str) -> None:
        self.states[name] = state
        if self.told.get(name) != words:
            self.told[name] = words
            if not self._quiet and state != "waiting" and words:
                columns = zip((self.key, name), self._widths, strict=True)
                key, shown = (f"{text:<{width}}" for text, width in columns)
                took = "" if state == "away" else human.duration(time.monotonic() - self._began)
                output.say(f"  {key}  {shown}  {took:>8}  {words}", style=_STYLES[state])


def _whither(result: dict[str, Any]) -> str:
    """Return on how many own nodes, or in how many regions."""
    regions = len(result.get("regions") or ())
    said = [human.plural(len(result["nodes"]), "node")] if result["nodes"] or not regions else []
    return ", ".join([*said, human.plural(regions, "region")] if regions else said)


def _key(result: dict[str, Any]) -> str:
    return f"{result['kind']}/{result['name']}"


def _widths(results: list[dict[str, Any]]) -> tuple[int, int]:
    """Return how wide the resources' and the nodes' names are, so that their lines stand in columns."""
    names = [name for result in results for name in (*result["nodes"], *(result.get("regions") or ()))]
    return max((len(_key(one)) for one in results), default=0), max(map(len, names), default=0)


_STYLES = {"done": "green", "overridden": "yellow", "away": "yellow", "failed": "red", "waiting": ""}


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
        for watch in watches:
            if text := placed.line(watch.regions):
                output.say(f"  {watch.key}  {text}")
        output.say(_verdict(counts, _named(watches, "away"), wait_s))
    return 1 if counts["failed"] or counts["waiting"] or (patient and counts["away"]) else 0


def _named(watches: list[_Watch], state: str) -> list[str]:
    return list(dict.fromkeys(name for watch in watches for name, one in watch.states.items() if one == state))


def _judge_region(region: dict[str, Any], found: dict[str, Any], speaks: int) -> tuple[str, str]:
    """Return how far a region is with a resource (`open`: its nodes speak for themselves), and the words for it.

    `speaks`: how many nodes there are heard of. Of workflows a region tells only how many of its nodes have it.
    """
    overridden = [mark for mark in region["marks"] if not mark.get("at")]
    if region["state"] != "online":
        now_ms = int(time.time() * 1000)
        return "away", f"away since {human.clock(region['since_ms'], now_ms)}: will follow on return"
    if region["refused"]:
        return "failed", f"refused there: {region['refused']}"
    if overridden:
        return "overridden", f"overridden there by {overridden[0]['user']}: {overridden[0]['reason']}"
    if region["generation"] < found["generation"]:
        return "waiting", "on its way"
    if found["kind"] == "policy":
        return "done", "in force"
    if not region["placed"]:
        return "done", "placed on no node there"
    if found["kind"] == "service":
        return ("open", "") if speaks >= region["placed"] else ("waiting", "on its way")
    if region["current"] < region["placed"]:
        return "waiting", "on its way"
    return "done", f"received by {human.plural(region['placed'], 'node')}"


def _judge(one: dict[str, Any], kind: str, name: str, *, is_probed: bool) -> tuple[str, str]:
    """Return (done, away, failed or waiting) of one node, and the words for it."""
    if one["node_state"] in ("revoked", "quarantined"):
        return "failed", f"{one['node_state']}: see `skerry describe node {one['node']}`"
    if one["node_state"] in ("away", "unheard"):
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


def _verdict(counts: dict[str, int], away: list[str], wait_s: float) -> str:
    total = sum(counts.values())
    if not total:
        return "nothing to wait for: it is placed on no node"
    words = [f"{counts['done']} of {total} done"]
    if counts["away"]:
        more = f" and {len(away) - NAMED} more" if len(away) > NAMED else ""
        words.append(f"{counts['away']} away ({', '.join(away[:NAMED])}{more})")
    if counts["failed"]:
        words.append(f"{counts['failed']} failed")
    if counts["overridden"]:
        words.append(f"{counts['overridden']} overridden")
    if counts["waiting"]:
        words.append(f"{counts['waiting']} still not after {human.duration(wait_s)}")
    tail = "; nothing failed (--wait=all waits for those away)" if counts["away"] and not counts["failed"] else ""
    return ", ".join(words) + tail
