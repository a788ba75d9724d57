"""The commands for people, on Typer and Rich. Exit codes: 0 done, 1 failed, 2 usage, 3 hub or agent unreachable."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from edge_agent.cli import client, view
from edge_agent.cli.carrying import inviting, sticks
from edge_agent.cli.options import As, Data, Output, pairs
from edge_agent.cli.person import deciding, declaring, looking
from edge_agent.shell import identity
from protocol import limits
from protocol.doctor import words
from protocol.errors import SkerryError

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
looking.add(app)
deciding.add(app)
declaring.add(app)
sticks.add(app)


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


@app.command(epilog="Example:  skerry-agent enroll --hub https://hub:8443 --token sk1.9f3c…")
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
            help=f"What journal and telemetry may take on disk, {limits.DEVICE_QUOTA_BYTES_MIN >> 20}Mi at least.",
            show_default=f"{limits.DEVICE_QUOTA_BYTES >> 20}Mi",
        ),
    ] = "",
    again: Annotated[bool, typer.Option("--again", help="Even if the hub knows it: same key, same name.")] = False,
    discover: Annotated[bool, typer.Option("--discover", help="Find the token's hub on this network.")] = False,
    stick: Annotated[
        Path | None,
        typer.Option("--from", metavar="PATH", help="With no network: the stick of `skerry bundle device`."),
    ] = None,
    data: Data = None,
) -> None:
    """Make this device a part of a fleet. The key is made here and stays here; twice is harmless.

    A device that its hub does not know any more (it was restored from an older backup) is enrolled again.
    """
    if stick is not None:
        inviting.prepare(stick, name, pairs(label, "--label"), data)
        return
    from edge_agent.shell import enroll as enrollment

    place = data or identity.default_data()
    identity.act_as_owner(place)
    if not hub and not discover and not (place / "agent.json").exists():
        raise typer.BadParameter("name the hub: --hub https://HOST:8443, or --discover")
    if hub and discover:
        raise typer.BadParameter("--discover looks for the hub that the token names: leave out --hub, or --discover")
    text = sys.stdin.readline().strip() if token in ("", "-") and not sys.stdin.isatty() else token
    if discover:
        from edge_agent.shell.finding import choose

        hub = choose.url(text)
    request = enrollment.Request(
        hub=hub, token=text, name=name, mqtt=mqtt, quota=quota, labels=pairs(label, "--label"), again=again
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


@app.command(epilog="Example:  skerry-agent run --data ./oslo-gw-1")
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
    if output.is_exact:
        view.exact(findings.as_json(found), output)
    else:
        for line, colour in findings.lines(found):
            view.say(line, colour)
    raise typer.Exit(findings.code(found))


@app.command(epilog="Example, in a workload:  skerry-agent emit --kind warm --body '{\"t\": 21.5}'")
def emit(
    kind: Annotated[str, typer.Option("--kind", help="What happened; it becomes app.KIND.")] = "",
    body: Annotated[str, typer.Option("--body", help="JSON; without it, one for each line of stdin.")] = "",
    key: Annotated[str, typer.Option("--key", help="Whom it concerns; by default the service or the run.")] = "",
    to: Annotated[str, typer.Option("--to", help="state, audit, metrics, logs, or outputs (of a step).")] = "",
    wait: Annotated[float, typer.Option("--wait", help="Seconds to wait for an agent that restarts.")] = 10.0,
) -> None:
    """Say something from inside a workload; returns once it is safely in the journal."""
    raise AssertionError("edge_agent.cli.main serves emit")


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
