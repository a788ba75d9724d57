"""Runs one seed: a world, every checker on its facts as they happen, and what came of it."""

from __future__ import annotations

import hashlib
import os
import time
import traceback
from collections.abc import Callable

import msgspec

from tests.checkers.all import ALL, Checkers
from tests.checkers.base import Checker
from tests.checkers.history import AnyFact, Broken
from tests.sim import rest
from tests.sim.ledger import Ledger
from tests.sim.plan import Plan
from tests.sim.world import World


class Outcome(msgspec.Struct, kw_only=True):
    """What became of a seed. `rule` is "" when all held; `text` says what broke, `at` when (the world's seconds)."""

    seed: int
    rule: str = ""
    text: str = ""
    at: float = 0.0
    agents: int = 0
    hubs: int = 1
    hours: float = 0.0
    asleep_hours: float = 0.0
    """Of a long absence, in which all is off."""
    wall_s: float = 0.0
    faults: dict[str, int] = {}
    judged: dict[str, int] = {}
    items: int = 0


def chosen() -> list[type[Checker]]:
    """Return the checkers of the rules that RULES names (`A1,A4`), or all. Raises ValueError for one that is none."""
    wanted = list(filter(None, os.environ.get("RULES", "").split(",")))
    known = {one.rule: one for one in ALL}
    if not known.keys() >= set(wanted):
        raise ValueError(f"RULES={','.join(wanted)}: the rules are {', '.join(known)}")
    return [known[rule] for rule in wanted or known]


def digest(seed: int, *, agents: int, hours: float) -> str:
    """Return the SHA-256 of all facts of a seed, byte for byte."""
    world = World(seed, agents=agents, hours=hours, record=False)
    total, encode = hashlib.sha256(), msgspec.json.Encoder().encode
    world.listeners.append(lambda fact: total.update(type(fact).__name__.encode() + encode(fact) + b"\n"))
    world.run()
    return total.hexdigest()


def run(
    seed: int,
    *,
    agents: int,
    hours: float,
    plan: Plan | None = None,
    tiers: int = 0,
    listen: Callable[[AnyFact], None] | None = None,
) -> Outcome:
    """Run one seed; `tiers` as in tests.sim.chances. What is wrong in the world is not raised: it is a finding."""
    began = time.perf_counter()
    world = World(seed, agents=agents, plan=plan, hours=hours, tiers=tiers, record=False)
    quotas = {"quota_bytes": world.plan.quota_bytes, "relay_bytes": world.plan.relay_bytes}
    checkers = Checkers(chosen(), exact=True, **quotas)
    ledger = Ledger(checkers.world)
    if listen is not None:
        world.listeners.append(listen)
    world.listeners += [checkers.feed, ledger.feed]
    outcome = Outcome(seed=seed, agents=agents, hubs=len(world.hubs))
    try:
        world.run()
        if world.rest_at is None:
            raise Broken("A19", f"no rest after all was healed: {rest.unsettled(world)}")
        outcome.judged = checkers.end() | ledger.end()
    except Broken as broken:
        outcome.rule, outcome.text = broken.rule, str(broken)
    except Exception as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        outcome.rule = "crash"
        outcome.text = f"{type(error).__name__}: {error} ({place.filename.rpartition('/')[2]}:{place.lineno})"
    outcome.at = round(world.clock.now, 3)
    outcome.asleep_hours = max(0.0, world.plan.seconds / 3_600 - hours)
    outcome.hours = max(0.0, world.clock.now / 3_600 - outcome.asleep_hours)
    outcome.faults = dict(sorted(world.faults.items()))
    outcome.items = len(ledger.kept)
    outcome.wall_s = time.perf_counter() - began
    return outcome
