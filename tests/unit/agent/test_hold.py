"""Updates that are kept away for a shift: what comes waits, what runs stays, and nothing is lost."""

from __future__ import annotations

import random

import msgspec
import pytest

from edge_agent.core import inputs
from protocol import documents
from tests.unit.agent.world import World, acts, exited, only, running, service

STEPS = [documents.Step(name="one", set={"x": "1"})]


@pytest.fixture
def world() -> World:
    world = World()
    world.start()
    world.online()
    world.desire(service("web"), documents.Workflow(workflow="flow", steps=STEPS))
    running(world, "s-web-1")
    return world


def held(world: World) -> dict[str, object]:
    return world.local(inputs.LocalStatus())["hold"]


def test_what_changes_above_waits_until_it_is_let_in(world: World) -> None:
    said = world.local(inputs.LocalHold(reason="night shift"))["text"]
    assert said.startswith("services and workflows stay as they are at generation 1, until released")
    assert world.last("local.hold", "audit") == {"user": "ada", "uid": 1001, "reason": "night shift"}

    fx = world.desire(service("web", "./other"), service("new"))
    assert not acts(fx, inputs.Stop)
    assert not acts(fx, inputs.Launch)
    assert world.last("desired.held", "audit")["generation"] == 2
    assert world.local(inputs.LocalStatus())["link"]["held"]["generation"] == 2
    assert held(world)["waiting"] == 3  # one changed, one new, one deleted
    assert held(world)["generation"] == 1
    assert world.local(inputs.LocalWorkflowStart(workflow="flow"))["run"]

    fx = world.do(inputs.Local(request=1, user="bo", uid=7, command=inputs.LocalUnhold(reason="done")))
    assert b"3 changes that waited come now" in only(fx, inputs.LocalReply).data
    assert only(fx, inputs.Stop).instance == "s-web-1"
    assert only(fx, inputs.Launch).instance == "s-new-2"
    assert world.last("local.unhold", "audit") == {"user": "bo", "uid": 7, "reason": "done"}
    assert world.last("desired.applied", "audit")["generation"] == 2
    assert held(world) is None


def test_it_survives_restarts_and_reboots_with_what_it_keeps(world: World) -> None:
    world.local(inputs.LocalHold())
    world.desire(service("new"))
    world.start(inputs.Found(instance="s-web-1", pid=41))
    assert world.service("web")["state"] == "running"
    assert acts(world.start(reboot=True), inputs.Launch)[0].instance == "s-web-2"
    assert "new" not in world.local(inputs.LocalStatus())["services"]
    world.local(inputs.LocalUnhold())
    assert world.all(inputs.Launch)[-1].instance == "s-new-3"


def test_it_ends_at_its_life_and_says_so(world: World) -> None:
    world.local(inputs.LocalHold(until_ms=int((world.wall + 600) * 1000)))
    world.desire(service("web"), service("new"))
    world.wait(599)
    assert held(world)["waiting"] == 2
    world.wait(2)
    assert held(world) is None
    assert world.last("hold.ended", "audit") == {"user": "ada", "uid": 1001, "why": "its life is over"}
    assert world.all(inputs.Launch)[-1].instance == "s-new-2"


def test_said_again_it_keeps_what_is_not_given_anew(world: World) -> None:
    until_ms = int((world.wall + 600) * 1000)
    world.local(inputs.LocalHold(reason="shift", until_ms=until_ms))
    world.desire()
    world.local(inputs.LocalHold(), user="bo", uid=7)
    again = held(world)
    assert (again["user"], again["reason"], again["until_ms"]) == ("bo", "shift", until_ms)
    assert (again["generation"], again["waiting"]) == (1, 2)
    world.local(inputs.LocalHold(until_ms=0))
    assert "until_ms" not in held(world)


def test_tasks_and_requests_of_the_hub_pass(world: World) -> None:
    world.local(inputs.LocalStop(service="web"))
    world.do(exited("s-web-1", None, 15))
    world.local(inputs.LocalHold())
    request = documents.ReleaseRequest(service="web", by="olga")
    fx = world.desire(service("web", "./other"), request, documents.Task(id="t1", command=["df"]))
    assert only(fx, inputs.Launch).instance == "t-t1"
    assert "olga asks" in world.local(inputs.LocalStatus())["conditions"][0]["text"]


def test_the_hub_may_ask_for_its_end(world: World) -> None:
    request = documents.ReleaseRequest(service="", by="olga", reason="a mend is due")
    world.desire(service("web"), request)
    assert not world.local(inputs.LocalStatus())["conditions"]
    world.local(inputs.LocalHold())
    (condition,) = world.local(inputs.LocalStatus())["conditions"]
    assert condition["text"] == "olga asks to let updates come again: a mend is due      (skerry-agent unhold)"


def test_why_says_that_a_change_waits(world: World) -> None:
    world.local(inputs.LocalHold(reason="shift"))
    assert len(world.local(inputs.LocalWhy(service="web"))["reasons"]) == 1
    world.desire(service("web", "./other"))
    why = world.local(inputs.LocalWhy(service="web"))
    assert why["reasons"] == [
        "the hub wants it running (generation 1), restart always",
        'ada (uid 1001) holds updates here with the reason "shift": '
        "what the hub changed of it (up to generation 2) waits",
    ]
    assert why["next"] == "skerry-agent unhold"


def test_what_makes_no_sense_is_refused(world: World) -> None:
    assert "nobody holds updates here" in world.local(inputs.LocalUnhold())
    assert "has passed already" in world.local(inputs.LocalHold(until_ms=5))
    new = World()
    new.start()
    assert "nothing has come from the hub yet" in new.local(inputs.LocalHold())


@pytest.mark.parametrize("seed", range(12))
def test_whatever_happens_what_is_held_stays_and_what_comes_is_not_lost(seed: int) -> None:
    chance, world = random.Random(seed), World()
    world.start()
    world.online()
    wanted = stays = ["./v0"]
    world.desire(service("web", *wanted))
    for step in range(60):
        match chance.randrange(6):
            case 0 if world.core.status(world.now()).hold is None:
                world.local(inputs.LocalHold(until_ms=chance.choice((0, int((world.wall + 300) * 1000)))))
            case 1:
                world.local(inputs.LocalUnhold())
            case 2 | 3:
                wanted = [f"./v{step + 1}"]
                world.desire(service("web", *wanted))
            case 4:
                world.start(reboot=True)
                world.online()
            case _:
                world.wait(100)
        if world.core.status(world.now()).hold is None:
            stays = wanted
        for _ in range(2):  # what was told to stop stops, and what is to run then starts
            record = msgspec.json.decode(world.store.spaces["service"]["web"])
            if record.get("stage") == "stopping":
                world.do(exited(record["instance"], None, 15))
            elif record.get("stage") == "starting":
                running(world, record["instance"])
        assert world.all(inputs.Launch)[-1].process.command == stays
