"""What people do in a world that is a tree: who is at the root, and who is at a region that governs itself.

The root's operators declare for all, by region, by label and by number; a region's declare what is theirs, which has
names of its own, and put something else in the place of what the root delegated, for a time.
"""

from __future__ import annotations

import dataclasses
from random import Random
from typing import Any

import msgspec

from hub.core import inputs as hub
from tests.sim import people, plan
from tests.sim.plan import HUB, AnyItem

_OWN = "own-"
_COUNTS: tuple[str | int, ...] = ("all", "all", 1, 2, "total 3", "1 per region", "2 per region")
_REGIONS = (None, None, "continent=eu", "continent=us", "continent in (eu,us)")


@dataclasses.dataclass(frozen=True)
class Tree:
    """Who is under whom, and what people do there. `hubs`: hub -> its parent; `homes`: device -> its hub."""

    hubs: dict[str, str]
    homes: dict[str, str]
    nodes: list[str]

    def beginning(self, chance: Random) -> list[AnyItem]:
        """Return what is declared before anything happens: at the root for all, and at each region its own."""
        alone = plan.Operate(at=6.0, op=hub.Apply(documents=[_alone(chance, "alone")]))
        own = [people.service(f"{_OWN}web", "steady", "fleet=sim"), _alone(chance, f"{_OWN}alone")]
        apply = hub.Apply(documents=own)
        return [*people.beginning(chance), alone, *(plan.Operate(at=8.0, op=apply, node=name) for name in self.hubs)]

    def newcomer(self, chance: Random, seconds: float) -> list[AnyItem]:
        """Return how the last device comes to its region while that is cut off; now and then none does."""
        node = self.nodes[-1]
        region = self.homes.get(node, HUB)
        if region == HUB or chance.random() < 0.5:
            return []
        at = round(chance.uniform(30.0, 0.7 * seconds), 3)
        cut = plan.Cut(at=at, node=region, for_s=round(chance.uniform(120.0, 400.0), 1))
        return [cut, plan.Arrive(at=round(at + 70.0, 3), node=node)]

    def deed(self, chance: Random, at: float, node: str) -> AnyItem:
        """Return one thing that somebody does: at the device `node`, at its hub, or at the root."""
        home = self.homes.get(node, HUB)
        neighbours = [one for one in self.nodes if self.homes.get(one, HUB) == home]
        done = people.deed(chance, at, node, neighbours)
        if not isinstance(done, plan.Operate):
            return done
        match done.op:
            case hub.Apply():
                return _declared(chance, at, home)
            case hub.DeleteResource(kind=kind, name=name) if home != HUB and chance.random() < 0.5:
                return plan.Operate(at=at, op=hub.DeleteResource(kind=kind, name=_OWN + name), node=home)
            case hub.DeleteResource() | hub.AcceptRestore() if chance.random() < 0.5:
                return done
            case hub.CordonNode() | hub.DrainNode() | hub.AcceptNode() if chance.random() < 0.3:
                region = chance.choice(list(self.hubs))
                return plan.Operate(at=at, op=msgspec.structs.replace(done.op, node=region), node=self.hubs[region])
            case _:
                return msgspec.structs.replace(done, node=home)


def _declared(chance: Random, at: float, home: str) -> AnyItem:
    if chance.random() < 0.1:
        return plan.Operate(at=at, op=hub.Apply(documents=[_policy(chance)]), node=chance.choice((HUB, HUB, home)))
    if chance.random() < 0.15:
        name = "alone" if home == HUB or chance.random() < 0.5 else f"{_OWN}alone"
        return plan.Operate(
            at=at, op=hub.Apply(documents=[_alone(chance, name)]), node=home if name != "alone" else HUB
        )
    document = people.document(chance)
    if home == HUB or chance.random() < 0.6:
        return plan.Operate(at=at, op=hub.Apply(documents=[_spread(chance, document)]), node=HUB)
    if chance.random() < 0.5:
        named = {**document, "metadata": {"name": _OWN + document["metadata"]["name"]}}
        return plan.Operate(at=at, op=hub.Apply(documents=[named]), node=home)
    life = hub.Override(for_s=chance.choice((60.0, 300.0, 3_600.0)), reason="here it is otherwise")
    return plan.Operate(at=at, op=hub.Apply(documents=[document], override=life), node=home)


def _spread(chance: Random, document: dict[str, Any]) -> dict[str, Any]:
    """Return `document` for some regions, and as many of each or of all as chance says."""
    spec: dict[str, Any] = document["spec"]
    place: dict[str, Any] = {**spec["placement"], "count": chance.choice(_COUNTS)}
    regions = chance.choice(_REGIONS)
    if regions is not None:
        place["regions"] = regions
    return {**document, "spec": {**spec, "placement": place}}


def _alone(chance: Random, name: str) -> dict[str, Any]:
    """Return a service that may run once at most, of all that are below where it is declared."""
    replace = chance.choice(("wait", {"replace_after": "90s"}, {"replace_after": "5m"}))
    on_return = chance.choice(("keep_original", "keep_replacement", "keep_newest"))
    cut = {"hub": replace, "on_return": on_return, "at_most_one": True}
    return people.service(name, "steady", "fleet=sim", count=1, disconnect=cut)


def _policy(chance: Random) -> dict[str, Any]:
    """Return what is to bind regions: how much goes up, how many services, and what their operators may do."""
    spec: dict[str, Any] = {"forward": {chance.choice(("metrics", "logs", "state")): chance.choice(("all", "summary"))}}
    if chance.random() < 0.3:
        spec["allow"] = {"services": chance.choice((3, 8))}
    if chance.random() < 0.3:
        spec["may"] = chance.choice((["run", "apply"], ["run"], ["run", "apply", "override"]))
    if chance.random() < 0.5:
        spec["regions"] = chance.choice(("continent=eu", "continent=us"))
    name = chance.choice(("bounds", "thrift"))
    return {"apiVersion": "skerry/v1", "kind": "Policy", "metadata": {"name": name}, "spec": spec}
