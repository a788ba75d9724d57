"""What is to be kept from something (a service, a step, a task), on a device that can do so, or half of it, or must."""

from __future__ import annotations

from typing import Any

import msgspec

from edge_agent.core import inputs, isolation
from protocol import documents
from tests.unit.agent.world import World, acts, body, exited, only, running, service

QUIET = documents.Isolation(no_network=True, private_tmp=True)


def confined(kept_from: documents.Isolation, *command: str) -> documents.Assignment:
    plain = service("web", *command)
    return msgspec.structs.replace(plain, process=msgspec.structs.replace(plain.process, isolation=kept_from))


def at(*able: str, why: dict[str, str] | None = None) -> World:
    world = World()
    world.start(able=able, why=why)
    world.online()
    return world


def test_what_the_device_cannot_do_is_left_out_and_told() -> None:
    world = at("private_tmp")

    launch = only(world.desire(confined(QUIET)), inputs.Launch)

    assert launch.process.isolation == documents.Isolation(private_tmp=True)
    told = world.local(inputs.LocalStatus())["conditions"]
    assert [(one["what"], one["text"].partition(":")[0]) for one in told] == [
        ("service/web", "this device cannot enforce no network")
    ]
    running(world, launch.instance)
    first, *rest = world.local(inputs.LocalWhy(service="web"))["reasons"]
    assert first.startswith("the hub wants it running")
    assert told[0]["text"] in rest


def test_a_device_that_can_is_asked_for_all_of_it_and_says_nothing() -> None:
    world = at("private_tmp", "no_network")

    assert only(world.desire(confined(QUIET)), inputs.Launch).process.isolation == QUIET
    assert not world.local(inputs.LocalStatus())["conditions"]


def test_what_requires_it_does_not_run_and_says_why_and_nothing_spins() -> None:
    world = at("private_tmp")

    fx = world.desire(confined(msgspec.structs.replace(QUIET, required=True)))

    assert not acts(fx, inputs.Launch)
    assert world.service("web")["state"] == "failed"
    assert world.service("web")["reason"] == (
        "refused: its isolation is required, and this device cannot enforce no network"
    )
    assert not [one for one in world.wait(3_600.0) if isinstance(one, inputs.Launch)]


def test_a_version_that_is_refused_leaves_the_one_before_running() -> None:
    world = at()
    world.desire(service("web"))
    running(world, "s-web-1")

    fx = world.desire(confined(msgspec.structs.replace(QUIET, required=True)))

    assert not acts(fx, inputs.Stop)
    assert world.service("web")["state"] == "running"
    assert "required" in world.service("web")["reason"]


def test_a_device_that_lost_what_a_service_requires_starts_it_no_more_until_it_has_it_again() -> None:
    world = at("private_tmp", "no_network")
    world.desire(confined(msgspec.structs.replace(QUIET, required=True)))
    running(world, "s-web-1")

    world.start(inputs.Found(instance="s-web-1", pid=7), able=("private_tmp",))
    world.do(exited("s-web-1", 1))
    assert not [one for one in world.wait(3_600.0) if isinstance(one, inputs.Launch)]

    assert acts(world.start(able=("private_tmp", "no_network")), inputs.Launch) or [
        one for one in world.wait(3_600.0) if isinstance(one, inputs.Launch)
    ]


# ------------------------------------------------------------------------------------------------ steps

HALF = documents.Isolation(private_tmp=True)
LACKS = "this device cannot enforce no network (kernel 5.10)"


def flow(*steps: documents.Step, **more: Any) -> documents.Workflow:
    return documents.Workflow(workflow="flow", steps=list(steps), **more)


def begun(world: World, *steps: documents.Step, **more: Any) -> str:
    world.desire(flow(*steps, **more))
    return world.local(inputs.LocalWorkflowStart(workflow="flow", params={}))["run"]


def told(world: World, kind: str, name: str) -> str:
    return body(next(one for one in world.entries(kind=kind) if body(one).get("step", name) == name))["reason"]


def test_a_step_is_kept_from_what_its_workflow_says_and_else_from_what_it_says_itself() -> None:
    world = at("private_tmp", "no_network", "memory")
    bound = documents.Limits(memory_bytes=1)

    begun(
        world,
        documents.Step(name="a", run=["./a"]),
        documents.Step(name="b", run=["./b"], user="bob", limits=documents.Limits(), isolation=HALF),
        user="amy",
        limits=bound,
        isolation=QUIET,
    )

    one, two = (launch.process for launch in world.all(inputs.Launch))
    assert (one.user, one.limits, one.isolation) == ("amy", bound, QUIET)
    assert (two.user, two.limits, two.isolation) == ("bob", documents.Limits(), HALF)
    assert not world.local(inputs.LocalStatus())["conditions"]


def test_what_a_step_goes_without_its_run_tells_and_its_workflow_does() -> None:
    world = at("private_tmp", why={"no_network": "kernel 5.10"})

    begun(world, documents.Step(name="a", run=["./a"], isolation=QUIET), documents.Step(name="b", run=["./b"]))

    first, second = world.all(inputs.Launch)
    assert first.process.isolation == HALF
    assert told(world, "step.started", "a").startswith(LACKS)
    assert "reason" not in body(world.entries(kind="step.started")[1])
    (condition,) = world.local(inputs.LocalStatus())["conditions"]
    assert (condition["what"], condition["text"].partition(": it runs")[0]) == ("workflow/flow", f"step 'a': {LACKS}")
    assert second.process.isolation == documents.Isolation()


def test_a_step_that_requires_what_the_device_cannot_do_fails_and_nothing_starts() -> None:
    world = at("private_tmp", why={"no_network": "kernel 5.10"})
    must = msgspec.structs.replace(QUIET, required=True)
    retry = documents.Retry(attempts=3)

    begun(world, documents.Step(name="a", run=["./a"], retry=retry), isolation=must)

    assert not world.all(inputs.Launch)
    assert told(world, "step.ended", "a") == f"refused: its isolation is required, and {LACKS}"
    assert world.local(inputs.LocalStatus())["workflows"]["flow"]["last"]["state"] == "failed"
    (condition,) = world.local(inputs.LocalStatus())["conditions"]
    assert condition["text"] == f"step 'a': refused: its isolation is required, and {LACKS}"


def test_a_step_that_never_began_does_not_begin_on_a_device_that_lost_what_it_requires() -> None:
    world = at("private_tmp", "no_network")
    begun(world, documents.Step(name="a", run=["./a"]), isolation=msgspec.structs.replace(QUIET, required=True))
    (first,) = world.all(inputs.Launch)

    assert not acts(world.start(able=("private_tmp",)), inputs.Launch)

    assert told(world, "step.ended", "a").startswith("refused: its isolation is required")
    assert first.process.isolation.required


# ------------------------------------------------------------------------------------------------ tasks


def task(**more: Any) -> documents.Task:
    return documents.Task(id="df", command=["df"], **more)


def test_a_task_is_confined_and_says_with_its_end_what_it_went_without() -> None:
    world = at("private_tmp", why={"no_network": "kernel 5.10"})

    launch = only(world.desire(task(isolation=QUIET, limits=documents.Limits(open_files=9))), inputs.Launch)
    world.do(exited("t-df", 0))

    assert launch.process.isolation == HALF
    assert launch.process.limits.open_files == 9
    assert told(world, "task.started", "").startswith(LACKS)
    ended = body(world.entries(kind="task.ended")[0])
    assert (ended["state"], ended["reason"].startswith(LACKS)) == ("ok", True)


def test_a_task_that_requires_what_the_device_cannot_do_is_refused_and_nothing_starts() -> None:
    world = at(why={"no_network": "kernel 5.10"})

    fx = world.desire(task(isolation=documents.Isolation(no_network=True, required=True)))

    assert not acts(fx, inputs.Launch)
    ended = body(world.entries(kind="task.ended")[0])
    assert (ended["state"], ended["reason"]) == ("refused", f"refused: its isolation is required, and {LACKS}")
    assert not world.entries(kind="task.started")


def test_a_task_that_never_began_is_refused_on_a_device_that_lost_what_it_requires() -> None:
    world = at("no_network")
    world.desire(task(isolation=documents.Isolation(no_network=True, required=True)))
    assert world.all(inputs.Launch)

    assert not acts(world.start(), inputs.Launch)

    assert body(world.entries(kind="task.ended")[0])["state"] == "refused"


# ------------------------------------------------------------------------------------------------ nobody answers

SILENT = "nothing can be started here: nobody answers"
CAN = isolation.Able(names=frozenset(("no_network", "private_tmp")))
MUST = msgspec.structs.replace(QUIET, required=True)


def test_while_nobody_answers_nothing_starts_and_then_all_of_it_does() -> None:
    world = World()
    world.start(waits=SILENT)
    world.online()
    world.desire(
        confined(MUST), task(), flow(documents.Step(name="a", run=["./a"], isolation=MUST)), service("db", "./db")
    )
    world.local(inputs.LocalWorkflowStart(workflow="flow", params={}))

    assert not [one for one in world.wait(3_600.0) if isinstance(one, inputs.Launch)]
    assert not world.all(inputs.Launch)
    assert world.service("web")["state"] == world.service("db")["state"] == "waiting"
    assert world.service("web")["reason"] == SILENT
    conditions = world.local(inputs.LocalStatus())["conditions"]
    assert [(one["what"], one["text"]) for one in conditions] == [("launcher", SILENT)]

    world.do(inputs.Enforces(able=CAN))

    started = {one.instance.split("-")[1]: one.process.isolation for one in world.all(inputs.Launch)}
    assert started.pop("web") == MUST
    assert started.pop("db") == started.pop("df") == documents.Isolation()
    assert list(started.values()) == [MUST]
    assert not world.local(inputs.LocalStatus())["conditions"]


def test_what_runs_goes_on_is_not_probed_and_not_replaced_while_nobody_answers() -> None:
    world = at("no_network")
    probed = msgspec.structs.replace(service("web"), health=documents.Probe(exec=["./probe"], interval_s=5.0))
    world.desire(probed)
    running(world, "s-web-1")
    world.do(inputs.Enforces(able=msgspec.structs.replace(CAN, waits=SILENT)))

    assert not [one for one in world.wait(60.0) if isinstance(one, inputs.RunProbe)]
    assert not acts(world.desire(service("web", "./other")), inputs.Stop)
    assert world.service("web")["state"] == "running"

    fx = world.do(inputs.Enforces(able=CAN))
    assert only(fx, inputs.Stop).instance == "s-web-1"


def test_what_never_began_before_a_restart_waits_or_is_refused_where_it_could_be_too_late() -> None:
    world = at("no_network", "private_tmp")
    world.desire(confined(MUST), task(), flow(documents.Step(name="a", run=["./a"])))
    world.local(inputs.LocalWorkflowStart(workflow="flow", params={}))
    assert len(world.all(inputs.Launch)) == 3

    world.start(waits=SILENT)
    assert len(world.all(inputs.Launch)) == 3
    ended = body(world.entries(kind="task.ended")[0])
    assert (ended["state"], ended["reason"]) == ("refused", SILENT)

    again = [one.instance[:2] for one in acts(world.do(inputs.Enforces(able=CAN)), inputs.Launch)]
    assert sorted(again) == ["r-", "s-"]


def test_a_task_that_never_began_and_was_taken_back_never_begins() -> None:
    world = at()
    world.desire(task())
    world.desire()

    assert not acts(world.start(), inputs.Launch)

    assert body(world.entries(kind="task.ended")[0])["state"] == "cancelled"
