"""The owner of a document asks a region's override back: it ends there once, by name, and both hubs say so."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from hub.core import inputs, views
from hub.core.down.asked_back import Asked, came_of
from protocol import documents, limits
from protocol.effects import Effects, Now
from protocol.link.roster.brief import OverrideMark, RegionReport
from tests.support.tree import Hub, Tree
from tests.unit.hub.world import service

OURS = service("line", "gpu", process={"command": ["sleep", "1"]})
THEIRS = service("line", "gpu", process={"command": ["sleep", "2"]})


@pytest.fixture
def tree() -> Tree:
    """A cloud, its region eu, and north below that; north has put something over the cloud's service."""
    tree = Tree()
    for name, above in (("cloud", ""), ("eu", "cloud"), ("north", "eu")):
        tree.add(name, above)
    tree.hubs["north"].device("north-1", {"gpu": "yes"})
    tree.hubs["cloud"].ask(inputs.Apply(documents=[OURS]))
    override(tree.hubs["north"])
    tree.later(1.0)
    return tree


def override(hub: Hub, reason: str = "a fire", for_s: float = 86_400.0) -> None:
    given = inputs.Override(for_s=for_s, reason=reason)
    hub.ask(inputs.Apply(documents=[THEIRS], override=given))


def recall(tree: Tree, at: str = "eu/north", reason: str = "the fire is out") -> dict[str, Any]:
    return tree.hubs["cloud"].ask(asking(at, reason))


def asking(at: str, reason: str = "x", name: str = "line") -> inputs.ReleaseOverride:
    return inputs.ReleaseOverride(kind="service", name=name, at=at, reason=reason)


def overridden(tree: Tree, name: str = "north") -> list[str]:
    return [one.reason for one in tree.hubs[name].core.overrides.all()]


def audit(hub: Hub, kind: str) -> list[dict[str, Any]]:
    rows = [msgspec.json.decode(raw) for raw, _ in hub.store.streams["audit"].rows.values()]
    return [body for _, _, one, _, body in rows if one == kind]


def asked_of(hub: Hub, child: str) -> list[str]:
    return list(hub.core.recalls.items(child))


@pytest.mark.parametrize("at", ["eu/north", "cloud/eu/north", "north"])
def test_it_ends_two_tiers_down_and_stands_on_record_on_both_sides(tree: Tree, at: str) -> None:
    cloud, north = tree.hubs["cloud"], tree.hubs["north"]
    told = recall(tree, at)
    assert (told["path"], told["override"]["reason"], told["state"]) == ("cloud/eu/north", "a fire", "online")
    tree.later(10.0)
    assert overridden(tree) == []
    assert b'"1"' in bytes(north.core.resources.get("service", "line").spec)
    (ended,) = audit(north, "override.ended")
    assert ended["why"] == "released by token:admin at cloud: the fire is out"
    (asked,), (back,) = audit(cloud, "override.asked-back"), audit(cloud, "override.given-back")
    assert (asked["who"], asked["at"], asked["reason"]) == ("token:admin", "eu/north", "the fire is out")
    assert back["at"] == "eu/north"
    assert (asked_of(cloud, "eu"), asked_of(tree.hubs["eu"], "north")) == ([], [])
    assert cloud.core.subtree.sum().marks == []


def test_asked_while_the_region_is_away_it_is_shown_and_ends_at_its_return_over_restarts(tree: Tree) -> None:
    cloud, eu, north = tree.hubs["cloud"], tree.hubs["eu"], tree.hubs["north"]
    north.cut()
    tree.later(5.0)
    assert recall(tree)["state"] == "away"
    assert recall(tree, reason="again")["reason"] == "the fire is out"
    assert len(audit(cloud, "override.asked-back")) == 1
    cloud.restart()
    eu.restart()
    tree.later(90.0)
    (region,) = views.service(cloud.core, "line", tree.now)["in"]
    (mark,) = region["marks"]
    assert (mark["reason"], mark["asked_back"]["by"], mark["asked_back"]["reason"]) == (
        "a fire",
        "token:admin",
        "the fire is out",
    )
    assert overridden(tree) == ["a fire"]
    north.heal()
    assert overridden(tree) == []
    assert len(audit(north, "override.ended")) == len(audit(cloud, "override.given-back")) == 1


def test_another_override_that_stands_there_by_then_stays(tree: Tree) -> None:
    cloud, north = tree.hubs["cloud"], tree.hubs["north"]
    north.cut()
    tree.later(5.0)
    recall(tree)
    override(north, "a flood")
    north.heal()
    assert overridden(tree) == ["a flood"]
    assert audit(north, "override.ended") == []
    (kept,) = audit(cloud, "override.kept")
    assert kept["at"] == "eu/north"
    assert asked_of(cloud, "eu") == []
    recall(tree)
    tree.later(10.0)
    assert overridden(tree) == []


def test_a_new_override_after_the_release_is_not_ended_by_it(tree: Tree) -> None:
    recall(tree)
    tree.later(10.0)
    override(tree.hubs["north"], "a flood")
    tree.hubs["north"].restart()
    tree.later(60.0)
    assert overridden(tree) == ["a flood"]


def test_a_hub_in_the_middle_gives_back_its_own_and_only_that(tree: Tree) -> None:
    override(tree.hubs["eu"], "a strike")
    tree.later(5.0)
    recall(tree, "eu")
    tree.later(10.0)
    assert (overridden(tree, "eu"), overridden(tree)) == ([], ["a fire"])


def test_who_may_ask_of_whom(tree: Tree) -> None:
    cloud, eu = tree.hubs["cloud"], tree.hubs["eu"]
    said = {
        op.name + op.at: (reply.status, reply.error)
        for hub, op in (
            (cloud, asking("eu")),
            (cloud, asking("eu/north", " ")),
            (cloud, asking("eu/north/north-1")),
            (cloud, asking("nowhere")),
            (cloud, asking("eu/north", name="none")),
            (eu, asking("north")),
        )
        if (reply := hub.request(op)) is not None
    }
    assert said["lineeu"][0] == 404
    assert "eu reports no override of service/line" in said["lineeu"][1]
    assert said["lineeu/north"][0] == 422
    assert "--reason" in said["lineeu/north"][1]
    assert "skerry node release eu/north/north-1 line" in said["lineeu/north/north-1"][1]
    assert said["linenowhere"][0] == said["noneeu/north"][0] == 404
    assert "service/line belongs to cloud" in said["linenorth"][1]


def test_what_cannot_be_read_asks_for_nothing_and_what_is_asked_no_longer_is_not_handed_on(tree: Tree) -> None:
    eu, north = tree.hubs["eu"], tree.hubs["north"]
    north.cut()
    tree.later(5.0)
    recall(tree)
    tree.later(5.0)
    (item,) = asked_of(tree.hubs["cloud"], "eu")
    assert asked_of(eu, "north") == ["recall/service/line/"]
    document = documents.decode(tree.hubs["cloud"].core.recalls.items("eu")[item])
    assert isinstance(document, documents.Recall)
    other = documents.encode(msgspec.structs.replace(document, name="other"))
    items = tree.hubs["cloud"].core.resources.items("eu", ["service/line"])
    for raw in (b"{}", other):
        fx = Effects()
        eu.core.delegated.wanted(items | {item: raw}, eu.now, fx)
        eu.perform(fx)
        assert asked_of(eu, "north") == []


def test_nobody_waits_for_ever_for_a_region_that_says_too_much_to_be_sure(
    tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    cloud = tree.hubs["cloud"]
    tree.hubs["north"].cut()
    recall(tree)

    def full(hub: str) -> RegionReport:
        return RegionReport(overrides=limits.OVERRIDE_MARKS_MAX + 1)

    monkeypatch.setattr(cloud.core.subtree, "region", full)
    for wall, left in ((0.0, 1), (limits.OVERRIDE_S_MAX, 0)):
        cloud.core.recalls.heard("eu", Now(tree.mono, tree.wall + wall), Effects())
        assert len(asked_of(cloud, "eu")) == left


def test_what_came_of_it() -> None:
    one = documents.Recall(kind="service", name="line", at="eu", since_ms=5, by="a", owner="b", reason="c", asked_ms=6)
    asked = Asked(document=one, own=True, until_ms=90, life_ms=50)
    same, other = (OverrideMark(what="service/line", decision="", user="", since_ms=since) for since in (5, 7))
    came = {
        (None, True, 49): "given-back",
        (None, True, 50): "over",
        (None, False, 50): "",
        (None, False, 90): "over",
        (same, True, 89): "",
        (same, True, 90): "over",
        (other, False, 7): "kept",
        (other, True, 99): "kept",
    }
    assert {key: came_of(asked, *key)[0] for key in came} == came
    assert came_of(msgspec.structs.replace(asked, life_ms=0), None, True, 89)[0] == "given-back"


def test_an_override_that_lived_out_its_life_unheard_was_not_given_back(tree: Tree) -> None:
    cloud, north = tree.hubs["cloud"], tree.hubs["north"]
    override(north, for_s=120.0)
    tree.later(5.0)
    north.cut()
    tree.later(5.0)
    recall(tree)
    tree.later(120.0)
    north.heal()
    tree.later(10.0)
    assert overridden(tree) == []
    assert (len(audit(cloud, "override.over")), len(audit(cloud, "override.given-back"))) == (1, 0)
    assert asked_of(cloud, "eu") == []


def test_of_a_region_that_was_revoked_nothing_is_asked_back(tree: Tree) -> None:
    cloud, eu = tree.hubs["cloud"], tree.hubs["eu"]
    tree.hubs["north"].cut()
    tree.later(5.0)
    recall(tree)
    tree.later(5.0)
    eu.ask(inputs.RevokeNode(node="north", reason="stolen"))
    assert asked_of(eu, "north") == []
    cloud.ask(inputs.RevokeNode(node="eu", reason="sold"))
    assert asked_of(cloud, "eu") == []
    (over,) = audit(cloud, "override.over")
    assert (over["at"], over["why"]) == ("eu/north", "eu was revoked")
    cloud.restart()
    assert asked_of(cloud, "eu") == []
