"""What befalls few worlds, on purpose: full quotas, rows that nobody can read, copies with a backlog, local decisions.

They come on top of a seed's own mix, from a source of their own, so that they change no other draw.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import msgspec

from edge_agent.core import inputs as agent
from protocol.limits import KIB
from tests.sim import plan
from tests.sim.clockwork import Clockwork
from tests.sim.plan import AnyItem, Plan

_SMALL = 0.25  # of all seeds, each
_POISONED = 0.3
_COPIED = 0.2
_OVERRULED = 0.5

_Family = Callable[[Random, Plan, list[str]], Plan]


def add(seed: int, made: Plan, nodes: list[str]) -> Plan:
    """Return the plan of `seed` with what is rare in it, if anything is."""
    chance = Clockwork(seed).chance("rarities")
    families: list[tuple[float, _Family]] = [
        (_SMALL, _small),
        (_POISONED, _poisoned),
        (_COPIED, _copied),
        (_OVERRULED, _overruled),
    ]
    for share, family in families:
        if chance.random() < share:
            made = family(chance, made, nodes)
    return made


def _small(chance: Random, made: Plan, nodes: list[str]) -> Plan:
    """Quotas so small that a cut of minutes fills them: rows go, acked ones in silence, others under a GAP."""
    return msgspec.structs.replace(made, quota_bytes=chance.choice((64, 128, 256)) * KIB, say_every_s=2.0)


def _poisoned(chance: Random, made: Plan, nodes: list[str]) -> Plan:
    """Newest rows that are no entry, and chained right."""
    return _with(
        made,
        *(
            plan.Poison(
                at=round(chance.uniform(40.0, made.seconds), 3),
                node=chance.choice(nodes),
                stream=chance.choice(("audit", "state", "metrics")),
                looks=chance.choice(list(plan.POISONS)),
            )
            for _ in range(chance.randint(1, 4))
        ),
    )


def _copied(chance: Random, made: Plan, nodes: list[str]) -> Plan:
    """A device is cut off and says much; then a copy of it connects, drains that, and goes; then the device returns."""
    node, at = chance.choice(nodes), round(chance.uniform(40.0, 0.6 * made.seconds), 3)
    away_s, beside_s = round(chance.uniform(60.0, 600.0), 1), round(chance.uniform(20.0, 120.0), 1)
    cut = plan.Cut(at=at, node=node, for_s=away_s + beside_s + chance.choice((-10.0, 5.0)))
    items: list[AnyItem] = [cut, plan.Clone(at=at + away_s, node=node, for_s=beside_s)]
    burst = chance.choice((1, 5, 20))
    return msgspec.structs.replace(_with(made, *items), say_every_s=2.0, say_burst=burst)


def _overruled(chance: Random, made: Plan, nodes: list[str]) -> Plan:
    """Somebody at a device stops what runs there, and lets it run again much later, or never."""
    items: list[AnyItem] = []
    for _ in range(chance.randint(1, 3)):
        node, service = chance.choice(nodes), chance.choice(("web", "web", "worker"))
        at = round(chance.uniform(40.0, made.seconds), 3)
        items.append(plan.AtDevice(at=at, node=node, command=agent.LocalStop(service=service, reason="noise")))
        if chance.random() < 0.7:
            again = agent.LocalRelease(service=service)
            items.append(plan.AtDevice(at=round(at + chance.uniform(60.0, 600.0), 3), node=node, command=again))
    return _with(made, *items)


def _with(made: Plan, *items: AnyItem) -> Plan:
    return msgspec.structs.replace(made, items=sorted([*made.items, *items], key=lambda item: item.at))
