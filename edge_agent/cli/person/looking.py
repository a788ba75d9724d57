"""The commands that only look: what runs here, what happened, and why."""

from __future__ import annotations

from typing import Annotated

import typer

from edge_agent.cli import client, view
from edge_agent.cli.options import As, Data, Output, Service, complete_workflow, now_ms
from edge_agent.cli.person import happened, tell


def status(data: Data = None, output: As = Output.table) -> None:
    """Show what runs here, and whether the hub knows."""
    answer = client.ask(data, {"do": "status"})
    view.exact(answer, output) if output.is_exact else tell.status(answer, output)


def services(data: Data = None, output: As = Output.table) -> None:
    """List the services of this device."""
    answer = client.ask(data, {"do": "status"})
    if output.is_exact:
        view.exact([{"name": name} | one for name, one in answer["services"].items()], output)
    else:
        tell.services(answer, output)


def runs(
    name: Annotated[str, typer.Argument(metavar="[WORKFLOW]", autocompletion=complete_workflow)] = "",
    data: Data = None,
    output: As = Output.table,
) -> None:
    """List the runs that this device remembers, the newest first."""
    answer = client.ask(data, {"do": "runs", "workflow": name})
    view.exact(answer, output) if output.is_exact else tell.runs(answer, now_ms(), output)


def events(
    kind: Annotated[str, typer.Option("--kind", help="Only kinds that begin so: service.*")] = "",
    limit: Annotated[int, typer.Option("--limit", "-n", min=0)] = 50,
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Go on with what comes.")] = False,
    data: Data = None,
    output: As = Output.table,
) -> None:
    """Show what happened here, oldest first."""
    request: dict[str, object] = {"do": "events", "kind": kind.removesuffix("*"), "limit": limit, "follow": follow}
    is_wide = output is Output.wide
    for one in client.stream(data, request):
        if one is not None:
            view.exact(one, output) if output.is_exact else view.line(happened.line(one, whole=is_wide), whole=is_wide)


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
            print(view.clean(one["line"]) if view.is_terminal() else one["line"], flush=follow)


def why(service: Service, data: Data = None, output: As = Output.table) -> None:
    """Tell why a service is in its state, from the nearest reason to what the hub wants."""
    answer = client.ask(data, {"do": "why", "service": service})
    option = "" if data is None else f" --data {data}"
    view.exact(answer, output) if output.is_exact else tell.why(answer, now_ms(), option)


def top(
    every: Annotated[float, typer.Option("--every", metavar="SECONDS", min=0.2, max=3_600)] = 2.0, data: Data = None
) -> None:
    """Watch this device on a full screen; q ends."""
    from edge_agent.cli.person import top as full

    if view.is_terminal():
        full.watch(data, every)
    else:
        status(data)


def add(app: typer.Typer) -> None:
    """Put the commands into `app`."""
    app.command(epilog="Example:  skerry-agent status -o json")(status)
    app.command(epilog="Example:  skerry-agent top --every 1")(top)
    app.command(epilog="Example:  skerry-agent services -o wide")(services)
    app.command(epilog="Example:  skerry-agent runs shift-report")(runs)
    app.command(epilog="Example:  skerry-agent events --kind 'service.*' -f")(events)
    app.command(epilog="Example:  skerry-agent logs line-vision -f")(logs)
    app.command(epilog="Example:  skerry-agent why label-print")(why)
