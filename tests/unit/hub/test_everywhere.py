"""A service on many nodes: by the page, and in one bounded answer those in trouble first."""

from __future__ import annotations

import pytest

from hub.core import inputs, views
from protocol import limits, status
from tests.unit.hub.world import Device, World, service

HELD = status.OverrideReport(decision="stopped", user="kari", uid=1)


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def devices(world: World) -> dict[str, Device]:
    """Seven devices; `n-7` is not asked to run the service, the others are, each in another way."""
    devices = world.fleet(**{f"n_{at}": {"site": "oslo" if at < 7 else "bergen"} for at in range(1, 8)})
    world.request(inputs.Apply(documents=[service("line", "site=oslo")]))
    digest = views.resource(world.core, "service", "line")["digest"]
    good = status.ServiceReport(state="running", digest=digest)
    said = {
        "n-1": good,
        "n-2": status.ServiceReport(state="stopped", digest=digest, override=HELD),
        "n-4": status.ServiceReport(state="running", digest="sha256:old"),
        "n-5": good,
        "n-6": status.ServiceReport(state="running", digest=digest, healthy=False),
    }
    for name, one in said.items():
        devices[name].report(status.Report(services={"line": one}))
    devices["n-5"].leave()
    return devices


def gathered(world: World) -> tuple[views.Worst, int]:
    """Look at all of it; return what was found, and in how many looks."""
    worst, looks = views.Worst("service/line"), 1
    while worst.look(world.core):
        looks += 1
    return worst, looks


def test_those_in_trouble_come_first_and_who_is_fine_last(world: World, devices: dict[str, Device]) -> None:
    told = gathered(world)[0].told()
    assert [one["node"] for one in told["on"]] == ["n-6", "n-3", "n-4", "n-5", "n-2", "n-1"]
    assert not told["has_more"]


@pytest.mark.parametrize(("most", "more"), [(3, True), (5, True), (6, False)])
def test_one_answer_is_bounded_and_says_that_there_are_more(
    world: World, devices: dict[str, Device], monkeypatch: pytest.MonkeyPatch, most: int, more: bool
) -> None:
    whole = gathered(world)[0].told()["on"]
    monkeypatch.setattr(limits, "NODES_PAGE_MAX", most)
    monkeypatch.setattr(limits, "NODES_LOOKED_AT_MAX", 2)
    worst, looks = gathered(world)
    assert worst.told() == {"on": whole[:most], "has_more": more}
    assert looks == 4, "of seven nodes each look takes two"


def test_pages_are_by_address_and_hold_each_node_once(world: World, devices: dict[str, Device]) -> None:
    start, found = "", list[str]()
    while True:
        page = views.on(world.core, "service/line", start, 2)
        found += [one["node"] for one in page.nodes]
        if not page.more:
            break
        assert len(page.nodes) == 2
        start = page.more
    assert found == [f"n-{at}" for at in range(1, 7)]
    assert views.nodes_of(world.core, "line") == found


def test_who_was_counted_out_and_what_is_gone_is_said(world: World, devices: dict[str, Device]) -> None:
    counted = service("line", "site=oslo", count=2)
    world.request(inputs.Apply(documents=[counted]))
    placed = [one["node"] for one in views.on(world.core, "service/line").nodes if one["placed"]]
    assert (len(placed), set(placed) <= set(devices)) == (2, True)
    world.request(inputs.DeleteResource(kind="service", name="line"))
    with pytest.raises(Exception, match="line"):
        views.on(world.core, "service/line")
