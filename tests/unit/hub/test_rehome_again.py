"""Moves over several tiers, and what becomes of them when a hub concerned was restored from an older backup."""

from __future__ import annotations

from typing import Any, cast

import msgspec
import pytest

from hub.core import inputs
from hub.core.registry import Node
from protocol import status
from protocol.effects import Effects
from protocol.snapshot import DOUBT, STORE, Doubt
from tests.support.memory_store import MemoryStore
from tests.support.tree import Hub, Tree
from tests.unit.hub import world

OSLO = {"site": "oslo"}


@pytest.fixture
def tree() -> Tree:
    """cloud - east - (south, north), cloud - west - far."""
    tree = Tree()
    tree.add("cloud")
    for name, parent in (("east", "cloud"), ("west", "cloud"), ("south", "east"), ("north", "east"), ("far", "west")):
        tree.add(name, parent)
    tree.later(5.0)
    return tree


def move(hub: Hub, node: str, to: str) -> Any:
    done = hub.ask(inputs.MoveNode(node=node, to=to))
    hub.tree.later(1.0)
    return done


def refused(hub: Hub, node: str, to: str) -> str:
    reply = hub.request(inputs.MoveNode(node=node, to=to))
    assert reply is not None
    assert reply.error
    return reply.error


def turn(device: world.Device, hub: Hub) -> None:
    """The device hears that it is to move, turns to `hub`, and reports there."""
    device.connect()
    device.report(status.Report())
    assert f"move/{device.name}" in device.items
    device.leave()
    come(device, hub)


def come(device: world.Device, hub: Hub) -> None:
    device.world = cast("world.World", hub)
    device.connect()
    device.report(status.Report())
    hub.tree.later(5.0)


def moved(tree: Tree, device: world.Device, to: str, *, by: str = "cloud") -> None:
    """Move the device, which follows."""
    move(tree.hubs[by], device.name, to)
    turn(device, tree.hubs[to])
    assert done(tree.hubs[by], device.name)


def done(hub: Hub, name: str) -> bool:
    """Tell whether what `hub` said of a node has come about, and it says it to nobody."""
    record = hub.core.orders.find(name)
    assert record is not None
    return bool(record.done_ms) and not any(hub.core.orders.items(child) for child in hub.children)


def node(hub: Hub, name: str = "gw-7") -> Node | None:
    return hub.core.registry.find(name)


def restore(hub: Hub, backup: MemoryStore) -> None:
    """Put an older copy of the hub's store back, which is noticed; its operator says that it is to go on."""
    backup.turn([f"{hub.lives:08x}{number:08x}" for number in range(len(backup.streams))], "an older copy")
    backup.spaces.setdefault(STORE, {})[DOUBT] = msgspec.json.encode(Doubt(reason="a copy"))
    hub.restart(backup)
    hub.tree.later(120.0)
    hub.ask(inputs.AcceptRestore())
    hub.tree.later(120.0)


def where(tree: Tree, name: str = "gw-7") -> list[str]:
    """Return the addresses at which the root sees a node."""
    return [spot.address for spot in tree.hubs["cloud"].core.subtree.named(name) if spot.brief.state != "moved"]


# ------------------------------------------------------------------------------------------------ several tiers


@pytest.mark.parametrize(("home", "to"), [("south", "far"), ("south", "cloud"), ("cloud", "far"), ("south", "north")])
def test_the_root_moves_a_device_from_any_depth_to_any_hub_below_it(tree: Tree, home: str, to: str) -> None:
    cloud = tree.hubs["cloud"]
    device = tree.hubs[home].device("gw-7", OSLO)
    tree.later(5.0)

    assert move(cloud, "gw-7", to) == {"node": "gw-7", "from": home, "to": to, "number": 1}
    assert (node(tree.hubs[to]) or device).name == "gw-7", "known there before it comes"
    turn(device, tree.hubs[to])

    former = node(tree.hubs[home])
    assert former is not None
    assert former.moved == to
    assert done(cloud, "gw-7")
    assert len(where(tree)) == 1
    for hub in tree.hubs.values():
        assert not any("move/gw-7" in hub.core.lodging.items(child) for child in hub.children), "handed on no longer"


def test_hubs_on_the_way_that_restart_or_are_cut_off_hand_it_on_later(tree: Tree) -> None:
    device = tree.hubs["south"].device("gw-7", OSLO)
    tree.later(5.0)
    tree.hubs["south"].cut()
    move(tree.hubs["cloud"], "gw-7", "far")
    for name in ("east", "west"):
        tree.hubs[name].restart()
    tree.later(120.0)
    tree.hubs["south"].heal()
    turn(device, tree.hubs["far"])
    assert done(tree.hubs["cloud"], "gw-7")


def test_what_a_region_said_before_holds_no_more_when_the_root_says_otherwise(tree: Tree) -> None:
    cloud, east, south = (tree.hubs[name] for name in ("cloud", "east", "south"))
    device = south.device("gw-7", OSLO)
    tree.later(5.0)
    move(east, "gw-7", "north")
    move(cloud, "east/south/gw-7", "far")
    assert not east.core.orders.items("south")
    turn(device, tree.hubs["far"])
    tree.later(5.0)
    assert done(cloud, "gw-7")
    assert where(tree) == ["west/far/gw-7"], "nor is it awaited at north"
    for hub in (east, cloud):
        hub.restart()
        tree.later(120.0)
    assert where(tree) == ["west/far/gw-7"]


def test_a_region_moves_on_what_the_root_brought_to_it_and_the_root_brings_it_elsewhere(tree: Tree) -> None:
    cloud, east = tree.hubs["cloud"], tree.hubs["east"]
    device = tree.hubs["far"].device("gw-7", OSLO)
    tree.later(5.0)
    moved(tree, device, "south")
    moved(tree, device, "north", by="east")
    assert done(cloud, "gw-7"), "that it is not at south is no sign that south forgot it"
    (there,) = east.core.subtree.named("gw-7")
    assert (there.address, there.brief.moves) == ("north/gw-7", {"cloud": 1, "east": 1})
    moved(tree, device, "far")
    assert where(tree) == ["west/far/gw-7"]


def test_who_was_sent_on_before_it_came_is_told_so_where_it_was_first_sent(tree: Tree) -> None:
    cloud, east, far = (tree.hubs[name] for name in ("cloud", "east", "far"))
    device = tree.hubs["south"].device("gw-7", OSLO)
    for name in ("beat", "drum"):
        tree.hubs["south"].ask(inputs.Apply(documents=[world.service(name, selector="site=oslo")]))
        tree.later(5.0)
        device.connect()
        device.report(status.Report())
    device.leave()
    move(east, "south/gw-7", "east")
    move(cloud, "east/gw-7", "far")
    turn(device, east)
    assert east.core.rollup.is_online("gw-7"), "it holds more than was ever asked of it here, and has not been here"
    turn(device, far)
    assert done(cloud, "gw-7")
    assert where(tree) == ["west/far/gw-7"]


def test_what_cannot_be_moved_there_is_refused(tree: Tree) -> None:
    cloud, far = tree.hubs["cloud"], tree.hubs["far"]
    tree.hubs["south"].device("gw-7", OSLO)
    tree.later(5.0)
    assert "ask a hub above both" in refused(tree.hubs["east"], "gw-7", "far")
    assert "belongs to south already" in refused(cloud, "gw-7", "east/south")
    tree.hubs["west"].ask(inputs.RevokeNode(node="far", reason="stolen"))
    tree.later(5.0)
    assert "far is revoked" in refused(cloud, "gw-7", "far")
    assert far.core.haven is not None
    cloud.store.spaces.setdefault(STORE, {})[DOUBT] = msgspec.json.encode(Doubt(reason="a copy"))
    cloud.restart()
    assert "accept-restore" in refused(cloud, "gw-7", "west")


# ------------------------------------------------------------------------------------------------ restored


@pytest.mark.parametrize(("home", "to"), [("east", "west"), ("south", "far"), ("cloud", "west")])
def test_a_hub_restored_from_before_a_device_came_is_told_of_it_again(tree: Tree, home: str, to: str) -> None:
    hub = tree.hubs[to]
    device = tree.hubs[home].device("gw-7", OSLO)
    tree.later(5.0)
    backup = hub.store.copy()
    moved(tree, device, to)
    device.leave()

    restore(hub, backup)

    found = node(hub)
    assert found is not None
    assert (found.moved, found.labels) == ("", OSLO)
    come(device, hub)
    assert hub.core.rollup.is_online("gw-7")
    assert done(tree.hubs["cloud"], "gw-7")
    assert len(where(tree)) == 1


def test_a_hub_restored_to_where_it_awaited_a_device_asks_no_more_of_it_before_its_operator_has_looked(
    tree: Tree,
) -> None:
    west = tree.hubs["west"]
    device = tree.hubs["east"].device("gw-7", OSLO)
    tree.later(5.0)
    move(tree.hubs["cloud"], "gw-7", "west")
    backup = west.store.copy()
    turn(device, west)
    device.leave()
    asked, held = backup.spaces["asked"]["gw-7"], device.held

    backup.spaces.setdefault(STORE, {})[DOUBT] = msgspec.json.encode(Doubt(reason="a copy"))
    west.restart(backup)
    tree.later(120.0)
    come(device, west)
    assert (west.store.spaces["asked"]["gw-7"], device.held) == (asked, held)
    assert b'"adopted":true' in west.store.spaces["child"]["gw-7"], "it is still awaited, should it be sent on"
    west.ask(inputs.AcceptRestore())
    come(device, west)
    assert device.held.term > held.term
    assert not west.core.parent.view("gw-7").blocked


@pytest.mark.parametrize(("home", "to"), [("east", "west"), ("south", "far"), ("east", "cloud")])
def test_a_hub_restored_from_before_a_device_left_does_not_take_it_back(tree: Tree, home: str, to: str) -> None:
    hub = tree.hubs[home]
    device = hub.device("gw-7", OSLO)
    tree.later(5.0)
    backup = hub.store.copy()
    moved(tree, device, to)

    restore(hub, backup)

    found = node(hub)
    assert found is not None
    assert found.moved == to
    assert done(tree.hubs["cloud"], "gw-7")
    assert len(where(tree)) == 1


def test_both_forget_and_both_hear_of_it_again_and_one_that_it_left_long_ago_too(tree: Tree) -> None:
    east, west, far = (tree.hubs[name] for name in ("east", "west", "far"))
    device = east.device("gw-7", OSLO)
    tree.later(5.0)
    old = {hub: hub.store.copy() for hub in (east, west, far)}
    for name in ("far", "west"):
        moved(tree, device, name)
    device.leave()
    for hub, backup in old.items():
        restore(hub, backup)
    tree.later(120.0)
    come(device, west)
    assert where(tree) == ["west/gw-7"]
    assert west.core.rollup.is_online("gw-7")
    assert done(tree.hubs["cloud"], "gw-7")


def test_a_device_that_came_back_to_its_restored_hub_from_an_old_copy_too_is_told_and_goes(tree: Tree) -> None:
    east, west = tree.hubs["east"], tree.hubs["west"]
    device = east.device("gw-7", OSLO)
    tree.later(5.0)
    device.connect()
    device.report(status.Report())
    backup, held, items = east.store.copy(), device.held, dict(device.items)
    moved(tree, device, "west")
    device.leave()
    device.held, device.items = held, items
    restore(east, backup)
    come(device, east)
    turn(device, west)
    tree.later(120.0)
    assert where(tree) == ["west/gw-7"]
    assert done(tree.hubs["cloud"], "gw-7")


@pytest.mark.parametrize("home", ["east", "cloud"])
def test_who_comes_back_from_an_old_copy_and_is_taken_for_a_clone_is_accepted_where_it_came_to(
    tree: Tree, home: str
) -> None:
    hub = tree.hubs[home]
    device = hub.device("gw-7", OSLO)
    tree.later(5.0)
    moved(tree, device, "west")
    device.leave()
    device.world = cast("world.World", hub)
    device.session -= 1  # as when it was here last
    device.connection += 10
    device.take(inputs.Opened(node="gw-7", connection=device.connection, key=world.key_of("gw-7")))
    device.got(device.hello("f" * 32))
    assert hub.core.parent.view("gw-7").quarantined
    hub.ask(inputs.AcceptNode(node="gw-7"))
    assert not hub.core.parent.view("gw-7").quarantined
    reply = hub.request(inputs.CordonNode(node="gw-7", cordoned=True))
    assert reply is not None
    assert reply.error, "nothing else is asked of it here"


@pytest.mark.parametrize(("home", "to"), [("east", "west"), ("cloud", "west"), ("cloud", "far")])
def test_a_hub_restored_from_before_its_own_word_learns_where_the_device_is(tree: Tree, home: str, to: str) -> None:
    cloud = tree.hubs["cloud"]
    device = tree.hubs[home].device("gw-7", OSLO)
    tree.later(5.0)
    backup = cloud.store.copy()
    moved(tree, device, to)

    restore(cloud, backup)

    assert len(where(tree)) == 1
    assert done(cloud, "gw-7")
    if home == "cloud":
        found = node(cloud)
        assert found is not None
        assert found.moved == to
    assert move(cloud, "gw-7", "east")["number"] == 2, "the device believes no number twice"
    turn(device, tree.hubs["east"])
    assert done(cloud, "gw-7")


def test_an_older_word_of_a_hub_that_was_restored_moves_nobody(tree: Tree) -> None:
    cloud = tree.hubs["cloud"]
    device = tree.hubs["east"].device("gw-7", OSLO)
    tree.later(5.0)
    moved(tree, device, "west")
    backup = cloud.store.copy()
    moved(tree, device, "east")
    restore(cloud, backup)
    assert where(tree) == ["east/gw-7"]
    found = node(tree.hubs["east"])
    assert found is not None
    assert not found.moved
    assert done(cloud, "gw-7")


def test_a_region_that_says_more_of_a_device_that_is_here_is_not_believed(tree: Tree) -> None:
    cloud, west = tree.hubs["cloud"], tree.hubs["west"]
    cloud.device("gw-7", OSLO)
    west.device("gw-7", OSLO)
    west.core.lodging.followed.note(_word("gw-7"), fx := Effects())
    west.store.commit(fx.store)
    west.restart()
    tree.later(120.0)
    assert cloud.core.orders.find("gw-7") is None
    assert cloud.core.rollup.is_online("gw-7")


def _word(name: str) -> Any:
    from protocol import documents

    to = documents.Haven(id="west", scope="w", mqtt_host="w", mqtt_port=1, api_host="w", api_port=1)
    return documents.Move(node=name, key="k", former="cloud", to=to, joins="west", number=9, by="cloud")


# ------------------------------------------------------------------------------------------------ nobody above speaks


def known(hub: Hub) -> Node:
    return hub.core.registry.get("gw-7")


def lodge(tree: Tree) -> world.Device:
    """A device of south comes to north by the grant, and the hub above both is not heard."""
    south, north = tree.hubs["south"], tree.hubs["north"]
    device = south.device("gw-7", OSLO)
    tree.later(5.0)
    north.cut()
    south.cut()
    device.world = cast("world.World", north)
    opened = inputs.Opened(node="gw-7", connection=9, key=world.key_of("gw-7"), scope="south.east.cloud.skerry")
    device.connection = 9
    device.session += 1
    device.count = 0
    device.take(opened)
    device.got(device.hello())
    device.report(status.Report())
    tree.run()
    assert known(north).lodger == "south"
    return device


def test_a_lodger_that_shows_a_token_belongs_here_and_is_asked_as_any(tree: Tree) -> None:
    device, north = lodge(tree), tree.hubs["north"]
    north.ask(inputs.Apply(documents=[world.service("beat", selector="site=oslo")]))
    device.connect()
    assert "assignment/beat" not in device.items
    (alarm,) = known(north).alarms
    assert "came from south" in alarm.text
    assert "enroll --again" in alarm.text

    north.enroll("gw-7", OSLO)
    tree.later(5.0)

    one = known(north)
    assert (one.lodger, one.labels, one.cordoned, one.drained, one.alarms) == ("", OSLO, False, False, [])
    assert one.key == world.key_of("gw-7")
    assert north.core.enrollment.tokens["tok-agent"].used == 1
    held = device.held
    device.connect()
    assert "assignment/beat" in device.items
    assert device.held.term > held.term, "asked beyond what its former hub asked"


def test_what_a_hub_above_said_while_the_certificate_was_made_holds(tree: Tree) -> None:
    lodge(tree)
    north = tree.hubs["north"]
    north.ask(inputs.CreateToken(id="tok", secret_hash=world.SECRET_HASH, ttl_s=3_600.0, uses=1))
    fx = north.take(inputs.Request(request=99, who="device", op=world.enroll("gw-7", labels={"site": "far"})))
    issue = world.only(fx, inputs.IssueCertificate)
    assert known(north).lodger == "south", "a token alone changes nothing: the certificate does"
    north.heal()
    tree.hubs["south"].heal()
    tree.later(5.0)
    assert known(north).labels == OSLO, "as the hub above both has it"
    north.take(inputs.CertificateIssued(request=issue.request, node="gw-7", certificate="CERT", until_ms=1))
    assert (known(north).lodger, known(north).labels) == ("", OSLO)
