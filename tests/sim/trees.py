"""Which worlds are trees, and what they look like: who is under whom.

Every third seed is one, most of three tiers: a root, regions, devices. A deeper one goes on below its first region.
Devices are spread over the lowest hubs; now and then one sits higher up, beside hubs.
"""

from __future__ import annotations

import itertools
from random import Random

from tests.sim.clockwork import Clockwork
from tests.sim.plan import HUB

TIERS_MAX = 5
_REGIONS: tuple[str, ...] = ("eu-north", "us-west")
_HIGHER_UP = 0.15  # of all devices


def tiers(seed: int) -> int:
    """Return how many tiers the world of `seed` has when nobody says."""
    if seed % 3:
        return 2
    return 5 if seed % 30 == 0 else 4 if seed % 12 == 0 else 3


def plant(seed: int, agents: list[str], tiers: int) -> tuple[dict[str, str], dict[str, str]]:
    """Return (hub -> its parent, device -> its hub) of a world of `tiers`, 2 to TIERS_MAX; of two there is none."""
    if tiers <= 2:
        return {}, {}
    chance = Clockwork(seed).chance("tree")
    hubs: dict[str, str] = dict.fromkeys(_REGIONS, HUB)
    lowest = _REGIONS[0]
    for tier in range(tiers - 3):
        below = f"{_REGIONS[0]}-{tier + 1}"
        hubs[below] = lowest
        lowest = below
    return hubs, _homes(chance, agents, hubs, [lowest, _REGIONS[1]])


def _homes(chance: Random, agents: list[str], hubs: dict[str, str], lowest: list[str]) -> dict[str, str]:
    homes = dict(zip(agents, itertools.cycle(lowest), strict=False))
    for place, agent in enumerate(agents):
        if place >= len(lowest) and chance.random() < _HIGHER_UP:
            homes[agent] = chance.choice([HUB, *hubs])
    return homes
