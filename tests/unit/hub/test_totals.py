"""What all that is below a hub comes to is kept as it changes: a report costs what has changed, not the fleet."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import pytest

from hub.core import inputs
from hub.core.down.known.ranked import Ranked, worst
from hub.core.down.known.totals import Totals
from hub.core.down.subtree import Subtree
from hub.core.registry import Registry
from protocol import limits, status
from protocol.link.roster import brief as briefs
from protocol.link.roster.brief import Offender, RegionReport, Tally
from tests.unit.hub.world import Device, World, service

NODES, SERVICES = 40, 30


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often the costly steps were taken."""
    done = Counter[str]()

    def counted(owner: type, name: str) -> None:
        real: Any = getattr(owner, name)

        def step(*given: Any) -> Any:
            done[name] += 1
            return real(*given)

        monkeypatch.setattr(owner, name, step)

    counted(Subtree, "_said")
    counted(Totals, "_add_up")
    counted(Registry, "__iter__")
    return done


def fleet() -> tuple[World, list[Device]]:
    world = World(rebuild=False)
    world.token(uses=NODES)
    devices = [Device(world, f"n{at}") for at in range(NODES)]
    for at, device in enumerate(devices):
        world.enroll(device.name, {"site": f"s{at % SERVICES}"})
        device.connect()
    world.request(inputs.Apply(documents=[service(f"line-{at}", f"site=s{at}") for at in range(SERVICES)]))
    world.settle()
    return world, devices


def test_a_report_costs_what_has_changed_and_walks_over_no_fleet(work: Counter[str]) -> None:
    world, devices = fleet()
    before = world.core.subtree.report(world.now)
    work.clear()
    assert world.core.subtree.report(world.now) is before
    assert not work, "nothing has changed"
    devices[0].settle()
    failed = status.ServiceReport(state="failed", digest=world.core.resources.document("service/line-0")[2])
    devices[0].report(status.Report(services={"line-0": failed}))
    work.clear()
    after = briefs.decode_region(world.core.subtree.report(world.now))
    assert work == {"_said": 1, "_add_up": 1}
    assert [(one.at, one.what) for one in after.worst] == [("n0", "line-0")]
    assert (after.tallies["service/line-0"].current, after.tallies["service/line-0"].running) == (1, 0)


def test_what_is_kept_is_what_a_hub_that_starts_anew_counts() -> None:
    world, devices = fleet()
    draw = random.Random(7)
    for _ in range(60):
        device = draw.choice(devices)
        match draw.randrange(5):
            case 0:
                said = status.ServiceReport(
                    state=draw.choice(("running", "failed", "backoff")), restarts=draw.randrange(4)
                )
                device.report(status.Report(services={f"line-{draw.randrange(SERVICES)}": said}))
            case 1:
                world.request(inputs.LabelNode(node=device.name, set={"site": f"s{draw.randrange(SERVICES)}"}))
            case 2:
                world.request(inputs.DeleteResource(kind="service", name=f"line-{draw.randrange(SERVICES)}"))
            case 3:
                at = draw.randrange(SERVICES)
                world.request(inputs.Apply(documents=[service(f"line-{at}", f"site=s{draw.randrange(SERVICES)}")]))
            case _:
                world.core.subtree.report(world.now)
        world.settle()
        fresh = Subtree(world.core)
        assert fresh.sum() == world.core.subtree.sum()


def test_what_hubs_below_say_is_added_up_by_what_they_say_anew(work: Counter[str]) -> None:
    world, _ = fleet()
    totals = Totals(world.core)
    many = {f"service/r{at}": Tally(placed=2, running=2, owner="eu") for at in range(500)}
    totals.heard("eu", "online", RegionReport(nodes={"online": 9}, tallies=many))
    totals.tallies(limits.TALLIES_MAX)
    work.clear()
    totals.heard("eu", "online", RegionReport(nodes={"online": 9}, tallies=dict(many)))
    assert totals.tallies(1_000)["service/r7"].running == 2
    assert not work, "the same words again"
    other = Tally(placed=1, running=1, owner="us")
    totals.heard("us", "online", RegionReport(nodes={"online": 1}, tallies={"service/r7": other}))
    totals.heard("eu", "online", RegionReport(nodes={"away": 9}, tallies=many | {"service/r8": Tally(owner="eu")}))
    found = totals.tallies(1_000)
    assert work == {"_add_up": 2}
    assert (found["service/r7"].running, found["service/r7@us"].running, found["service/r8"].running) == (2, 1, 0)
    assert list(found) == sorted(found)
    assert (totals.nodes, totals.states) == ({"away": 9, "online": 1}, {"online": 2})
    totals.heard("us", "away", RegionReport(nodes={"online": 1}, tallies={"service/r7": other}))
    assert totals.tallies(1_000)["service/r7@us"].away == 1, "unheard: what was last known is counted on"
    totals.left("us")
    totals.left("us")
    assert "service/r7@us" not in totals.tallies(1_000)
    assert (totals.nodes, totals.states) == ({"away": 9}, {"online": 1})


def test_long_names_of_two_resources_below_are_one_and_may_both_go() -> None:
    world, _ = fleet()
    totals = Totals(world.core)
    long = "service/" + "x" * limits.WORD_CHARS_MAX
    said = {long + "a": Tally(placed=1), long + "b": Tally(placed=2)}
    totals.heard("eu", "online", RegionReport(tallies=said))
    assert totals.tallies(1_000)[long[: limits.WORD_CHARS_MAX]].placed == 3
    totals.heard("eu", "online", RegionReport(tallies={long + "b": Tally(placed=2)}))
    assert totals.tallies(1_000)[long[: limits.WORD_CHARS_MAX]].placed == 2
    totals.left("eu")
    assert not [key for key in totals.tallies(1_000) if key.startswith(long[:20])]


def test_the_worst_are_first_and_equals_are_let_go_of_each_by_itself() -> None:
    ranked: Ranked[Offender] = Ranked(worst)
    same = [Offender(at="eu/x", what="a", text="", since_ms=5, rank=1) for _ in range(3)]
    for at, one in enumerate(same):
        ranked.put(f"n{at}", [one])
    ranked.put("n9", [Offender(at="n9", what="b", text="", since_ms=1, rank=0)])
    ranked.put("n1", [])
    assert [one.at for one in ranked.first(2)] == ["n9", "eu/x"]
    assert len(ranked) == 3
    ranked.put("n0", [])
    assert ranked.first(9)[1] is same[2]
