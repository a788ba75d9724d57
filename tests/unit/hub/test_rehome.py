"""A device turns to another hub because the hub above both says so: its work and its entries go on there."""

from __future__ import annotations

from typing import Any, cast

import msgspec
import pytest

from hub.core import inputs, views
from hub.core.registry import Node
from hub.core.rehome.moves.open import Open
from protocol import documents, limits, selector, status
from protocol.effects import Effects, Put
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
    assert device.items.keys() == asked.keys() - {"move/gw-7", "grant/east"} | {"grant/west"}
    assert device.items["assignment/beat"] == asked["assignment/beat"]
    assert not west.core.parent.view("gw-7").blocked
    turn(device, west)
    assert not west.core.parent.view("gw-7").blocked, "as any other device from then on"


@pytest.mark.parametrize("first", [1, 3, 4])
def test_a_hub_takes_a_row_once_by_way_of_another_or_from_the_device_itself(tree: Tree, first: int) -> None:
    cloud, east, west = (tree.hubs[name] for name in ("cloud", "east", "west"))
    device = east.device("gw-7", OSLO)
    device.entries(("measured", "oven", 1), ("measured", "oven", 2))
    move(tree, "gw-7", "cloud")
    east.cut()
    device.entries(("measured", "oven", 3))
    assert told(device)

    device.held_first = first  # what lies below its former hub has still to bring
    turn(device, cloud)
    assert cloud.core.parent.view("gw-7").cursors["state"].seq == max(first - 1, 2)
    device.seq, device.hash = max(first - 1, 2), bytes.fromhex(device.tips[max(first - 1, 2)])
    device.entries(*(("measured", "oven", number) for number in range(device.seq + 1, 5)))
    east.heal()
    tree.later(120.0)
    assert sorted(rows(cloud, "gw-7")) == [1, 2, 3, 4]

    move(tree, "gw-7", "west")
    assert told(device)
    device.held_first = 5
    turn(device, west)
    device.entries(("measured", "oven", 5))
    tree.later(2.0)
    assert sorted(rows(cloud, "gw-7")) == [1, 2, 3, 4, 5]
    assert not cloud.core.relayed.missing("west/gw-7"), "what it said here itself is no hole"


@pytest.mark.parametrize(("heard", "shared"), [(2, 2), (2, 4), (4, 2), (4, 4)])
def test_a_device_that_took_a_new_epoch_before_it_came_brings_no_row_that_came_under_the_former(
    tree: Tree, heard: int, shared: int
) -> None:
    """`heard`: rows that the root has of the former epoch by way of east, which is cut off then; it has four."""
    cloud, east = tree.hubs["cloud"], tree.hubs["east"]
    device = east.device("gw-7", OSLO)
    values = [("measured", "oven", number) for number in range(1, 5)]
    device.entries(*values[:heard])
    move(tree, "gw-7", "cloud")
    east.cut()
    if values[heard:]:
        device.entries(*values[heard:])
    device.part("b" * 16, after=shared)
    assert told(device)

    turn(device, cloud)
    place = min(heard, shared)
    assert cloud.core.parent.view("gw-7").cursors["state"].seq == place
    device.seq, device.hash = place, bytes.fromhex(device.tips[place])
    device.entries(*values[place:shared], ("measured", "oven", 50), ("measured", "oven", 60))
    assert sorted(rows(cloud, "gw-7")) == sorted([*range(1, heard + 1), *range(place + 1, shared + 3)])
    east.heal()
    tree.later(120.0)
    hashes = [tip for origin, _, stream, _, _, tip, *_ in cloud.store.entries if (origin, stream) == ("gw-7", "state")]
    assert len(hashes) == len(set(hashes)) == 6
    assert not cloud.core.relayed.missing("east/gw-7")


def test_a_task_of_a_device_that_moves_ends_at_the_hub_that_it_leaves_and_above(tree: Tree) -> None:
    cloud, east = tree.hubs["cloud"], tree.hubs["east"]
    device = east.device("gw-7", OSLO)
    tree.later(1.0)
    asked: list[str] = []
    for hub in (cloud, east):
        hub.ask(inputs.CreateTasks(nodes=["gw-7"], command=["true"], deadline_s=None))
        asked.append([group.id for group in hub.core.tasks.groups()][-1])
        tree.later(1.0)
    move(tree, "gw-7", "west")
    assert told(device)
    tree.later(2.0)
    for hub, group, address in zip((cloud, east), asked, ("east/gw-7", "gw-7"), strict=True):
        result = hub.core.tasks.results(group)[address]
        assert (result.state, "gw-7 belongs to hub west now" in result.reason) == ("unknown", True)


def test_a_task_ends_where_it_was_asked_though_the_answer_comes_from_where_the_device_went(tree: Tree) -> None:
    cloud, east, west = (tree.hubs[name] for name in ("cloud", "east", "west"))
    device = east.device("gw-7", OSLO)
    device.entries(("measured", "oven", 1))
    cloud.ask(inputs.CreateTasks(nodes=["gw-7"], command=["true"], deadline_s=None))
    group = [group.id for group in cloud.core.tasks.groups()][-1]
    move(tree, "gw-7", "west")
    east.cut()
    ended = ("task.ended", group, {"id": group, "state": "ok"})
    device.entries(ended)
    assert told(device)

    device.held_first = 2
    turn(device, west)
    device.seq, device.hash = 1, bytes.fromhex(device.tips[1])
    device.entries(ended)
    tree.later(2.0)
    assert cloud.core.tasks.results(group)["east/gw-7"].state == "ok"
    assert not cloud.core.tasks.open_on("east")


def test_a_device_that_comes_home_before_its_hub_has_heard_of_that_waits_for_it(tree: Tree) -> None:
    east, west = tree.hubs["east"], tree.hubs["west"]
    device = east.device("gw-7", OSLO)
    move(tree, "gw-7", "west")
    assert told(device)
    turn(device, west)
    tree.later(5.0)
    east.cut()
    move(tree, "gw-7", "east")
    assert told(device)

    turn(device, east)
    assert not node(east, "gw-7").alarms, "that it holds more than was asked here is no sign of a restored hub"
    assert not east.core.parent.view("gw-7").blocked
    asked = device.held
    assert asked.term == 2, "nobody has asked more of it"

    east.heal()
    tree.later(120.0)
    turn(device, east)
    assert device.held.term > asked.term
    assert not node(east, "gw-7").alarms
    assert not east.core.parent.view("gw-7").blocked


def test_a_device_that_has_not_arrived_is_not_moved_on_from_there(tree: Tree) -> None:
    east = tree.hubs["east"]
    device = east.device("gw-7", OSLO)
    tree.later(1.0)
    east.cut()
    move(tree, "gw-7", "west")
    assert "gw-7 has not arrived at west yet" in refused(tree, "west/gw-7", "cloud")
    east.heal()
    tree.later(120.0)
    assert told(device), "else it would hear of neither"


def test_a_hub_that_waited_in_vain_lets_go_of_who_was_sent_elsewhere_meanwhile(tree: Tree) -> None:
    cloud, east, west = (tree.hubs[name] for name in ("cloud", "east", "west"))
    device = east.device("gw-1", OSLO)
    tree.later(5.0)
    move(tree, "east/gw-1", "cloud")
    assert node(cloud, "gw-1").moved == ""
    move(tree, "east/gw-1", "west")
    assert told(device)
    turn(device, west)
    tree.later(5.0)
    assert node(cloud, "gw-1").moved == "west", "the newer Move is said to it too"
    record = cloud.core.orders.find("gw-1")
    assert record is not None
    assert record.done_ms


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

    tree.later(5.0)
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
    assert cloud.core.subtree.select(selector.parse("site=oslo")) == ["gw-7"]
    assert not any(hub.core.parent.view("gw-7").lost for hub in (cloud, east, west))
    assert move(tree, "gw-7", "east")["from"] == "cloud"
    device.connect()
    assert "move/gw-7" in device.items
    turn(device, east)
    assert cloud.core.subtree.select(selector.parse("site=oslo")) == ["east/gw-7"], "who has left is asked nothing"
    assert [one["path"] for one in views.nodes(cloud.core, "").nodes if one["name"] == "gw-7"] == ["cloud/east/gw-7"]
    assert cloud.core.subtree.resolve("gw-7") == "east/gw-7"


def test_who_has_left_is_in_no_list_of_its_former_hub_and_is_described_there(tree: Tree) -> None:
    east, west = tree.hubs["east"], tree.hubs["west"]
    device = east.device("gw-7", OSLO)
    tree.hubs["cloud"].ask(inputs.Apply(documents=[world.service("beat", selector="site=oslo")]))
    tree.later(2.0)
    told(device)
    device.report(status.Report(services={"beat": status.ServiceReport(state="running")}))
    assert views.nodes_of(east.core, "beat") == ["gw-7"]
    move(tree, "gw-7", "west")
    assert told(device)
    device.report(status.Report(services={"beat": status.ServiceReport(state="running")}))
    turn(device, west)
    device.report(status.Report(services={"beat": status.ServiceReport(state="running")}))
    tree.later(2.0)

    assert not views.nodes(east.core, "").nodes
    assert not views.nodes_of(east.core, "beat")
    assert views.nodes_of(tree.hubs["cloud"].core, "beat") == ["west/gw-7"]
    assert views.node(east.core, "gw-7", east.now)["moved"] == "west"


def test_what_cannot_be_is_refused_and_says_what_to_do(tree: Tree) -> None:
    east = tree.hubs["east"]
    east.device("gw-7", OSLO)
    tree.hubs["west"].device("gw-8", OSLO)
    east.device("gw-8", OSLO)
    rekey(tree.hubs["west"], "gw-8")
    tree.add("south", "east").device("deep", OSLO)
    tree.later(5.0)

    assert "there is no node 'gone'" in refused(tree, "gone", "west")
    assert "no hub 'north' is below cloud: ask a hub above both" in refused(tree, "gw-7", "north")
    assert "belongs to east already" in refused(tree, "gw-7", "east")
    assert "west has another device called gw-8" in refused(tree, "east/gw-8", "west")
    assert "only a device can be moved" in refused(tree, "east", "west")
    tree.hubs["cloud"].device("gw-9", OSLO)
    assert "gw-9 is no hub" in refused(tree, "gw-7", "gw-9")
    east.ask(inputs.RevokeNode(node="gw-7", reason="stolen"))
    tree.later(1.0)
    assert "is revoked" in refused(tree, "gw-7", "west")


def test_a_device_that_was_invited_by_a_stick_is_moved_by_nobody_before_it_enrolled(tree: Tree) -> None:
    east = tree.hubs["east"]
    east.ask(inputs.ReserveNode(node="mast", token="stick", secret_hash=world.SECRET_HASH, ttl_s=3_600.0))
    tree.later(5.0)
    assert "no device that is known here by its key" in refused(tree, "east/mast", "west"), "no Move would be its own"


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
    asked = {"move/gw-7": b"rubbish", "move/gw-8": odd, "grant/west": b"rubbish", "grant/south": odd}
    asked |= tree.hubs["cloud"].core.family.items("east")
    east.core.lodging.wanted({**asked, "grant/west": b"rubbish"}, tree.now, fx := Effects())
    assert {op.space for op in fx.store if isinstance(op, Put)} == {"granted"}
    east.core.lodging.wanted(asked, tree.now, Effects())
    east.core.lodging.wanted(asked, tree.now, fx := Effects())
    assert not fx.store


# ------------------------------------------------------------------------------------------------ by a grant


def arrive(device: world.Device, hub: Hub, scope: str = "east.cloud.skerry") -> str:
    """The device comes to `hub` with a certificate that stands in `scope`; return why it is turned away."""
    device.world = cast("world.World", hub)
    device.session += 1
    device.connection += 1
    device.count = 0
    key = world.key_of(device.name)
    fx = device.take(inputs.Opened(node=device.name, connection=device.connection, key=key, scope=scope))
    closed = [act.reason for act in fx.act if isinstance(act, inputs.CloseChild)]
    if not closed:
        device.got(device.hello())
        device.report(status.Report())
    hub.tree.run()
    return closed[0] if closed else ""


def test_each_device_holds_its_hubs_grant_which_names_the_siblings_and_the_hub_above(tree: Tree) -> None:
    device = tree.hubs["east"].device("gw-7", OSLO)
    tree.later(5.0)
    device.connect()
    assert "grant/east" in device.items
    (raw,) = tree.hubs["east"].core.family.items("gw-7").values()
    grant = documents.decode(raw)
    assert isinstance(grant, documents.Grant)
    assert [haven.id for haven in grant.havens] == ["east", "west", "cloud"]
    assert (grant.of, grant.scope, grant.by) == ("east", "east.cloud.skerry", "cloud")

    tree.add("south", "cloud")
    tree.later(5.0)
    (raw,) = tree.hubs["east"].core.family.items("gw-7").values()
    again = documents.decode(raw)
    assert isinstance(again, documents.Grant)
    assert [haven.id for haven in again.havens] == ["east", "south", "west", "cloud"]
    assert again.number > grant.number
    tree.hubs["cloud"].restart()
    tree.later(120.0)
    assert tree.hubs["east"].core.family.items("gw-7") == {"grant/east": raw}, "the same as before"


def test_who_comes_by_a_grant_is_heard_and_asked_nothing_until_the_hub_above_has_spoken(tree: Tree) -> None:
    cloud, east, west = (tree.hubs[name] for name in ("cloud", "east", "west"))
    cloud.ask(inputs.Apply(documents=[world.service("beat", selector="site=oslo")]))
    device = east.device("gw-7", OSLO)
    tree.later(5.0)
    device.connect()
    device.entries(("measured", "oven", 1))
    tree.later(5.0)
    asked, held, device.held_first = dict(device.items), device.held, 2
    east.cut()
    west.cut()

    assert not arrive(device, west)
    device.entries(("measured", "oven", 2))
    tree.later(5.0)
    assert (device.held, device.items) == (held, asked), "an empty first manifest would stop everything"
    assert node(west, "gw-7").lodger == "east"
    assert rows(west, "gw-7") == [2]

    west.restart()
    west.heal()
    assert not arrive(device, west)
    tree.later(5.0)
    assert (node(west, "gw-7").lodger, node(west, "gw-7").labels) == ("", OSLO)
    device.connect()
    assert device.held.term > held.term
    assert device.items["assignment/beat"] == asked["assignment/beat"]
    assert rows(cloud, "gw-7") == [1, 2], "none lost, none doubled"

    east.heal()
    tree.later(5.0)
    assert node(east, "gw-7").moved == "west", "it hears of it when it is back"
    assert cloud.core.subtree.resolve("gw-7") == "west/gw-7"


def test_nobody_comes_under_the_id_of_a_hub_on_the_path(tree: Tree) -> None:
    east, west, cloud = (tree.hubs[name] for name in ("east", "west", "cloud"))
    east.device("west", OSLO)
    tree.later(5.0)
    move(tree, "east/west", "west")
    assert west.core.registry.find("west") is None
    assert cloud.core.orders.items("west"), "it has not arrived"
    assert "not enrolled" in arrive(world.Device(cast("world.World", west), "west"), west)


@pytest.mark.parametrize("to", ["west", "cloud"])
def test_who_was_revoked_and_comes_by_a_grant_is_told_so_signed_as_any_child(tree: Tree, to: str) -> None:
    cloud, east, hub = (tree.hubs[name] for name in ("cloud", "east", to))
    device = east.device("gw-7", OSLO)
    tree.later(5.0)
    east.ask(inputs.RevokeNode(node="gw-7", reason="stolen"))
    tree.later(1.0)
    east.cut()

    assert not arrive(device, hub)
    tree.later(5.0)

    assert (node(hub, "gw-7").revoked_reason, node(hub, "gw-7").lodger) == ("revoked at east", "")
    word = hub.core.farewell("gw-7")
    assert word is not None
    assert (word.parent, word.child, word.reason) == (to, "gw-7", "revoked at east")
    assert "is revoked" in arrive(device, hub)
    said = cloud.core.orders.find("gw-7")
    assert said is not None
    assert said.done_ms
    assert not cloud.core.orders.items(to)
    east.heal()
    tree.later(5.0)
    assert cloud.core.orders.find("gw-7") == said, "it is said once"


def test_nobody_comes_by_a_grant_who_is_of_another_domain_or_known_already(tree: Tree) -> None:
    east, west = (tree.hubs[name] for name in ("east", "west"))
    for name in ("gw-7", "gw-8", "gw-9"):
        device = east.device(name, OSLO)
    tree.later(5.0)

    assert "not enrolled" in arrive(device, west, "far.other.skerry")
    assert "not enrolled" in arrive(device, west, "")
    assert "not enrolled" in arrive(device, east.children.get("none", west), "west.cloud.skerry")
    west.device("gw-8", {"site": "far"})
    rekey(west, "gw-8")
    assert "enrolled with another key" in arrive(world.Device(cast("world.World", west), "gw-8"), west)


def test_a_device_may_turn_to_the_hub_above_too(tree: Tree) -> None:
    cloud, east = tree.hubs["cloud"], tree.hubs["east"]
    device = east.device("gw-7", OSLO)
    tree.later(5.0)
    east.cut()
    assert not arrive(device, cloud)
    tree.later(5.0)
    assert (node(cloud, "gw-7").lodger, node(cloud, "gw-7").labels) == ("", OSLO)
    assert cloud.core.subtree.resolve("gw-7") in ("gw-7", "east/gw-7")


def test_nobody_comes_by_the_grant_of_a_hub_that_was_revoked_and_nobody_turns_to_it(tree: Tree) -> None:
    cloud, east, west = (tree.hubs[name] for name in ("cloud", "east", "west"))
    device = east.device("gw-7", OSLO)
    west.device("gw-8", OSLO)
    tree.later(5.0)
    cloud.ask(inputs.RevokeNode(node="east", reason="stolen"))
    tree.later(5.0)
    assert "not enrolled" in arrive(device, west)
    (raw,) = west.core.family.items("gw-8").values()
    grant = documents.decode(raw)
    assert isinstance(grant, documents.Grant)
    assert [haven.id for haven in grant.havens] == ["west", "cloud"]


def test_a_lodger_that_is_online_has_not_arrived_before_its_new_hub_has_taken_it_in(tree: Tree) -> None:
    east, west = tree.hubs["east"], tree.hubs["west"]
    device = east.device("gw-7", OSLO)
    tree.later(5.0)
    east.cut()
    assert not arrive(device, west)
    tree.later(5.0)
    assert (node(west, "gw-7").lodger, node(west, "gw-7").labels) == ("", OSLO)
    said = tree.hubs["cloud"].core.orders.find("gw-7")
    assert said is not None
    assert said.arrived_ms
    assert not said.done_ms, "its former hub has not heard of it"


def test_only_the_former_hub_is_told_of_who_has_arrived(tree: Tree) -> None:
    cloud, east, west = (tree.hubs[name] for name in ("cloud", "east", "west"))
    device = east.device("gw-7", OSLO)
    tree.later(5.0)
    east.cut()
    assert not arrive(device, west)
    tree.later(5.0)
    assert list(cloud.core.orders.items("east")) == ["move/gw-7"]
    assert not cloud.core.orders.items("west"), "else a hub that takes in thousands has no room for its work"
    cloud.restart()
    assert (len(cloud.core.orders.items("east")), cloud.core.orders.items("west")) == (1, {})


def test_of_many_who_turn_to_a_hub_some_are_said_at_a_time_and_all_in_the_end(
    tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "MOVES_OPEN_MAX", 2)
    count: list[int] = []
    note = Open.note

    def noted(self: Open, node: str, told: tuple[str, ...], *, going: bool) -> None:
        note(self, node, told, going=going)
        count.append(self.going)

    monkeypatch.setattr(Open, "note", noted)
    cloud, east, west = (tree.hubs[name] for name in ("cloud", "east", "west"))
    devices = [east.device(f"gw-{number}", OSLO) for number in range(5)]
    tree.later(5.0)
    east.cut()
    assert not any(arrive(device, west) for device in devices)
    for _ in range(5):
        tree.later(limits.BRIEF_TIMES_S)
        for device in devices:
            device.report(status.Report())
    assert max(count) == 2
    assert not any(node(west, device.name).lodger for device in devices)
    assert len(cloud.core.orders.items("east")) == 2, "a part of what it must hear when it is back"

    east.heal()
    tree.later(5.0)
    assert {node(east, device.name).moved for device in devices} == {"west"}
