"""A fleet of thousands: the work for one input is bounded, and goes on by the timer."""

import msgspec
import pytest

from hub.core import inputs, views
from hub.core.work.tasks import Group
from protocol import effects, limits
from tests.unit.hub.world import Device, World, nodes, only, service

NODES = 300


def fleet() -> tuple[World, dict[str, Device]]:
    world = World(rebuild=False)
    world.token(uses=NODES)
    devices = {f"n{number}": Device(world, f"n{number}") for number in range(NODES)}
    for name, device in devices.items():
        world.enroll(name, {"site": "oslo"})
        device.connect()
    return world, devices


def desired(fx: effects.Effects) -> int:
    return sum(1 for op in fx.store if isinstance(op, effects.Put) and op.space == "asked")


def test_one_input_makes_only_so_many_manifests_and_the_timer_makes_the_rest() -> None:
    world, _ = fleet()
    fx = world.request(inputs.Apply(documents=[service("line", "*")]))
    assert len(msgspec.json.decode(only(fx, inputs.Reply).data)["results"][0]["nodes"]) == NODES
    assert desired(fx) == limits.DELEGATE_NODES_PER_INPUT_MAX
    assert world.wake_at == world.mono
    assert [node["settled"] for node in nodes(world.core, "*")].count(False) == NODES - desired(fx)
    made = [desired(fx) for fx in world.settle()]
    assert max(made) <= limits.DELEGATE_NODES_PER_INPUT_MAX
    assert sum(made) == NODES - limits.DELEGATE_NODES_PER_INPUT_MAX
    assert all(node["settled"] for node in nodes(world.core, "*"))


def test_a_hub_that_dies_half_way_finishes_what_was_asked() -> None:
    world, devices = fleet()
    world.request(inputs.Apply(documents=[service("line", "*")]))
    world.restart()
    world.settle()
    for name in ("n0", f"n{NODES - 1}"):
        devices[name].connect()
        assert list(devices[name].items) == ["assignment/line"]


def test_a_task_that_somebody_waits_for_goes_before_the_rest() -> None:
    world, devices = fleet()
    world.request(inputs.Apply(documents=[service("line", "*")]))
    last = devices[f"n{NODES - 1}"]
    last.see(world.request(inputs.CreateTasks(nodes=[last.name], command=["true"])))
    assert any(item.startswith("task/") for item in last.items)


def test_all_nodes_of_a_group_share_one_document() -> None:
    world, devices = fleet()
    group = world.ask(inputs.CreateTasks(selector="*", command=["true"]))["group"]
    world.settle()
    assert len([body for body in world.store.spaces["body"].values() if group.encode() in body]) == 1
    record = msgspec.json.decode(world.store.spaces["group"][group], type=Group)
    assert len(record.nodes) == NODES == len(devices)


def test_thousands_of_rows_of_workloads_wake_nothing_but_one_word() -> None:
    _, devices = fleet()
    device = devices["n0"]
    fx = device.entries(*[("app.sample", "k", {"v": number}) for number in range(1_000)])
    assert fx.act == [inputs.Notify(topic="entries")]
    assert [type(op).__name__ for op in fx.store] == ["Received", "Put"]


def test_a_list_of_nodes_is_read_by_the_page_and_a_page_looks_at_only_so_many(monkeypatch: pytest.MonkeyPatch) -> None:
    world, _ = fleet()
    names = sorted(f"n{number}" for number in range(NODES))
    first = views.nodes(world.core, "")
    assert [one["name"] for one in first.nodes] == names[: limits.NODES_PAGE_MAX]
    assert first.more == names[limits.NODES_PAGE_MAX]
    rest = views.nodes(world.core, "", first.more)
    assert ([one["name"] for one in rest.nodes], rest.more) == (names[limits.NODES_PAGE_MAX :], "")
    monkeypatch.setattr(limits, "NODES_LOOKED_AT_MAX", 7)
    few = views.nodes(world.core, f"node={names[-1]}")
    assert (few.nodes, few.more) == ([], names[7]), "none among the first seven, and the next page goes on behind them"
    assert [one["name"] for one in nodes(world.core, f"node={names[-1]}")] == [names[-1]]
    assert [one["name"] for one in views.nodes(world.core, "", "n29", 3).nodes] == ["n29", "n290", "n291"]
