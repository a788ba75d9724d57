"""How answers are printed: tables that fit the terminal, JSON and YAML that never change shape.

A terminal gets colours and its own width; a pipe gets plain text that is never cut.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

from edge_agent.cli.options import Output
from protocol.aio.terminal import written

Row = Sequence[str | Text]
GAP = 3  # between two columns
KEPT_COLUMNS = 2  # the name and the state

UNBOUNDED_COLUMNS = 10_000

_console = Console(highlight=False, soft_wrap=True)
_unbounded = Console(highlight=False, width=UNBOUNDED_COLUMNS)


def exact(answer: object, form: Output) -> None:
    """Print the stable form for programs: one JSON value on one line, or a document of YAML."""
    if form is Output.yaml:
        print(f"---\n{written.as_yaml(answer)}", end="", flush=True)
    else:
        print(msgspec.json.encode(answer).decode(), flush=True)


def say(text: str, style: str = "") -> None:
    """Print a line; nothing in it is taken for markup, or moves a cursor."""
    _console.print(Text(clean(text), style))


def line(text: Text, *, whole: bool = True) -> None:
    """Print a line of text that is clean; unless `whole`, a terminal cuts it where it ends."""
    if not whole and _console.is_terminal:
        text.truncate(_console.width, overflow="ellipsis")
    _console.print(text)


def table(columns: Sequence[str], rows: Sequence[Row], form: Output = Output.table) -> None:
    """Print a table. On a terminal cells end in `…` where they have no room, unless it is wide; in a pipe none does."""
    if _console.is_terminal and form is not Output.wide:
        _console.print(made(columns, rows), soft_wrap=False)
        return
    with _unbounded.capture() as capture:
        _unbounded.print(made(columns, rows))
    print("\n".join(one.rstrip() for one in capture.get().splitlines()), flush=True)


def made(columns: Sequence[str], rows: Sequence[Row]) -> Table:
    """Return a table without lines; its cells are never wrapped. Where there is no room the longest give way first, and
    the name and the state last."""
    shown = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0), header_style="bold")
    for at, name in enumerate(columns):
        shown.add_column(_cell(name), no_wrap=at < KEPT_COLUMNS)
    for row in rows:
        shown.add_row(*map(_cell, row))
    return shown


def _cell(content: str | Text) -> Text:
    """Return a cell that ends in `…` where it has no room; of a column that may give way Rich would wrap it."""
    cell = content.copy() if isinstance(content, Text) else Text(clean(content))
    cell.no_wrap, cell.overflow = True, "ellipsis"
    return cell


def clean(text: str) -> str:
    """Return `text` without control characters: what a workload or another person wrote moves no cursor."""
    return "".join(char if char.isprintable() or char == "\t" else "\N{REPLACEMENT CHARACTER}" for char in text)


def is_terminal() -> bool:
    """Tell whether a person sees what is printed."""
    return _console.is_terminal
