"""One line about one thing: a service, a workflow, a step, a certificate."""

from __future__ import annotations

from typing import Any

from hub.cli.view import human

FRESH_MS = 120_000
DECIDED = {"stop": "stopped", "start": "started"}  # a person's word about a service, once it is done


def ago(ms: int, now_ms: int) -> str:
    """Return how long ago the last contact was."""
    return f"{human.age(ms, now_ms)} ago" if ms else "it never connected"


def as_of(vitals: dict[str, Any] | None, now_ms: int) -> str:
    """Return as of when vitals are known, unless that is now: they are told every minute."""
    ms = vitals.get("time_ms", 0) if vitals else 0
    return f" (last known, as of {human.clock(ms, now_ms)})" if ms and now_ms - ms > FRESH_MS else ""


def clock_off(offset_ms: int) -> str:
    """Return how far a device's clock is from this hub's."""
    if abs(offset_ms) < 1_000:
        return f"{offset_ms} ms off"
    way = "ahead of" if offset_ms > 0 else "behind"
    return f"{human.duration(abs(offset_ms) / 1000)} {way} this hub's"


def certificate(until_ms: int, now_ms: int) -> str:
    """Return how long a certificate is good."""
    if not until_ms:
        return "not known"
    if until_ms < now_ms:
        return f"expired {human.clock(until_ms, now_ms)}; it renews by itself when it connects"
    return f"good until {human.clock(until_ms, now_ms)} ({human.duration((until_ms - now_ms) / 1000)})"


def lost(node: dict[str, Any], stream: str) -> str:
    """Return what was declared lost of a stream."""
    lost = node["lost"].get(stream, 0)
    waits = ", waits before rows that nobody vouches for" if stream in node["waiting"] else ""
    return f", declared lost {lost:,}{waits}"


def losses(node: dict[str, Any], now_ms: int) -> list[tuple[str, str]]:
    """Return what was declared lost, range by range, the newest last; `when` is by the device's clock."""
    return [
        (stream, _loss(one, now_ms))
        for stream, known in sorted(node["losses"].items())
        for one in sorted(known, key=lambda one: one.get("time_ms", 0))
    ]


def _loss(one: dict[str, Any], now_ms: int) -> str:
    when = f", declared {human.clock(one['time_ms'], now_ms)}" if one.get("time_ms") else ""
    rows = human.plural(one["count"], "row").replace(str(one["count"]), f"{one['count']:,}", 1)
    return f"{one['first']:,} to {one['last']:,}, {rows}: {one['reason']}{when} (epoch {one['epoch']})"


def service_words(one: dict[str, Any], now_ms: int) -> str:
    """Return the state of a service in one line, with the reason where there is one."""
    words = [one["state"]]
    if one["state"] == "running" and one.get("healthy") is not None:
        words[0] += " (healthy)" if one["healthy"] else " (unhealthy)"
    if one.get("since_ms"):
        words.append(f"since {human.clock(one['since_ms'], now_ms)}")
    if one.get("pid"):
        words.append(f"pid {one['pid']}")
    if one.get("by"):
        words.append(f"declared there by {one['by']}")
    if one.get("restarts"):
        words.append(human.plural(one["restarts"], "restart"))
    if one.get("last_exit"):
        words.append(f"last exit {one['last_exit']}")
    if one.get("reason"):
        words.append(one["reason"])
    text = ", ".join(words)
    return f"{text}\n{_override_words(one['override'], now_ms)}" if one.get("override") else text


def _override_words(one: dict[str, Any], now_ms: int) -> str:
    until = f"until {human.clock(one['until_ms'], now_ms)}" if one.get("until_ms") else "until released"
    reason = f'; "{one["reason"]}"' if one.get("reason") else ""
    done = DECIDED.get(one["decision"], one["decision"])
    return f"{done} there by {one['user']} at {human.clock(one.get('since_ms'), now_ms)}, {until}{reason}"


def held(node: dict[str, Any], now_ms: int) -> str:
    """Return by whom updates are kept away from a node, since when, until when and why, and what waits there."""
    one = node["hold"]
    until = f"until {human.clock(one['until_ms'], now_ms)}" if one.get("until_ms") else "until released"
    reason = f'; "{one["reason"]}"' if one.get("reason") else ""
    text = f"held there by {one['user']} since {human.clock(one.get('since_ms'), now_ms)}, {until}{reason}"
    waits = f"{one['waiting']} of what is asked waits" if one.get("waiting") else "nothing waits"
    follows = f"{waits}, it follows generation {one.get('generation', 0)}"
    ask = "" if node["through"] else f"      (skerry node release {node['name']})"
    return f"{text}\n{follows}{ask}"


def overridden(one: dict[str, Any], now_ms: int) -> str:
    """Return `by ola until 14:02: a storm      (skerry release service/sign)`, of an override at this hub."""
    until = human.clock(one["until_ms"], now_ms)
    return f"by {one['by']} until {until}: {one['reason']}      (skerry release {one['key']})"


def flow_words(one: dict[str, Any], now_ms: int) -> str:
    """Return what a workflow does on a node, in one line."""
    words = [f"{one['running']} running"] if one.get("running") else []
    last = one.get("last")
    if last:
        words.append(f"last run {last['state']}, {human.age(last['started_ms'], now_ms)} ago")
    words.append(f"next {human.clock(one['next_ms'], now_ms)}" if one.get("next_ms") else "no schedule")
    return ", ".join(words)


def step_words(step: dict[str, Any]) -> str:
    """Return what a step is, in one line."""
    what = " ".join(step["run"]) if "run" in step else "sets " + ", ".join(step.get("set", {}))
    return what + (f"      after {', '.join(step['needs'])}" if step.get("needs") else "")


def ran_words(step: dict[str, Any]) -> str:
    """Return how a step of a run went."""
    words = [step["state"]]
    if step.get("attempts", 0) > 1:
        words.append(human.plural(step["attempts"], "attempt"))
    if step.get("exit_code") not in (None, 0):
        words.append(f"exit code {step['exit_code']}")
    return ", ".join(words)
