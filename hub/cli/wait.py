"""`apply --wait`: what each node makes of what was declared, as it comes true."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from hub.cli.listing import fetched
from hub.cli.listing.paths import Paths
from hub.cli.view import human, output
from hub.cli.view.hubs import judged, placed, short

if TYPE_CHECKING:
    from hub.cli.client import Client

LOOK_EVERY_S = 0.2
SHORT_S = 3.0  # shares that found no place in one region move to another, if there is one
Spell = Callable[[str], str]
NAMED = 4  # of those that are away


class _Watch:
    """One resource on its nodes; says each change once."""

    def __init__(self, result: dict[str, Any], quiet: bool, widths: tuple[int, int], spell: Spell) -> None:
        self.key = _key(result)
        plural = "policies" if result["kind"] == "policy" else f"{result['kind']}s"
        self.path = f"/v1/{plural}/{result['name']}"
        self.regions: list[dict[str, Any]] = []
        self.short: short.Short = []
        self._short_since = 0.0
        self.told, self.states = dict[str, str](), dict[str, str]()
        self._quiet, self.spell, self._widths = quiet, spell, widths
        self._began = time.monotonic()
        self._head = f"{self.key:<{widths[0]}}  {result['action']}"
        if result.get("generation"):
            self._head += f", generation {result['generation']}"
        if not quiet:
            note = f"; {result['note']}" if result.get("note") else ""
            output.say(f"{self._head}: {_whither(result)}{note}")

    def look(self, hub: Client) -> None:
        """Ask the hub, and say what changed."""
        found = fetched.everywhere(hub, hub.get(self.path))
        self.states.clear()  # a node that it was taken from since is waited for no longer
        is_probed = "health" in found["spec"]["spec"]
        regions = {one["hub"]: one for one in found["in"] if one["is_asked"]}
        self.regions = list(regions.values()) if found["kind"] != "policy" else []
        lacking: short.Short = found.get("short", [])  # a policy is nowhere short
        if lacking != self.short:
            self.short, self._short_since = lacking, time.monotonic()
        for name, region in regions.items():
            speaks = [one for one in found["on"] if f"{one['region']}/".startswith(f"{name}/")]
            self._note(name, *judged.region(region, found, len(speaks)))
        for one in found["on"]:
            region = regions.get(one["region"].partition("/")[0])
            if one["placed"] and (region is None or self.states[region["hub"]] == "open"):
                self._note(one["node"], *judged.node(one, *self.key.split("/"), is_probed=is_probed))

    @property
    def may_move(self) -> bool:
        """Tell whether what found no place here may find one elsewhere yet."""
        return bool(self.short) and time.monotonic() < self._short_since + SHORT_S

    def _note(self, name: str, state: str, words: str) -> None:
        self.states[name] = state
        if self.told.get(name) != words:
            self.told[name] = words
            if not self._quiet and state != "waiting" and words:
                columns = zip((self.key, self.spell(name)), self._widths, strict=True)
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


def _widths(results: list[dict[str, Any]], spell: Spell) -> tuple[int, int]:
    """Return how wide the resources' and the nodes' names are, so that their lines stand in columns."""
    names = [spell(name) for result in results for name in (*result["nodes"], *(result.get("regions") or ()))]
    return max((len(_key(one)) for one in results), default=0), max(map(len, names), default=0)


_STYLES = {"done": "green", "overridden": "yellow", "away": "yellow", "failed": "red", "waiting": ""}


def until_true(hub: Client, results: list[dict[str, Any]], wait_s: float, *, patient: bool, quiet: bool) -> int:
    """Watch until every node did what was declared, or failed, or is away (unless `patient`); return the exit code."""
    spell = Paths(hub).of
    widths = _widths(results, spell)
    watches = [_Watch(result, quiet, widths, spell) for result in results]
    until = time.monotonic() + wait_s
    while True:
        began = time.monotonic()
        for watch in watches:
            watch.look(hub)
        open_states = {"waiting", "away"} if patient else {"waiting"}
        pending = any(state in open_states for watch in watches for state in watch.states.values())
        pending = pending or any(watch.may_move for watch in watches)
        if not pending or time.monotonic() > until:
            break
        time.sleep(max(LOOK_EVERY_S, time.monotonic() - began))  # of thousands a look takes long, at the hub as here
    counts = {state: sum(list(w.states.values()).count(state) for w in watches) for state in _STYLES}
    if not quiet:
        for watch in watches:
            if text := placed.line(watch.regions):
                output.say(f"  {watch.key}  {text}")
        lacking = [watch for watch in watches if watch.short]
        output.say(_verdict(counts, _named(watches, "away"), sum(short.count(one.short) for one in lacking), wait_s))
        for watch in lacking:
            output.say(short.sentence(watch.key, watch.short), style="red")
    bad = any(watch.short for watch in watches) or counts["failed"] or counts["waiting"] or (patient and counts["away"])
    return 1 if bad else 0


def _named(watches: list[_Watch], state: str) -> list[str]:
    return list({one.spell(name): None for one in watches for name, so in one.states.items() if so == state})


def _verdict(counts: dict[str, int], away: list[str], lacking: int, wait_s: float) -> str:
    total = sum(counts.values())
    if not total and lacking:
        return f"0 of {lacking} placed"
    if not total:
        return "nothing to wait for: it is placed on no node"
    words = [f"{counts['done']} of {total} done"]
    if lacking:
        words.append(f"{lacking} more asked for and not placed")
    if counts["away"]:
        more = f" and {len(away) - NAMED} more" if len(away) > NAMED else ""
        words.append(f"{counts['away']} away ({', '.join(away[:NAMED])}{more})")
    if counts["failed"]:
        words.append(f"{counts['failed']} failed")
    if counts["overridden"]:
        words.append(f"{counts['overridden']} overridden")
    if counts["waiting"]:
        words.append(f"{counts['waiting']} still not after {human.duration(wait_s)}")
    is_well = counts["away"] and not counts["failed"] and not lacking
    tail = "; nothing failed (--wait=all waits for those away)" if is_well else ""
    return ", ".join(words) + tail
