"""What crosses tiers on purpose, in worlds that are trees: moves, errands, artifacts, a region that is revoked.

They come on top of a seed's own mix, from a source of their own, so that they change no other draw.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from random import Random

import msgspec

from hub.core import inputs as hub
from protocol.aio.failpoints import PLACES
from tests.sim import people, plan
from tests.sim.clockwork import Clockwork
from tests.sim.plan import HUB, AnyItem, Plan

_MOVED = 0.5  # of all trees, each
_ASKED = 0.6
_PACKED = 0.4
_REVOKED = 0.08
_DISTURBED = 0.5  # of all moves


def add(seed: int, made: Plan, nodes: list[str]) -> Plan:
    """Return the plan of `seed` with what crosses tiers in it, if it is a tree."""
    if not made.hubs:
        return made
    chance, items = Clockwork(seed).chance("crossing"), list(made.items)
    for share, family in ((_MOVED, _moves), (_ASKED, _errands), (_PACKED, _artifacts), (_REVOKED, _revoked)):
        if chance.random() < share:
            items += family(chance, made, nodes)
    return msgspec.structs.replace(made, items=sorted(items, key=lambda item: item.at))


def move(at: float, hubs: dict[str, str], node: str, home: str, to: str) -> plan.Operate:
    """Return how the hub right above `home` and `to` (or one of both itself) is asked to move `node` there."""
    by = home if hubs.get(to) == home else hubs[home]
    return plan.Operate(at=at, op=hub.MoveNode(node=node if by == home else f"{home}/{node}", to=to), node=by)


def _moves(chance: Random, made: Plan, nodes: list[str]) -> Iterator[AnyItem]:
    """Devices turn to other hubs, and home again; meanwhile somebody concerned fails now and then."""
    homes = {node: made.homes.get(node, HUB) for node in nodes}
    at = 40.0
    while (at := at + chance.expovariate(1 / 250.0)) < made.seconds - 30.0:
        node = chance.choice(nodes)
        home = homes[node]
        to = chance.choice(_beside(made.hubs, home))
        yield move(round(at, 3), made.hubs, node, home, to)
        if chance.random() < _DISTURBED:
            yield _disturbance(chance, round(at + chance.uniform(-20.0, 5.0), 3), [node, home, to])
        homes[node] = to


def _beside(hubs: dict[str, str], home: str) -> list[str]:
    """Return the hubs that a device of `home` can be moved to: those of which one hub is right above both."""
    above = hubs.get(home)
    below = [name for name, parent in hubs.items() if parent == home]
    return below if above is None else [*below, above, *(one for one in hubs if hubs[one] == above and one != home)]


def _disturbance(chance: Random, at: float, concerned: list[str]) -> AnyItem:
    node = chance.choice(concerned)
    if chance.random() < 0.5:
        place, nth = chance.choice(("", *PLACES)), chance.randint(1, 8)
        return plan.Kill(at=at, node=node, place=place, nth=nth, for_s=round(chance.uniform(1.0, 20.0), 1))
    cut = chance.choice([one for one in concerned if one != HUB])
    return plan.Cut(at=at, node=cut, for_s=round(chance.uniform(5.0, 200.0), 1))


def _errands(chance: Random, made: Plan, nodes: list[str]) -> Iterator[AnyItem]:
    """The root's operators ask devices at any depth to do something."""
    addresses = [_address(made, node) for node in nodes]
    for _ in range(chance.randint(2, 8)):
        at = round(chance.uniform(30.0, made.seconds), 3)
        yield plan.Operate(at=at, op=people.task(chance, addresses))


def _address(made: Plan, node: str) -> str:
    home, names = made.homes.get(node, HUB), [node]
    while home != HUB:
        names.insert(0, home)
        home = made.hubs[home]
    return "/".join(names)


def _artifacts(chance: Random, made: Plan, nodes: list[str]) -> Iterator[AnyItem]:
    """A service comes with an artifact, which each region fetches once; then with another one."""
    for number in range(chance.randint(1, 2)):
        at = round(chance.uniform(10.0, 0.6 * made.seconds), 3)
        digest = hashlib.sha256(f"artifact {number}".encode()).hexdigest()
        document = people.service("packed", "steady", chance.choice(("fleet=sim", "site=oslo")))
        packed = {**document, "spec": {**document["spec"], "artifact": digest}}
        yield plan.Operate(at=at, op=hub.NoteArtifact(digest=digest, size=chance.randrange(1, 10_000)))
        yield plan.Operate(at=round(at + 1.0, 3), op=hub.Apply(documents=[packed]))


def _revoked(chance: Random, made: Plan, nodes: list[str]) -> Iterator[AnyItem]:
    """A region is no part of the fleet any more."""
    region = chance.choice(list(made.hubs))
    at = round(chance.uniform(0.5, 0.9) * made.seconds, 3)
    yield plan.Operate(at=at, op=hub.RevokeNode(node=region, reason="stolen"), node=made.hubs[region])
