"""Artifacts at a hub: what something names stays, what nothing names goes, and the total is bounded."""

from __future__ import annotations

import pytest

from hub.core import inputs
from protocol import limits, status
from protocol.snapshot import DOUBT, STORE
from tests.unit.hub.test_resources import apply, service
from tests.unit.hub.world import World, acts

OLD, NEW = ("sha256:" + letter * 64 for letter in "ab")
LOOKS = int(limits.ARTIFACTS_SPARE_S / limits.ARTIFACTS_LOOK_S) + 2
OSLO = {"site": "oslo"}


@pytest.fixture
def world() -> World:
    world = World(rebuild=False)
    world.fleet()
    return world


def note(world: World, *digests: str, size: int = 7) -> None:
    for digest in digests:
        world.ask(inputs.NoteArtifact(digest=digest, size=size))


def dropped(world: World, looks: int = LOOKS) -> list[str]:
    """Let the hub look so often; return what it let go."""
    found: list[str] = []
    for _ in range(looks):
        fx = world.later(limits.ARTIFACTS_LOOK_S)
        found += [act.digest for act in acts(fx, inputs.DropArtifact)]
    return found


def test_what_nothing_names_goes_after_a_while_and_not_before(world: World) -> None:
    note(world, OLD)
    assert not dropped(world, LOOKS - 3)
    assert dropped(world, 3) == [OLD]
    assert OLD not in world.core.artifacts.held
    assert OLD not in world.store.spaces["artifact"]
    assert world.store.rows["audit"][-1][:2] == ("artifact.dropped", OLD)


def test_what_a_resource_names_stays_placed_or_not_and_goes_when_it_is_deleted(world: World) -> None:
    note(world, OLD)
    apply(world, service("line", "site=nowhere", artifact=OLD))
    assert not dropped(world)
    world.ask(inputs.DeleteResource(kind="service", name="line"))
    assert dropped(world) == [OLD]


def test_what_the_last_manifest_of_a_device_that_is_away_names_stays_until_it_has_come_back(world: World) -> None:
    oslo = world.fleet(oslo=OSLO)["oslo"]
    note(world, OLD, NEW)
    apply(world, service("line", "site=oslo", artifact=OLD))
    oslo.settle()
    oslo.report(status.Report())
    oslo.leave()
    held = oslo.held
    apply(world, service("line", "site=oslo", artifact=NEW))
    world.settle()
    oslo.held = held
    assert not dropped(world)
    world.restart()
    assert not dropped(world), "another life forgets nothing"
    oslo.connect()
    oslo.report(status.Report())
    assert dropped(world) == [OLD]


def test_what_only_a_revoked_device_would_ask_for_goes(world: World) -> None:
    oslo = world.fleet(oslo=OSLO)["oslo"]
    note(world, OLD)
    apply(world, service("line", "site=oslo", artifact=OLD))
    oslo.settle()
    oslo.leave()
    world.ask(inputs.DeleteResource(kind="service", name="line"))
    assert not dropped(world)
    world.ask(inputs.RevokeNode(node="oslo", reason="sold"))
    assert dropped(world) == [OLD]


def test_who_asks_for_it_keeps_it_and_no_wall_clock_or_restart_makes_it_old(world: World) -> None:
    note(world, OLD)
    assert not dropped(world, LOOKS - 3)
    note(world, OLD)
    world.wall += 400 * 86_400
    assert not dropped(world, LOOKS - 3)
    world.restart()
    world.wall -= 800 * 86_400
    assert not dropped(world, 2), "what was counted is kept, the pause is not counted"
    assert dropped(world, 3) == [OLD]


def test_nothing_goes_while_a_hub_in_doubt_waits_for_its_operator(world: World) -> None:
    note(world, OLD)
    world.store.spaces[STORE] = {DOUBT: b'{"reason":"an older copy"}'}
    world.restart()
    assert not dropped(world)
    world.ask(inputs.AcceptRestore(reason="looked"))
    assert dropped(world) == [OLD]


def test_what_is_beyond_the_total_is_refused_and_what_is_spare_makes_room_first(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "ARTIFACTS_BYTES_MAX", 100)
    note(world, OLD, size=60)
    note(world, NEW, size=30)
    apply(world, service("line", "site=nowhere", artifact=NEW))
    assert world.ask(inputs.MakeRoom(size=10)) == {"freed": 0}
    reply = world.refused(inputs.MakeRoom(size=50))
    assert (reply.status, "no room at the hub" in reply.error, "Delete services" in reply.error) == (507, True, True)
    assert not dropped(world, 3)
    fx = world.request(inputs.MakeRoom(size=10, coming=40))
    assert [act.digest for act in acts(fx, inputs.DropArtifact)] == [OLD]
    assert acts(fx, inputs.Reply)[0].data == b'{"freed":60}'
    assert world.refused(inputs.MakeRoom(size=80)).status == 507
    assert world.core.artifacts.bytes == 30


def test_what_a_crash_left_is_found_when_the_hub_starts(world: World) -> None:
    note(world, OLD)
    fx = world.take(inputs.ArtifactsFound(sizes={NEW: 5}))
    assert OLD not in world.core.artifacts.held
    assert [act.digest for act in acts(fx, inputs.DropArtifact)] == [OLD]
    assert world.core.artifacts.bytes == 5
    assert dropped(world) == [NEW], "no orphan stays for ever"


def test_what_was_named_meanwhile_begins_to_be_spare_anew(world: World) -> None:
    note(world, OLD)
    assert not dropped(world, LOOKS - 3)
    apply(world, service("line", "site=nowhere", artifact=OLD))
    assert not dropped(world, 3)
    world.ask(inputs.DeleteResource(kind="service", name="line"))
    assert not dropped(world, LOOKS - 3)
    assert dropped(world, 3) == [OLD]


def test_a_device_that_holds_its_newest_manifest_comes_for_nothing_older(world: World) -> None:
    oslo = world.fleet(oslo=OSLO)["oslo"]
    note(world, OLD)
    apply(world, service("line", "site=oslo", artifact=OLD))
    oslo.settle()
    oslo.report(status.Report())
    oslo.see(world.request(inputs.DeleteResource(kind="service", name="line")))
    oslo.settle()
    assert world.store.spaces["named"] == {"oslo": f'["{OLD}"]'.encode()}
    oslo.report(status.Report())
    assert not world.store.spaces["named"]
    assert dropped(world) == [OLD]
