"""The commands that only look: what runs here, what happened, and why."""

from __future__ import annotations

from typing import Annotated

import typer

from edge_agent.cli import client, view
from edge_agent.cli.options import As, Data, Output, Service, now_ms


def status(data: Data = None, output: As = Output.table) -> None:
    """Show what runs here, and whether the hub knows."""
    answer = client.ask(data, {"do": "status"})
    view.as_json(answer) if output is Output.json else view.status(answer)


def services(data: Data = None, output: As = Output.table) -> None:
    """List the services of this device."""
    answer = client.ask(data, {"do": "status"})
    if output is Output.json:
        view.as_json([{"name": name} | one for name, one in answer["services"].items()])
    else:
        view.services(answer)


def runs(
    name: Annotated[str, typer.Argument(metavar="[WORKFLOW]")] = "", data: Data = None, output: As = Output.table
) -> None:
    """List the runs that this device remembers, the newest first."""
    answer = client.ask(data, {"do": "runs", "workflow": name})
    view.as_json(answer) if output is Output.json else view.runs(answer, now_ms())


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


def why(service: Service, data: Data = None, output: As = Output.table) -> None:
    """Tell why a service is in its state, from the nearest reason to what the hub wants."""
    answer = client.ask(data, {"do": "why", "service": service})
    option = "" if data is None else f" --data {data}"
    view.as_json(answer) if output is Output.json else view.why(answer, now_ms(), option)


def add(app: typer.Typer) -> None:
    """Put the commands into `app`."""
    app.command(epilog="Example:  skerry-agent status -o json")(status)
    app.command()(services)
    app.command()(runs)
    app.command(epilog="Example:  skerry-agent events --kind 'service.*' -f")(events)
    app.command(epilog="Example:  skerry-agent logs line-vision -f")(logs)
    app.command(epilog="Example:  skerry-agent why label-print")(why)
