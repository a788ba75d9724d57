"""The rows of the tables about this device."""

from __future__ import annotations

from typing import Any

from rich.text import Text

from edge_agent.cli import human, view
from protocol.doctor import words

Json = dict[str, Any]

SERVICES = ("SERVICE", "STATE", "SINCE", "LAST EXIT")
SERVICES_WIDE = ("PID", "RESTARTS", "DIGEST")
WORKFLOWS = ("WORKFLOW", "LAST RUN", "NEXT")
RUNS = ("RUN", "WORKFLOW", "STATE", "BY", "STEPS")

SPOKEN = {"backoff": "waits to start again"}
"""The states whose names say too little to a person."""

_BAD = frozenset({"failed", "backoff", "asking", "interrupted"})
_WAITS = frozenset({"fetching", "waiting", "starting", "stopping", "stopped"})
_GOOD = frozenset({"running", "ok"})


def services(answer: Json, *, wide: bool = False) -> list[view.Row]:
    """Return a row for each service."""
    return [_service(name, one, answer["now_ms"], wide=wide) for name, one in sorted(answer["services"].items())]


def _service(name: str, one: Json, now: int, *, wide: bool) -> view.Row:
    at = human.clock(one["override"]["since_ms"], now) if _is_stopped(one) else human.since(one.get("since_ms", 0), now)
    row = [name, state(one), at, _notes(one, now)]
    if wide:
        row += [str(one.get("pid") or "–"), str(one.get("restarts", 0)), one.get("digest", "")[:19] or "–"]
    return row


def _is_stopped(one: Json) -> bool:
    override = one.get("override")
    return override is not None and override["decision"] == "stop" and one["state"] in ("stopped", "stopping")


def state(one: Json) -> Text:
    """Return a service's state, coloured: what is wrong is red, what waits yellow, what works green."""
    shown, healthy = one["state"], one.get("healthy")
    if _is_stopped(one):
        return Text(view.clean(f"{shown} here by {one['override']['user']}"), "yellow")
    if shown == "running" and healthy is not None:
        return Text("running (healthy)", "green") if healthy else Text("running (unhealthy)", "red")
    return Text(view.clean(_looping(one) or SPOKEN.get(shown, shown)), _colour(shown))


def _looping(one: Json) -> str:
    return "crash looping" if one["state"] == "backoff" and one.get("restarts", 0) > 1 else ""


def _colour(state: str) -> str:
    return "red" if state in _BAD else "yellow" if state in _WAITS else "green" if state in _GOOD else ""


def _notes(one: Json, now: int) -> str:
    override = one.get("override")
    notes = [one.get("last_exit", "")]
    if override is not None:
        until = override.get("until_ms", 0)
        notes.append(f"until {human.clock(until, now)}" if until else "until released")
        notes.append(f'"{override["reason"]}"' if override.get("reason") else "")
    elif one.get("reason"):
        notes.append(one["reason"])
    return "; ".join(note for note in notes if note) or "–"


def workflows(answer: Json) -> list[view.Row]:
    """Return a row for each workflow."""
    now = answer["now_ms"]
    return [_workflow(name, one, now) for name, one in sorted(answer["workflows"].items())]


def _workflow(name: str, one: Json, now: int) -> view.Row:
    last = one.get("last")
    return [name, _run(last, now) if last else "–", human.clock(one["next_ms"], now) if one.get("next_ms") else "–"]


def _run(run: Json, now: int) -> Text:
    ended = run.get("ended_ms", 0)
    took = words.duration(((ended or now) - run["started_ms"]) / 1000)
    steps = human.plural(len(run.get("steps", [])), "step", "steps")
    text = f"{run['state']}, {human.clock(run['started_ms'], now)}, {steps}, {took}"
    return Text(view.clean(text), _colour(run["state"]))


def runs(answer: list[Json], now: int) -> list[view.Row]:
    """Return a row for each run."""
    return [[run["id"], run["workflow"], _run(run, now), run.get("trigger", ""), _steps(run)] for run in answer]


def _steps(run: Json) -> str:
    shown: list[str] = []
    for step in run.get("steps", []):
        tries = f" ×{step['attempts']}" if step.get("attempts", 0) > 1 else ""
        code = f" ({step['exit_code']})" if step.get("exit_code") else ""
        shown.append(f"{step['name']} {step['state']}{tries}{code}")
    return ", ".join(shown)
