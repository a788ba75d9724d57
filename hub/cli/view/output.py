"""Where output goes: tables that fit the terminal, JSON and YAML that never change shape.

A terminal gets colours and its own width; a pipe gets plain text that is never cut. Errors go to stderr.
"""

from __future__ import annotations

import enum
import functools
import json
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

UNBOUNDED_COLUMNS = 10_000
KEPT_COLUMNS = 2  # of a table: the name and the state are cut last
KEPT_WIDTH_MAX = 28


class Format(enum.StrEnum):
    """The forms of `-o`."""

    TABLE = "table"
    WIDE = "wide"
    JSON = "json"
    YAML = "yaml"

    @property
    def is_exact(self) -> bool:
        """Tell whether it is for programs."""
        return self is Format.JSON or self is Format.YAML


@functools.cache
def console() -> Console:
    """Return where tables and progress go."""
    from rich.console import Console

    if sys.stdout.isatty():
        return Console(highlight=False)
    return Console(highlight=False, width=UNBOUNDED_COLUMNS, color_system=None)


def _unbounded() -> Console:
    from rich.console import Console

    return Console(highlight=False, width=UNBOUNDED_COLUMNS)


@functools.cache
def errors() -> Console:
    """Return where errors and hints go."""
    from rich.console import Console

    return Console(stderr=True, highlight=False, soft_wrap=True)


def note(text: str) -> None:
    """Print a hint for the person: on stderr, so that a pipe stays clean."""
    errors().print(clean(text, "\n"), style="dim", markup=False)


def warn(text: str) -> None:
    """Print what a person must know whatever they asked: on stderr, so that a pipe stays clean."""
    errors().print(f"ALARM: {clean(text)}", style="bold red", markup=False)


def say(text: str = "", style: str = "") -> None:
    """Print one line as it is; no markup is read in it."""
    console().print(clean(text, "\n"), style=style or None, markup=False, soft_wrap=True)


def emit(data: Any, form: Format) -> None:
    """Print `data` exactly, as one JSON or YAML document."""
    sys.stdout.write(as_yaml(data) if form is Format.YAML else json.dumps(data, indent=2, ensure_ascii=False) + "\n")
    sys.stdout.flush()


def emit_line(data: Any, form: Format) -> None:
    """Print one of many: one JSON object a line, or one YAML document."""
    if form is Format.YAML:
        sys.stdout.write("---\n" + as_yaml(data))
    else:
        sys.stdout.write(json.dumps(data, ensure_ascii=False, separators=(",", ":")) + "\n")
    sys.stdout.flush()


def as_yaml(data: Any) -> str:
    """Return `data` as YAML in block style."""
    import io

    from ruamel.yaml import YAML

    yaml: Any = YAML(typ="safe", pure=True)
    yaml.default_flow_style = False
    yaml.sort_base_mapping_type_on_output = False
    yaml.width = 120
    text = io.StringIO()
    yaml.dump(data, text)
    return text.getvalue()


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> Table:
    """Return a table without lines, one row a line; where the terminal is too narrow, cells end in `…`."""
    from rich.table import Table
    from rich.text import Text

    made = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    listed = list(rows)
    for at, head in enumerate(heads):
        width = max((len(row[at]) for row in listed), default=0) if at < KEPT_COLUMNS else 0
        made.add_column(head, no_wrap=True, overflow="ellipsis", min_width=min(width, KEPT_WIDTH_MAX) or None)
    for row in listed:
        made.add_row(*(Text(clean(cell), style=colour(cell)) for cell in row))
    return made


def show(made: Table, *, wide: bool = False) -> None:
    """Print a table that fits the terminal; one that is `wide`, or goes into a pipe, is never cut."""
    found = console()
    if found.is_terminal:
        (_unbounded() if wide else found).print(made)
        return
    with found.capture() as capture:
        found.print(made)
    sys.stdout.write("".join(f"{line.rstrip()}\n" for line in capture.get().splitlines()))
    sys.stdout.flush()


def colour(text: str) -> str:
    """Return the style of a state: what is wrong is red, what waits is yellow, what works is green."""
    word = text.split(" ", 1)[0].rstrip(",:;")
    return _COLOURS.get(word, "")


_COLOURS = {
    **dict.fromkeys(("online", "running", "ok", "healthy", "created"), "green"),
    **dict.fromkeys(("away", "unheard", "pending", "waiting", "backoff", "starting", "fetching"), "yellow"),
    **dict.fromkeys(("asking", "unknown", "changed"), "yellow"),
    **dict.fromkeys(("failed", "revoked", "quarantined", "refused", "unhealthy", "cancelled"), "red"),
}


def clean(text: str, more: str = "") -> str:
    """Return `text` of a device without control characters, but for those in `more`: it may not move a cursor."""
    return "".join(char if char.isprintable() or char == "\t" or char in more else "�" for char in text)
