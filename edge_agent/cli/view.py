"""What people see of the agent's answers. Each function takes the answer as it came and prints it."""

from __future__ import annotations

from typing import Any

import msgspec
from rich.console import Console
from rich.text import Text

from edge_agent.cli import human
from protocol.doctor import words

Json = dict[str, Any]

_console = Console(highlight=False, soft_wrap=True)
_BAD = frozenset({"failed", "backoff", "asking", "interrupted"})


def as_json(answer: object) -> None:
    """Print the stable form for programs: one JSON value on one line."""
    print(msgspec.json.encode(answer).decode())


def status(answer: Json) -> None:
    """Print the link's sentence, the services, the workflows, and what is wrong."""
    now = answer["now_ms"]
    say(f"{answer['node']}   {link(answer)}")
    if answer["hold"] is not None:
        say(held(answer["hold"], now), "yellow")
    services(answer)
    if answer["workflows"]:
        rows = [_workflow(name, one, now) for name, one in sorted(answer["workflows"].items())]
        _print(["WORKFLOW", "LAST RUN", "NEXT"], rows)
    for stream, count in sorted(answer["lost"].items()):
        say(f"{count:,} entries of {stream} are lost and declared so{_gap(answer, stream, now)}", "yellow")
    for condition in answer["conditions"]:
        if condition["text"] == answer["link"]["reason"]:
            continue  # the first line said it
        say(f"{condition['what']}: {condition['text']}", "yellow")


def _gap(answer: Json, stream: str, now: int) -> str:
    gap = answer["gaps"].get(stream)
    if gap is None:
        return ""
    quota = answer["quota"][stream]
    held = f"{words.size(quota['bytes'])} here, {words.size(quota['share'])} are its share"
    range_ = f"from number {gap['first']:,} to {gap['last']:,}, {human.clock(gap['declared_ms'], now)}"
    return f"; the newest gap goes {range_} ({gap['reason']}; {held})"


def link(answer: Json) -> str:
    """Return the sentence on the link: since when, why, and what waits."""
    view, now = answer["link"], answer["now_ms"]
    rows = sum(one["rows"] for one in answer["backlog"].values())
    size = sum(one["bytes"] for one in answer["backlog"].values())
    waits = human.plural(rows, "entry waits to sync", "entries wait to sync")
    waiting = f"{waits} ({words.size(size)})" if rows else "all entries are synced"
    age = human.since(view["since_ms"], now)
    if view["state"] == "live":
        return f"online for {age} (hub {view['parent']}); {waiting}"
    if view["state"] == "refused":
        return f"{view['reason']}; {waiting}"
    reason = f" ({human.plain(view['reason'])})" if view["reason"] else ""
    retry_s = view.get("retry_s")
    retry = "" if retry_s is None else f" Next try in {words.duration(max(1, round(retry_s)))}."
    return f"offline for {age}{reason}. Everything here keeps running; {waiting}.{retry}"


def held(hold: Json, now: int) -> str:
    """Return the sentence on a hold: by whom, until when, why, and what waits."""
    until = f"until {human.clock(hold['until_ms'], now)}" if hold.get("until_ms") else "until released"
    reason = f'; "{hold["reason"]}"' if hold.get("reason") else ""
    waits = human.plural(hold.get("waiting", 0), "change waits", "changes wait")
    since = human.clock(hold["since_ms"], now)
    by = f"updates held here by {hold['user']} since {since}, {until}{reason}"
    return f"{by}. {waits}; to let them come: skerry-agent unhold"


def services(answer: Json) -> None:
    """Print the table of services."""
    now = answer["now_ms"]
    rows = [_service(name, one, now) for name, one in sorted(answer["services"].items())]
    if rows:
        _print(["SERVICE", "STATE", "SINCE", "LAST EXIT"], rows)
    else:
        say("no services here yet")


def _service(name: str, one: Json, now: int) -> list[str | Text]:
    state = one["state"]
    override = one.get("override")
    healthy = one.get("healthy")
    if override is not None and override["decision"] == "stop" and state in ("stopped", "stopping"):
        shown = f"{state} here by {override['user']}"
    elif state == "running" and healthy is not None:
        shown = "running (healthy)" if healthy else "running (unhealthy)"
    else:
        shown = state
    bad = state in _BAD or healthy is False
    since = human.since(one.get("since_ms", 0), now)
    return [name, Text(shown, "red" if bad else ""), since, _notes(one, now)]


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


def _workflow(name: str, one: Json, now: int) -> list[str | Text]:
    last = one.get("last")
    shown = _run_line(last, now) if last else "–"
    return [name, shown, human.clock(one["next_ms"], now) if one.get("next_ms") else "–"]


def _run_line(run: Json, now: int) -> Text:
    ended = run.get("ended_ms", 0)
    took = words.duration(((ended or now) - run["started_ms"]) / 1000)
    steps = human.plural(len(run.get("steps", [])), "step", "steps")
    text = f"{run['state']}, {human.clock(run['started_ms'], now)}, {steps}, {took}"
    return Text(text, "red" if run["state"] in _BAD else "")


def runs(answer: list[Json], now: int) -> None:
    """Print the runs, the newest first."""
    if not answer:
        say("no runs here yet: skerry-agent workflow start NAME")
        return
    rows: list[list[str | Text]] = [
        [run["id"], run["workflow"], _run_line(run, now), run.get("trigger", ""), _steps(run)] for run in answer
    ]
    _print(["RUN", "WORKFLOW", "STATE", "BY", "STEPS"], rows)


def _steps(run: Json) -> str:
    shown: list[str] = []
    for step in run.get("steps", []):
        tries = f" ×{step['attempts']}" if step.get("attempts", 0) > 1 else ""
        code = f" ({step['exit_code']})" if step.get("exit_code") else ""
        shown.append(f"{step['name']} {step['state']}{tries}{code}")
    return ", ".join(shown)


def why(answer: Json, now: int, option: str = "") -> None:
    """Print the chain of reasons, nearest first; `option` goes on with the command that would change it."""
    override: Json = answer["report"].get("override") or {}
    times: zip[tuple[str, int]] = zip(answer["reasons"], answer["at_ms"], strict=False)
    reasons = [_reason(text, at_ms, override.get("until_ms", 0), now) for text, at_ms in times]
    first, *rest = reasons or ["nothing is known of it"]
    say(f"{answer['state']}, because {first}.")
    for reason in rest:
        say(f"{reason[:1].upper()}{reason[1:]}.")
    if answer["next"]:
        verb = "Release it" if " release " in answer["next"] else "Next"
        say(f"{verb}:  {answer['next']}{option}")


def _reason(text: str, at_ms: int, until_ms: int, now: int) -> str:
    """Return one reason with the times that the agent's core leaves to us, who know the local time."""
    text = human.plain(text).replace("until its life is over", f"until {human.clock(until_ms, now)}")
    word = "at" if text.startswith("its last exit") or " it here" in text else "since"
    return f"{text} ({word} {human.clock(at_ms, now)})" if at_ms else text


def decided(answer: Json, now: int) -> None:
    """Print what the agent says of a decision."""
    until_ms = answer.get("until_ms", 0)
    say(str(answer["text"]).replace("until the time you gave", f"until {human.clock(until_ms, now)}"))


def entry(one: Json) -> None:
    """Print one entry."""
    body = msgspec.json.encode(one["body"]).decode()
    say(f"{human.stamp(one['time'])}  {one['stream']:<7} {one['kind']:<20} {one['key']}  {body}")


def say(text: str, style: str = "") -> None:
    """Print a line; nothing in it is taken for markup."""
    _console.print(Text(text, style))


def _print(columns: list[str], rows: list[list[str | Text]]) -> None:
    """Print a table whose cells are never wrapped or cut: what does not fit the screen is still there to copy."""
    lines = [[Text(name, "bold") for name in columns]]
    lines += [[cell if isinstance(cell, Text) else Text(cell) for cell in row] for row in rows]
    widths = [max(line[at].cell_len for line in lines) for at in range(len(columns))]
    for line in lines:
        for cell, width in zip(line[:-1], widths, strict=False):
            cell.pad_right(width + 3 - cell.cell_len)
        _console.print(Text.assemble(*line))
