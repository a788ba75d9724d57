"""Makes a plan from a seed: which faults, when, and what people do meanwhile."""

from __future__ import annotations

from random import Random
from typing import Any

from edge_agent.core import inputs as at_device
from hub.core import inputs
from tests.sim import plan
from tests.sim.clockwork import Clockwork
from tests.sim.node import PLACES
from tests.sim.plan import HUB, AnyItem, Plan

_FIRST_S = 30.0


def make(seed: int, agents: int, hours: float) -> Plan:
    """Return the plan of `seed` for a fleet of `agents` over `hours` of faults."""
    chance = Clockwork(seed).chance("plan")
    nodes = [f"gw-{number}" for number in range(1, agents + 1)]
    seconds = hours * 3_600.0
    items: list[AnyItem] = [plan.Operate(at=5.0, op=inputs.Apply(documents=[service("web", "steady")]))]
    at = _FIRST_S
    while True:
        at += chance.expovariate(1 / 60.0)
        if at > seconds:
            break
        items.append(_fault(chance, round(at, 3), nodes))
    return Plan(seconds=seconds, items=items, external=chance.random() < 0.5)


def _fault(chance: Random, at: float, nodes: list[str]) -> AnyItem:
    node = chance.choice(nodes)
    if chance.random() < 0.5:
        return plan.Kill(at=at, node=chance.choice([node, HUB]), place=chance.choice(["", *PLACES]), for_s=5.0)
    return plan.Cut(at=at, node=node, for_s=round(chance.expovariate(1 / 60.0), 1))


def service(name: str, verb: str, **spec: Any) -> dict[str, Any]:
    """Return a service as an operator writes it."""
    return {
        "apiVersion": "skerry/v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {"process": {"command": ["sim", verb]}, "placement": {"selector": "fleet=sim", "count": "all"}, **spec},
    }


__all__ = ["at_device", "make", "service"]
