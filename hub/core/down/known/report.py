"""What a hub says of itself and all below it, added up from its own agents and the reports of its child hubs.

A child hub that is away cannot speak for what is below it: all of that is `unheard` then, its nodes as its resources,
and what it last said is counted on as what was last known (INVARIANTS B: never just "unknown").
"""

from __future__ import annotations

import heapq
import itertools
from collections import Counter
from typing import TYPE_CHECKING, TypeVar

import msgspec

from hub.core.down.known.ranked import newest, worst
from protocol import limits, status
from protocol.link.roster.brief import Offender, OverrideMark, RegionReport

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from hub.core.down.known.totals import Totals
    from hub.core.hub import HubCore

_Marked = TypeVar("_Marked", Offender, OverrideMark)

UNHEARD = "unheard"


def unheard(said: RegionReport) -> RegionReport:
    """Return what is left of what a hub said while that hub is not heard."""
    return msgspec.structs.replace(
        said,
        nodes=_all_unheard(said.nodes),
        hubs=_all_unheard(said.hubs),
        tallies={key: msgspec.structs.replace(one, away=one.placed) for key, one in said.tallies.items()},
    )


def _all_unheard(counts: Mapping[str, int]) -> dict[str, int]:
    left = {state: count for state, count in counts.items() if state == "revoked"}
    rest = sum(count for state, count in counts.items() if state != "revoked")
    return left | ({UNHEARD: rest} if rest else {})


def made(core: HubCore, totals: Totals) -> RegionReport:
    """Return the report of this hub."""
    told = totals.tallies(limits.TALLIES_MAX)
    offenders = [*totals.own.worst.first(limits.OFFENDERS_MAX), *totals.worst.first(limits.OFFENDERS_MAX)]
    own = _overrides(core)
    marks = [
        *own,
        *totals.own.marks.first(limits.OVERRIDE_MARKS_MAX),
        *totals.marks.first(limits.OVERRIDE_MARKS_MAX),
    ]
    troubles = len(totals.own.worst) + len(totals.worst) + totals.unnamed
    overrides = len(own) + len(totals.own.marks) + len(totals.marks) + totals.unmarked
    return RegionReport(
        nodes=_bounded(totals.own.states + totals.nodes),
        hubs=_bounded(totals.states + totals.hubs),
        tallies=told,
        worst=heapq.nsmallest(limits.OFFENDERS_MAX, offenders, key=worst),
        offenders=max(0, min(troubles, limits.INTEGER_MAX)),
        marks=heapq.nsmallest(limits.OVERRIDE_MARKS_MAX, marks, key=newest),
        overrides=max(0, min(overrides, limits.INTEGER_MAX)),
        conditions=_conditions(core, len(totals)),
        lost=core.streams.lost,
        haven=core.haven,
    )


def _bounded(counts: Counter[str]) -> dict[str, int]:
    """Return what a hub above takes, whatever the hubs below say."""
    known = itertools.islice(sorted(counts.items()), limits.STATES_MAX)
    return {state: min(count, limits.INTEGER_MAX) for state, count in known}


def _conditions(core: HubCore, counted: int) -> list[status.Condition]:
    alarm = core.restore.alarm
    told = [status.Condition(what="restored", text=alarm)] if alarm else []
    if counted > limits.TALLIES_MAX:
        text = f"{counted} resources are below it: only {limits.TALLIES_MAX} of them are told above"
        told.append(status.Condition(what="tallies", text=text))
    return told + core.delegated.conditions()


def _overrides(core: HubCore) -> list[OverrideMark]:
    """Return what the operators of this hub put in the place of what was delegated to it."""
    return [
        OverrideMark(
            what=one.key,
            decision="overridden",
            user=one.by,
            reason=one.reason[: limits.BRIEF_TEXT_CHARS],
            since_ms=one.since_ms,
            until_ms=one.until_ms,
        )
        for one in core.overrides.all()
    ]


def under(hub: str, marked: Iterable[_Marked]) -> list[_Marked]:
    """Return what a child hub says of places below it, with their addresses from here."""
    return [
        msgspec.structs.replace(one, at=f"{hub}/{one.at}"[: limits.ADDRESS_CHARS_MAX] if one.at else hub)
        for one in marked
    ]
