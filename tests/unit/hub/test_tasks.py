"""One-off work: what is asked, what is heard, what is let go of."""

from typing import Any

import pytest

from hub.core import inputs, views
from protocol import documents, limits
from tests.unit.hub.world import Device, World, topics, workflow


@pytest.fixture
def world() -> World:
    return World()


def run(world: World, **changed: Any) -> str:
    return world.ask(asked(**changed))["group"]


def asked(**changed: Any) -> inputs.CreateTasks:
    given: dict[str, Any] = {"selector": "*", "command": ["true"], **changed}
    return inputs.CreateTasks(**given)


def tasks(world: World, group: str) -> dict[str, dict[str, Any]]:
    return {task["node"]: task for task in views.task_group(world.core, group, world.now)["tasks"]}


def end(device: Device, group: str, **said: Any) -> None:
    device.entries(("task.ended", group, {"id": group, "state": "ok"} | said))


def test_a_task_that_makes_no_sense_is_refused(world: World) -> None:
    world.enroll("oslo-1", {"site": "oslo"})

    def refused(**changed: Any) -> inputs.Reply:
        return world.refused(asked(**changed))

    assert "an empty selector selects nobody" in refused(selector="").error
    assert "no node matches" in refused(selector="site=bergen").error
    assert refused(selector="site=bergen").status == 404
    assert "not both" in refused(nodes=["oslo-1"]).error
    assert refused(selector="", nodes=["nope"]).status == 404
    assert "is one of" in refused(cancel_run="r1").error
    assert "is one of" in refused(command=[]).error
    assert "--timeout" in refused(timeout_s=0.0).error
    assert "are a command's" in refused(command=[], cancel_run="r1", limits=documents.Limits(cpu=1.0)).error
    assert "deadline is within" in refused(deadline_s=1e12).error
    assert refused(command=[], workflow="report").status == 404
    assert "bytes; the most is" in refused(command=["x" * limits.DOCUMENT_BYTES_MAX]).error
    assert refused(selector="no good!").status == 422
    assert world.refused(inputs.CreateTasks(nodes=["oslo-1"])).status == 422


def test_what_a_command_is_kept_from_arrives(world: World) -> None:
    world.fleet(oslo_1={"site": "oslo"})
    isolation, bounds = documents.Isolation(required=True, no_network=True), documents.Limits(memory_bytes=1)

    run(world, isolation=isolation, limits=bounds)

    (group,) = world.core.tasks.groups()
    assert (group.document.isolation, group.document.limits) == (isolation, bounds)


def test_a_workflow_is_started_and_a_run_cancelled_by_a_task(world: World) -> None:
    device = world.fleet(oslo_1={"site": "oslo"})["oslo-1"]
    world.ask(inputs.Apply(documents=[workflow("report", "*")]))
    group = run(world, command=[], workflow="report", params={"day": "1"}, deadline_s=None)
    seen = views.task_group(world.core, group, world.now)
    assert (seen["workflow"], seen["params"], seen["deadline_ms"], seen["by"]) == (
        "report",
        {"day": "1"},
        0,
        "token:admin",
    )
    device.entries(("task.started", group, {"id": group, "run": "r1"}))
    assert tasks(world, group)["oslo-1"]["run"] == "r1"
    run(world, command=[], cancel_run="r1")
    assert [group.document.cancel_run for group in world.core.tasks.groups()] == ["", "r1"]


def test_an_unknown_task_is_said_to_be_unknown(world: World) -> None:
    with pytest.raises(Exception, match="no task 'nope'"):
        views.task_group(world.core, "nope", world.now)


def test_what_a_device_says_counts_once_and_only_of_its_own_tasks(world: World) -> None:
    devices = world.fleet(oslo_1={"site": "oslo"}, oslo_2={"site": "oslo"})
    group = run(world, selector="", nodes=["oslo-1"])
    end(devices["oslo-2"], group)
    assert tasks(world, group)["oslo-1"]["state"] == "pending"
    end(devices["oslo-1"], group, state="nonsense")
    assert tasks(world, group)["oslo-1"]["state"] == "pending"
    end(devices["oslo-1"], group, state="failed", exit_code=3, stderr="no such file")
    end(devices["oslo-1"], group, state="ok")
    devices["oslo-1"].entries(("task.started", group, {"id": group}))
    told = tasks(world, group)["oslo-1"]
    assert (told["state"], told["exit_code"], told["stderr"]) == ("failed", 3, "no such file")
    end(devices["oslo-1"], "another-task")


def test_an_entry_that_cannot_be_read_raises_an_alarm_and_stops_nothing(world: World) -> None:
    device = world.fleet(oslo_1={"site": "oslo"})["oslo-1"]
    group = run(world)
    device.entries(("task.ended", group, ["odd"]), ("step.ended", "r1", "odd"), ("task.ended", group, {"id": group}))
    assert [alarm["what"] for alarm in world.node("oslo-1")["alarms"]] == ["odd-entry"]
    assert len([row for row in world.store.received if row[1] == "state"]) == 3


def test_a_task_that_is_never_answered_is_let_go_long_after_its_deadline(world: World) -> None:
    device = world.fleet(oslo_1={"site": "oslo"})["oslo-1"]
    device.leave()
    group = run(world, deadline_s=60.0)
    world.later(60.0 + limits.TASK_LINGER_S - 1.0)
    assert tasks(world, group)["oslo-1"]["state"] == "away"
    fx = world.later(1.0)
    assert f"task/{group}" in topics(fx)
    assert (tasks(world, group)["oslo-1"]["state"], world.core.tasks.items("oslo-1")) == ("unknown", {})
    device.connect()
    assert device.items == {}
    end(device, group, state="refused", reason="too late")
    assert tasks(world, group)["oslo-1"]["state"] == "refused"


def test_a_node_holds_only_so_many_open_tasks(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "TASKS_OPEN_MAX", 1)
    devices = world.fleet(oslo_1={"site": "oslo"}, oslo_2={"site": "oslo"})
    first = run(world)
    end(devices["oslo-2"], first)
    second = run(world)
    seen = tasks(world, second)
    assert (seen["oslo-1"]["state"], "wait for oslo-1 already" in seen["oslo-1"]["reason"]) == ("refused", True)
    assert seen["oslo-2"]["state"] == "pending"


def test_the_last_groups_are_kept_and_an_open_one_that_goes_is_cancelled(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "GROUPS_KEPT_MAX", 2)
    device = world.fleet(oslo_1={"site": "oslo"})["oslo-1"]
    first, second = run(world), run(world)
    world.later(1.0)
    end(device, second)
    third = run(world)
    kept = [group.id for group in world.core.tasks.groups()]
    assert kept == [first, third]
    device.settle()
    world.settle()
    assert not world.store.spaces["result"]
    fourth = run(world)
    assert [group.id for group in world.core.tasks.groups()] == [third, fourth]
    world.settle()
    assert sorted(world.core.parent.view("oslo-1").cursors) == ["state"]
    assert sorted(world.core.tasks.items("oslo-1")) == sorted([f"task/{third}", f"task/{fourth}"])


def test_results_whose_group_is_gone_are_forgotten_after_a_crash_too(world: World) -> None:
    world.store.spaces["result"] = {"gone/oslo-1": b'{"state":"ok","time_ms":1}'}
    world.restart()
    world.settle()
    assert world.store.spaces["result"] == {}


def test_outputs_are_clipped_when_there_is_no_more_room(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "RESULTS_BYTES_MAX", 10)
    monkeypatch.setattr(limits, "RESULT_CLIPPED_BYTES", 4)
    device = world.fleet(oslo_1={"site": "oslo"})["oslo-1"]
    group = run(world)
    end(device, group, stdout="0123456789abcdef")
    told = tasks(world, group)["oslo-1"]
    assert (told["stdout"], "not kept here" in told["reason"]) == ("cdef", True)
