"""Times and durations in the words of people (sizes: protocol.doctor.words). What is exact is in `-o json`."""

from __future__ import annotations

import datetime
import re

_MINUTE, _HOUR, _DAY = 60, 3_600, 86_400
_NUMBER = re.compile(r"\[Errno -?\d+\] |\[SSL: \w+\] | \(_ssl\.c:\d+\)")
_CUT_OFF = "EOF occurred in violation of protocol"


def duration(seconds: float) -> str:
    """Return `0.2 s`, `41 s`, `3 h 12 m`, `6 d`: at most two units."""
    if seconds < 10:
        return f"{max(0.0, seconds):.1f} s"
    for unit, sign, below, lower in ((_DAY, "d", _HOUR, "h"), (_HOUR, "h", _MINUTE, "m"), (_MINUTE, "m", 1, "s")):
        if seconds >= unit:
            whole, rest = divmod(int(seconds), unit)
            return f"{whole} {sign} {rest // below} {lower}" if rest // below and whole < 10 else f"{whole} {sign}"
    return f"{int(seconds)} s"


def since(ms: int, now_ms: int) -> str:
    """Return how long ago `ms` was, `–` when it never was."""
    return duration((now_ms - ms) / 1000) if ms else "–"


def clock(ms: int, now_ms: int) -> str:
    """Return `14:02` for today, else with the day; local time; `never` for 0."""
    if not ms:
        return "never"
    then, now = _local(ms), _local(now_ms)
    return then.strftime("%H:%M") if then.date() == now.date() else f"{then.day} {then.strftime('%b %H:%M')}"


def stamp(ms: int) -> str:
    """Return the exact local time."""
    return _local(ms).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]


def plural(count: int, one: str, many: str) -> str:
    """Return `1 entry waits`, `18,240 entries wait`."""
    return f"{count:,} {one if count == 1 else many}"


def plain(text: str) -> str:
    """Return a sentence of the operating system's or of TLS without its error numbers."""
    return _NUMBER.sub("", text).replace(_CUT_OFF, "the connection was cut off")


def _local(ms: int) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(ms / 1000, datetime.UTC).astimezone()
