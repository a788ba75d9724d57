"""How fast the simulator is at a stated load, and what bounds it: 20 agents, one entry a second each, all faults on."""

from __future__ import annotations

import cProfile
import json
import pstats
import time
from typing import cast

import msgspec

from tests.sim import chances
from tests.sim.fleet import BUILD
from tests.sim.plan import Plan
from tests.sim.world import World

_AGENTS = 20
_HOURS = 0.1
_ROOMS = ("edge_agent", "hub", "protocol", "tests/sim", "sqlite", "msgspec", "pydantic")


def load(seed: int, every_s: float, burst: int) -> Plan:
    """Return the plan of `seed` with a producer on each agent that says `burst` items every `every_s`."""
    plan = chances.make(seed, _AGENTS, _HOURS, winters=0.0, tiers=2)
    return msgspec.structs.replace(plan, say_every_s=every_s, say_burst=burst)


def measure(every_s: float, burst: int) -> tuple[float, World]:
    """Return node-hours for each second of this machine's time, on one core."""
    world = World(1, agents=_AGENTS, plan=load(1, every_s, burst), record=False)
    began = time.process_time()
    world.run()
    return world.clock.now / 3_600 * (_AGENTS + 1) / (time.process_time() - began), world


def main(*, profile: bool) -> int:
    """Print the figures, and with `profile` where the time goes; add them to build/sim-speed.json."""
    figures: dict[str, float] = {}
    for name, every_s, burst in (("one at a time", 1.0, 1), ("ten each 10 s", 10.0, 10), ("sixty each 60 s", 60.0, 60)):
        figures[name], _ = measure(every_s, burst)
        print(f"{figures[name]:8.1f} simulated node-hours a second: {_AGENTS} agents, one entry a second each, {name}")
    BUILD.mkdir(exist_ok=True)
    (BUILD / "sim-speed.json").write_text(json.dumps({k: round(v, 2) for k, v in figures.items()}) + "\n")
    if profile:
        _profile()
    return 0


def _profile() -> None:
    profiler = cProfile.Profile()
    world = World(1, agents=_AGENTS, plan=load(1, 1.0, 1), record=False)
    profiler.runcall(world.run)
    stats = pstats.Stats(profiler)
    found = cast("dict[tuple[str, int, str], tuple[int, int, float, float, object]]", vars(stats)["stats"])
    shares: dict[str, float] = {}
    for (file, _, name), (_, _, own_s, _, _) in found.items():
        room = next((room for room in _ROOMS if room in file or room in name), "python itself")
        shares[room] = shares.get(room, 0.0) + own_s
    whole = sum(shares.values())
    print("\nwhere the time goes (one at a time):")
    for room, own_s in sorted(shares.items(), key=lambda one: -one[1]):
        print(f"{100 * own_s / whole:6.1f} %  {room}")
    stats.sort_stats("tottime").print_stats(25)
