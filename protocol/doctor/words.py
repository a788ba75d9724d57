"""Times and sizes in the words of people; exact enough to act on."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any

_MINUTE, _HOUR, _DAY = 60, 3_600, 86_400
_FIRST_MS, _LAST_MS = 0, 253_402_214_400_000  # of what a date can say: 1970 to the end of 9999


def duration(seconds: float) -> str:
    """Return `0.02 s`, `41 s`, `3 h 12 m`, `6 d`: at most two units, the coarser the longer; nothing is below `0 s`."""
    if seconds < 10:
        return f"{max(0.0, seconds):.2f}".rstrip("0").rstrip(".") + " s"
    for unit, sign, below, lower in ((_DAY, "d", _HOUR, "h"), (_HOUR, "h", _MINUTE, "m"), (_MINUTE, "m", 1, "s")):
        if seconds >= unit:
            whole, rest = divmod(int(seconds), unit)
            return f"{whole} {sign} {rest // below} {lower}" if rest // below and whole < 10 else f"{whole} {sign}"
    return f"{int(seconds)} s"


def size(count: float) -> str:
    """Return `812 B`, `3.1 MB`."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" or count >= 100 else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def moment(ms: int) -> str:
    """Return `2026-11-22 07:05 UTC`."""
    return date(ms).strftime("%Y-%m-%d %H:%M UTC")


def date(ms: int) -> datetime.datetime:
    """Return the moment, or the nearest that a date can say: a device may claim any number."""
    return datetime.datetime.fromtimestamp(min(max(ms, _FIRST_MS), _LAST_MS) / 1000, datetime.UTC)


def vitals(seen: Mapping[str, Any]) -> list[str]:
    """Return `cpu 12 %`, `memory 410 MB of 2.0 GB`, `disk 61 %` and `41 °C`: what a device knows of these."""
    said = [f"cpu {100 * seen.get('cpu', 0.0):.0f} %"]
    if seen.get("memory_total"):
        said.append(f"memory {size(seen.get('memory_used', 0))} of {size(seen['memory_total'])}")
    if seen.get("disk_total"):
        said.append(f"disk {100 * seen.get('disk_used', 0) / seen['disk_total']:.0f} %")
    if seen.get("temperature_c") is not None:
        said.append(f"{seen['temperature_c']:.0f} °C")
    return said


def names(found: list[str], most: int = 3) -> str:
    """Return `a, b, c and 4 more`."""
    rest = len(found) - most
    return ", ".join(found[:most]) + (f" and {rest} more" if rest > 0 else "")
