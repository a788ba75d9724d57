"""Times and durations in the words of people (sizes: protocol.doctor.words). What is exact is in `-o json`."""

from __future__ import annotations

import datetime
import re

MINUTE, HOUR, DAY = 60, 3_600, 86_400
NEAR_S = 10 * MINUTE
_FIRST_MS, _LAST_MS = 0, 253_402_214_400_000  # of what a date can say: 1970 to the end of 9999
_EPOCH_MS = re.compile(r"(?:since_ms )?\b(1[5-9]\d{11})\b")


def duration(seconds: float) -> str:
    """Return `0.02 s`, `41 s`, `3 h 12 m`, `6 d`: at most two units, the coarser the longer."""
    if seconds < 0:
        return "0 s"
    if seconds < 10:
        return f"{seconds:.2f} s"
    for unit, sign, below, lower in ((DAY, "d", HOUR, "h"), (HOUR, "h", MINUTE, "m"), (MINUTE, "m", 1, "s")):
        if seconds >= unit:
            whole, rest = divmod(int(seconds), unit)
            return f"{whole} {sign} {rest // below} {lower}" if rest // below and whole < 10 else f"{whole} {sign}"
    return f"{int(seconds)} s"


def age(ms: int | None, now_ms: int) -> str:
    """Return how long ago `ms` was, or `–` when it never was."""
    if not ms:
        return "–"
    seconds = max(0, now_ms - ms) // 1000
    return duration(seconds) if seconds >= 10 else f"{seconds} s"


def clock(ms: int | None, now_ms: int) -> str:
    """Return `13:02` for today, with seconds when it is near, `12 Nov 13:02` within a year, else with the year."""
    if not ms:
        return "never"
    then, now = _local(ms), _local(now_ms)
    if abs(now_ms - ms) < NEAR_S * 1000:
        return then.strftime("%H:%M:%S")
    if then.date() == now.date():
        return then.strftime("%H:%M")
    if abs(now_ms - ms) < 300 * DAY * 1000:
        return f"{then.day} {then.strftime('%b %H:%M')}"
    return f"{then.day} {then.strftime('%b %Y %H:%M')}"


def times(text: str, now_ms: int) -> str:
    """Return a hub's sentence with its exact times (milliseconds) as people read them."""
    return _EPOCH_MS.sub(lambda found: ("since " if found[0][0] == "s" else "") + clock(int(found[1]), now_ms), text)


def stamp(ms: int | None) -> str:
    """Return the exact local time, for a list of events."""
    return _local(ms).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3] if ms else "–"


def iso(ms: int | None) -> str | None:
    """Return `ms` as ISO 8601 in UTC, for programs."""
    if not ms:
        return None
    return _moment(ms).isoformat(timespec="milliseconds")


def number(count: int) -> str:
    """Return `18,240`, and `1.2 M` from a million on."""
    return f"{count:,}" if count < 1_000_000 else f"{count / 1_000_000:.1f} M"


def plural(count: int, noun: str) -> str:
    """Return `1 node`, `3 nodes`."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def _local(ms: int) -> datetime.datetime:
    return _moment(ms).astimezone()


def _moment(ms: int) -> datetime.datetime:
    """Return the moment, or the nearest that a date can say: a device may claim any number."""
    return datetime.datetime.fromtimestamp(min(max(ms, _FIRST_MS), _LAST_MS) / 1000, datetime.UTC)
