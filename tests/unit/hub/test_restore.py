"""A hub whose store may be behind its own past asks nothing new of any device until an operator says so (A17)."""

import copy
from typing import Any

import msgspec
import pytest

from hub.core import inputs
from hub.core.restore import RETAKE
from hub.shell.store.judge import judge
from protocol import limits, messages, status
from protocol.effects import Effects, Send
from protocol.link import cursor, parent
from protocol.snapshot import DOUBT, STORE, Doubt
from tests.unit.hub.world import Device, Store, World, only, service

SITES = {"oslo_1": {"site": "oslo"}, "bergen_1": {"site": "bergen"}}


def apply(world: World, devices: dict[str, Device], *documents: dict[str, Any]) -> None:
    seen(devices, world.request(inputs.Apply(documents=list(documents))), *world.settle())


def accept(world: World, devices: dict[str, Device]) -> dict[str, Any]:
    fx = world.request(inputs.AcceptRestore())
    seen(devices, fx, *world.settle())
    return msgspec.json.decode(only(fx, inputs.Reply).data)


def seen(devices: dict[str, Device], *effects: Effects) -> None:
    for fx in effects:
        for device in devices.values():
            device.see(fx)


def restored(world: World, backup: Store, *, partial: bool = False) -> None:
    """The hub begins a life on an older copy, and its journal noticed."""
    world.store = backup
    found = Doubt(reason="restored", partial=partial)
    backup.spaces.setdefault(STORE, {})[DOUBT] = msgspec.json.encode(found)
    world.restart()


@pytest.fixture
def fleet() -> tuple[World, dict[str, Device], Store]:
    """Two devices, a service on each since before the backup, another one since after it."""
    world = World(rebuild=False)
    devices = world.fleet(**SITES)
    apply(world, devices, service("old", "site"))
    backup = copy.deepcopy(world.store)
    apply(world, devices, service("new", "site"))
    assert all(set(one.items) == {"assignment/old", "assignment/new"} for one in devices.values())
    return world, devices, backup


def test_nothing_is_lowered_before_an_operator_confirms_and_all_follow_afterwards(
    fleet: tuple[World, dict[str, Device], Store],
) -> None:
    world, devices, backup = fleet
    held = {name: one.held for name, one in devices.items()}
    restored(world, backup)
    assert "restored" in world.core.restore.alarm
    assert "skerry hub accept-restore" in world.core.restore.alarm
    devices["oslo-1"].connect()
    apply(world, devices, service("third", "site=oslo"))
    assert {name: one.held for name, one in devices.items()} == held
    assert [one["what"] for one in world.node("oslo-1")["alarms"]] == ["restored-parent"]

    assert accept(world, devices) == {"nodes": 2, "ahead": 1}
    assert world.core.restore.alarm == ""
    assert set(devices["oslo-1"].items) == {"assignment/old", "assignment/third"}
    assert devices["oslo-1"].held.term > held["oslo-1"].term
    assert world.node("oslo-1")["alarms"] == []
    assert devices["bergen-1"].held == held["bergen-1"], "it was away"

    devices["bergen-1"].connect()
    assert set(devices["bergen-1"].items) == {"assignment/old"}, "it was confirmed while it was away"
    devices["bergen-1"].report(status.Report())
    assert world.store.spaces[RETAKE] == {}


def test_a_task_that_has_ended_since_the_backup_is_not_asked_for_again(
    fleet: tuple[World, dict[str, Device], Store],
) -> None:
    world, devices, _ = fleet
    device = devices["oslo-1"]
    fx = world.request(inputs.CreateTasks(nodes=["oslo-1"], command=["true"], deadline_s=None))
    group: str = msgspec.json.decode(only(fx, inputs.Reply).data)["group"]
    seen(devices, fx, *world.settle())
    backup = copy.deepcopy(world.store)
    apply(world, devices, service("third", "site"))
    device.entries(("task.ended", group, {"id": group, "state": "ok"}))
    restored(world, backup)
    device.seq, device.hash = 0, cursor.genesis("oslo-1", device.epoch, "state")
    device.connect()
    device.entries(("task.ended", group, {"id": group, "state": "ok"}))
    fx = world.request(inputs.AcceptRestore())
    asked = [one for effects in (fx, *world.settle()) for one in asked_of(effects, "oslo-1")]
    assert asked
    assert f"task/{group}" not in asked


def asked_of(fx: Effects, node: str) -> list[str]:
    """Return the ids of all documents that `node` is asked to hold by a manifest in `fx`."""
    sends = [one.message for one in fx.send if isinstance(one, Send) and one.peer == node]
    return [key for one in sends if isinstance(one, messages.Desired) for key in one.put]


def test_the_wait_for_an_operator_outlives_a_restart_and_ends_once(
    fleet: tuple[World, dict[str, Device], Store],
) -> None:
    world, devices, backup = fleet
    restored(world, backup)
    world.restart()
    assert world.core.restore.alarm
    devices["oslo-1"].connect()
    assert set(devices["oslo-1"].items) == {"assignment/old", "assignment/new"}
    accept(world, devices)
    world.restart()
    assert world.core.restore.alarm == ""
    assert "nothing waits" in world.refused(inputs.AcceptRestore()).error


def test_a_second_restore_forgets_what_was_confirmed_in_another_past(
    fleet: tuple[World, dict[str, Device], Store],
) -> None:
    world, devices, backup = fleet
    restored(world, backup)
    accept(world, devices)
    assert set(world.store.spaces[RETAKE]) == {"oslo-1", "bergen-1"}
    restored(world, world.store)
    assert world.store.spaces[RETAKE] == {}
    devices["oslo-1"].connect()
    assert set(devices["oslo-1"].items) == {"assignment/old", "assignment/new"}


def test_one_node_can_be_taken_back_alone(fleet: tuple[World, dict[str, Device], Store]) -> None:
    world, devices, backup = fleet
    restored(world, backup)
    for one in devices.values():
        one.connect()
    world.ask(inputs.AcceptNode(node="oslo-1"))
    devices["oslo-1"].settle()
    assert world.core.restore.alarm


def test_links_whose_records_were_lost_begin_again(fleet: tuple[World, dict[str, Device], Store]) -> None:
    world, devices, backup = fleet
    del backup.spaces[parent.CHILD]["oslo-1"]
    del backup.spaces["asked"]["oslo-1"]
    restored(world, backup, partial=True)
    assert "some of its state is lost" in world.core.restore.alarm
    assert "oslo-1" in world.store.spaces[parent.CHILD]
    devices["oslo-1"].connect()
    assert set(devices["oslo-1"].items) == {"assignment/old", "assignment/new"}
    accept(world, devices)
    assert set(devices["oslo-1"].items) == {"assignment/old"}


def test_a_registry_with_holes_is_too_little_to_go_on_with(fleet: tuple[World, dict[str, Device], Store]) -> None:
    _, _, backup = fleet
    spaces = {**backup.spaces, "operator": {"admin": b"{}"}}
    assert judge(spaces) == ""
    assert "no operator" in judge(backup.spaces)
    lost = {**spaces, "node": {name: raw for name, raw in spaces["node"].items() if name != "oslo-1"}}
    assert "the records of 1 nodes cannot be read (oslo-1)" in judge(lost)
    assert "no node" in judge({"operator": {"admin": b"{}"}})


def test_a_restored_hub_that_has_overtaken_a_device_rolls_it_back_only_with_an_operators_word(
    fleet: tuple[World, dict[str, Device], Store],
) -> None:
    """Its lock file was put back with it: nothing tells it at its opening."""
    world, devices, backup = fleet
    held = devices["oslo-1"].held
    world.store = backup
    world.restart()
    assert world.core.restore.alarm == ""
    for name in ("third", "fourth"):  # while both are away
        apply(world, devices, service(name, "site"))
    assert world.core.parent.view("oslo-1").generation > held.generation
    devices["oslo-1"].connect()
    world.settle()
    assert devices["oslo-1"].held == held
    assert [one["what"] for one in world.node("oslo-1")["alarms"]] == ["restored-parent"]
    assert "oslo-1" in world.core.restore.alarm
    apply(world, devices, service("fifth", "site"))
    assert devices["oslo-1"].held == held

    assert accept(world, devices) == {"nodes": 2, "ahead": 1}
    assert world.core.restore.alarm == ""
    assert set(devices["oslo-1"].items) == {
        "assignment/old",
        "assignment/third",
        "assignment/fourth",
        "assignment/fifth",
    }
    devices["bergen-1"].connect()
    assert set(devices["bergen-1"].items) == set(devices["oslo-1"].items), "it was confirmed while it was away"


def test_what_was_asked_before_the_backup_is_not_sent_either_before_an_operator_confirms() -> None:
    """`old` was deleted after the backup: a device that was away since before it never ran it, and must not begin."""
    world = World(rebuild=False)
    devices = world.fleet(**SITES)
    oslo = devices["oslo-1"]
    away = oslo.held
    apply(world, {"bergen-1": devices["bergen-1"]}, service("old", "site"))
    restored(world, world.store)
    oslo.held, oslo.items = away, {}
    sent = [oslo.connect()]
    sent.append(oslo.got(messages.Need(session=oslo.session, manifest=True)))
    sent += [world.later(40.0), *world.settle()]
    assert [asked_of(fx, "oslo-1") for fx in sent if asked_of(fx, "oslo-1")] == []

    accept(world, devices)
    assert set(oslo.items) == {"assignment/old"}, "it is live, and behind"
    assert set(world.store.spaces[RETAKE]) == {"bergen-1"}


def test_a_node_that_is_taken_back_alone_is_asked_and_the_others_are_not(
    fleet: tuple[World, dict[str, Device], Store],
) -> None:
    world, devices, backup = fleet
    restored(world, backup)
    held = devices["bergen-1"].held
    for one in devices.values():
        one.connect()
    seen(devices, world.request(inputs.AcceptNode(node="oslo-1")), *world.settle())
    assert set(devices["oslo-1"].items) == {"assignment/old"}
    assert devices["bergen-1"].held == held


def test_a_crash_right_after_the_operators_word_forgets_no_device() -> None:
    world = World(rebuild=False)
    names = [f"n{count:03}" for count in range(limits.DELEGATE_NODES_PER_INPUT_MAX + 10)]
    world.token("many", uses=len(names))
    for name in names:
        world.enroll(name, token="many")
    restored(world, world.store)
    world.request(inputs.AcceptRestore())
    world.restart()
    assert world.core.restore.alarm == ""
    assert sorted(world.store.spaces[RETAKE]) == names


def test_who_is_let_in_before_an_operator_confirms_is_asked_nothing_either(
    fleet: tuple[World, dict[str, Device], Store],
) -> None:
    world, _, backup = fleet
    restored(world, backup)
    world.enroll("oslo-2", {"site": "oslo"})
    world.core.parent.adopt("oslo-2", Effects())
    device = Device(world, "oslo-2")
    device.held = messages.Held(term=1, generation=7, digest="sha256:" + "a" * 64)
    before = world.store.spaces["asked"].get("oslo-2")
    device.connect()
    assert world.store.spaces["asked"].get("oslo-2") == before, "who knows what this hub asked of it, and has forgotten"
    assert not device.items

    accept(world, {"oslo-2": device})
    assert set(device.items) == {"assignment/old"}
    assert device.held.term > 1
