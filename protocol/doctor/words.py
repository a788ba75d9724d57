"""Times and sizes in the words of people; exact enough to act on."""

from __future__ import annotations

import datetime

_MINUTE, _HOUR, _DAY = 60, 3_600, 86_400
_FIRST_MS, _LAST_MS = 0, 253_402_214_400_000  # of what a date can say


def duration(seconds: float) -> str:
    """Return `0.2 s`, `41 s`, `12 m`, `3 h`, `6 d`; the sign is dropped."""
    whole = abs(seconds)
    if whole < 10:
        return f"{whole:.1f} s"
    for unit, sign in ((_DAY, "d"), (_HOUR, "h"), (_MINUTE, "m")):
        if whole >= unit:
            return f"{int(whole / unit)} {sign}"
    return f"{int(whole)} s"


def size(count: float) -> str:
    """Return `812 B`, `3.1 MB`."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" or count >= 100 else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def moment(ms: int) -> str:
    """Return `2026-11-22 07:05 UTC`; what no date can say, as the nearest that can."""
    near = min(max(ms, _FIRST_MS), _LAST_MS) / 1000
    return datetime.datetime.fromtimestamp(near, datetime.UTC).strftime("%Y-%m-%d %H:%M UTC")


def names(found: list[str], most: int = 3) -> str:
    """Return `a, b, c and 4 more`."""
    rest = len(found) - most
    return ", ".join(found[:most]) + (f" and {rest} more" if rest > 0 else "")
