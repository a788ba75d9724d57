"""What a hub says of itself and all below it, added up from its own agents and the reports of its child hubs.

A child hub that is away cannot speak for what is below it: all of that is `unheard` then, its nodes as its resources,
and what it last said is counted on as what was last known (INVARIANTS B: never just "unknown").
"""

from __future__ import annotations

import heapq
from collections import Counter
from typing import TYPE_CHECKING, TypeVar

import msgspec

from hub.core.down.brief import digest_part
from hub.core.down.sums import Sums
from protocol import limits, status
from protocol.link.roster.brief import Offender, OverrideMark, RegionReport, Tally

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from hub.core.hub import HubCore

_Marked = TypeVar("_Marked", Offender, OverrideMark)

UNHEARD = "unheard"
_COUNTS = ("asked", "placed", "current", "running", "healthy", "unhealthy", "away")


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
    marks = [*sums.marks(), *(one for name, said in heard.items() for one in _under(name, said.marks))]
    unmarked = sum(said.overrides - len(said.marks) for said in heard.values())
    return RegionReport(
        nodes=dict(sorted(nodes.items())),
        hubs=dict(sorted(below.items())),
        tallies=tallies(core, sums, {name: said.tallies for name, said in heard.items()}),
        worst=heapq.nsmallest(limits.OFFENDERS_MAX, offenders, key=lambda one: (one.rank, one.since_ms, one.at)),
        offenders=len(offenders) + more,
        marks=heapq.nsmallest(limits.OVERRIDE_MARKS_MAX, marks, key=lambda one: (-one.since_ms, one.at, one.what)),
        overrides=len(marks) + unmarked,
        conditions=_conditions(core),
        lost=core.streams.lost,
    )


def _conditions(core: HubCore) -> list[status.Condition]:
    alarm = core.restore.alarm
    return [status.Condition(what="restored", text=alarm)] if alarm else []


def _under(hub: str, marked: Iterable[_Marked]) -> list[_Marked]:
    return [msgspec.structs.replace(one, at=f"{hub}/{one.at}" if one.at else hub) for one in marked]


def tallies(core: HubCore, sums: Sums, below: Mapping[str, Mapping[str, Tally]]) -> dict[str, Tally]:
    """Return what each resource comes to, here and `below`, by child hub."""
    own = sums.tallies()
    found: dict[str, Tally] = {}
    for record in core.resources.records():
        here = own.pop(record.key, Tally())
        asked = here.placed if record.count is None else record.count
        generation = record.generation if record.origin is None else record.origin.generation
        digest = digest_part(core.resources.document(record.key)[2])
        found[record.key] = msgspec.structs.replace(here, asked=asked, digest=digest, generation=generation)
    found |= own
    for said in below.values():
        for key, one in said.items():
            found[key] = added(found[key], one) if key in found else one
    return dict(sorted(found.items()))


def added(one: Tally, other: Tally) -> Tally:
    """Return the sum of what two parts of a subtree have of a resource."""
    known = [generation for generation in (one.generation, other.generation) if generation]
    return Tally(
        **{name: getattr(one, name) + getattr(other, name) for name in _COUNTS},
        digest=one.digest if one.digest == other.digest else "",
        generation=min(known, default=0),
    )
