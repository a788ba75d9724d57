"""Makes a plan from a seed: which faults, when, and what people do meanwhile.

Each seed has its own mix: some kinds of fault often, some never, so that rare meetings of two of them become likely
somewhere. What all seeds have: services and a workflow that are applied at the beginning, and people who work.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import msgspec

from protocol.aio.failpoints import PLACES
from tests.sim import above, afield, crossing, people, plan, rarities, trees
from tests.sim.clockwork import Clockwork
from tests.sim.plan import HUB, AnyItem, Plan

FIRST_S = 30.0
_DAY_S = 86_400.0
_APART_S = 75.0
_WINTERS = 0.04  # of all seeds

Maker = Callable[["Chances"], AnyItem]


class Chances:
    """One draw: the source, the moment, the fleet. `hubs`: those below the root."""

    def __init__(self, chance: Random, at: float, nodes: list[str], hubs: list[str], *, external: bool) -> None:
        self.chance, self.at, self.nodes, self.external = chance, round(at, 3), nodes, external
        self.children = nodes + hubs
        self._hubs = [HUB, *hubs]

    def node(self) -> str:
        """Return a device."""
        return self.chance.choice(self.nodes)

    def child(self) -> str:
        """Return a device, or a hub that has a parent."""
        return self.chance.choice(self.children)

    def any_hub(self) -> str:
        """Return a hub."""
        return HUB if len(self._hubs) == 1 else self.chance.choice(self._hubs)

    def any_node(self) -> str:
        """Return a device, or a hub, which is one among few."""
        few = 0.25 if len(self._hubs) == 1 else 0.45
        return self.any_hub() if self.chance.random() < few else self.node()

    def span(self, mean_s: float) -> float:
        """Return how long something lasts."""
        return round(min(self.chance.expovariate(1 / mean_s), 10 * mean_s) + 0.1, 1)


def make(seed: int, agents: int, hours: float, *, winters: float = _WINTERS, tiers: int = 0) -> Plan:
    """Return the plan of `seed` for a fleet of `agents` over `hours` of faults; `winters`: how many seeds have one.

    `tiers`: of the tree; 0: what the seed has (tests.sim.trees).
    """
    chance = Clockwork(seed).chance("plan")
    nodes = [f"gw-{number}" for number in range(1, agents + 1)]
    hubs, homes = trees.plant(seed, nodes, tiers or trees.tiers(seed))
    external = chance.random() < 0.5
    weights = [weight * chance.choice((0.0, 0.5, 1.0, 1.0, 3.0)) for weight in _MAKERS.values()]
    tree = above.Tree(hubs, homes, nodes) if hubs else None
    items: list[AnyItem] = people.beginning(chance) if tree is None else tree.beginning(chance)
    at, apart_s = FIRST_S, _APART_S / max(1.0, agents / 3)
    while (at := at + chance.expovariate(1 / apart_s)) < hours * 3_600.0:
        draw = Chances(chance, at, nodes, list(hubs), external=external)
        items.append(chance.choices(list(_MAKERS), weights if any(weights) else list(_MAKERS.values()))[0](draw))
    for at in people.moments(chance, FIRST_S, hours * 3_600.0, agents):
        node = chance.choice(nodes)
        items.append(people.deed(chance, at, node, nodes) if tree is None else tree.deed(chance, at, node))
    items += tree.newcomer(chance, hours * 3_600.0) if tree is not None else []
    items.sort(key=lambda item: item.at)
    say_every_s, seconds = chance.choice((2.0, 10.0, 10.0)), hours * 3_600.0
    made = Plan(seconds=seconds, items=items, external=external, say_every_s=say_every_s, hubs=hubs, homes=homes)
    made = afield.add(seed, crossing.add(seed, rarities.add(seed, made, nodes), nodes), nodes)
    return _winter(chance, made, nodes) if chance.random() < winters else made


def _winter(chance: Random, made: Plan, nodes: list[str]) -> Plan:
    """Return the plan with a long absence in its middle: all is off, for a month or until certificates expire."""
    away_s, at = chance.choice((30, 30, 100)) * _DAY_S, made.seconds / 2
    before = [item for item in made.items if item.at < at]
    after = [msgspec.structs.replace(item, at=item.at + away_s) for item in made.items if item.at >= at + 60.0]
    off: list[AnyItem] = [
        plan.Reboot(
            at=at + place, node=node, for_s=away_s - 60.0 + chance.uniform(0.0, 50.0), power=chance.random() < 0.5
        )
        for place, node in enumerate((*nodes, *made.hubs, HUB))
    ]
    return msgspec.structs.replace(made, seconds=made.seconds + away_s, items=[*before, *off, *after])


# ------------------------------------------------------------------------------------------------ the network


def _cut(draw: Chances) -> AnyItem:
    up, down = draw.chance.choice(((True, True), (True, True), (True, False), (False, True)))
    return plan.Cut(at=draw.at, node=draw.child(), for_s=draw.span(90.0), up=up, down=down)


def _flap(draw: Chances) -> AnyItem:
    chance = draw.chance
    shut_s, open_s = round(chance.uniform(0.5, 60.0), 1), round(chance.uniform(0.5, 30.0), 1)
    return plan.Flap(at=draw.at, node=draw.child(), times=chance.randint(2, 8), shut_s=shut_s, open_s=open_s)


def _clog(draw: Chances) -> AnyItem:
    chosen = draw.chance.sample(draw.children, draw.chance.randint(1, len(draw.children)))
    return plan.Clog(at=draw.at, nodes=chosen, each_s=round(draw.chance.uniform(1.0, 60.0), 1))


def _slow(draw: Chances) -> AnyItem:
    chance = draw.chance
    delay_s, pace = round(chance.uniform(0.1, 6.0), 2), float(chance.choice((0, 300, 2_000, 50_000)))
    return plan.Slow(at=draw.at, node=draw.child(), for_s=draw.span(180.0), delay_s=delay_s, bytes_per_s=pace)


def _bad(draw: Chances) -> AnyItem:
    if not draw.external:
        return plan.Reset(at=draw.at, node=draw.child())
    drop, double, late = (round(draw.chance.choice((0.0, 0.1, 0.4)), 2) for _ in range(3))
    return plan.Bad(at=draw.at, node=draw.child(), for_s=draw.span(180.0), drop=drop, double=double, late=late)


def _broker(draw: Chances) -> AnyItem:
    if not draw.external:
        return plan.Reset(at=draw.at, node=draw.child())
    return plan.KillBroker(at=draw.at, for_s=draw.span(20.0), node=draw.any_hub())


# ------------------------------------------------------------------------------------------------ nodes


def _kill(draw: Chances) -> AnyItem:
    place, nth = draw.chance.choice(("", *PLACES)), draw.chance.randint(1, 12)
    return plan.Kill(at=draw.at, node=draw.any_node(), place=place, nth=nth, for_s=draw.span(10.0))


def _stop(draw: Chances) -> AnyItem:
    return plan.Stop(at=draw.at, node=draw.any_node(), for_s=draw.span(10.0))


def _reboot(draw: Chances) -> AnyItem:
    power = draw.chance.random() < 0.6
    return plan.Reboot(at=draw.at, node=draw.any_node(), power=power, for_s=draw.span(60.0))


def _clock(draw: Chances) -> AnyItem:
    chance = draw.chance
    offset_s = chance.choice((400 * _DAY_S, -400 * _DAY_S, -56 * 365 * _DAY_S, 3_600.0, -3_600.0, 0.0))
    return plan.SetClock(at=draw.at, node=draw.any_node(), offset_s=offset_s)


# ------------------------------------------------------------------------------------------------ disks


def _full(draw: Chances) -> AnyItem:
    return plan.Full(at=draw.at, node=draw.any_node(), for_s=draw.span(30.0))


def _slow_disk(draw: Chances) -> AnyItem:
    commit_s = round(draw.chance.choice((0.1, 0.7, 3.0)), 1)
    return plan.SlowDisk(at=draw.at, node=draw.any_node(), for_s=draw.span(90.0), commit_s=commit_s)


def _restore(draw: Chances) -> AnyItem:
    chance = draw.chance
    in_place, lock_too = chance.random() < 0.5, chance.random() < 0.5
    age_s = round(min(draw.at - 20.0, chance.expovariate(1 / 300.0) + 1.0), 1)
    return plan.Restore(at=draw.at, node=draw.any_node(), age_s=age_s, in_place=in_place, lock_too=lock_too)


def _clone(draw: Chances) -> AnyItem:
    return plan.Clone(at=draw.at, node=draw.node(), for_s=draw.span(120.0))


def _corrupt(draw: Chances) -> AnyItem:
    file = "telemetry.db" if draw.chance.random() < 0.3 else "journal.db"
    return plan.Corrupt(at=draw.at, node=draw.node(), file=file, pages=draw.chance.randint(1, 3))


def _behave(draw: Chances) -> AnyItem:
    verb = draw.chance.choice(("exit", "crash", "oom", "hang", "sick"))
    return plan.Behave(
        at=draw.at, node=draw.node(), service=draw.chance.choice(people.SERVICES), verb=verb, for_s=draw.span(60.0)
    )


_MAKERS: dict[Maker, float] = {
    _cut: 4.0,
    _flap: 1.0,
    _clog: 0.7,
    _slow: 1.5,
    _bad: 2.0,
    _broker: 0.7,
    _kill: 5.0,
    _stop: 1.0,
    _reboot: 1.5,
    _clock: 0.7,
    _full: 1.0,
    _slow_disk: 0.7,
    _restore: 0.5,
    _clone: 0.3,
    _corrupt: 0.3,
    _behave: 3.0,
}
"""How often each kind happens, before a seed makes its own mix of them."""
