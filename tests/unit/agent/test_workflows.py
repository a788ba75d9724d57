"""Runs of workflows: which steps are next, what is kept, what a restart means."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from edge_agent.core import inputs
from edge_agent.core.workflows import graph
from protocol import documents, effects, limits, messages
from protocol.errors import Refused
from tests.unit.agent.world import World, acts, body, exited, only, running

ART = "sha256:" + "a" * 64


@pytest.fixture
def world() -> World:
    world = World()
    world.start()
    world.online()
    return world


def step(name: str, *needs: str, **fields: Any) -> documents.Step:
    if "set" not in fields:
        fields.setdefault("run", [f"./{name}"])
    return documents.Step(name=name, needs=list(needs), **fields)


def flow(*steps: documents.Step, **fields: Any) -> documents.Workflow:
    return documents.Workflow(workflow="flow", steps=list(steps), **fields)


def begin(world: World, *steps: documents.Step, params: dict[str, str] | None = None, **fields: Any) -> str:
    world.desire(flow(*steps, **fields))
    return world.local(inputs.LocalWorkflowStart(workflow="flow", params=params or {}))["run"]


def launched(world: World) -> list[str]:
    return [launch.instance.split("-", 2)[2] for launch in world.all(inputs.Launch)]


def ends(world: World) -> dict[str, str]:
    return {body(entry)["step"]: body(entry)["state"] for entry in world.entries(kind="step.ended")}


# ------------------------------------------------------------------------------------------------ the graph


@pytest.mark.parametrize(
    ("steps", "text"),
    [
        ([step("a", "b"), step("b", "a")], "wait for each other"),
        ([step("a", "nobody")], "needs 'nobody': no such step"),
        ([step("a"), step("a")], "names a step twice"),
        ([step("../a")], "cannot name a step"),
        ([step("a", set={"x": "${steps.b.outputs.y}"})], "needs 'b'"),
        ([step(f"s{n}") for n in range(limits.STEPS_MAX + 1)], "over 2048 steps"),
    ],
)
def test_steps_that_are_no_graph_are_refused(steps: list[documents.Step], text: str) -> None:
    with pytest.raises(Refused, match=text):
        graph.Graph(flow(*steps))


def test_a_definition_that_is_no_graph_is_shown_and_the_one_before_stays(world: World) -> None:
    world.desire(flow(step("a")))
    world.desire(flow(step("a", "a")))
    conditions = world.local(inputs.LocalStatus())["conditions"]
    assert conditions[0]["what"] == "workflow/flow"
    assert world.local(inputs.LocalWorkflowStart(workflow="flow"))["run"]


def test_references_are_replaced_in_commands_environment_and_values() -> None:
    outputs = {"a": {"n": "5"}}
    assert graph.substitute("x${params.p}y${steps.a.outputs.n}", {"p": "1"}, outputs) == "x1y5"
    assert graph.substitute("$HOME ${HOME} ${params.}", {}, {}) == "$HOME ${HOME} ${params.}"
    for text in ("${params.q}", "${steps.b.outputs.n}", "${steps.a.outputs.m}"):
        with pytest.raises(Refused, match="has no value"):
            graph.substitute(text, {"p": "1"}, outputs)


# ------------------------------------------------------------------------------------------------ going on


def test_steps_follow_their_needs_and_run_side_by_side(world: World) -> None:
    run = begin(world, step("a"), step("b", "a"), step("c", "a"), step("d", "b", "c"))
    assert launched(world) == ["a-1"]
    running(world, f"r-{run}-a-1")
    world.do(exited(f"r-{run}-a-1"))
    assert launched(world) == ["a-1", "b-1", "c-1"]
    world.do(exited(f"r-{run}-c-1"))
    assert launched(world) == ["a-1", "b-1", "c-1"]
    fx = world.do(exited(f"r-{run}-b-1"))
    assert only(fx, inputs.Forget).instance == f"r-{run}-b-1"
    world.do(exited(f"r-{run}-d-1"))
    ended = world.last("run.ended")
    assert (ended["state"], [one["state"] for one in ended["steps"]]) == ("ok", ["ok"] * 4)
    assert world.kinds()[-1] == "run.ended"
    assert not world.store.spaces["run"]
    assert not world.store.spaces["step"]


def test_processes_side_by_side_are_bounded(world: World) -> None:
    run = begin(world, *(step(f"s{n}") for n in range(limits.PARALLEL_STEPS_MAX + 2)))
    assert len(launched(world)) == limits.PARALLEL_STEPS_MAX
    world.do(exited(f"r-{run}-s0-1"))
    assert launched(world)[-1] == "s8-1"


def test_a_launch_carries_the_workflows_code_and_the_replaced_values(world: World) -> None:
    world.start(artifacts=(ART,))
    world.online()
    one = step("a", run=["./a", "${params.day}"], env={"DAY": "${params.day}"}, timeout_s=9)
    world.desire(flow(one, artifact=ART, env={"TEAM": "qa"}, user="nobody", params={"day": "today"}))
    world.local(inputs.LocalWorkflowStart(workflow="flow", params={"day": "monday"}))
    (launch,) = world.all(inputs.Launch)
    assert launch.process == documents.Process(
        command=["./a", "monday"], artifact=ART, env={"TEAM": "qa", "DAY": "monday"}, user="nobody"
    )
    assert (launch.timeout_s, launch.capture) == (9, True)


def test_a_failed_step_skips_what_needs_it_and_fails_the_run(world: World) -> None:
    run = begin(world, step("a"), step("b", "a"), step("c", "b"), step("d"))
    world.do(exited(f"r-{run}-a-1", 2, stderr="x" * 9_000 + "boom"))
    world.do(exited(f"r-{run}-d-1"))
    assert ends(world) == {"a": "failed", "b": "skipped", "c": "skipped", "d": "ok"}
    failed = body(world.entries(kind="step.ended")[0])
    assert failed["exit_code"] == 2
    assert failed["stderr"].endswith("boom")
    assert len(failed["stderr"]) == limits.STEP_TAIL_BYTES_MAX
    assert world.last("run.ended")["state"] == "failed"


def test_conditions_look_at_how_earlier_steps_ended(world: World) -> None:
    when = documents.Condition
    run = begin(
        world,
        step("a"),
        step("mend", "a", when=[when(step="a", is_="failed")]),
        step("praise", "a", when=[when(step="a", is_="ok")]),
        step("tell", "praise", when=[when(step="praise", is_="any")]),
        step("both", "mend", when=[when(step="a", is_="failed")]),
    )
    world.do(exited(f"r-{run}-a-1", 1))
    assert launched(world) == ["a-1", "mend-1", "tell-1"]
    world.do(exited(f"r-{run}-mend-1"))
    world.do(exited(f"r-{run}-tell-1"))
    world.do(exited(f"r-{run}-both-1"))
    assert ends(world) == {"a": "failed", "praise": "skipped", "mend": "ok", "tell": "ok", "both": "ok"}


def test_conditions_look_at_outputs(world: World) -> None:
    hot = documents.Condition(step="a", output="level", equals="hot")
    begin(world, step("a", set={"level": "hot"}), step("b", when=[hot]), step("c", set={"x": "1"}, when=[hot]))
    assert launched(world) == ["b-1"]
    assert ends(world)["c"] == "ok"


def test_what_a_step_emitted_before_its_end_is_its_output(world: World) -> None:
    run = begin(world, step("a"), step("b", run=["./b", "${steps.a.outputs.n}"]))
    instance = f"r-{run}-a-1"
    item = inputs.Item(body=msgspec.Raw(b'{"n":"5"}'), to="outputs")
    fx = world.do(inputs.Emitted(connection=3, instance=instance, items=[item, item]))
    assert only(fx, inputs.EmitAck).count == 2
    world.start(inputs.Found(instance=instance, pid=4))
    world.do(exited(instance))
    assert world.all(inputs.Launch)[-1].process.command == ["./b", "5"]
    assert body(world.entries(kind="step.ended")[0])["outputs"] == {"n": "5"}


def test_a_reference_without_a_value_fails_its_step(world: World) -> None:
    run = begin(world, step("a"), step("b", run=["./b", "${steps.a.outputs.n}"]), step("c", "b"))
    world.do(exited(f"r-{run}-a-1"))
    world.wait(0)
    assert ends(world) == {"a": "ok", "b": "failed", "c": "skipped"}
    assert "has no value" in body(world.entries(kind="step.ended")[1])["reason"]
    begin(world, step("a", set={"x": "${params.none}"}))
    assert world.last("run.ended")["state"] == "failed"


def test_a_value_that_is_too_large_fails_its_step(world: World) -> None:
    begin(world, step("a", set={"x": "y" * limits.OUTPUT_BYTES_MAX}))
    assert "are over" in world.last("step.ended")["reason"]


# ------------------------------------------------------------------------------------------------ retry, time, cancel

RETRY = documents.Retry(attempts=3, min_s=4, max_s=60)


def test_a_failed_attempt_is_repeated_with_backoff_and_then_fails(world: World) -> None:
    run = begin(world, step("a", retry=RETRY))
    world.do(exited(f"r-{run}-a-1", 1))
    assert world.last("step.retrying")["exit_code"] == 1
    assert launched(world) == ["a-1"]
    world.wait(4.1)
    assert launched(world) == ["a-1", "a-2"]
    world.do(inputs.LaunchFailed(instance=f"r-{run}-a-2", error="no such command"))
    world.wait(8.1)
    world.do(exited(f"r-{run}-a-3", None, 9))
    ended = world.last("step.ended")
    assert (ended["state"], ended["attempt"], ended["signal"]) == ("failed", 3, 9)


def test_after_a_restart_the_next_attempt_does_not_wait(world: World) -> None:
    run = begin(world, step("a", retry=RETRY))
    world.do(exited(f"r-{run}-a-1", 1))
    assert only(world.start(), inputs.Launch).instance == f"r-{run}-a-2"


def test_a_step_over_its_time_is_stopped_and_failed(world: World) -> None:
    run = begin(world, step("a", timeout_s=5))
    assert not world.wait(16)
    assert world.wait(10) == [inputs.Stop(instance=f"r-{run}-a-1", grace_s=limits.STOP_GRACE_S)]
    world.do(exited(f"r-{run}-a-1", None, 15))
    assert world.last("step.ended")["reason"] == "stopped at its timeout of 5 s"


def test_cancel_stops_what_runs_and_cancels_what_waits(world: World) -> None:
    run = begin(world, step("a"), step("b", "a"), step("c", "b"))
    fx = world.do(inputs.Local(request=1, user="ada", uid=1, command=inputs.LocalRunCancel(run=run)))
    assert only(fx, inputs.Stop).instance == f"r-{run}-a-1"
    assert only(world.start(inputs.Found(instance=f"r-{run}-a-1", pid=4)), inputs.Stop).instance == f"r-{run}-a-1"
    world.local(inputs.LocalRunCancel(run=run))
    world.do(exited(f"r-{run}-a-1", None, 15))
    assert ends(world) == {"b": "cancelled", "c": "cancelled", "a": "cancelled"}
    assert world.last("run.ended")["state"] == "cancelled"
    assert world.local(inputs.LocalRunCancel(run=run)).startswith("no run")


def test_a_cancelled_step_that_could_not_start_is_cancelled(world: World) -> None:
    run = begin(world, step("a"))
    world.local(inputs.LocalRunCancel(run=run))
    world.do(inputs.LaunchFailed(instance=f"r-{run}-a-1", error="?"))
    assert ends(world) == {"a": "cancelled"}


def test_a_run_cancelled_before_its_first_decision_ends_at_once(world: World) -> None:
    run = begin(world, step("a", retry=RETRY))
    world.do(exited(f"r-{run}-a-1", 1))
    world.local(inputs.LocalRunCancel(run=run))
    assert world.last("run.ended")["state"] == "cancelled"


# ------------------------------------------------------------------------------------------------ interruptions


@pytest.mark.parametrize("how", ["gone", "no record"])
@pytest.mark.parametrize(("interrupted", "after"), [("fail", "failed"), ("retry", "running"), ("ask", "asking")])
def test_what_an_interruption_means_is_declared(world: World, how: str, interrupted: str, after: str) -> None:
    run = begin(world, step("a", interrupted=interrupted))
    found = [inputs.Found(instance=f"r-{run}-a-1", pid=4, exit=inputs.Exit())] if how == "no record" else []
    world.start(*found, reboot=True)
    (report,) = world.local(inputs.LocalRuns(workflow="flow"))
    assert report["state"] == after
    assert launched(world) == (["a-1", "a-2"] if interrupted == "retry" else ["a-1"])


@pytest.mark.parametrize(("answer", "state"), [("retry", "running"), ("fail", "failed")])
def test_a_person_decides_about_an_interrupted_step(world: World, answer: str, state: str) -> None:
    run = begin(world, step("a", interrupted="ask"))
    world.start(reboot=True)
    world.start(reboot=True)
    assert "was interrupted in step a" in world.local(inputs.LocalStatus())["conditions"][0]["text"]
    assert "is no answer" in world.local(inputs.LocalRunAnswer(run=run, step="a", answer="maybe"))
    assert "not waiting" in world.local(inputs.LocalRunAnswer(run=run, step="b", answer="retry"))
    world.local(inputs.LocalRunAnswer(run=run, step="a", answer=answer))
    assert world.local(inputs.LocalRuns())[0]["state"] == state
    assert world.last("local.run-answer", "audit")["answer"] == answer


def test_an_interrupted_step_can_be_cancelled_with_its_run(world: World) -> None:
    run = begin(world, step("a", interrupted="ask"))
    world.start(reboot=True)
    world.local(inputs.LocalRunCancel(run=run))
    assert world.last("run.ended")["state"] == "cancelled"


def test_on_the_same_boot_a_launch_that_may_not_have_happened_is_repeated(world: World) -> None:
    run = begin(world, step("a"), step("b", "a"))
    world.do(exited(f"r-{run}-a-1"))
    fx = world.start()
    assert [launch.instance for launch in acts(fx, inputs.Launch)] == [f"r-{run}-b-1"]
    world.start(inputs.Found(instance=f"r-{run}-b-1", pid=4, exit=inputs.Exit(code=0)))
    assert world.last("run.ended")["state"] == "ok"


def test_words_about_no_current_attempt_change_nothing(world: World) -> None:
    run = begin(world, step("a"))
    for instance in (f"r-{run}-a-9", f"r-{run}-b-1", "r-none-a-1"):
        assert only(world.do(exited(instance)), inputs.Forget).instance == instance
        world.do(inputs.LaunchFailed(instance=instance, error="?"))
    assert not ends(world)


# ------------------------------------------------------------------------------------------------ definitions


def test_a_run_follows_the_definition_it_began_with(world: World) -> None:
    run = begin(world, step("a"), step("b", "a"))
    world.desire(flow(step("z")))
    assert len(world.store.spaces["definition"]) == 2
    world.start(inputs.Found(instance=f"r-{run}-a-1", pid=4))
    world.do(exited(f"r-{run}-a-1"))
    assert launched(world)[-1] == "b-1"
    world.do(exited(f"r-{run}-b-1"))
    assert len(world.store.spaces["definition"]) == 1


def test_a_deleted_workflow_takes_its_runs_with_it(world: World) -> None:
    run = begin(world, step("a"))
    world.do(exited(f"r-{run}-a-1"))
    run = begin(world, step("a"))
    assert only(world.desire(), inputs.Stop).instance == f"r-{run}-a-1"
    world.do(exited(f"r-{run}-a-1", None, 15))
    for space in ("workflow", "definition", "run", "step", "past"):
        assert not world.store.spaces[space]
    assert "no workflow 'flow'" in world.local(inputs.LocalWorkflowStart(workflow="flow"))


def test_a_new_definition_waits_for_its_artifact_and_the_old_one_serves_meanwhile(world: World) -> None:
    world.desire(flow(step("a")))
    world.desire(flow(step("b"), artifact=ART))
    world.local(inputs.LocalWorkflowStart(workflow="flow"))
    assert launched(world) == ["a-1"]
    world.got(messages.Documents, tickets={ART: "tick"})
    world.do(inputs.Fetched(digest=ART))
    world.local(inputs.LocalWorkflowStart(workflow="flow"))
    assert launched(world) == ["a-1"]  # one at a time
    world.do(exited(world.all(inputs.Launch)[0].instance))
    world.local(inputs.LocalWorkflowStart(workflow="flow"))
    assert launched(world) == ["a-1", "b-1"]


def test_a_run_whose_artifact_is_lost_from_the_disk_waits_for_it(world: World) -> None:
    world.start(artifacts=(ART,))
    world.online()
    run = begin(world, step("a"), step("b", "a"), artifact=ART)
    world.start(inputs.Found(instance=f"r-{run}-a-1", pid=4))
    world.online()
    world.do(exited(f"r-{run}-a-1"))
    assert launched(world) == ["a-1"]
    world.do(inputs.Fetched(digest=ART))
    assert launched(world) == ["a-1", "b-1"]


def test_runs_side_by_side_are_bounded(world: World) -> None:
    world.desire(flow(step("a"), concurrency=1_000))
    for _ in range(limits.RUNS_ACTIVE_MAX):
        world.local(inputs.LocalWorkflowStart(workflow="flow"))
    assert "in progress on this device already" in world.local(inputs.LocalWorkflowStart(workflow="flow"))


def test_the_last_runs_are_remembered_over_restarts_and_the_oldest_forgotten(world: World) -> None:
    world.desire(flow(step("a", set={"x": "1"})))
    for _ in range(limits.RUNS_KEPT + 2):
        world.mono, world.wall = world.mono + 1, world.wall + 1
        world.local(inputs.LocalWorkflowStart(workflow="flow"))
    world.start()
    runs = world.local(inputs.LocalRuns())
    assert len(runs) == limits.RUNS_KEPT
    assert runs[0]["started_ms"] > runs[-1]["started_ms"]
    assert world.local(inputs.LocalStatus())["workflows"]["flow"]["last"]["id"] == runs[0]["id"]


# ------------------------------------------------------------------------------------------------ many steps


def test_a_chain_of_set_steps_passes_values_on_in_one_transaction(world: World) -> None:
    chain = [step("s0", set={"n": "go"})]
    chain += [step(f"s{n}", set={"n": f"${{steps.s{n - 1}.outputs.n}}"}) for n in range(1, 100)]
    world.desire(flow(*chain))
    fx = world.do(inputs.Local(request=1, user="a", uid=1, command=inputs.LocalWorkflowStart(workflow="flow")))
    assert world.last("step.ended")["outputs"] == {"n": "go"}
    assert world.last("run.ended")["state"] == "ok"
    assert not [op for op in fx.store if isinstance(op, effects.Put) and op.space == "step"]


def test_a_thousand_steps_side_by_side_take_bounded_inputs(world: World) -> None:
    begin(world, *(step(f"s{n}", set={"n": "1"}) for n in range(1_000)))
    assert len(ends(world)) == limits.SET_STEPS_PER_INPUT_MAX
    assert world.wake_at == world.mono
    world.start()  # what is done stays done
    world.wait(0)
    assert world.kinds().count("step.ended") == 1_000
    ended = world.last("run.ended")
    assert (ended["state"], len(ended["steps"])) == ("ok", 1_000)
    assert not world.store.spaces["step"]
    assert "steps" not in world.local(inputs.LocalStatus())["workflows"]["flow"]["last"]


def test_a_run_with_too_many_steps_for_one_entry_ends_without_them(world: World) -> None:
    begin(world, *(step(f"{'s' * 50}{n}", set={"n": "1"}) for n in range(2_000)))
    world.wait(0)
    assert "steps" not in world.last("run.ended")
    assert len(world.entries(kind="run.ended")[0].body) < limits.ENTRY_BYTES_MAX


def test_a_workflow_without_steps_ends_at_once(world: World) -> None:
    begin(world)
    assert world.last("run.ended")["state"] == "ok"
