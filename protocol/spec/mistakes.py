"""A mistake in the operator's documents: where it stands, what is wrong, what to write instead."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

import msgspec

Path = tuple[str | int, ...]
"""Where a value stands in a document: keys and 0-based indexes from its root."""


class Mistake(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One mistake. `line` and `column` count from 1; `path` is for people, as `spec.steps[2].needs[0]`."""

    file: str
    line: int
    column: int
    path: str
    text: str


class Finding(msgspec.Struct, frozen=True):
    """A mistake before its place is known. `at_key`: the key is wrong, not its value."""

    path: Path
    text: str
    at_key: bool = False


def path_text(path: Path) -> str:
    """Return `path` as a person writes it."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.removeprefix(".")


def suggestion(word: str, known: Iterable[str]) -> str:
    """Return `; did you mean "…"?` for the closest of `known`, or nothing when none is close."""
    names = {name.lower(): name for name in known}
    close = difflib.get_close_matches(word[:80].lower(), names, n=1, cutoff=0.6)
    return f'; did you mean "{names[close[0]]}"?' if close else ""
