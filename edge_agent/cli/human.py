"""Times and counts in the words of people, beside protocol.doctor.words. What is exact is in `-o json`."""

from __future__ import annotations

import datetime
import re

from protocol.doctor import words

_NUMBER = re.compile(r"\[Errno -?\d+\] |\[SSL: \w+\] | \(_ssl\.c:\d+\)")
_ELSEWHERE = re.compile(r"; \S+ is not at ([^()]+)")
_CUT_OFF = "EOF occurred in violation of protocol"


def since(ms: int, now_ms: int) -> str:
    """Return how long ago `ms` was, `–` when it never was."""
    return words.duration((now_ms - ms) / 1000) if ms else "–"


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
    """Return a sentence of the operating system's or of TLS without its error numbers, and the places where a hub was
    looked for counted."""
    text = _NUMBER.sub("", text).replace(_CUT_OFF, "the connection was cut off")
    return _ELSEWHERE.sub(lambda found: f", nor at {plural(found[1].count('; ') + 1, 'other address', 'others')}", text)


def _local(ms: int) -> datetime.datetime:
    return words.date(ms).astimezone()
