"""When workflows fire: cron in a time zone, and what missed firings mean.

Of each trigger, `last_ms` (the latest firing dealt with) and `next_ms` are kept; both change in the transaction
that starts the run, so no firing counts twice and none that passed while the power was off goes unnoticed.

A wall clock may lie (A15). Behind `last_ms` by more than limits.CLOCK_BACK_S_MAX it is not trusted to tell what was
missed: the schedule goes on by it in memory, what is kept stays. Behind by less, firings wait until the clock has
caught up. Ahead, it looks like a long absence: bounded by `catch_up` and limits.CATCH_UP_FIRINGS_MAX, never thousands.
Beyond limits.CLOCK_MS_MAX no calendar goes: there nothing is due any more, until the clock is set right.
"""

from __future__ import annotations

import datetime
import itertools
import zoneinfo
from collections.abc import Iterator

import cronsim
import msgspec

from protocol import documents, limits
from protocol.errors import Refused


class Trigger(msgspec.Struct, frozen=True, kw_only=True):
    """What is kept of one trigger. `pending`: firings to catch up with that wait for room, ascending."""

    cron: str
    timezone: str
    last_ms: int
    next_ms: int
    pending: list[int] = []


class Due(msgspec.Struct, frozen=True, kw_only=True):
    """What a look at the clock gave: `fire` (ascending, ms), how many were `missed` at least, and what to keep."""

    trigger: Trigger
    fire: list[int]
    missed: int


def arm(cron: documents.Cron, wall_ms: int) -> Trigger:
    """Return the trigger as of now. Raises Refused for an expression or a time zone this device does not know."""
    return Trigger(cron=cron.cron, timezone=cron.timezone, last_ms=wall_ms, next_ms=next_after(cron, wall_ms))


def is_behind(trigger: Trigger, wall_ms: int) -> bool:
    """Tell whether the wall clock is so far behind that it is not trusted to tell what was missed."""
    return wall_ms < trigger.last_ms - int(limits.CLOCK_BACK_S_MAX * 1000)


def look(trigger: Trigger, cron: documents.Cron, wall_ms: int) -> Due | None:
    """Return what is due at `wall_ms`, None when nothing is. Raises Refused as `arm`."""
    if wall_ms < trigger.next_ms or trigger.next_ms == _NEVER_MS:
        return None
    wanted = limits.CATCH_UP_FIRINGS_MAX if cron.catch_up == "all" else 1
    due = _between(cron, trigger.next_ms, wall_ms, limits.CATCH_UP_FIRINGS_MAX + 1)
    fire = due[-wanted:]
    if cron.catch_up == "none" and wall_ms - fire[-1] > limits.FIRING_LATE_S_MAX * 1000:
        fire = []
    kept = msgspec.structs.replace(trigger, last_ms=due[-1], next_ms=next_after(cron, wall_ms))
    return Due(trigger=kept, fire=fire, missed=len(due) - len(fire))


def next_after(cron: documents.Cron, wall_ms: int) -> int:
    """Return the first firing after `wall_ms`, in ms; _NEVER_MS when there is none. Raises Refused."""
    moment = next(_moments(cron, wall_ms), None)
    return _ms(moment) if moment is not None and wall_ms <= limits.CLOCK_MS_MAX else _NEVER_MS


def _between(cron: documents.Cron, first_ms: int, wall_ms: int, count_max: int) -> list[int]:
    """Return the last `count_max` firings from `first_ms` (itself one) to `wall_ms`, ascending."""
    # Backwards from now: after a long absence the way forward would take a step for each firing of all that time.
    past = _moments(cron, wall_ms + 1000, reverse=True)
    found = itertools.takewhile(lambda at: at > first_ms, (_ms(moment) for moment in past))
    latest = [at for at in itertools.islice(found, count_max) if at <= wall_ms]
    return sorted({first_ms, *latest})[-count_max:]


def _moments(cron: documents.Cron, wall_ms: int, *, reverse: bool = False) -> Iterator[datetime.datetime]:
    try:
        zone = zoneinfo.ZoneInfo(cron.timezone)
    except (KeyError, ValueError, OSError) as error:
        raise Refused(f"this device knows no time zone {cron.timezone!r}") from error
    begin = datetime.datetime.fromtimestamp(min(max(wall_ms, 0), limits.CLOCK_MS_MAX) / 1000, zone)
    try:
        return cronsim.CronSim(cron.cron, begin, reverse=reverse)
    except cronsim.CronSimError as error:
        raise Refused(f"{cron.cron!r} is no schedule: {error}") from error


def _ms(moment: datetime.datetime) -> int:
    return int(moment.timestamp() * 1000)


_NEVER_MS = 1 << 52
