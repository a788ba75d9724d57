"""What a hub says of itself and all below it, added up from its own agents and the reports of its child hubs.

A child hub that is away cannot speak for what is below it: all of that is `unheard` then, its nodes as its resources,
and what it last said is counted on as what was last known (INVARIANTS B: never just "unknown").
"""

from __future__ import annotations

import heapq
from collections import Counter
from typing import TYPE_CHECKING, TypeVar

import msgspec

from hub.core.down.known import tallies
from hub.core.down.known.sums import Sums
from protocol import limits, status
from protocol.link.roster.brief import Offender, OverrideMark, RegionReport

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

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


def made(core: HubCore, sums: Sums, hubs: Mapping[str, tuple[str, RegionReport]]) -> RegionReport:
    """Return the report of this hub. `hubs`: the state of each child hub, and what it last said."""
    heard = {name: said if state == "online" else unheard(said) for name, (state, said) in hubs.items()}
    nodes = Counter(sums.states)
    below = Counter(state for state, _ in hubs.values())
    for said in heard.values():
        nodes.update(said.nodes)
        below.update(said.hubs)
    offenders = [*sums.offenders(), *(one for name, said in heard.items() for one in _under(name, said.worst))]
    more = sum(said.offenders - len(said.worst) for said in heard.values())
    marks = [
        *_overrides(core),
        *sums.marks(),
        *(one for name, said in heard.items() for one in _under(name, said.marks)),
    ]
    unmarked = sum(said.overrides - len(said.marks) for said in heard.values())
    return RegionReport(
        nodes=dict(sorted(nodes.items())),
        hubs=dict(sorted(below.items())),
        tallies=tallies.all_of(core, sums, {name: said.tallies for name, said in heard.items()}),
        worst=heapq.nsmallest(limits.OFFENDERS_MAX, offenders, key=lambda one: (one.rank, one.since_ms, one.at)),
        offenders=len(offenders) + more,
        marks=heapq.nsmallest(limits.OVERRIDE_MARKS_MAX, marks, key=lambda one: (-one.since_ms, one.at, one.what)),
        overrides=len(marks) + unmarked,
        conditions=_conditions(core),
        lost=core.streams.lost,
        haven=core.haven,
    )


def _conditions(core: HubCore) -> list[status.Condition]:
    alarm = core.restore.alarm
    told = [status.Condition(what="restored", text=alarm)] if alarm else []
    return told + core.delegated.conditions()


def _overrides(core: HubCore) -> list[OverrideMark]:
    """Return what the operators of this hub put in the place of what was delegated to it."""
    return [
        OverrideMark(
            what=one.key,
            decision="overridden",
            user=one.by,
            reason=one.reason,
            since_ms=one.since_ms,
            until_ms=one.until_ms,
        )
        for one in core.delegated.overrides()
    ]


def _under(hub: str, marked: Iterable[_Marked]) -> list[_Marked]:
    return [msgspec.structs.replace(one, at=f"{hub}/{one.at}" if one.at else hub) for one in marked]
