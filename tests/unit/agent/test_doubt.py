"""A store that was damaged, restored or copied: what runs runs on, and nothing is taken for gone that was only lost."""

import random

import msgspec
import pytest

from edge_agent.core import inputs
from protocol import documents
from protocol.snapshot import DOUBT, STORE, Doubt
from tests.unit.agent.world import World, running, service

STEPS = [documents.Step(name="a", run=["./a"]), documents.Step(name="b", run=["./b"], needs=["a"])]
DF, NEW = (documents.Task(id=name, command=["df"], by="ada") for name in ("df", "new"))
WANTED = (service("web"), service("db", "./db"), documents.Workflow(workflow="flow", steps=STEPS))


def busy() -> tuple[World, list[inputs.Found]]:
    """A device whose services and a run are under way, and what a shell would find of it."""
    world = World()
    world.start()
    world.online()
    world.desire(*WANTED)
    world.local(inputs.LocalWorkflowStart(workflow="flow"))
    found: list[inputs.Found] = []
    for pid, launch in enumerate(world.all(inputs.Launch), 41):
        running(world, launch.instance, pid)
        found.append(inputs.Found(instance=launch.instance, pid=pid))
    assert len(found) == 3
    return world, found


def doubted(world: World, *, partial: bool) -> None:
    """The next life finds its store in doubt."""
    found = Doubt(reason="recovered from a damaged file", aside="journal.db.damaged-x", partial=partial, in_place=True)
    world.store.spaces.setdefault(STORE, {})[DOUBT] = msgspec.json.encode(found)
    world.acts.clear()


def stopped(world: World) -> list[str]:
    return [one.instance for one in world.all(inputs.Stop) if one.instance.startswith("s-")]


@pytest.mark.parametrize("seed", range(60))
def test_with_any_of_the_state_lost_services_run_on_and_are_met_again(seed: int) -> None:
    world, found = busy()
    rng = random.Random(seed)
    share = rng.choice([0.1, 0.5, 0.9, 1.0])
    keep_manifest = rng.random() < 0.5
    for space, values in world.store.spaces.items():
        for key in list(values):
            is_whole = keep_manifest and space in ("manifest", "document")
            if not is_whole and rng.random() < share:
                del values[key]
    if not keep_manifest:
        world.store.spaces.pop("manifest", None)
    doubted(world, partial=True)
    world.start(*found)
    world.wait(60)
    assert stopped(world) == []
    assert {one.instance for one in world.all(inputs.Launch)}.isdisjoint(one.instance for one in found[:2])
    world.online()
    world.desire(*WANTED)
    world.wait(60)
    assert stopped(world) == []
    assert [one.instance for one in world.all(inputs.Launch) if one.instance.startswith("s-")] == []
    assert DOUBT not in world.store.spaces[STORE]
    assert {world.service(name)["pid"] for name in ("web", "db")} == {one.pid for one in found[:2]}
    world.start(*found[:2])
    assert stopped(world) == []


def test_a_service_that_was_deleted_meanwhile_is_stopped_once_a_manifest_is_known() -> None:
    world, found = busy()
    world.store.spaces.clear()
    doubted(world, partial=True)
    world.start(*found)
    world.online()
    assert stopped(world) == []
    world.desire(WANTED[0])
    assert stopped(world) == ["s-db-2"]


@pytest.mark.parametrize("keep_manifest", [True, False])
def test_a_task_that_the_store_lost_is_unknown_and_runs_no_second_time(keep_manifest: bool) -> None:
    world, _ = busy()
    world.desire(*WANTED, DF)
    world.do(inputs.Ended(instance="t-df", exit=inputs.Exit(code=0)))
    kept = world.store.spaces if keep_manifest else {}
    world.store.spaces = {space: kept[space] for space in ("manifest", "document") if space in kept}
    doubted(world, partial=True)
    world.start()
    world.online()
    if not keep_manifest:
        world.desire(*WANTED, DF)
    assert world.last("task.ended")["state"] == "unknown"
    assert "it may have run, or not" in world.last("task.ended")["reason"]
    world.desire(*WANTED, DF, NEW)
    assert [one.instance for one in world.all(inputs.Launch) if one.instance.startswith("t-")] == ["t-new"]


def test_the_doubt_is_put_on_record_and_a_whole_state_is_trusted_at_once() -> None:
    world, found = busy()
    session = world.session()
    doubted(world, partial=False)
    world.start(*found)
    assert world.last("store.doubted", "audit") == {
        "reason": "recovered from a damaged file",
        "aside": "journal.db.damaged-x",
    }
    assert DOUBT not in world.store.spaces[STORE]
    assert world.session() > session + 1, "a counter that may be behind is not counted on from"
    assert world.all(inputs.Stop) == []


def test_an_instance_is_never_named_like_one_that_is_there() -> None:
    world, found = busy()
    world.store.spaces.clear()
    doubted(world, partial=True)
    world.start(*found)
    world.online()
    world.desire(*WANTED, service("new"))
    assert [one.instance for one in world.all(inputs.Launch) if "new" in one.instance] == ["s-new-3"]
