"""Nothing that a hub keeps grows for ever: what leaves, when, and that no number is given twice because of it."""

from __future__ import annotations

from typing import Any

import pytest

from hub.core import inputs, views
from hub.core.failover.book import Books
from protocol import limits, status
from protocol.effects import Effects
from protocol.snapshot import Snapshot
from tests.unit.hub.test_failover import BOUND_S, KEY, Fleet, line
from tests.unit.hub.world import World, service


def declare(world: World, name: str, text: str = "site=oslo") -> dict[str, Any]:
    return world.ask(inputs.Apply(documents=[service(name, text)]))["results"][0]


def delete(world: World, name: str) -> None:
    world.ask(inputs.DeleteResource(kind="service", name=name))


def test_deleted_names_take_no_room_and_never_get_a_generation_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "RESOURCES_MAX", 3)
    monkeypatch.setattr(limits, "RESOURCES_DELETED_MAX", 2)
    world = World()
    highest: dict[str, int] = {}
    for turn in range(3):
        for name in ("a", "b", "c", "d", "e"):
            dry = world.ask(inputs.Apply(documents=[service(name, f"turn=t{turn}")], dry_run=True))["results"][0]
            made = declare(world, name, f"turn=t{turn}")
            assert made["generation"] == dry["generation"], "what is foretold is what comes"
            assert made["generation"] > highest.get(name, 0), f"{name}: a generation twice"
            delete(world, name)
            highest[name] = made["generation"] + 1  # a deletion counts, too
            assert len(world.store.spaces["resource"]) <= 2
        world.restart()
    for name in ("a", "b", "c"):
        declare(world, name)
    refused = world.refused(inputs.Apply(documents=[service("d", "site=oslo")]))
    assert "this hub holds 3 resources" in refused.error


def test_the_books_of_deleted_services_go_and_their_fences_are_never_given_again() -> None:
    fleet = Fleet()
    fences = list[int]()
    for _ in range(3):
        (holder,) = fleet.apply(line())
        fences.append(fleet.fence(holder))
        fleet.do(inputs.DeleteResource(kind="service", name="line"))
        assert [key for key in fleet.world.store.spaces["failover"] if key] == []
        fleet.world.restart()
        for device in fleet.devices.values():
            device.connect()
    assert fences == sorted(set(fences))


def test_a_device_that_names_fences_of_services_that_are_not_there_fills_nothing() -> None:
    fleet = Fleet()
    names = {f"made-up-{at}": status.ServiceReport(state="running", fence=at + 1) for at in range(50)}
    fleet.devices["a"].report(status.Report(services=names))
    assert list(fleet.world.store.spaces.get("failover", {})) == [""]
    (holder,) = fleet.apply(line())
    assert fleet.fence(holder) == 51, "it may be one that this hub gave before it was restored"
    mad = {"line": status.ServiceReport(state="running", fence=limits.INTEGER_MAX)}
    fleet.devices["a"].report(status.Report(services=mad))
    assert fleet.fence(holder) == 51
    fleet.apply(line(count=2))
    assert max(fleet.fence(name) for name in "abc") == 52, "there is room above it"


def test_a_book_with_copies_is_not_closed() -> None:
    books, fx = Books(Snapshot(node="cloud")), Effects()
    books.close(KEY, fx)
    assert not fx.store, "there was none"
    books.number(KEY, ["a"], fx)
    with pytest.raises(AssertionError, match="has copies"):
        books.close(KEY, fx)


def test_what_is_kept_of_a_node_goes_when_it_is_revoked() -> None:
    fleet = Fleet()
    (holder,) = fleet.apply(line())
    override = status.OverrideReport(decision="stopped", user="kari", uid=7, since_ms=1)
    stopped = {"line": status.ServiceReport(state="stopped", override=override)}
    fleet.devices[holder].report(status.Report(services=stopped))
    fleet.do(inputs.RequestRelease(node=holder, service="line"))
    spaces = fleet.world.store.spaces
    assert (holder in spaces["placed"], f"{holder}/line" in spaces["release"]) == (True, True)
    fleet.do(inputs.RevokeNode(node=holder, reason="sold"))
    assert (holder in spaces["placed"], f"{holder}/line" in spaces["release"]) == (False, False)
    assert fleet.placed() != [holder]
    assert views.node(fleet.world.core, holder, fleet.world.now)["placed"] == []


@pytest.mark.parametrize("restarts", [False, True])
def test_the_lease_of_a_revoked_node_binds_to_its_end_and_is_forgotten_then(restarts: bool) -> None:
    fleet = Fleet()
    (holder,) = fleet.apply(line(one=True))
    fleet.say(holder, "waiting", asks=True)
    assert fleet.granted.get(holder)
    fleet.do(inputs.RevokeNode(node=holder, reason="sold"))
    fleet.do(inputs.DeleteResource(kind="service", name="line"))
    if restarts:
        fleet.world.restart()
    leases = fleet.world.store.spaces["lease"]
    fleet.world.later(BOUND_S - 1.0)
    assert list(leases) == [f"line/{holder}"], "it may run there yet"
    fleet.world.later(2.0)
    assert not leases
