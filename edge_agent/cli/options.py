"""What commands have in common: their options, and what those come to."""

from __future__ import annotations

import enum
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from edge_agent.cli import client
from protocol.errors import SkerryError

_COMPLETE_WAIT_S = 2.0


class Output(enum.StrEnum):
    """How answers are printed."""

    table = "table"
    wide = "wide"
    json = "json"
    yaml = "yaml"

    @property
    def is_exact(self) -> bool:
        """Tell whether it is for programs."""
        return self is Output.json or self is Output.yaml


def complete_service(context: typer.Context, incomplete: str) -> list[str]:
    """Complete a service's name from what is here; for `release`, from what a person decided about."""
    found = _known("services", context)
    decided = context.info_name == "release"
    return sorted(
        name for name, one in found.items() if name.startswith(incomplete) and (one.get("override") or not decided)
    )


def complete_workflow(context: typer.Context, incomplete: str) -> list[str]:
    """Complete a workflow's name from what is here."""
    return sorted(name for name in _known("workflows", context) if name.startswith(incomplete))


def complete_own(context: typer.Context, incomplete: str) -> list[str]:
    """Complete KIND/NAME from what was declared here."""
    kinds = ("service", "workflow")
    found = [f"{kind}/{name}" for kind in kinds for name, one in _known(f"{kind}s", context).items() if one.get("by")]
    return sorted(name for name in found if name.startswith(incomplete))


def _known(what: str, context: typer.Context) -> dict[str, Any]:
    try:
        return client.ask(context.params.get("data"), {"do": "status"}, wait_s=_COMPLETE_WAIT_S)[what]
    except SkerryError:
        return {}


Data = Annotated[
    Path | None,
    # not readable: the folder is its owner's, and who may ask the agent is said by its socket
    typer.Option("--data", help="The agent's directory (or $SKERRY_DATA).", readable=False),
]
As = Annotated[Output, typer.Option("-o", "--output", help="table, wide, json or yaml (stable, for programs).")]
Service = Annotated[str, typer.Argument(metavar="SERVICE", autocompletion=complete_service)]
Workflow = Annotated[str, typer.Argument(metavar="WORKFLOW", autocompletion=complete_workflow)]
Reason = Annotated[str, typer.Option("--reason", help="Why; the hub will see it, with your name.")]
Life = Annotated[
    str, typer.Option("--for", metavar="TIME", help="How long it holds (30m, 2h, 1d); else until released.")
]
Until = Annotated[str, typer.Option("--until", metavar="WHEN", help="Until 14:30, '2026-11-23 06:00', or released.")]
Param = Annotated[list[str] | None, typer.Option("-p", "--param", metavar="KEY=VALUE")]


def now_ms() -> int:
    """Return the wall time in milliseconds."""
    return int(time.time() * 1000)


def pairs(texts: list[str] | None, option: str) -> dict[str, str]:
    """Return `KEY=VALUE` texts as a map. Raises typer.BadParameter."""
    found: dict[str, str] = {}
    for text in texts or []:
        key, equals, value = text.partition("=")
        if not key or not equals:
            raise typer.BadParameter(f"{text!r}: write KEY=VALUE", param_hint=option)
        found[key] = value
    return found
