"""What happens out at the devices, each alone; and the worlds that once broke a rule by it, made short."""

from __future__ import annotations

from typing import Any

import pytest

from edge_agent.core import inputs as agent
from hub.core import inputs as hub
from tests.checkers import history
from tests.sim import afield, crossing, people, plan, run
from tests.sim.plan import AnyItem, Plan


def _apply(at: float, name: str, node: str = "cloud") -> plan.Operate:
    return plan.Operate(at=at, op=hub.Apply(documents=[people.service(name, "steady", "fleet=sim")]), node=node)


def _survives(*items: AnyItem, seconds: float = 300.0, **more: Any) -> list[history.AnyFact]:
    """Run a world in which this happens, see that every rule holds, and return its facts."""
    facts: list[history.AnyFact] = []
    made = Plan(seconds=seconds, items=sorted(items, key=lambda item: item.at), **more)
    outcome = run.run(5, agents=2, hours=0.1, plan=made, listen=facts.append)
    assert outcome.rule == "", outcome.text
    return facts


_CUT = plan.Cut(at=40.0, node="gw-1", for_s=260.0)


def test_a_device_that_is_cut_off_is_asked_and_heard_by_sticks() -> None:
    down = plan.Carry(at=60.0, node="gw-1", way="down", after_s=20.0)
    up = plan.Carry(at=150.0, node="gw-1", way="up", after_s=30.0)
    facts = _survives(_apply(5.0, "web"), _CUT, _apply(50.0, "worker"), down, up)
    began = [one.at for one in facts if isinstance(one, history.Ran) and one.node == "gw-1" and one.proof == "worker"]
    assert 80.0 < began[0] < 90.0
    taken = [one for one in facts if isinstance(one, history.Operated) and isinstance(one.op, hub.TakePart)]
    assert taken
    assert not any(one.error for one in taken)


def test_a_device_that_never_had_a_link_lives_and_is_known_by_sticks() -> None:
    cut, invited = plan.Cut(at=0.0, node="gw-2", for_s=250.0), plan.Invite(at=10.0, node="gw-2")
    down = plan.Carry(at=40.0, node="gw-2", way="down", after_s=20.0)
    up = plan.Carry(at=100.0, node="gw-2", way="up", after_s=30.0, again_s=20.0)
    facts = _survives(_apply(5.0, "web"), cut, invited, down, up)
    began = [one.at for one in facts if isinstance(one, history.Ran) and one.node == "gw-2"]
    assert 60.0 < began[0] < 70.0
    let_in = [one.at for one in facts if isinstance(one, history.Operated) and isinstance(one.op, hub.Enroll)]
    assert 130.0 < let_in[1] < 140.0, "by its bundle"
    assert let_in[2] > 250.0, "and by itself, for its certificate"


@pytest.mark.parametrize("way", ["up", "down"])
def test_a_stick_that_comes_twice_late_in_part_or_to_another_device_breaks_nothing(way: str) -> None:
    late = plan.Carry(at=60.0, node="gw-1", way=way, after_s=150.0, again_s=20.0)
    half = plan.Carry(at=90.0, node="gw-1", way=way, after_s=10.0, again_s=60.0, half=True)
    astray = plan.Carry(at=100.0, node="gw-1", way="down", after_s=10.0, to="gw-2")
    facts = _survives(_apply(5.0, "web"), _CUT, _apply(50.0, "worker"), late, half, astray, external=True)
    assert {one.kind for one in facts if isinstance(one, history.Fault)} >= {
        "stick again",
        "stick half",
        "stick astray",
    }


def test_what_a_person_keeps_away_or_declares_at_a_device_stands_through_all_that_the_hub_asks() -> None:
    own = plan.AtDevice(at=30.0, node="gw-1", command=afield.declared("worker"))
    hold = plan.AtDevice(at=40.0, node="gw-1", command=agent.LocalHold(reason="a shift"))
    unhold = plan.AtDevice(at=200.0, node="gw-1", command=agent.LocalUnhold())
    gone = plan.AtDevice(at=240.0, node="gw-1", command=agent.LocalDelete(kind="service", name="worker"))
    reboot = plan.Reboot(at=120.0, node="gw-1", for_s=20.0, power=True)
    asked = [_apply(5.0, "web"), _apply(60.0, "worker"), _apply(70.0, "extra")]
    facts = _survives(*asked, own, hold, reboot, unhold, gone)
    began = {one.proof: one.at for one in facts if isinstance(one, history.Ran) and one.node == "gw-1"}
    assert began["extra"] > 200.0, "it waited"
    assert began["worker"] > 240.0, "the hub's came when the device's own had gone"


def test_a_metered_device_speaks_each_hour_and_at_once_when_it_is_asked() -> None:
    metered = {"gw-1": 3_600.0}
    idle = [plan.Forget(at=1_500.0, node="gw-1"), plan.Cut(at=2_000.0, node="gw-1", for_s=400.0)]
    facts = _survives(_apply(5.0, "web"), _apply(4_800.0, "worker"), *idle, seconds=9_000.0, metered=metered)
    said = [one for one in facts if isinstance(one, history.Sent) and one.node == "gw-1"]
    assert len([one for one in said if 60.0 < one.at < 3_600.0]) == 0
    asked = [one for one in said if 4_800.0 < one.at < 4_830.0]
    assert asked
    assert not [one for one in facts if isinstance(one, history.Stored) and b"node.away" in repr(one).encode()]


@pytest.mark.parametrize(
    ("version", "ends", "given"), [("0.2.0", 2, 2), ("0.3.0", 0, 1), ("0.4.0", 0, 1), ("0.5.0", 0, 1), ("0.6.0", 0, 1)]
)
def test_another_version_comes_wave_by_wave_and_one_that_is_not_well_goes(version: str, ends: int, given: int) -> None:
    facts = _survives(_apply(5.0, "web"), *afield.upgrade(40.0, version, [1, "all"], 0, "fleet=sim"))
    last: dict[str, str] = {}
    asked: set[str] = set()
    for one in facts:
        if isinstance(one, history.Took) and isinstance(one.input, agent.Started) and one.input.slots is not None:
            last[one.node] = one.input.slots.version
        elif isinstance(one, history.Acted) and isinstance(one.action, agent.Install):
            asked.add(one.node)
    assert [one.startswith(version) for one in last.values()].count(True) == ends
    assert len(asked) == given


def test_who_keeps_updates_away_keeps_its_version() -> None:
    hold = plan.AtDevice(at=30.0, node="gw-2", command=agent.LocalHold(reason="a shift"))
    facts = _survives(_apply(5.0, "web"), hold, *afield.upgrade(40.0, "0.2.0", ["all"], 0, "fleet=sim"))
    asked = [one.node for one in facts if isinstance(one, history.Acted) and isinstance(one.action, agent.Install)]
    assert asked == ["gw-1"]


BROKE: dict[str, list[AnyItem]] = {
    "a hub that lives from a backup hands out a stick": [
        _apply(5.0, "web"),
        plan.Restore(at=90.0, node="cloud", age_s=40.0),
        _apply(110.0, "worker"),
        plan.Carry(at=120.0, node="gw-1", way="down", after_s=10.0),
    ],
}


@pytest.mark.parametrize("name", BROKE)
def test_what_once_broke_a_rule_holds(name: str) -> None:
    _survives(*BROKE[name])


def test_a_device_that_is_moved_before_it_ever_came_is_not_lost_between_two_hubs() -> None:
    cut, invited = plan.Cut(at=0.0, node="gw-1", for_s=100.0), plan.Invite(at=10.0, node="gw-1")
    move = crossing.move(50.0, {"eu-north": "cloud"}, "gw-1", "eu-north", "cloud")
    _survives(cut, invited, move, hubs={"eu-north": "cloud"}, homes={"gw-1": "eu-north"})
