"""What workloads say."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from edge_agent.core import inputs
from protocol import documents, effects, limits, messages
from protocol.effects import Action
from tests.unit.agent.world import World, body, exited, running, service


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
    """Say `items` on a connection of its own and return the answer, which may take a moment."""
    world.connections += 1
    before = len(world.acts)
    world.do(inputs.Emitted(connection=world.connections, instance=instance, items=list(items)))
    world.wait(limits.EMIT_LINGER_S)
    (ack,) = [act for act in world.acts[before:] if isinstance(act, inputs.EmitAck)]
    return ack


def say(world: World, connection: int, count: int = 1) -> list[int]:
    """Say `count` items in one batch and return what is answered at once, by connection."""
    fx = world.do(inputs.Emitted(connection=connection, instance="s-web-1", items=[item()] * count))
    return [act.connection for act in fx.act if isinstance(act, inputs.EmitAck)]


def answered(acts: list[Action]) -> list[int]:
    return [act.connection for act in acts if isinstance(act, inputs.EmitAck)]


def test_items_become_entries_and_are_acknowledged_after_the_commit(world: World) -> None:
    ack = emit(world, item(kind="measured"), item(kind="sold", key="belt-2"), item("5", to="metrics"), item(to="audit"))
    assert ack == inputs.EmitAck(connection=1, count=4)
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


def test_who_comes_under_the_name_of_one_that_is_gone_counts_anew(world: World) -> None:
    emit(world, item('"old"', id=7))
    world.start()  # an older copy of the store: it knows of a process whose folder has gone since
    running(world, "s-web-1")
    assert emit(world, item("1", id=1)).count == 1
    assert [body(entry) for entry in world.entries("state", "app.")] == ["old", 1]


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
    monkeypatch.setattr(limits, "QUOTA_BYTES", dict.fromkeys(limits.QUOTA_BYTES, 8_000))
    world.start(inputs.Found(instance="s-web-1", pid=4), inputs.Found(instance="s-chatty-2", pid=5))
    for _ in range(200):
        assert emit(world, item()).count == 1
    assert len(world.entries("audit", "gap.declared")) == 1, "an audit entry for each would fill the audit"
    world.wait(limits.LOSS_NOTED_EVERY_S)
    gaps = [body(entry) for entry in world.entries("audit", "gap.declared")]
    assert {gap["reason"] for gap in gaps} == {"the stream's quota is full"}
    told = world.local(inputs.LocalStatus())
    assert sum(gap["count"] for gap in gaps) == told["lost"]["state"]
    assert (told["gaps"]["state"]["count"], told["gaps"]["state"]["first"]) == (told["lost"]["state"], 1)
    waits = told["backlog"]["state"]
    assert waits["rows"] == waits["last"] - told["lost"]["state"], "what is lost does not wait"
    assert 0 < waits["bytes"] <= told["quota"]["state"]["bytes"]
    assert told["quota"]["state"]["bytes"] <= 2 * told["quota"]["state"]["share"] == 16_000


def test_steps_and_tasks_speak_under_their_run_and_id(world: World) -> None:
    step = documents.Step(name="a", run=["./a"])
    world.desire(documents.Task(id="df", command=["df"]), documents.Workflow(workflow="flow", steps=[step]))
    run = world.local(inputs.LocalWorkflowStart(workflow="flow"))["run"]
    emit(world, item(), instance="t-df")
    emit(world, item(), instance=f"r-{run}-a-1")
    assert [entry.key for entry in world.entries("state", "app.")] == ["df", run]
    large = item(msgspec.json.encode({"a": "x" * limits.OUTPUT_BYTES_MAX}).decode(), to="outputs")
    assert "are over" in emit(world, item(), large, instance=f"r-{run}-a-1").error


def test_who_waits_for_the_answer_gets_it_at_once_from_the_second_item_on(world: World) -> None:
    assert not say(world, 7)
    assert world.fx.lazy
    assert answered(world.wait(limits.EMIT_LINGER_S)) == [7]
    assert say(world, 7) == [7]
    assert say(world, 7) == [7]
    world.wait(limits.EMIT_WAITS_S)
    assert not say(world, 7)


def test_who_talks_on_without_waiting_shares_a_commit_and_a_message(world: World) -> None:
    world.offline()
    world.online(cursors={"state": messages.Cursor(epoch="0" * 16, seq=0, credit=100)})
    assert not say(world, 7)
    for _ in range(9):
        assert not answered(world.wait(limits.EMIT_SHARE_S / 10))
        assert not say(world, 7)
        assert not world.fx.send
    world.mono += limits.EMIT_SHARE_S
    fx = world.do(inputs.Tick())
    assert answered(fx.act) == [7] * 10
    assert [send.stream for send in fx.send if isinstance(send, effects.SendRows)] == ["state"]


def test_who_stops_talking_on_is_found_out(world: World) -> None:
    say(world, 7)
    say(world, 7)
    world.wait(limits.EMIT_SHARE_S)
    say(world, 7)
    assert answered(world.wait(limits.EMIT_SHARE_S)) == [7]
    say(world, 7)
    assert answered(world.wait(limits.EMIT_LINGER_S)) == [7]
    assert say(world, 7) == [7]


def test_the_rest_of_a_large_batch_and_what_adds_up_to_one_do_not_wait(world: World) -> None:
    assert say(world, 7, limits.EMIT_TOGETHER_MAX + 1) == [7]
    assert say(world, 7) == [7]
    world.wait(limits.EMIT_LINGER_S)
    assert not say(world, 7)
    assert not say(world, 8, limits.EMIT_TOGETHER_MAX)
    assert say(world, 8) == [7, 8, 8]


def test_large_batches_the_audit_and_what_is_no_service_are_answered_at_once(world: World) -> None:
    assert say(world, 7, limits.EMIT_TOGETHER_MAX + 1) == [7]
    fx = world.do(inputs.Emitted(connection=8, instance="s-web-1", items=[item(to="audit")]))
    assert answered(fx.act) == [8]


def test_a_refusal_comes_after_the_answers_to_what_was_said_before(world: World) -> None:
    say(world, 7)
    fx = world.do(inputs.Emitted(connection=7, instance="s-web-1", items=[item(to="nowhere")]))
    assert [(act.count, bool(act.error)) for act in fx.act if isinstance(act, inputs.EmitAck)] == [
        (1, False),
        (0, True),
    ]


def test_habits_are_bounded(world: World) -> None:
    for connection in range(limits.EMIT_HABITS_MAX + 5):
        say(world, connection)
    assert sorted(answered(world.wait(limits.EMIT_LINGER_S))) == list(range(limits.EMIT_HABITS_MAX + 5))
