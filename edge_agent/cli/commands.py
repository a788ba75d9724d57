"""The commands for people, on Typer and Rich. Exit codes: 0 done, 1 failed, 2 usage, 3 hub or agent unreachable."""

from __future__ import annotations

import enum
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from edge_agent.cli import client, view
from edge_agent.shell import identity
from protocol import limits
from protocol.doctor import words
from protocol.errors import SkerryError
from protocol.spec.quantities import format_size

if TYPE_CHECKING:
    from edge_agent.shell import enroll as enrollment

DONE, FAILED, USAGE, UNREACHABLE = 0, 1, 2, 3

EXAMPLES = """\b
Examples:
  skerry-agent enroll --hub https://hub.example:8443 --token sk1.9f3c…   make this device part of a fleet
  skerry-agent status                                  what runs here, and whether the hub knows
  skerry-agent why label-print                         the reasons for a service's state
  skerry-agent stop label-print --reason "belt jammed" --for 2h
  skerry-agent logs line-vision -f                     what a service prints, as it prints it"""

app = typer.Typer(
    help="Run a device's part of a fleet, and work with it on the spot, with no network at all.",
    epilog=EXAMPLES,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
workflow = typer.Typer(help="Start and cancel runs of workflows.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(workflow, name="workflow")


class Output(enum.StrEnum):
    """How answers are printed."""

    table = "table"
    json = "json"


def _service_names(incomplete: str) -> list[str]:
    """Complete a service's name from what runs here."""
    try:
        return [name for name in client.ask(None, {"do": "status"})["services"] if name.startswith(incomplete)]
    except SkerryError:
        return []


Data = Annotated[
    Path | None,
    # not readable: the folder is its owner's, and who may ask the agent is said by its socket
    typer.Option("--data", help="The agent's directory (or $SKERRY_DATA).", readable=False),
]
As = Annotated[Output, typer.Option("-o", "--output", help="table or json (stable, for programs).")]
Service = Annotated[str, typer.Argument(metavar="SERVICE", autocompletion=_service_names)]
Reason = Annotated[str, typer.Option("--reason", help="Why; the hub will see it, with your name.")]
Life = Annotated[
    str, typer.Option("--for", metavar="TIME", help="How long it holds (30m, 2h, 1d); else until released.")
]
Param = Annotated[list[str] | None, typer.Option("-p", "--param", metavar="KEY=VALUE")]


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"skerry-agent {version('skerry')}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


# ------------------------------------------------------------------------------------------------ the device itself


@app.command(epilog="Example:  skerry-agent enroll --hub https://hub.example:8443 --token sk1.9f3c… --label site=oslo")
def enroll(
    hub: Annotated[str, typer.Option("--hub", metavar="URL", help="The hub's API, https://HOST:8443.")] = "",
    token: Annotated[
        str, typer.Option("--token", help="From `skerry token create`; `-` reads stdin.", envvar="SKERRY_TOKEN")
    ] = "",
    name: Annotated[str, typer.Option("--name", help="The device's name; the hub makes one up otherwise.")] = "",
    label: Annotated[list[str] | None, typer.Option("--label", metavar="KEY=VALUE")] = None,
    mqtt: Annotated[
        str, typer.Option("--mqtt", metavar="HOST:PORT", help="Reach the hub's MQTT here, not where the hub says.")
    ] = "",
    quota: Annotated[
        str,
        typer.Option(
            "--quota",
            metavar="SIZE",
            help=f"What journal and telemetry may take on disk, {format_size(limits.DEVICE_QUOTA_BYTES_MIN)} at least.",
            show_default=format_size(limits.DEVICE_QUOTA_BYTES),
        ),
    ] = "",
    again: Annotated[bool, typer.Option("--again", help="Even if the hub knows it: same key, same name.")] = False,
    discover: Annotated[bool, typer.Option("--discover", help="Find the token's hub on this network.")] = False,
    data: Data = None,
) -> None:
    """Make this device a part of a fleet. The key is made here and stays here; twice is harmless.

    A device that its hub does not know any more (it was restored from an older backup) is enrolled again.
    """
    from edge_agent.shell import enroll as enrollment

    place = data or identity.default_data()
    if not hub and not discover and not (place / "agent.json").exists():
        raise typer.BadParameter("name the hub: --hub https://HOST:8443, or --discover")
    if hub and discover:
        raise typer.BadParameter("--discover looks for the hub that the token names: leave out --hub, or --discover")
    text = sys.stdin.readline().strip() if token in ("", "-") and not sys.stdin.isatty() else token
    if discover:
        from edge_agent.shell.finding import choose

        hub = choose.url(text)
    request = enrollment.Request(
        hub=hub, token=text, name=name, mqtt=mqtt, quota=quota, labels=_pairs(label, "--label"), again=again
    )
    try:
        result = enrollment.enroll(place, request)
    except enrollment.Unreachable as error:
        _end(error, UNREACHABLE)
    (_say_enrolled if result.new else _say_known)(result, data)


def _say_enrolled(result: enrollment.Result, data: Path | None) -> None:
    file, place = result.file, data or identity.default_data()
    view.say(f'trusting     hub "{file.hub}": its fingerprint matches the token')
    option = "" if data is None else f" --data {data}"
    if result.again:
        view.say(f"enrolled     again as {file.node}, with the key and the journal it has ({place})")
        view.say("Next:  nothing, if its agent runs: it comes back by itself. Its hub may ask an operator first.")
        return
    view.say(f"enrolled     as {file.node}; the key was made here and stays here ({place})")
    view.say(f"Next:  skerry-agent run{option}   (or: sudo systemctl enable --now skerry-agent)")


def _say_known(result: enrollment.Result, data: Path | None) -> None:
    file = result.file
    changed = "nothing was changed"
    if result.quota_changed:
        changed = f"its quota is {words.size(file.quota_bytes)} from the next start of the agent on"
    view.say(f"This device is {file.node} at hub {file.hub} already; {changed}.")
    if result.unasked:
        option = "" if data is None else f" --data {data}"
        view.say(f"Whether the hub still knows it could not be asked: {result.unasked}")
        view.say(f"If it does not: skerry-agent enroll --again --token TOKEN{option}")


@app.command()
def run(data: Data = None) -> None:
    """Run the agent in the foreground until it is told to stop; what it started runs on."""
    from edge_agent.cli import run as daemon

    raise typer.Exit(daemon.main([] if data is None else ["--data", str(data)]))


@app.command("doctor", epilog="Examples:  skerry-agent doctor          sudo skerry-agent doctor -o json")
def examine(data: Data = None, output: As = Output.table) -> None:
    """Check and explain files, permissions, clock, certificates, disk, hub, versions; the agent may run or not.

    Changes nothing. Exit code 0: no problem; 1: a problem; 3: only that the hub, or the agent, is not there.
    """
    from edge_agent.cli import doctor
    from protocol.doctor import findings

    found = doctor.examine(data or identity.default_data())
    if output is Output.json:
        view.as_json(findings.as_json(found))
    else:
        for line, colour in findings.lines(found):
            view.say(line, colour)
    raise typer.Exit(findings.code(found))


# ------------------------------------------------------------------------------------------------ looking


@app.command(epilog="Example:  skerry-agent status -o json")
def status(data: Data = None, output: As = Output.table) -> None:
    """Show what runs here, and whether the hub knows."""
    answer = client.ask(data, {"do": "status"})
    view.as_json(answer) if output is Output.json else view.status(answer)


@app.command()
def services(data: Data = None, output: As = Output.table) -> None:
    """List the services of this device."""
    answer = client.ask(data, {"do": "status"})
    if output is Output.json:
        view.as_json([{"name": name} | one for name, one in answer["services"].items()])
    else:
        view.services(answer)


@app.command()
def runs(
    name: Annotated[str, typer.Argument(metavar="[WORKFLOW]")] = "", data: Data = None, output: As = Output.table
) -> None:
    """List the runs that this device remembers, the newest first."""
    answer = client.ask(data, {"do": "runs", "workflow": name})
    view.as_json(answer) if output is Output.json else view.runs(answer, _now_ms())


@app.command(epilog="Example:  skerry-agent events --kind 'service.*' -f")
def events(
    kind: Annotated[str, typer.Option("--kind", help="Only kinds that begin so: service.*")] = "",
    limit: Annotated[int, typer.Option("--limit", "-n", min=0)] = 50,
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Go on with what comes.")] = False,
    data: Data = None,
    output: As = Output.table,
) -> None:
    """Show what happened here, oldest first."""
    request: dict[str, object] = {"do": "events", "kind": kind.removesuffix("*"), "limit": limit, "follow": follow}
    for one in client.stream(data, request):
        if one is not None:
            view.as_json(one) if output is Output.json else view.entry(one)


@app.command(epilog="Example:  skerry-agent logs line-vision -f")
def logs(
    service: Service,
    tail: Annotated[int, typer.Option("--tail", min=0)] = 100,
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Go on with what comes.")] = False,
    data: Data = None,
) -> None:
    """Show what a service prints."""
    request: dict[str, object] = {"do": "logs", "service": service, "tail": tail, "follow": follow}
    for one in client.stream(data, request):
        if one is not None:
            print(one["line"], flush=follow)


@app.command(epilog="Example:  skerry-agent why label-print")
def why(service: Service, data: Data = None, output: As = Output.table) -> None:
    """Tell why a service is in its state, from the nearest reason to what the hub wants."""
    answer = client.ask(data, {"do": "why", "service": service})
    option = "" if data is None else f" --data {data}"
    view.as_json(answer) if output is Output.json else view.why(answer, _now_ms(), option)


# ------------------------------------------------------------------------------------------------ deciding


@app.command(epilog='Example:  skerry-agent stop label-print --reason "belt jammed" --for 2h')
def stop(service: Service, reason: Reason = "", life: Life = "", data: Data = None, output: As = Output.table) -> None:
    """Stop a service here. It stays stopped over reboots and new generations until it is released."""
    _decide(data, output, {"do": "stop", "service": service, "reason": reason, "until_ms": _until_ms(life)})


@app.command()
def start(service: Service, reason: Reason = "", life: Life = "", data: Data = None, output: As = Output.table) -> None:
    """Start a service here, whatever the hub says, until it is released."""
    _decide(data, output, {"do": "start", "service": service, "reason": reason, "until_ms": _until_ms(life)})


@app.command()
def restart(service: Service, reason: Reason = "", data: Data = None, output: As = Output.table) -> None:
    """Restart a service now."""
    _decide(data, output, {"do": "restart", "service": service, "reason": reason})


@app.command()
def release(service: Service, reason: Reason = "", data: Data = None, output: As = Output.table) -> None:
    """End a stop or start of yours: the service follows the hub again."""
    _decide(data, output, {"do": "release", "service": service, "reason": reason})


@workflow.command("start", epilog="Example:  skerry-agent workflow start shift-report -p line=2")
def workflow_start(
    name: Annotated[str, typer.Argument(metavar="WORKFLOW")],
    param: Param = None,
    reason: Reason = "",
    data: Data = None,
    output: As = Output.table,
) -> None:
    """Start a run here."""
    params = _pairs(param, "-p")
    _decide(data, output, {"do": "workflow-start", "workflow": name, "params": params, "reason": reason})


@workflow.command("cancel")
def workflow_cancel(
    run: Annotated[str, typer.Argument(metavar="RUN")],
    reason: Reason = "",
    data: Data = None,
    output: As = Output.table,
) -> None:
    """Cancel a run here."""
    _decide(data, output, {"do": "run-cancel", "run": run, "reason": reason})


@workflow.command("answer", epilog="Example:  skerry-agent workflow answer r-17 publish retry")
def workflow_answer(
    run: Annotated[str, typer.Argument(metavar="RUN")],
    step: Annotated[str, typer.Argument(metavar="STEP")],
    answer: Annotated[str, typer.Argument(metavar="retry|fail")],
    data: Data = None,
    output: As = Output.table,
) -> None:
    """Decide about a step that was interrupted and asks."""
    _decide(data, output, {"do": "run-answer", "run": run, "step": step, "answer": answer})


@app.command(epilog="Example (inside a workload):  skerry-agent emit --kind measured --body '{\"t\": 21.5}'")
def emit(
    kind: Annotated[str, typer.Option("--kind", help="What happened; it becomes app.KIND.")] = "",
    body: Annotated[str, typer.Option("--body", help="JSON; without it, one for each line of stdin.")] = "",
    key: Annotated[str, typer.Option("--key", help="Whom it concerns; by default the service or the run.")] = "",
    to: Annotated[str, typer.Option("--to", help="state, audit, metrics, logs, or outputs (of a step).")] = "",
    wait: Annotated[float, typer.Option("--wait", help="Seconds to wait for an agent that restarts.")] = 10.0,
) -> None:
    """Say something from inside a workload; returns once it is safely in the journal."""
    raise AssertionError("edge_agent.cli.main serves emit")


def _decide(data: Path | None, output: Output, request: dict[str, object]) -> None:
    answer: dict[str, Any] = client.ask(data, request)
    if output is Output.json:
        view.as_json(answer)
        return
    view.decided(answer, _now_ms())


def _now_ms() -> int:
    return int(time.time() * 1000)


def _until_ms(life: str) -> int:
    if not life:
        return 0
    unit = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}.get(life[-1], 0)
    try:
        seconds = float(life[:-1]) * unit
    except ValueError:
        seconds = 0.0
    if seconds <= 0:
        raise typer.BadParameter(f"{life!r} is no time: write 30m, 2h or 1d", param_hint="--for")
    return int((time.time() + seconds) * 1000)


def _pairs(texts: list[str] | None, option: str) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for text in texts or []:
        key, equals, value = text.partition("=")
        if not key or not equals:
            raise typer.BadParameter(f"{text!r}: write KEY=VALUE", param_hint=option)
        pairs[key] = value
    return pairs


def _end(error: SkerryError, code: int) -> NoReturn:
    print(f"skerry-agent: {error}", file=sys.stderr)
    raise typer.Exit(code)


def main() -> None:
    """Run the command in sys.argv."""
    try:
        app()
    except client.Away as error:
        print(f"skerry-agent: {error}", file=sys.stderr)
        sys.exit(UNREACHABLE)
    except SkerryError as error:
        print(f"skerry-agent: {error}", file=sys.stderr)
        sys.exit(FAILED)
    except KeyboardInterrupt:
        sys.exit(DONE)
