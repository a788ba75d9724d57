"""What workloads say."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from edge_agent.core import inputs
from protocol import documents, limits
from tests.unit.agent.world import World, body, exited, only, running, service


@pytest.fixture
def world() -> World:
    world = World()
    world.start()
    world.online()
    world.desire(service("web"), service("chatty", ship_logs=True))
    running(world, "s-web-1")
    running(world, "s-chatty-2")
    return world


def item(raw: str = '{"n":1}', **fields: Any) -> inputs.Item:
    return inputs.Item(body=msgspec.Raw(raw.encode()), **fields)


def emit(world: World, *items: inputs.Item, instance: str = "s-web-1") -> inputs.EmitAck:
    return only(world.do(inputs.Emitted(connection=3, instance=instance, items=list(items))), inputs.EmitAck)


def test_items_become_entries_and_are_acknowledged_after_the_commit(world: World) -> None:
    ack = emit(world, item(kind="measured"), item(kind="sold", key="belt-2"), item("5", to="metrics"), item(to="audit"))
    assert ack == inputs.EmitAck(connection=3, count=4)
    one, two = world.entries("state", "app.")
    assert (one.kind, one.key, body(one)) == ("app.measured", "web", {"n": 1})
    assert (two.kind, two.key) == ("app.sold", "belt-2")
    assert world.kinds("metrics") == ["app.event"]
    assert world.kinds("audit")[-1] == "app.event"


def test_a_batch_is_kept_whole_or_refused_whole(world: World) -> None:
    for bad in (
        item('"' + "x" * limits.ENTRY_BYTES_MAX + '"'),
        item(kind="k" * limits.ENTRY_NAME_BYTES_MAX),
        item(to="nowhere"),
        item(to="logs"),
        item(to="outputs"),
        item("[1]", to="outputs"),
    ):
        ack = emit(world, item(kind="good"), bad)
        assert ack.count == 0
        assert ack.error
    assert not world.entries("state", "app.")


def test_a_numbered_item_said_again_is_acknowledged_and_kept_once(world: World) -> None:
    assert emit(world, item("1", id=1), item("2", id=2)).count == 2
    assert emit(world, item("2", id=2), item("3", id=3), item("0")).count == 3
    assert [body(entry) for entry in world.entries("state", "app.")] == [1, 2, 3, 0]


def test_the_numbers_outlive_the_agent_and_begin_anew_with_each_instance(world: World) -> None:
    emit(world, item("7", id=7))
    world.start(inputs.Found(instance="s-web-1", pid=10), inputs.Found(instance="s-chatty-2", pid=11))
    assert emit(world, item("7", id=7)).count == 1
    world.do(exited("s-web-1", 1))
    world.wait(400)
    running(world, "s-web-3")
    assert emit(world, item("1", id=1), instance="s-web-3").count == 1
    assert [body(entry) for entry in world.entries("state", "app.")] == [7, 1]


def test_the_numbers_of_what_is_gone_are_forgotten(world: World) -> None:
    emit(world, item("5", id=5))
    world.desire(service("chatty", ship_logs=True))
    world.do(exited("s-web-1", 0))
    emit(world, item("1", id=1), instance="s-chatty-2")
    assert world.store.spaces["said"] == {"s-chatty-2": b"1"}


def test_an_id_below_nought_is_refused(world: World) -> None:
    ack = emit(world, item(id=-1))
    assert ack.count == 0
    assert "begin at 1" in ack.error


def test_logs_travel_only_if_the_service_says_so(world: World) -> None:
    assert emit(world, item(to="logs"), instance="s-chatty-2").count == 1
    assert "ship_logs" in emit(world, item(to="logs")).error


def test_a_stranger_is_refused_but_last_words_are_taken(world: World) -> None:
    assert "does not run on this device" in emit(world, item(), instance="s-old-9").error
    assert emit(world, item()).count == 1
    world.do(exited("s-web-1", 0))
    assert emit(world, item()).count == 1
    assert "only a running step" in emit(world, item('{"a":"b"}', to="outputs")).error


def test_the_memory_of_last_words_is_bounded(world: World) -> None:
    for n in range(300):
        world.desire(documents.Task(id=f"t{n}", command=["x"]))
        assert emit(world, item(), instance=f"t-t{n}").count == 1
        world.do(exited(f"t-t{n}"))
    assert emit(world, item(), instance="t-t0").error
    assert emit(world, item(), instance="t-t299").count == 1


def test_what_a_full_quota_lets_go_is_declared(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(limits.QUOTA_BYTES, "state", 8_000)
    world.start(inputs.Found(instance="s-web-1", pid=4), inputs.Found(instance="s-chatty-2", pid=5))
    for _ in range(200):
        assert emit(world, item()).count == 1
    gaps = [body(entry) for entry in world.entries("audit", "gap.declared")]
    assert {gap["reason"] for gap in gaps} == {"the stream's quota is full"}
    assert sum(gap["count"] for gap in gaps) == world.local(inputs.LocalStatus())["lost"]["state"]


def test_steps_and_tasks_speak_under_their_run_and_id(world: World) -> None:
    step = documents.Step(name="a", run=["./a"])
    world.desire(documents.Task(id="df", command=["df"]), documents.Workflow(workflow="flow", steps=[step]))
    run = world.local(inputs.LocalWorkflowStart(workflow="flow"))["run"]
    emit(world, item(), instance="t-df")
    emit(world, item(), instance=f"r-{run}-a-1")
    assert [entry.key for entry in world.entries("state", "app.")] == ["df", run]
    large = item(msgspec.json.encode({"a": "x" * limits.OUTPUT_BYTES_MAX}).decode(), to="outputs")
    assert "are over" in emit(world, item(), large, instance=f"r-{run}-a-1").error
