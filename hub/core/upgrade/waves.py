"""In which order nodes get another version: pure, over what is known of each.

    a node that has the version            state     counts
    has said that it runs                  running   as done
    is at it, or was not heard since       pending   its wave waits for it
    went back                              back      against `stop_after`
    was at it, and is not heard any more   silent    the same: a version may be what took its network away
    is away, held, refuses it              spared    for nothing: another node takes its place in the wave

A wave is done when it is filled and none of its nodes is pending, and at least one runs: what nobody has tried proves
nothing. In the last wave (`all`) whoever is left has it, the absent too: they read it when they return (INVARIANTS B).
When it stops, it is taken from those who have not begun, the absent and the held too: they would begin with it when
they return. Who is at it comes to its own end.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

import msgspec

RUNNING, PENDING, BACK, SILENT, SPARED = "running", "pending", "back", "silent", "spared"


class Rollout(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How far one Upgrade is at one hub. `wave` counts from 0; `given`: the nodes that have it; `stopped`: why."""

    number: int
    wave: int = 0
    given: list[str] = []
    stopped: str = ""


def step(
    former: Rollout,
    waves: Sequence[str],
    stop_after: int,
    nodes: Sequence[str],
    states: Mapping[str, str],
    is_online: Iterable[str],
) -> Rollout:
    """Return what follows from what is known now. `nodes`: all that match, in their order; `states`: of those given."""
    online = frozenset(is_online)
    had = frozenset(former.given)
    given = [name for name in nodes if name in had]
    found = {name: states.get(name, PENDING) for name in given}
    bad = sorted(name for name, state in found.items() if state in (BACK, SILENT))
    if former.stopped or len(bad) > stop_after:
        begun = [name for name in given if found[name] not in (PENDING, SPARED)]
        return msgspec.structs.replace(former, given=begun, stopped=former.stopped or _why(bad, found, stop_after))
    wave = former.wave
    while True:
        given += _more(waves[wave], nodes, found, online)
        found |= {name: PENDING for name in given if name not in found}
        if wave + 1 == len(waves) or not _is_done(found):
            return Rollout(number=former.number, wave=wave, given=given)
        wave += 1


def size(wave: str, count: int) -> int:
    """Return how many of `count` nodes a wave names."""
    if wave == "all":
        return count
    if wave.endswith("%"):
        return math.ceil(count * int(wave.removesuffix("%")) / 100)
    return min(int(wave), count)


def _more(wave: str, nodes: Sequence[str], found: Mapping[str, str], online: frozenset[str]) -> list[str]:
    """Return who is to have it, too, so that the wave is filled."""
    free = [name for name in nodes if name not in found]
    if wave == "all":
        return free
    counted = sum(state != SPARED for state in found.values())
    return [name for name in free if name in online][: max(size(wave, len(nodes)) - counted, 0)]


def _is_done(found: Mapping[str, str]) -> bool:
    return PENDING not in found.values() and RUNNING in found.values()


def _why(bad: Sequence[str], found: Mapping[str, str], stop_after: int) -> str:
    named = ", ".join(f"{name} {'went back' if found[name] == BACK else 'fell silent'}" for name in bad[:4])
    more = f" and {len(bad) - 4} more" if len(bad) > 4 else ""
    return f"{named}{more}; {stop_after} may"
