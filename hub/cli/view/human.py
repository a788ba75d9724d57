"""Times and counts in the words of people, beside protocol.doctor.words. What is exact is in `-o json`."""

from __future__ import annotations

import datetime
import re

from protocol.doctor import words

NEAR_MS = 600_000
FAR_MS = 300 * 86_400_000
duration = words.duration
_EPOCH_MS = re.compile(r"(?:since_ms )?\b(1[5-9]\d{11})\b")


def age(ms: int | None, now_ms: int) -> str:
    """Return how long ago `ms` was, or `–` when it never was."""
    if not ms:
        return "–"
    return duration(max(0, now_ms - ms) // 1000)


def clock(ms: int | None, now_ms: int) -> str:
    """Return `13:02` for today, with seconds when it is near, `12 Nov 13:02` within a year, else with the year."""
    if not ms:
        return "never"
    then, now = _local(ms), _local(now_ms)
    if abs(now_ms - ms) < NEAR_MS:
        return then.strftime("%H:%M:%S")
    if then.date() == now.date():
        return then.strftime("%H:%M")
    if abs(now_ms - ms) < FAR_MS:
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
    return words.date(ms).isoformat(timespec="milliseconds")


def number(count: int) -> str:
    """Return `18,240`, and `1.2 M` from a million on."""
    return f"{count:,}" if count < 1_000_000 else f"{count / 1_000_000:.1f} M"


def plural(count: int, noun: str) -> str:
    """Return `1 node`, `3 nodes`."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def entries(count: int) -> str:
    """Return `1 entry`, `18,240 entries`."""
    return f"{number(count)} {'entry' if count == 1 else 'entries'}"


def _local(ms: int) -> datetime.datetime:
    return words.date(ms).astimezone()
