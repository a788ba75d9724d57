"""What happens out at the devices: sticks that are carried, links that are metered, updates that are kept away.

They come on top of a seed's own mix, from a source of their own, so that they change no other draw.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from random import Random

import msgspec

from edge_agent.core import inputs as agent
from hub.core import inputs as hub
from protocol import documents
from protocol.spec import compile as compiler
from protocol.spec import load
from protocol.spec.fleet.upgrade import placed
from tests.sim import installer, people, plan
from tests.sim.clockwork import Clockwork
from tests.sim.node import WALL_S
from tests.sim.plan import AnyItem, Plan

_CARRIED = 0.35  # of all seeds, each
_HELD = 0.35
_OWN = 0.25
_METERED = 0.3
_UPGRADED = 0.3
_INVITED = 0.15

_Family = Callable[[Random, Plan, list[str]], Plan]


def add(seed: int, made: Plan, nodes: list[str]) -> Plan:
    """Return the plan of `seed` with what happens at its devices, if anything does."""
    chance = Clockwork(seed).chance("afield")
    families: list[tuple[float, _Family]] = [
        (_CARRIED, _carried),
        (_HELD, _held),
        (_OWN, _own),
        (_METERED, _metered),
        (_UPGRADED, _upgraded),
        (_INVITED, _invited),
    ]
    for share, family in families:
        if chance.random() < share:
            made = family(chance, made, nodes)
    return made


def _carried(chance: Random, made: Plan, nodes: list[str]) -> Plan:
    """A device whose link is cut for long, at times, and people who carry sticks to it and from it: some late, in
    another order, twice, half copied, or to another device."""
    node, items = chance.choice(nodes), list[AnyItem]()
    if chance.random() < 0.7:
        at = round(chance.uniform(40.0, 0.4 * made.seconds), 3)
        items.append(plan.Cut(at=at, node=node, for_s=round(chance.uniform(0.2, 1.0) * (made.seconds - at), 1)))
    for _ in range(chance.randint(3, 12)):
        carried = node if chance.random() < 0.8 else chance.choice(nodes)
        way = chance.choice(("up", "down"))
        theirs = made.homes.get(carried, plan.HUB)
        strangers = [
            one for one in (nodes if way == "down" else [plan.HUB, *made.hubs]) if one not in (carried, theirs)
        ]
        items.append(
            plan.Carry(
                at=round(chance.uniform(40.0, made.seconds), 3),
                node=carried,
                way=way,
                after_s=round(min(chance.expovariate(1 / chance.choice((10.0, 60.0, 600.0))) + 0.5, made.seconds), 1),
                again_s=chance.choice((0.0, 0.0, 1.0, 90.0)),
                half=chance.random() < 0.2,
                to=chance.choice(strangers) if strangers and chance.random() < 0.1 else "",
            )
        )
    return _with(made, *items, *_lost(chance, made, node))


def _lost(chance: Random, made: Plan, node: str) -> list[AnyItem]:
    """Return what happens now and then to the disk of a device between two sticks: it goes back, or is damaged."""
    at = round(chance.uniform(200.0, made.seconds), 3)
    back = plan.Restore(at=at, node=node, age_s=round(chance.uniform(20.0, 150.0), 1), in_place=chance.random() < 0.5)
    broken = plan.Corrupt(at=at, node=node, pages=chance.randint(1, 3))
    return [chance.choice((back, broken))] if chance.random() < 0.4 and at < made.seconds else []


def _held(chance: Random, made: Plan, nodes: list[str]) -> Plan:
    """Somebody at a device keeps updates away during a shift, with an end or without; and lets them come, or never."""
    items: list[AnyItem] = []
    for _ in range(chance.randint(1, 3)):
        node, at = chance.choice(nodes), round(chance.uniform(30.0, made.seconds), 3)
        for_s = round(chance.uniform(30.0, 900.0), 1)
        until_ms = int((WALL_S + at + for_s) * 1000) if chance.random() < 0.4 else 0
        hold = agent.LocalHold(reason="a shift", until_ms=chance.choice((until_ms, until_ms, None)))
        items.append(plan.AtDevice(at=at, node=node, command=hold))
        if chance.random() < 0.7:
            items.append(plan.AtDevice(at=round(at + for_s, 3), node=node, command=agent.LocalUnhold(reason="over")))
    return _with(made, *items)


def _own(chance: Random, made: Plan, nodes: list[str]) -> Plan:
    """Somebody at a device declares a service there, under a name that the hub may ask for, too; and deletes it."""
    items: list[AnyItem] = []
    for _ in range(chance.randint(1, 3)):
        node, at = chance.choice(nodes), round(chance.uniform(30.0, made.seconds), 3)
        name = chance.choice(("bench", *people.SERVICES))
        for again in range(chance.randint(1, 2)):
            later = round(at + again * chance.uniform(10.0, 300.0), 3)
            items.append(plan.AtDevice(at=later, node=node, command=declared(name, rate=chance.randrange(3))))
        if chance.random() < 0.6:
            gone = agent.LocalDelete(kind="service", name=name, reason="done")
            items.append(plan.AtDevice(at=round(at + chance.uniform(30.0, 600.0), 3), node=node, command=gone))
    return _with(made, *items)


def _metered(chance: Random, made: Plan, nodes: list[str]) -> Plan:
    """Devices that speak in contacts, over networks that forget what is idle."""
    chosen = [node for node in nodes if chance.random() < 0.5]
    metered = {node: chance.choice((60.0, 120.0, 300.0, 900.0, 3_600.0)) for node in chosen}
    idle: list[AnyItem] = [
        plan.Forget(at=round(chance.uniform(30.0, made.seconds), 3), node=node)
        for node in chosen
        for _ in range(chance.randint(0, 2))
    ]
    return msgspec.structs.replace(_with(made, *idle), metered=metered)


def _upgraded(chance: Random, made: Plan, nodes: list[str]) -> Plan:
    """Agents are to be of another version, in waves: of some that are well, of some that are not; some devices are
    held, some lose their power on trial, some are cut off."""
    items: list[AnyItem] = []
    at = chance.uniform(40.0, 0.4 * made.seconds)
    for number in range(chance.choice((1, 1, 2, 3))):
        kind = chance.choice(("0.2", "0.2", "0.2", "0.3", "0.4", "0.5", "0.6", "0.7", "0.7"))
        waves = chance.choice((["all"], [1, "all"], [1, 1, "all"], [2, "all"], ["50%", "all"]))
        stop_after = chance.choice((0, 0, 1))
        items += upgrade(round(at, 3), f"{kind}.{number}", waves, stop_after, chance.choice(("fleet=sim", "site=oslo")))
        for node in nodes:
            if chance.random() < 0.3:
                trouble = round(at + chance.uniform(0.0, 40.0), 3)
                power = plan.Reboot(at=trouble, node=node, power=True, for_s=round(chance.uniform(1.0, 30.0), 1))
                cut = plan.Cut(at=trouble, node=node, for_s=round(chance.uniform(10.0, 300.0), 1))
                hold = plan.AtDevice(at=trouble, node=node, command=agent.LocalHold(reason="a shift"))
                items.append(chance.choice((power, cut, hold)))
        at += chance.expovariate(1 / 200.0)
    return _with(made, *items)


def upgrade(at: float, version: str, waves: Sequence[str | int], stop_after: int, selector: str) -> list[AnyItem]:
    """Return how the root's operators put a package there, and ask for it."""
    digest = hashlib.sha256(version.encode()).hexdigest()
    spec = {
        "version": version,
        "packages": [placed(installer.RELEASE, installer.ARCH, f"sha256:{digest}")],
        "placement": {"selector": selector},
        "waves": list(waves),
        "confirm": "20s",
        "stop_after": stop_after,
    }
    document = {"apiVersion": "skerry/v1", "kind": "Upgrade", "metadata": {"name": "agents"}, "spec": spec}
    note = plan.Operate(at=at, op=hub.NoteArtifact(digest=f"sha256:{digest}", size=1_000))
    return [note, plan.Operate(at=round(at + 1.0, 3), op=hub.Apply(documents=[document]))]


def _invited(chance: Random, made: Plan, nodes: list[str]) -> Plan:
    """A device is made from a stick, where there is no network for a while: what crosses is carried."""
    node, at = nodes[-1], round(chance.uniform(10.0, 0.3 * made.seconds), 3)
    if any(isinstance(one, plan.Arrive) for one in made.items):
        return made
    for_s = round(chance.uniform(0.1, 1.0) * (made.seconds - at), 1)
    items: list[AnyItem] = [plan.Cut(at=0.0, node=node, for_s=for_s), plan.Invite(at=at, node=node)]
    for _ in range(chance.randint(2, 6)):
        way, after_s = chance.choice(("up", "up", "down")), round(chance.uniform(1.0, 60.0), 1)
        again_s = chance.choice((0.0, 30.0))
        when = round(at + chance.uniform(5.0, for_s), 3)
        items.append(plan.Carry(at=when, node=node, way=way, after_s=after_s, again_s=again_s))
    return _with(made, *items)


def declared(name: str, *, rate: int = 0) -> agent.LocalApply:
    """Return how a person declares a service at a device."""
    made = compiler.document(load.from_json(people.service(name, "idle", "fleet=sim", env={"RATE": f"own {rate}"})))
    assert made is not None
    return agent.LocalApply(documents=[msgspec.Raw(documents.encode(made))], reason="here alone")


def _with(made: Plan, *items: AnyItem) -> Plan:
    return msgspec.structs.replace(made, items=sorted([*made.items, *items], key=lambda item: item.at))
