"""A device turns to another hub because the hub above both says so: its work and its entries go on there."""

from __future__ import annotations

from typing import Any, cast

import msgspec
import pytest

from hub.core import inputs
from hub.core.registry import Node
from protocol import documents, status
from protocol.effects import Effects
from tests.support.tree import Hub, Tree
from tests.unit.hub import world

OSLO = {"site": "oslo"}


@pytest.fixture
def tree() -> Tree:
    tree = Tree()
    tree.add("cloud")
    for name in ("east", "west"):
        tree.add(name, "cloud")
    tree.later(5.0)
    return tree


def move(tree: Tree, node: str, to: str) -> Any:
    done = tree.hubs["cloud"].ask(inputs.MoveNode(node=node, to=to))
    tree.later(1.0)
    return done


def refused(tree: Tree, node: str, to: str) -> str:
    reply = tree.hubs["cloud"].request(inputs.MoveNode(node=node, to=to))
    assert reply is not None
    assert reply.error
    return reply.error


def told(device: world.Device) -> bool:
    """Tell whether the device has been told to move, as it reports what it holds."""
    device.connect()
    device.report(status.Report())
    return f"move/{device.name}" in device.items


def turn(device: world.Device, hub: Hub) -> None:
    """The device turns to `hub`, and reports there."""
    device.world = cast("world.World", hub)
    device.connect()
    device.report(status.Report())
    hub.tree.later(1.0)


def node(hub: Hub, name: str) -> Node:
    return hub.core.registry.get(name)


def rekey(hub: Hub, name: str) -> None:
    """Make the device `name` of `hub` another one than any of that name elsewhere."""
    hub.core.registry.put(msgspec.structs.replace(node(hub, name), key="f" * 64), fx := Effects())
    hub.store.commit(fx.store)
    hub.restart()
    hub.tree.later(120.0)


def rows(hub: Hub, name: str) -> list[int]:
    """Return the seqs of the state stream of a device that a hub holds."""
    return [seq for origin, _, stream, seq, *_ in hub.store.entries if (origin, stream) == (name, "state")]


def test_a_device_that_moves_is_told_by_its_hub_and_known_by_the_other_one(tree: Tree) -> None:
    east, west = tree.hubs["east"], tree.hubs["west"]
    device = east.device("gw-7", OSLO)
    device.entries(("measured", "oven", 1), ("measured", "oven", 2))
    tree.later(1.0)

    assert move(tree, "gw-7", "west") == {"node": "gw-7", "from": "east", "to": "west", "number": 1}
    assert told(device)
    assert node(east, "gw-7").moved == "west"
    assert (node(west, "gw-7").key, node(west, "gw-7").labels) == (node(east, "gw-7").key, OSLO)

    device.held_first = 3
    turn(device, west)
    device.entries(("measured", "oven", 3))
    tree.later(1.0)
    assert rows(west, "gw-7") == [3]
    assert rows(tree.hubs["cloud"], "gw-7") == [1, 2, 3], "none lost, none doubled"
    assert not west.core.parent.view("gw-7").lost


def test_what_it_is_asked_goes_on_under_a_new_term_and_is_whole_at_once(tree: Tree) -> None:
    cloud, east, west = (tree.hubs[name] for name in ("cloud", "east", "west"))
    device = east.device("gw-7", OSLO)
    cloud.ask(inputs.Apply(documents=[world.service("beat", selector="site=oslo")]))
    tree.later(2.0)
    assert not told(device)
    assert "assignment/beat" in device.items
    before = device.held

    move(tree, "gw-7", "west")
    assert told(device)
    asked = dict(device.items)
    turn(device, west)

    assert device.held.term > before.term
    assert device.items == {item: digest for item, digest in asked.items() if not item.startswith("move/")}
    assert not west.core.parent.view("gw-7").blocked
    turn(device, west)
    assert not west.core.parent.view("gw-7").blocked, "as any other device from then on"


def test_the_root_says_it_until_the_device_has_arrived(tree: Tree) -> None:
    cloud, east, west = (tree.hubs[name] for name in ("cloud", "east", "west"))
    device = east.device("gw-7", OSLO)
    move(tree, "gw-7", "west")
    assert list(cloud.core.orders.items("east")) == list(cloud.core.orders.items("west")) == ["move/gw-7"]
    for hub in (cloud, east, west):
        hub.restart()
    tree.later(120.0)
    assert told(device)

    turn(device, west)

    assert not cloud.core.orders.items("east")
    assert not cloud.core.orders.items("west")
    assert cloud.core.subtree.resolve("gw-7") == "west/gw-7"
    assert cloud.core.subtree.find("east/gw-7") is None, "who moved is of the other hub alone"


def test_a_device_that_never_heard_of_it_hears_it_when_it_comes_back_to_its_former_hub(tree: Tree) -> None:
    east = tree.hubs["east"]
    device = east.device("gw-7", OSLO)
    device.leave()
    move(tree, "gw-7", "west")
    assert not node(east, "gw-7").moved
    assert told(device)
    assert node(east, "gw-7").moved == "west"
    assert told(device), "again, as often as it asks"


def test_it_may_come_back_and_to_the_hub_that_says_so(tree: Tree) -> None:
    cloud, east, west = (tree.hubs[name] for name in ("cloud", "east", "west"))
    device = east.device("gw-7", OSLO)
    for number, (to, hub) in enumerate([("west", west), ("east", east), ("cloud", cloud)], 1):
        assert move(tree, "gw-7", to)["number"] == number
        assert told(device)
        turn(device, hub)
        device.entries(("measured", "oven", number))
        device.held_first = number + 1
        tree.later(1.0)
        assert not node(hub, "gw-7").moved
        assert hub.core.rollup.is_online("gw-7")
    assert rows(cloud, "gw-7") == [1, 2, 3]
    assert cloud.core.subtree.resolve("gw-7") == "gw-7"
    assert not any(hub.core.parent.view("gw-7").lost for hub in (cloud, east, west))
    assert move(tree, "gw-7", "east")["from"] == "cloud"
    device.connect()
    assert "move/gw-7" in device.items


def test_what_cannot_be_is_refused_and_says_what_to_do(tree: Tree) -> None:
    east = tree.hubs["east"]
    east.device("gw-7", OSLO)
    tree.hubs["west"].device("gw-8", OSLO)
    east.device("gw-8", OSLO)
    rekey(tree.hubs["west"], "gw-8")
    tree.add("south", "east").device("deep", OSLO)
    tree.later(5.0)

    assert "there is no node 'gone'" in refused(tree, "gone", "west")
    assert "there is no node 'north'" in refused(tree, "gw-7", "north")
    assert "belongs to east already" in refused(tree, "gw-7", "east")
    assert "west has another device called gw-8" in refused(tree, "east/gw-8", "west")
    assert "only a device can be moved" in refused(tree, "east", "west")
    assert "move it at east, the hub above that one" in refused(tree, "deep", "west")
    tree.hubs["cloud"].device("gw-9", OSLO)
    assert "gw-9 is no hub" in refused(tree, "gw-7", "gw-9")
    east.ask(inputs.RevokeNode(node="gw-7", reason="stolen"))
    tree.later(1.0)
    assert "is revoked" in refused(tree, "gw-7", "west")


def test_a_hub_takes_in_nobody_under_a_name_or_a_key_that_it_knows_otherwise(tree: Tree) -> None:
    west, cloud = tree.hubs["west"], tree.hubs["cloud"]
    tree.hubs["east"].device("gw-7", OSLO)
    west.cut()
    west.device("gw-7")
    move(tree, "east/gw-7", "west")
    rekey(west, "gw-7")
    west.heal()

    assert node(west, "gw-7").key == "f" * 64
    assert cloud.core.orders.items("west"), "it has not arrived"


def test_a_document_that_says_nothing_of_a_move_changes_nothing(tree: Tree) -> None:
    east = tree.hubs["east"]
    east.device("gw-7", OSLO)
    odd = documents.encode(documents.ReleaseRequest(service="beat", by="ada"))
    east.core.lodging.wanted({"move/gw-7": b"rubbish", "move/gw-8": odd}, tree.now, fx := Effects())
    assert not fx.store
