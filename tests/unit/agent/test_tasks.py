"""Tasks: delivery is declared (INVARIANTS A14)."""

from __future__ import annotations

import pytest

from edge_agent.core import inputs
from protocol import documents, limits
from tests.unit.agent.world import WALL, World, acts, body, exited, only, running


@pytest.fixture
def world() -> World:
    world = World()
    world.start()
    world.online()
    return world


def task(task_id: str = "df", **fields: object) -> documents.Task:
    return documents.Task(**{"id": task_id, "command": ["df", "-h"], "by": "ada", **fields})  # type: ignore[arg-type]


def test_start_is_journaled_before_the_launch_and_end_with_everything(world: World) -> None:
    launch = only(world.desire(task(user="nobody")), inputs.Launch)
    assert (launch.instance, launch.capture, launch.timeout_s) == ("t-df", True, 30.0)
    assert (launch.process.command, launch.process.user) == (["df", "-h"], "nobody")
    assert world.last("task.started") == {"id": "df", "by": "ada", "command": ["df", "-h"]}
    running(world, "t-df")
    world.mono += 2
    fx = world.do(exited("t-df", 0, stdout="98%\n"))
    assert only(fx, inputs.Forget).instance == "t-df"
    assert world.last("task.ended") == {
        "id": "df",
        "state": "ok",
        "exit_code": 0,
        "stdout": "98%\n",
        "duration_s": 2.0,
    }


@pytest.mark.parametrize(("code", "signal", "state"), [(0, None, "ok"), (3, None, "failed"), (None, 9, "failed")])
def test_its_exit_decides_its_state(world: World, code: int | None, signal: int | None, state: str) -> None:
    world.desire(task())
    world.do(exited("t-df", code, signal))
    assert world.last("task.ended")["state"] == state


def test_it_never_runs_twice_as_long_as_the_manifest_lists_it(world: World) -> None:
    world.desire(task())
    world.do(exited("t-df"))
    world.desire(task(), task("uptime"))
    world.start()
    assert [launch.instance for launch in world.all(inputs.Launch)] == ["t-df", "t-uptime", "t-uptime"]
    assert world.do(exited("t-df")).act == [inputs.Forget(instance="t-df")]
    world.online()
    world.desire(task("uptime"))
    assert "df" not in world.store.spaces["task"]


@pytest.mark.parametrize(
    ("stdout", "reason"),
    [("98%\n", "its output is lost: the row went for want of room on the device"), ("", "")],
)
def test_an_end_that_the_quota_took_is_said_again_without_its_output(
    world: World, monkeypatch: pytest.MonkeyPatch, stdout: str, reason: str
) -> None:
    monkeypatch.setattr(limits, "SEGMENT_ROWS", 4)
    monkeypatch.setattr(limits, "QUOTA_BYTES", dict.fromkeys(limits.QUOTA_BYTES, 2_000))
    world.start()
    world.online()
    world.desire(task(), *(task(f"t{number}") for number in range(9)))
    world.offline()
    world.do(exited("t-df", 3, stdout=stdout))
    for number in range(9):
        world.do(exited(f"t-t{number}", 0, stdout="x" * 400))
    first, again = (body(one) for one in world.entries("state", "task.ended") if one.key == "df")
    assert (first["state"], first["exit_code"], first.get("stdout", "")) == ("failed", 3, stdout)
    assert (again["state"], again["exit_code"]) == ("failed", 3)
    assert "stdout" not in again
    assert again.get("reason", "") == reason


def test_what_a_restored_hub_asks_for_again_is_not_run_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "TASKS_PAST_KEPT", 2)
    for name in ("one", "two", "three"):
        world.desire(task(name))
        world.do(exited(f"t-{name}"))
    world.desire()
    world.start()
    world.online()
    launched = world.desire(task("one"), task("two"), task("three"))
    assert [launch.instance for launch in acts(launched, inputs.Launch)] == ["t-one"]  # the oldest id was let go
    assert list(world.store.spaces["task-past"]) == ["two", "three"]


def test_a_command_that_does_not_exist_failed(world: World) -> None:
    world.desire(task())
    world.do(inputs.LaunchFailed(instance="t-df", error="no such command: df"))
    assert world.last("task.ended") == {"id": "df", "state": "failed", "reason": "no such command: df"}
    world.do(inputs.LaunchFailed(instance="t-df", error="late"))
    assert world.kinds().count("task.ended") == 1


def test_leaving_the_manifest_before_the_end_is_a_cancellation(world: World) -> None:
    world.desire(task())
    running(world, "t-df")
    assert only(world.desire(), inputs.Stop).instance == "t-df"
    fx = world.start(inputs.Found(instance="t-df", pid=4))
    assert only(fx, inputs.Stop).instance == "t-df"
    world.do(exited("t-df", None, 15))
    assert world.last("task.ended")["state"] == "cancelled"
    assert not world.store.spaces["task"]


def test_a_deadline_is_judged_in_the_parents_time(world: World) -> None:
    world.offline()
    world.online(offset_s=100)
    deadline_ms = int((WALL + 60) * 1000)
    assert not acts(world.desire(task(deadline_ms=deadline_ms)), inputs.Launch)
    refused = world.last("task.ended")
    assert refused["state"] == "refused"
    assert refused["reason"].startswith("its deadline passed")
    assert acts(
        world.desire(task(deadline_ms=deadline_ms), task("now", deadline_ms=deadline_ms + 900_000)), inputs.Launch
    )


def test_a_deadline_waits_until_the_parents_time_is_known(world: World) -> None:
    world.desire(task(deadline_ms=int((WALL + 60) * 1000)))
    del world.store.spaces["task"]["df"]  # as if the power went before START was stored
    assert not acts(world.start(reboot=True), inputs.Launch)
    world.wall += 3_600
    world.online()
    assert world.last("task.ended")["state"] == "refused"


def test_on_the_same_boot_a_launch_that_may_not_have_happened_is_repeated(world: World) -> None:
    world.desire(task())
    assert only(world.start(), inputs.Launch).instance == "t-df"
    assert world.kinds().count("task.started") == 1


def test_lost_with_the_power_it_is_unknown_and_not_run_again(world: World) -> None:
    world.desire(task())
    assert not acts(world.start(reboot=True), inputs.Launch)
    assert world.last("task.ended")["state"] == "unknown"
    world.start(reboot=True)
    assert world.kinds().count("task.ended") == 1


def test_lost_with_the_power_it_runs_again_if_that_is_declared_safe(world: World) -> None:
    world.desire(task(repeatable=True))
    fx = world.start(inputs.Found(instance="t-df", pid=4, exit=inputs.Exit()), reboot=True)
    assert only(fx, inputs.Launch).instance == "t-df-2"
    world.do(exited("t-df-2"))
    assert world.last("task.ended")["state"] == "ok"
    assert world.last("task.started")["attempt"] == 2


def test_lost_with_the_power_it_does_not_run_again_while_nobody_knows_what_confines_it(world: World) -> None:
    kept_from = documents.Isolation(no_network=True, required=True)
    world.start(able=("no_network",))
    world.online()
    world.desire(task(repeatable=True, isolation=kept_from))
    fx = world.start(inputs.Found(instance="t-df", pid=4, exit=inputs.Exit()), reboot=True, waits="nobody answers")
    assert not acts(fx, inputs.Launch)
    assert world.last("task.ended")["state"] == "unknown"


def test_an_exit_while_the_agent_was_down_keeps_its_output(world: World) -> None:
    world.desire(task())
    running(world, "t-df")
    world.start(inputs.Found(instance="t-df", pid=4, exit=inputs.Exit(code=1), stderr="no space"))
    assert world.last("task.ended")["stderr"] == "no space"


def test_one_that_runs_goes_on_over_a_restart_of_the_agent(world: World) -> None:
    world.desire(task())
    running(world, "t-df")
    fx = world.start(inputs.Found(instance="t-df", pid=4))
    assert not acts(fx, inputs.Launch)
    assert not acts(fx, inputs.Stop)


def test_the_core_stops_what_is_over_its_time_although_the_shell_did_not(world: World) -> None:
    world.desire(task(timeout_s=5))
    running(world, "t-df")
    assert not world.wait(5)
    assert world.wait(30) == [inputs.Stop(instance="t-df", grace_s=limits.STOP_GRACE_S)]
    world.do(exited("t-df", None, 15))
    assert world.last("task.ended")["reason"] == "stopped at its timeout of 5 s"


def test_output_is_cut_from_the_front_until_it_fits_one_entry(world: World) -> None:
    world.desire(task())
    world.do(exited("t-df", 0, stdout="x" * limits.TASK_OUTPUT_BYTES_MAX, stderr="é\n" * 30_000 + "end"))
    entry = world.entries(kind="task.ended")[0]
    assert len(entry.body) <= limits.ENTRY_BYTES_MAX
    assert body(entry)["stderr"].endswith("end")
    assert body(entry)["stdout"].endswith("x")


def test_open_tasks_are_bounded(world: World) -> None:
    world.desire(*(task(f"t{n}") for n in range(limits.TASKS_OPEN_MAX + 1)))
    assert len(world.all(inputs.Launch)) == limits.TASKS_OPEN_MAX
    assert world.last("task.ended")["state"] == "refused"


# ------------------------------------------------------------------------------------------------ workflows

SHIFT = documents.Workflow(workflow="shift", steps=[documents.Step(name="a", run=["./a"])], params={"day": "today"})


def start_run(task_id: str = "go", **fields: object) -> documents.Task:
    return task(task_id, command=[], workflow="shift", **fields)


def test_a_task_starts_a_run_and_ends_with_it(world: World) -> None:
    world.desire(SHIFT)
    world.desire(SHIFT, start_run(params={"day": "monday"}))
    run = world.last("task.started")["run"]
    assert world.last("run.started")["params"] == {"day": "monday"}
    world.start(inputs.Found(instance=f"r-{run}-a-1", pid=3))
    world.do(exited(f"r-{run}-a-1"))
    assert world.last("task.ended") == {"id": "go", "state": "ok", "run": run, "duration_s": 0.0}


def test_a_run_that_cannot_start_refuses_its_task(world: World) -> None:
    world.desire(start_run())
    assert world.last("task.ended")["reason"] == "no workflow 'shift' is on this device; there are: none"
    world.desire(SHIFT, start_run("wrong", params={"dya": "x"}), start_run("one"), start_run("two"))
    ended = {body(entry)["id"]: body(entry).get("reason") for entry in world.entries(kind="task.ended")}
    assert ended["wrong"] == "workflow 'shift' has no parameter 'dya'"
    assert ended["two"] == "1 of at most 1 runs of 'shift' are in progress"


def test_a_task_waits_for_its_workflows_artifact(world: World) -> None:
    digest = "sha256:" + "a" * 64
    world.desire(documents.Workflow(workflow="shift", steps=SHIFT.steps, artifact=digest), start_run())
    assert not world.entries(kind="task.")
    world.do(inputs.Fetched(digest=digest))
    assert len(world.all(inputs.Launch)) == 1


def test_taking_the_task_back_cancels_its_run(world: World) -> None:
    world.desire(SHIFT, start_run())
    run = world.last("task.started")["run"]
    assert only(world.desire(SHIFT), inputs.Stop).instance == f"r-{run}-a-1"
    world.do(exited(f"r-{run}-a-1", None, 15))
    assert world.last("run.ended")["state"] == "cancelled"
    assert world.last("task.ended")["state"] == "cancelled"


def test_a_task_cancels_a_run(world: World) -> None:
    world.desire(SHIFT, start_run())
    run = world.last("task.started")["run"]
    cancel = task("stop-it", command=[], cancel_run=run)
    assert only(world.desire(SHIFT, start_run(), cancel), inputs.Stop).instance == f"r-{run}-a-1"
    assert world.last("task.ended") == {"id": "stop-it", "state": "ok", "run": run}
    world.do(exited(f"r-{run}-a-1", None, 15))
    assert world.last("task.ended") == {"id": "go", "state": "cancelled", "run": run, "duration_s": 0.0}
    world.desire(SHIFT, start_run(), cancel, task("again", command=[], cancel_run=run))
    assert world.last("task.ended")["state"] == "refused"
