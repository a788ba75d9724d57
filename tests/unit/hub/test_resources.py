"""What operators declare, and where it goes."""

from typing import Any

import pytest

from hub.core import inputs, views
from protocol import limits, status
from tests.unit.hub.world import World, service, topics, workflow

DIGEST = "sha256:" + "a" * 64


@pytest.fixture
def world() -> World:
    return World()


def apply(world: World, *documents: dict[str, Any], dry_run: bool = False) -> list[dict[str, Any]]:
    return world.ask(inputs.Apply(documents=list(documents), dry_run=dry_run))["results"]


def placed(world: World, name: str, kind: str = "service") -> list[str]:
    return views.resource(world.core, kind, name)["placement"]["nodes"]


def test_applying_again_changes_nothing_and_a_change_counts_one_generation(world: World) -> None:
    world.enroll("oslo-1", {"site": "oslo"})
    assert [one["action"] for one in apply(world, service("line", "site=oslo"), workflow("report", "*"))] == [
        "created",
        "created",
    ]
    world.settle()
    before = world.node("oslo-1")["desired_generation"]
    fx = world.request(inputs.Apply(documents=[service("line", "site=oslo")]))
    assert not fx.store
    assert "resource/service/line" not in topics(fx)
    (again,) = apply(world, service("line", "site=oslo"))
    assert (again["action"], again["generation"]) == ("unchanged", 1)
    changed = service("line", "site=oslo", process={"command": ["sleep", "2"]})
    (result,) = apply(world, changed)
    assert (result["action"], result["generation"], result["nodes"]) == ("changed", 2, ["oslo-1"])
    assert world.node("oslo-1")["desired_generation"] == before + 1
    assert [one["name"] for one in views.resources(world.core, "service")] == ["line"]
    assert [one["name"] for one in views.resources(world.core)] == ["line", "report"]
    assert views.on(world.core, "workflow/report").nodes[0]["report"] is None


def test_a_dry_run_says_what_would_be_and_changes_nothing(world: World) -> None:
    world.enroll("oslo-1", {"site": "oslo"})
    dry = inputs.Apply(documents=[service("line", "site=oslo"), service("one", "site=oslo", count=1)], dry_run=True)
    assert not world.request(dry).store
    results = world.ask(dry)["results"]
    assert [(one["action"], one["generation"], one["nodes"]) for one in results] == [("created", 1, ["oslo-1"])] * 2
    apply(world, *dry.documents)
    assert [(one["action"], one["generation"]) for one in world.ask(dry)["results"]] == [("unchanged", 1)] * 2


def test_a_selector_that_selects_nobody_says_so(world: World) -> None:
    world.enroll("oslo-1", {"site": "oslo"})
    nobody, empty, few = apply(
        world,
        service("a", "site=bergen"),
        service("b", ""),
        service("c", "site=oslo", count=3),
    )
    assert (nobody["nodes"], nobody["note"]) == ([], 'no node matches "site=bergen": see `skerry get nodes`')
    assert (empty["nodes"], "an empty selector selects nobody" in empty["note"]) == ([], True)
    assert (few["nodes"], few["note"]) == (["oslo-1"], '3 asked for, 1 match "site=oslo"')


def test_the_generation_survives_delete_and_recreate(world: World) -> None:
    device = world.fleet(oslo_1={"site": "oslo"})["oslo-1"]
    device.see(world.request(inputs.Apply(documents=[service("line", "site=oslo")])))
    fx = world.request(inputs.DeleteResource(kind="service", name="line"))
    device.see(fx)
    assert device.items == {}
    assert world.refused(inputs.DeleteResource(kind="service", name="line")).status == 404
    (again,) = apply(world, service("line", "site=oslo"))
    assert (again["action"], again["generation"]) == ("created", 3)
    done = [row[:2] for row in world.store.rows["audit"] if row[0].startswith("operator.")]
    assert [kind for kind, _ in done] == ["operator.apply", "operator.delete", "operator.apply"]
    assert {key for _, key in done} == {"service/line"}


def test_a_service_that_moves_leaves_the_nodes_it_was_on(world: World) -> None:
    devices = world.fleet(oslo_1={"site": "oslo"}, bergen_1={"site": "bergen"})
    for selector in ("site=oslo", "site=bergen"):
        fx = world.request(inputs.Apply(documents=[service("line", selector)]))
        for device in devices.values():
            device.see(fx)
    assert devices["oslo-1"].items == {}
    assert list(devices["bergen-1"].items) == ["assignment/line"]


def test_bad_documents_are_refused_whole(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    good = service("good", "*")
    twice = world.refused(inputs.Apply(documents=[good, good]))
    assert (twice.status, "stands twice" in twice.error) == (422, True)
    odd = world.refused(inputs.Apply(documents=[good, {"kind": "Service"}]))
    assert odd.status == 422
    away = world.refused(inputs.Apply(documents=[service("a", "*", artifact=DIGEST)]))
    assert (away.status, "is not at the hub" in away.error) == (409, True)
    monkeypatch.setattr(limits, "DOCUMENT_BYTES_MAX", 64)
    assert "move files into its artifact" in world.refused(inputs.Apply(documents=[good])).error
    monkeypatch.setattr(limits, "SERVICES_MAX", 0)
    monkeypatch.setattr(limits, "DOCUMENT_BYTES_MAX", 1 << 20)
    assert "an agent runs 0" in world.refused(inputs.Apply(documents=[good])).error
    monkeypatch.setattr(limits, "RESOURCES_MAX", 0)
    assert "its most" in world.refused(inputs.Apply(documents=[good])).error
    assert views.resources(world.core) == []
    assert world.refused(inputs.DeleteResource(kind="service", name="good")).status == 404


def test_an_artifact_is_given_only_to_who_needs_it_and_as_long_as_it_is_a_member(world: World) -> None:
    devices = world.fleet(oslo_1={"site": "oslo"}, bergen_1={"site": "bergen"})
    world.ask(inputs.NoteArtifact(digest=DIGEST, size=7))
    world.ask(inputs.NoteArtifact(digest=DIGEST, size=7))
    assert [row[0] for row in world.store.rows["audit"]].count("artifact.arrived") == 1
    apply(world, service("line", "site=oslo", artifact=DIGEST), workflow("report", "site=oslo"))
    ticket_for = world.core.parent.ticket_for
    assert ticket_for("bergen-1", DIGEST) == ""
    assert ticket_for("stranger", DIGEST) == ""
    ticket = ticket_for("oslo-1", DIGEST)
    assert ticket is not None
    assert world.core.ticket_holder(ticket, DIGEST, world.wall) == "oslo-1"
    with pytest.raises(Exception, match="expired"):
        world.core.ticket_holder(ticket, DIGEST, world.wall + limits.TICKET_TTL_S)
    world.ask(inputs.RevokeNode(node=devices["oslo-1"].name))
    assert ticket_for("oslo-1", DIGEST) == ""
    with pytest.raises(Exception, match="not part of this fleet"):
        world.core.ticket_holder(ticket, DIGEST, world.wall)


def test_what_is_counted_stays_where_it_is_as_long_as_it_may(world: World) -> None:
    world.fleet(oslo_1={"site": "oslo"}, oslo_2={"site": "oslo"}, oslo_3={"site": "oslo"})
    apply(world, service("one", "site=oslo", count=1))
    (holder,) = placed(world, "one")
    others = [name for name in ("oslo-1", "oslo-2", "oslo-3") if name != holder]
    world.ask(inputs.LabelNode(node=others[0], set={"gpu": ""}))
    world.ask(inputs.CordonNode(node=holder, cordoned=True))
    world.enroll("oslo-4", {"site": "oslo"})
    world.restart()
    assert placed(world, "one") == [holder]
    assert world.node(holder)["cordoned"]
    world.ask(inputs.LabelNode(node=holder, remove=["site"]))
    (second,) = placed(world, "one")
    assert second != holder
    world.ask(inputs.LabelNode(node=holder, set={"site": "oslo"}))
    assert placed(world, "one") == [second]
    world.ask(inputs.DrainNode(node=second))
    (third,) = placed(world, "one")
    assert third not in (holder, second)
    world.ask(inputs.CordonNode(node=second, cordoned=False))
    assert placed(world, "one") == [third]


def test_a_free_place_is_taken_by_who_comes_and_online_nodes_go_first(world: World) -> None:
    devices = world.fleet(oslo_1={"site": "oslo"})
    apply(world, service("two", "site=oslo", count=2))
    assert placed(world, "two") == ["oslo-1"]
    world.enroll("oslo-2", {"site": "oslo"})
    assert placed(world, "two") == ["oslo-1", "oslo-2"]
    devices["oslo-1"].leave()
    assert placed(world, "two") == ["oslo-1", "oslo-2"]
    devices |= world.fleet(oslo_3={"site": "oslo"})
    apply(world, service("one", "site=oslo", count=1))
    assert placed(world, "one") == ["oslo-3"]
    apply(world, service("two", "site=oslo", count=1))
    assert len(placed(world, "two")) == 1
    apply(world, service("two", "site=oslo"))
    assert placed(world, "two") == ["oslo-1", "oslo-2", "oslo-3"]


def test_a_cordoned_node_keeps_what_it_has_and_gets_nothing_new_and_a_drained_one_has_nothing(world: World) -> None:
    device = world.fleet(oslo_1={"site": "oslo"})["oslo-1"]
    device.see(world.request(inputs.Apply(documents=[service("old", "site=oslo")])))
    world.ask(inputs.CordonNode(node="oslo-1", cordoned=True))
    (new,) = apply(world, service("new", "site=oslo"))
    assert new["nodes"] == []
    assert placed(world, "old") == ["oslo-1"]
    device.see(world.request(inputs.DrainNode(node="oslo-1")))
    assert device.items == {}
    assert (world.node("oslo-1")["drained"], placed(world, "old")) == (True, [])
    device.see(world.request(inputs.CordonNode(node="oslo-1", cordoned=False)))
    assert sorted(device.items) == ["assignment/new", "assignment/old"]


def test_a_node_can_be_chosen_by_its_name(world: World) -> None:
    world.enroll("oslo-1", {"site": "oslo"})
    world.enroll("oslo-2", {"site": "oslo"})
    (one,) = apply(world, service("line", "node=oslo-2"))
    assert one["nodes"] == ["oslo-2"]
    assert [node["name"] for node in views.nodes(world.core, "site=oslo,node!=oslo-2").nodes] == ["oslo-1"]


def test_a_service_that_is_gone_here_and_still_runs_there_is_shown(world: World) -> None:
    device = world.fleet(oslo_1={"site": "oslo"})["oslo-1"]
    apply(world, service("line", "site=bergen"))
    running = {"line": status.ServiceReport(state="running", digest="sha256:old")}
    device.report(status.Report(services=running))
    (on,) = views.on(world.core, "service/line").nodes
    assert (on["placed"], on["current"], on["report"]["state"]) == (False, False, "running")
