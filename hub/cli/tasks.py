"""run and workflow: one-off work on many devices, its results as they come."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Annotated, Any

import typer

from hub.cli import client, options
from hub.cli.listing.paths import Paths
from hub.cli.view import examples, human, output, prefix
from hub.cli.view.output import Format
from protocol.errors import Refused

ENDED = frozenset({"ok", "failed", "refused", "unknown", "cancelled"})
SLACK_S = 15.0  # beyond its timeout, for a result to come up

workflows = typer.Typer(help="Start and cancel runs of workflows.", no_args_is_help=True, rich_markup_mode=None)

Deadline = Annotated[
    str, typer.Option("--deadline", metavar="TIME", help="Devices that are away do it until then, or refuse.")
]
NoDeadline = Annotated[bool, typer.Option("--no-deadline", help="Keep asking devices that are away.")]


def run(
    command: Annotated[list[str], typer.Argument(metavar="COMMAND")],
    selector: options.Selector = "",
    node: options.Nodes = None,
    timeout: Annotated[str, typer.Option("--timeout", metavar="TIME", help="It is stopped after this.")] = "30s",
    deadline: Deadline = "10m",
    no_deadline: NoDeadline = False,
    user: Annotated[str, typer.Option("--user", help="As this user of the device.")] = "",
    no_network: Annotated[
        bool, typer.Option("--no-network", help="Without a network, or not at all where that cannot be enforced.")
    ] = False,
    repeatable: Annotated[bool, typer.Option("--repeatable", help="It is safe to run it twice.")] = False,
    form: options.Output = Format.TABLE,
) -> None:
    """Run a command on devices, and show what each prints. Put -- before it."""
    timeout_s = options.seconds(timeout, "--timeout")
    body = options.target(node, selector) | {
        "command": command,
        "timeout_s": timeout_s,
        "deadline_s": None if no_deadline else options.seconds(deadline, "--deadline"),
        "user": user,
        "repeatable": repeatable,
        **({"isolation": {"network": "none", "required": True}} if no_network else {}),
        "wait": True,
        "wait_s": timeout_s + SLACK_S,
    }
    with client.Client() as hub:
        raise typer.Exit(_Story(hub, form).follow(hub.lines("POST", "/v1/tasks", body=body)))


@workflows.command(epilog=examples.START)
def start(
    name: Annotated[str, typer.Argument(metavar="NAME", autocompletion=options.complete_workflow)],
    selector: options.Selector = "",
    node: options.Nodes = None,
    param: Annotated[list[str] | None, typer.Option("-p", "--param", metavar="KEY=VALUE", help="A parameter.")] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Until the runs have ended.")] = False,
    timeout: Annotated[str, typer.Option("--timeout", metavar="TIME", help="How long to wait at most.")] = "1h",
    deadline: Deadline = "10m",
    no_deadline: NoDeadline = False,
    form: options.Output = Format.TABLE,
) -> None:
    """Start a workflow: on the nodes it is placed on, or on some of them."""
    with client.Client() as hub:
        chosen: dict[str, object] = options.target(node, selector) if node or selector else _placed_on(hub, name)
        body = chosen | {
            "workflow": name,
            "params": _params(param or []),
            "deadline_s": None if no_deadline else options.seconds(deadline, "--deadline"),
            "wait": wait,
            "wait_s": options.seconds(timeout, "--timeout"),
        }
        if wait:
            raise typer.Exit(_Story(hub, form, noun="run").follow(hub.lines("POST", "/v1/tasks", body=body)))
        answer = hub.post("/v1/tasks", body)
        if form.is_exact:
            output.emit(answer, form)
            return
        names = [Paths(hub).of(task["node"]) for task in answer["tasks"][:6]]
        output.say(f"{name} asked for on {human.plural(len(answer['tasks']), 'node')}: {', '.join(names)}")
        output.note(f"see: skerry get runs    (--wait waits for the end; {answer['group']})")


@workflows.command(epilog=examples.CANCEL)
def cancel(
    run_id: Annotated[str, typer.Argument(metavar="RUN")],
    timeout: Annotated[str, typer.Option("--timeout", metavar="TIME", help="How long to wait at most.")] = "30s",
    form: options.Output = Format.TABLE,
) -> None:
    """Cancel a run: the step that runs is stopped, the rest is not begun."""
    with client.Client() as hub:
        found = hub.get(f"/v1/runs/{run_id}")
        wait_s = options.seconds(timeout, "--timeout")
        body = {"nodes": [found["node"]], "cancel_run": run_id, "wait": True, "wait_s": wait_s}
        raise typer.Exit(_Story(hub, form, noun="cancel").follow(hub.lines("POST", "/v1/tasks", body=body)))


def _placed_on(hub: client.Client, name: str) -> dict[str, object]:
    nodes = hub.get(f"/v1/workflows/{name}")["nodes"]
    if not nodes:
        raise Refused(f"{name} is placed on no node: say where with --node or -l")
    return {"nodes": nodes}


def _params(pairs: list[str]) -> dict[str, str]:
    for pair in pairs:
        if "=" not in pair:
            raise client.UsageError(f'-p "{pair}": write KEY=VALUE')
    return {key: value for key, _, value in (pair.partition("=") for pair in pairs)}


class _Story:
    """Tells what the nodes say of one group of tasks, in the order they say it."""

    def __init__(self, hub: client.Client, form: Format, noun: str = "") -> None:
        self._form, self._shown = form, Paths(hub).of
        self._noun = noun
        self._width = 0
        self._last: dict[str, dict[str, Any]] = {}

    def follow(self, lines: Iterator[dict[str, Any]]) -> int:
        """Show each result as it comes; return the exit code: 1 when any failed, or has not ended in time."""
        first = next(lines, None)
        if first is None:
            raise client.HubAway("the hub broke off before it said anything: see `skerry get nodes`, try again")
        self._width = max((len(self._shown(task["node"])) for task in first["nodes"]), default=0)
        for task in first["nodes"]:
            self._take(task)
        for task in lines:
            self._take(task)
        late = [self._shown(node) for node, task in self._last.items() if task["state"] not in ENDED | {"away"}]
        for task in self._last.values():
            if task["state"] == "failed" and task.get("run") and not self._form.is_exact:
                output.note(f"see: skerry describe run {task['run']}")
                break
        if late and not self._form.is_exact:
            output.note(f"no result yet from {', '.join(late[:6])}: see `skerry events --kind task.ended`")
        bad = any(task["state"] in ENDED - {"ok"} for task in self._last.values())
        return 1 if bad or late else 0

    def _take(self, task: dict[str, Any]) -> None:
        before = self._last.get(task["node"])
        self._last[task["node"]] = task
        if self._form.is_exact:
            if task["state"] in ENDED or task["state"] == "away":
                output.emit_line(task, self._form)
        elif task["state"] == "away" and (before is None or before["state"] != "away"):
            prefix.note(self._shown(task["node"]), _away(task), width=self._width)
        elif task["state"] in ENDED and (before is None or before != task):
            self._result(task)

    def _result(self, task: dict[str, Any]) -> None:
        node, took = self._shown(task["node"]), human.duration(task.get("duration_s") or 0.0)
        lines = [(text, "") for text in _lines(task.get("stdout"))] + [
            (text, "red") for text in _lines(task.get("stderr"))
        ]
        for at, (text, style) in enumerate(lines):
            ends = at == len(lines) - 1 and task["state"] == "ok"
            prefix.line(node, text, width=self._width, tail=took if ends else "", style=style)
        if task["state"] == "ok" and task.get("reason"):
            prefix.note(node, output.clean(str(task["reason"])), width=self._width)
        if task["state"] != "ok":
            prefix.line(node, _verdict(task, took), width=self._width, style="bold red")
        elif not lines:
            prefix.line(node, f"{self._noun} ok".strip(), width=self._width, tail=took, style="green")


def _lines(text: object) -> list[str]:
    return [output.clean(line) for line in str(text or "").rstrip("\n").splitlines()]


def _verdict(task: dict[str, Any], took: str) -> str:
    words: list[str] = [str(task["state"])]
    if task.get("signal"):
        words.append(f"signal {task['signal']}")
    elif task.get("exit_code") is not None:
        words.append(f"exit code {task['exit_code']}")
    if task.get("reason"):
        words.append(output.clean(str(task["reason"])))
    return ", ".join(words) + (f"  after {took}" if task.get("duration_s") else "")


def _away(task: dict[str, Any]) -> str:
    now_ms = int(time.time() * 1000)
    since = f"away since {human.clock(task.get('since_ms'), now_ms)}"
    if not task.get("deadline_ms"):
        return f"{since}; asked until it returns      (skerry events --node {task['node']} --kind task.ended -f)"
    until = human.clock(task["deadline_ms"], now_ms)
    return f"{since}; asked until {until}, then refused there      (--no-deadline to keep asking)"
