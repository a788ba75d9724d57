"""The commands that decide something here. Each is an entry with the person's name; the hub hears of it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from edge_agent.cli import client, view
from edge_agent.cli.options import As, Data, Life, Output, Param, Reason, Service, Until, Workflow, now_ms, pairs
from edge_agent.cli.person import lives, tell

Run = Annotated[str, typer.Argument(metavar="RUN")]


def stop(
    service: Service,
    reason: Reason = "",
    life: Life = "",
    until: Until = "",
    data: Data = None,
    output: As = Output.table,
) -> None:
    """Stop a service here. It stays stopped over reboots and new generations until it is released."""
    _decide(data, output, {"do": "stop", "service": service, "reason": reason, **lives.of(life, until, now_ms())})


def start(
    service: Service,
    reason: Reason = "",
    life: Life = "",
    until: Until = "",
    data: Data = None,
    output: As = Output.table,
) -> None:
    """Start a service here, whatever the hub says, until it is released."""
    _decide(data, output, {"do": "start", "service": service, "reason": reason, **lives.of(life, until, now_ms())})


def restart(service: Service, reason: Reason = "", data: Data = None, output: As = Output.table) -> None:
    """Restart a service now."""
    _decide(data, output, {"do": "restart", "service": service, "reason": reason})


def release(service: Service, reason: Reason = "", data: Data = None, output: As = Output.table) -> None:
    """End a stop or start of yours: the service follows the hub again."""
    _decide(data, output, {"do": "release", "service": service, "reason": reason})


def hold(reason: Reason = "", life: Life = "", until: Until = "", data: Data = None, output: As = Output.table) -> None:
    """Keep updates away, for a shift: what the hub changes is received and waits; what runs here stays as it is.

    One-off commands of the hub's operators still run, and nothing here outranks a lease or a revocation.
    """
    _decide(data, output, {"do": "hold", "reason": reason, **lives.of(life, until, now_ms())})


def unhold(reason: Reason = "", data: Data = None, output: As = Output.table) -> None:
    """Let updates come again, and apply what waited."""
    _decide(data, output, {"do": "unhold", "reason": reason})


def workflow_start(
    name: Workflow, param: Param = None, reason: Reason = "", data: Data = None, output: As = Output.table
) -> None:
    """Start a run here."""
    params = pairs(param, "-p")
    _decide(data, output, {"do": "workflow-start", "workflow": name, "params": params, "reason": reason})


def workflow_cancel(run: Run, reason: Reason = "", data: Data = None, output: As = Output.table) -> None:
    """Cancel a run here."""
    _decide(data, output, {"do": "run-cancel", "run": run, "reason": reason})


def workflow_answer(
    run: Run,
    step: Annotated[str, typer.Argument(metavar="STEP")],
    answer: Annotated[str, typer.Argument(metavar="retry|fail")],
    data: Data = None,
    output: As = Output.table,
) -> None:
    """Decide about a step that was interrupted and asks."""
    _decide(data, output, {"do": "run-answer", "run": run, "step": step, "answer": answer})


def _decide(data: Path | None, output: Output, request: dict[str, object]) -> None:
    answer: dict[str, Any] = client.ask(data, request)
    view.exact(answer, output) if output.is_exact else tell.decided(answer, now_ms())


def add(app: typer.Typer) -> None:
    """Put the commands into `app`."""
    app.command(epilog='Example:  skerry-agent stop label-print --reason "belt jammed" --for 2h')(stop)
    app.command(epilog='Example:  skerry-agent start label-print --reason "a rush" --until 14:30')(start)
    app.command(epilog='Example:  skerry-agent restart label-print --reason "new ink"')(restart)
    app.command(epilog='Example:  skerry-agent release label-print --reason "belt mended"')(release)
    app.command(epilog='Example:  skerry-agent hold --until 22:00 --reason "night shift runs"')(hold)
    app.command(epilog='Example:  skerry-agent unhold --reason "shift is over"')(unhold)
    workflow = typer.Typer(help="Start and cancel runs of workflows.", no_args_is_help=True, rich_markup_mode=None)
    app.add_typer(workflow, name="workflow")
    workflow.command("start", epilog="Example:  skerry-agent workflow start shift-report -p line=2")(workflow_start)
    workflow.command("cancel", epilog="Example:  skerry-agent workflow cancel r-17 --reason 'wrong line'")(
        workflow_cancel
    )
    workflow.command("answer", epilog="Example:  skerry-agent workflow answer r-17 publish retry")(workflow_answer)
