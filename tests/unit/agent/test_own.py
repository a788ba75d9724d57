"""What a person declares at the device: it runs beside what the hub asks, under a name of its own."""

from __future__ import annotations

import msgspec
import pytest

from edge_agent.core import inputs
from protocol import documents, limits
from tests.unit.agent.world import World, acts, exited, only, running, service

STEPS = [documents.Step(name="one", set={"x": "1"})]
FLOW = documents.Workflow(workflow="mine", steps=STEPS)


@pytest.fixture
def world() -> World:
    world = World()
    world.start()
    world.online()
    world.desire(service("web"))
    running(world, "s-web-1")
    return world


def declare(*wanted: documents.AnyDocument, reason: str = "spare") -> inputs.LocalApply:
    return inputs.LocalApply(documents=[msgspec.Raw(documents.encode(one)) for one in wanted], reason=reason)


def forget(name: str, kind: str = "service") -> inputs.LocalDelete:
    return inputs.LocalDelete(kind=kind, name=name)


def test_it_runs_at_once_beside_what_the_hub_asks_and_stays(world: World) -> None:
    fx = world.do(inputs.Local(request=1, user="ada", uid=7, command=declare(service("own"), FLOW)))
    assert only(fx, inputs.Launch).instance == "s-own-2"
    assert b'"service/own":"created"' in only(fx, inputs.LocalReply).data
    said = world.last("local.apply", "audit")
    assert (said["user"], said["reason"]) == ("ada", "spare")
    assert sorted(said["documents"]) == ["service/own", "workflow/mine"]
    running(world, "s-own-2", 42)
    assert world.service("own")["by"] == "ada"
    assert "by" not in world.service("web")
    assert world.local(inputs.LocalStatus())["workflows"]["mine"]["by"] == "ada"
    assert not acts(world.desire(service("web")), inputs.Stop)

    world.start(inputs.Found(instance="s-own-2", pid=42), inputs.Found(instance="s-web-1", pid=41))
    assert world.service("own")["pid"] == 42
    assert [one.instance for one in acts(world.start(reboot=True), inputs.Launch)] == ["s-web-3", "s-own-4"]


def test_it_changes_and_ends_only_here(world: World) -> None:
    world.local(declare(service("own")))
    running(world, "s-own-2", 42)
    assert world.local(declare(service("own")))["text"] == "service/own unchanged here"
    assert len(world.entries("audit", "local.apply")) == 1
    fx = world.do(inputs.Local(request=1, user="bo", uid=8, command=declare(service("own", "./other"))))
    assert only(fx, inputs.Stop).instance == "s-own-2"
    assert only(world.do(exited("s-own-2", None, 15)), inputs.Launch).process.command == ["./other"]
    fx = world.do(inputs.Local(request=1, user="bo", uid=8, command=forget("own")))
    assert world.last("local.delete", "audit") == {"user": "bo", "uid": 8, "documents": {"service/own": ""}}
    running(world, "s-own-3", 43)
    world.do(exited("s-own-3", None, 15))
    assert "own" not in world.local(inputs.LocalStatus())["services"]


def test_a_name_is_one_thing(world: World) -> None:
    assert "the hub asks for service/web already" in world.local(declare(service("web")))
    world.local(declare(service("own")))
    running(world, "s-own-2", 42)
    fx = world.desire(service("web"), service("own", "./hub"))
    assert not acts(fx, inputs.Stop)
    (told,) = world.local(inputs.LocalStatus())["conditions"]
    assert told["what"] == "service/own"
    assert told["text"].startswith("ada declared it here; the hub asks for this name too, and waits")
    world.local(declare(service("own", "./better")))  # it is still ours to change
    world.do(exited("s-own-2", None, 15))
    world.local(forget("own"))
    running(world, "s-own-3", 43)
    assert world.do(exited("s-own-3", None, 15)).act[-1].process.command == ["./hub"]  # type: ignore[attr-defined]


def test_what_is_declared_here_has_no_fence_of_the_hubs(world: World) -> None:
    world.local(declare(service("own")))
    running(world, "s-own-2", 42)
    world.desire(service("web"), service("own", "./hub"), documents.Fence(service="own", fence=7))
    assert "fence" not in world.service("own"), "a token of the hub's would vouch for foreign work"
    world.do(exited("s-own-2"))
    world.wait(60)
    assert [one.fence for one in world.all(inputs.Launch) if one.process.command == ["./serve"]] == [""] * 3
    world.local(forget("own"))
    running(world, "s-own-3", 43)
    launch = only(world.do(exited("s-own-3", None, 15)), inputs.Launch)
    assert (launch.process.command, launch.fence) == (["./hub"], "0000000007")


def test_it_can_be_deleted_though_the_manifest_was_lost(world: World) -> None:
    world.local(declare(service("own")))
    running(world, "s-own-2", 42)
    del world.store.spaces["manifest"]
    world.start(inputs.Found(instance="s-own-2", pid=42), inputs.Found(instance="s-web-1", pid=41))
    assert world.local(forget("own"))["documents"] == {"service/own": "deleted"}
    assert not world.all(inputs.Stop), "nothing is taken for gone until a manifest is known"
    world.online()
    assert [one.instance for one in acts(world.desire(service("web")), inputs.Stop)] == ["s-own-2"]


def test_a_hold_does_not_concern_it(world: World) -> None:
    world.local(inputs.LocalHold())
    fx = world.do(inputs.Local(request=1, user="ada", uid=7, command=declare(service("own"))))
    assert only(fx, inputs.Launch).instance == "s-own-2"


def test_why_names_who_declared_it(world: World) -> None:
    world.local(declare(service("own")))
    assert world.local(inputs.LocalWhy(service="own"))["reasons"] == [
        'ada (uid 1001) declared it here with the reason "spare", restart always'
    ]
    world.local(forget("own"))
    running(world, "s-own-2", 42)
    assert world.local(inputs.LocalWhy(service="own"))["reasons"][-1] == "the hub has deleted it"


def test_what_cannot_be_is_refused_whole(world: World) -> None:
    lease = documents.Lease(at_most_one=True)
    for bad, said in (
        (service("own", lease=lease), "at_most_one takes a hub"),
        (service("own", artifact="sha256:" + "0" * 64), "its artifact is not on this device"),
        (service("../own"), "has no name"),
        (documents.Task(id="t", command=["df"]), "not tasks"),
        (documents.Workflow(workflow="loop", steps=[documents.Step(name="a", needs=["a"], set={"x": "1"})]), "loop"),
    ):
        assert said in world.local(declare(service("fine"), bad))
    assert "not a document" in world.local(inputs.LocalApply(documents=[msgspec.Raw(b'{"kind":1}')]))
    many = [service(f"s{number}") for number in range(limits.OWN_DOCUMENTS_MAX + 1)]
    assert f"at most {limits.OWN_DOCUMENTS_MAX}" in world.local(declare(*many))
    said = "service/web was not declared here; the hub asks for it (a service can be stopped: skerry-agent stop web)"
    assert world.local(forget("web")) == said
    assert world.local(forget("wbe")) == "service/wbe was not declared here; there are: none"
    assert set(world.local(inputs.LocalStatus())["services"]) == {"web"}
    new = World()
    new.start()
    assert "nothing has come from the hub yet" in new.local(declare(service("own")))
