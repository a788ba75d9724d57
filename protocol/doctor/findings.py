"""What a doctor says: one finding for each check, with what to do next, and the exit code that sums them up."""

from __future__ import annotations

import enum
from collections.abc import Callable, Sequence
from typing import TypeVar

import msgspec

T = TypeVar("T")
DONE, FAILED, UNREACHABLE = 0, 1, 3
_NAME_WIDTH = 14
_STATE_WIDTH = 6


class State(enum.StrEnum):
    """How a check ended; the words are those of `-o json`."""

    OK = "ok"
    UNKNOWN = "unknown"
    WARNING = "warning"
    PROBLEM = "problem"


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One check's end: what is so, and what to do next (empty if ok). `away`: only somebody else is not there."""

    check: str
    state: State
    says: str
    next: str = ""
    away: bool = False


class Unseen(msgspec.Struct, frozen=True, kw_only=True):
    """In place of a fact that nobody could find out, with why and what to do."""

    why: str
    next: str


def ok(check: str, says: str) -> Finding:
    """Return a finding that all is well."""
    return Finding(check=check, state=State.OK, says=says)


def unknown(check: str, says: str) -> Finding:
    """Return that nobody can tell now, for a reason that another finding names."""
    return Finding(check=check, state=State.UNKNOWN, says=says)


def warning(check: str, says: str, next: str) -> Finding:  # noqa: A002 - the word of `-o json`
    """Return a finding that may become a problem, or costs something."""
    return Finding(check=check, state=State.WARNING, says=says, next=next)


def problem(check: str, says: str, next: str, *, away: bool = False) -> Finding:  # noqa: A002 - as above
    """Return a finding that keeps something from working."""
    return Finding(check=check, state=State.PROBLEM, says=says, next=next, away=away)


def judged(check: str, seen: T | Unseen, judge: Callable[[T], Finding]) -> Finding:
    """Return what `judge` makes of a fact, or that the fact could not be found out."""
    return problem(check, seen.why, seen.next) if isinstance(seen, Unseen) else judge(seen)


def code(found: Sequence[Finding]) -> int:
    """Return the exit code: 0 no problem, 1 a problem, 3 when the only problem is that somebody is not there."""
    problems = [one for one in found if one.state is State.PROBLEM]
    if not problems:
        return DONE
    return UNREACHABLE if all(one.away for one in problems) else FAILED


def as_json(found: Sequence[Finding]) -> list[dict[str, str]]:
    """Return the stable form for programs: a list of {check, state, says, next}."""
    return [
        {"check": one.check, "state": one.state.value, "says": _clean(one.says), "next": _clean(one.next)}
        for one in found
    ]


def lines(found: Sequence[Finding]) -> list[tuple[str, str]]:
    """Return (line, colour) for people: one for each finding, one for what to do next, one that sums up."""
    made: list[tuple[str, str]] = []
    for one in found:
        word, colour = _WORDS[one.state]
        made.append((f"{word:<{_STATE_WIDTH}}{one.check:<{_NAME_WIDTH}} {_clean(one.says)}", colour))
        if one.next:
            made.append((f"{'':<{_STATE_WIDTH}}{'':<{_NAME_WIDTH}} → {_clean(one.next)}", colour))
    return [*made, _summary(found)]


def _summary(found: Sequence[Finding]) -> tuple[str, str]:
    counts = {state: sum(one.state is state for one in found) for state in State}
    bad, doubtful = counts[State.PROBLEM], counts[State.WARNING]
    if not bad and not doubtful:
        return f"All {counts[State.OK]} checks are well.", "green"
    words = [f"{count} {noun}{'' if count == 1 else 's'}" for count, noun in ((bad, "problem"), (doubtful, "warning"))]
    said = ", ".join(word for word in words if not word.startswith("0 "))
    skipped = f", {counts[State.UNKNOWN]} not known" if counts[State.UNKNOWN] else ""
    return f"{said}, {counts[State.OK]} ok{skipped}.", "red" if bad else "yellow"


def _clean(text: str) -> str:
    # much of it was said by peers and files: it may not move a person's cursor
    return "".join(char if char.isprintable() else " " for char in text)


_WORDS = {
    State.OK: ("ok", "green"),
    State.UNKNOWN: ("?", ""),
    State.WARNING: ("warn", "yellow"),
    State.PROBLEM: ("bad", "red"),
}
