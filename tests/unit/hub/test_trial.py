"""A hub on trial: who was online before, what it waits for, and what it says of itself."""

from __future__ import annotations

import msgspec
import pytest

from hub.core import inputs
from hub.core.hub import HubCore
from hub.core.upgrade import trial
from hub.core.upgrade.trial import Before, Standing
from protocol import limits, status
from tests.support.tree import Tree
from tests.unit.hub.world import World

WELL = Standing(since_s=1.0, patience_s=60.0, fault="", back=3, online=3, lacks_parent=False, turned_away="")


def stands(**now: object) -> Standing:
    return msgspec.structs.replace(WELL, **now)


def before(world: World) -> Before:
    """What the next life knows before its first input; then it begins."""
    world.core = HubCore(world.store.snapshot(), world.config)
    was = trial.before(world.core)
    world.start()
    return was


@pytest.fixture
def world() -> World:
    return World()


def test_who_was_online_is_known_after_an_end_in_order_and_after_a_cut(world: World) -> None:
    devices = world.fleet(oslo={}, bergen={}, roma={})
    devices["roma"].leave()
    assert before(world).online.keys() == {"oslo", "bergen"}, "it was cut off"
    for name in ("oslo", "bergen"):
        devices[name].connect()
    devices["bergen"].leave()
    world.later(1.0)
    world.take(inputs.Stopping())
    devices["oslo"].leave()
    assert before(world).online.keys() == {"oslo"}, "it ended in order"
    devices["oslo"].connect()
    devices["oslo"].leave()
    assert before(world).online == {}, "the end of a life before the last one counts no more"


def test_it_looks_who_is_back(world: World) -> None:
    devices = world.fleet(oslo={}, bergen={})
    was = before(world)

    def seen() -> Standing:
        return trial.look(world.core, was, since_s=1.0, patience_s=60.0, fault="")

    assert (seen().back, seen().online, seen().lacks_parent) == (0, 2, False)
    assert trial.said(seen()) == "0 of 2 nodes are back"
    devices["oslo"].connect()
    devices["bergen"].connect()
    assert trial.judge(seen()) is None, "who said Hello may hear nothing"
    world.later(1.0)
    for device in devices.values():
        device.report(status.Report())
    assert trial.judge(seen()) == ""
    assert trial.said(seen()) == "all is well"


def test_what_became_of_a_version_is_recorded_once(world: World) -> None:
    told = inputs.Upgraded(number=2, version="0.2.0+deb12", outcome="back", reason="it ended 3 times by itself")
    world.take(told)
    world.restart()
    world.take(told)
    body = {"number": 2, "version": "0.2.0+deb12", "reason": "it ended 3 times by itself"}
    assert [one for one in world.store.rows["audit"] if one[0] == "upgrade.back"] == [("upgrade.back", "cloud", body)]


def test_who_is_revoked_during_the_trial_is_not_awaited(world: World) -> None:
    world.fleet(oslo={})
    was = before(world)
    world.ask(inputs.RevokeNode(node="oslo", reason="sold"))
    seen = trial.look(world.core, was, since_s=60.0, patience_s=60.0, fault="")
    assert (seen.online, trial.judge(seen)) == (0, "")


def test_a_metered_device_is_not_awaited(world: World) -> None:
    oslo = world.fleet(oslo={})["oslo"]
    oslo.contact_s = 3_600.0
    oslo.connect()
    was = before(world)
    assert was.online.keys() == {"oslo"}
    assert trial.judge(trial.look(world.core, was, since_s=1.0, patience_s=60.0, fault="")) == ""


def test_a_region_looks_whether_its_parent_is_heard_and_what_it_says() -> None:
    tree = Tree()
    tree.add("cloud")
    region = tree.add("eu-north", "cloud")
    was = trial.before(region.core)

    def seen() -> Standing:
        return trial.look(region.core, was, since_s=1.0, patience_s=60.0, fault="")

    assert not seen().lacks_parent
    region.cut()
    assert (seen().lacks_parent, seen().turned_away) == (True, "")
    assert trial.said(seen()) == "its parent is not heard yet"
    region.heal()
    tree.hubs["cloud"].ask(inputs.RevokeNode(node="eu-north", reason="sold"))
    assert "revoked: sold" in seen().turned_away
    was = trial.before(region.core)
    assert not seen().turned_away, "it was so before: no version is to blame"


@pytest.mark.parametrize(
    ("now", "verdict"),
    [
        ({}, ""),
        ({"online": 0, "back": 0}, ""),
        ({"fault": "its door is shut"}, None),
        ({"fault": "its door is shut", "since_s": limits.UPGRADE_ANSWER_S}, "its door is shut"),
        ({"back": 2}, None),
        ({"back": 2, "since_s": 60.0}, ""),
        ({"back": 0, "since_s": 60.0}, "3 nodes were online before, and none of them is back after 60 s"),
        ({"lacks_parent": True}, None),
        ({"lacks_parent": True, "since_s": 60.0}, ""),
        (
            {"lacks_parent": True, "turned_away": "revoked", "since_s": 60.0},
            "its parent has turned it away: revoked",
        ),
    ],
)
def test_it_judges(now: dict[str, object], verdict: str | None) -> None:
    assert trial.judge(stands(**now)) == verdict


def test_it_says_what_it_waits_for() -> None:
    assert trial.said(stands(fault="its API is mute")) == "not well yet: its API is mute"
    assert trial.said(stands(back=1, lacks_parent=True)) == "1 of 3 nodes are back; its parent is not heard yet"
