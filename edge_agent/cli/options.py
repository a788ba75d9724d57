"""What commands have in common: their options, and what those come to."""

from __future__ import annotations

import enum
import time
from pathlib import Path
from typing import Annotated

import typer

from edge_agent.cli import client
from protocol.errors import SkerryError


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


def _service_names(incomplete: str) -> list[str]:
    """Complete a service's name from what runs here."""
    return _known("services", incomplete)


def _workflow_names(incomplete: str) -> list[str]:
    return _known("workflows", incomplete)


def _known(what: str, incomplete: str) -> list[str]:
    try:
        return [name for name in client.ask(None, {"do": "status"})[what] if name.startswith(incomplete)]
    except SkerryError:
        return []


Data = Annotated[
    Path | None,
    # not readable: the folder is its owner's, and who may ask the agent is said by its socket
    typer.Option("--data", help="The agent's directory (or $SKERRY_DATA).", readable=False),
]
As = Annotated[Output, typer.Option("-o", "--output", help="table, wide, json or yaml (stable, for programs).")]
Service = Annotated[str, typer.Argument(metavar="SERVICE", autocompletion=_service_names)]
Workflow = Annotated[str, typer.Argument(metavar="WORKFLOW", autocompletion=_workflow_names)]
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
