"""Where output goes: tables that fit the terminal, JSON and YAML that never change shape.

A terminal gets colours and its own width; a pipe gets plain text that is never cut. Errors go to stderr.
"""

from __future__ import annotations

import enum
import functools
import json
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import msgspec

from protocol.aio.terminal import written

if TYPE_CHECKING:
    from rich.console import Console

UNBOUNDED_COLUMNS = 10_000


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


def unbounded() -> Console:
    """Return a terminal that is wide enough for anything: what it shows is not cut."""
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
    sys.stdout.write(
        written.as_yaml(data) if form is Format.YAML else json.dumps(data, indent=2, ensure_ascii=False) + "\n"
    )
    sys.stdout.flush()


def emit_each(listed: Iterable[Any], form: Format) -> None:
    """Print a list exactly, as one JSON or YAML document, each of its things as it comes."""
    is_empty = True
    for one in listed:
        if form is Format.YAML:
            sys.stdout.write(written.as_yaml([one]))
        else:
            text = msgspec.json.format(msgspec.json.encode([one]), indent=2).decode()
            sys.stdout.write(("[" if is_empty else ",") + text[1:-2])
        is_empty = False
    if is_empty:
        sys.stdout.write("[]\n")
    elif form is Format.JSON:
        sys.stdout.write("\n]\n")
    sys.stdout.flush()


def emit_line(data: Any, form: Format) -> None:
    """Print one of many: one JSON object a line, or one YAML document."""
    if form is Format.YAML:
        sys.stdout.write("---\n" + written.as_yaml(data))
    else:
        sys.stdout.write(json.dumps(data, ensure_ascii=False, separators=(",", ":")) + "\n")
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
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() or char == "\t" or char in more else "�" for char in text)
