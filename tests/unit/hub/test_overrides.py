"""A delegated document is its owner's; a region's operator overrides it for a time, which nothing undoes silently."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from hub.core import inputs, views
from tests.support.tree import Tree
from tests.unit.hub.tiers import Tier
from tests.unit.hub.world import service

OURS = service("line", "gpu", process={"command": ["sleep", "1"]})
THEIRS = service("line", "gpu", process={"command": ["sleep", "2"]})
LATER = service("line", "gpu", process={"command": ["sleep", "3"]})


@pytest.fixture
def cloud() -> Tier:
    """A cloud whose service runs on the one device of its region."""
    cloud = Tier()
    cloud.region("eu").enroll("eu-1", {"gpu": "yes"})
    cloud.apply(OURS)
    cloud.flow()
    return cloud


def override(region: Tier, *documents: dict[str, Any], for_s: float = 3_600.0, reason: str = "a fire") -> None:
    region.ask(inputs.Apply(documents=list(documents), override=inputs.Override(for_s=for_s, reason=reason)))
    region.settle()


def command(region: Tier) -> str:
    """Return what the region asks its device to run."""
    return region.items("eu-1")["assignment/line"].decode().partition('"sleep","')[2][:1]


def audit(region: Tier, kind: str) -> list[dict[str, Any]]:
    return [body for one, _, body in region.store.rows["audit"] if one == kind]


def test_a_regions_operator_changes_and_deletes_nothing_that_is_the_owners(cloud: Tier) -> None:
    region = cloud.regions["eu"]
    text = region.refused(inputs.Apply(documents=[THEIRS])).error
    assert "service/line belongs to cloud" in text
    assert "--override --for 8h --reason" in text
    assert "belongs to cloud" in region.refused(inputs.DeleteResource(kind="service", name="line")).error
    assert region.apply(OURS)[0]["action"] == "unchanged"
    assert command(region) == "1"


def test_an_override_has_an_author_a_reason_and_an_end(cloud: Tier) -> None:
    region = cloud.regions["eu"]
    for bad in (
        inputs.Override(for_s=3_600.0, reason=" "),
        inputs.Override(for_s=0.0, reason="x"),
        inputs.Override(for_s=1e9, reason="x"),
    ):
        assert region.refused(inputs.Apply(documents=[THEIRS], override=bad)).status == 422
    mine = service("mine", "gpu")
    refused = region.refused(inputs.Apply(documents=[mine], override=inputs.Override(for_s=1.0, reason="x")))
    assert "nothing to override" in refused.error


def test_an_override_for_regions_that_are_not_below_this_hub_stops_nothing(cloud: Tier) -> None:
    """Who overrides takes the owner's file and edits it: its regions are the owner's, not this hub's."""
    region = cloud.regions["eu"]
    theirs = service("line", "gpu", placement={"selector": "gpu", "regions": "continent=eu"})
    refused = region.refused(inputs.Apply(documents=[theirs], override=inputs.Override(for_s=60.0, reason="x")))
    assert (refused.status, "leave regions out" in refused.error) == (422, True)
    assert command(region) == "1"
    region.region("oslo", continent="eu")
    override(region, theirs)
    assert list(region.shares("line")) == ["oslo"]


def test_an_override_is_in_force_until_its_life_is_over(cloud: Tier) -> None:
    region = cloud.regions["eu"]
    override(region, THEIRS)
    assert command(region) == "2"
    (held,) = region.core.overrides.all()
    assert (held.key, held.by, held.reason, held.owner) == ("service/line", "token:admin", "a fire", "cloud")
    assert held.until_ms - held.since_ms == 3_600_000
    region.restart()
    region.settle()
    assert command(region) == "2"
    region.later(3_601.0)
    region.settle()
    assert command(region) == "1"
    assert region.core.overrides.all() == []
    (begun,), (ended,) = audit(region, "override.begun"), audit(region, "override.ended")
    assert (begun["spec"]["spec"]["process"], begun["former"]["spec"]["process"]) == (
        {"command": ["sleep", "2"]},
        {"command": ["sleep", "1"]},
    )
    assert ended["why"] == "its life is over"


def test_what_both_sides_changed_ends_as_the_owner_says_and_both_stand_on_record(cloud: Tier) -> None:
    region = cloud.regions["eu"]
    override(region, THEIRS)
    cloud.apply(LATER)
    cloud.flow()
    assert command(region) == "2"
    (waits,) = audit(region, "delegation.waits")
    assert "overridden by token:admin: a fire" in waits["reason"]
    assert waits["spec"]["spec"]["process"] == {"command": ["sleep", "3"]}
    region.ask(inputs.ReleaseOverride(kind="service", name="line"))
    region.settle()
    assert command(region) == "3"
    assert audit(region, "override.ended")[0]["why"] == "released by token:admin"
    refused = region.refused(inputs.ReleaseOverride(kind="service", name="line"))
    assert (refused.status, "is not overridden" in refused.error) == (404, True)


def test_while_it_is_overridden_only_another_override_changes_it(cloud: Tier) -> None:
    region = cloud.regions["eu"]
    override(region, THEIRS)
    assert "belongs to cloud" in region.refused(inputs.Apply(documents=[THEIRS])).error
    override(region, LATER, for_s=60.0, reason="a flood")
    (held,) = region.core.overrides.all()
    assert (held.reason, command(region)) == ("a flood", "3")


def test_an_override_ends_when_the_document_is_deleted_above(cloud: Tier) -> None:
    region = cloud.regions["eu"]
    override(region, THEIRS)
    cloud.ask(inputs.DeleteResource(kind="service", name="line"))
    cloud.flow()
    assert region.runs("eu-1") == []
    assert region.core.overrides.all() == []
    assert audit(region, "override.ended")[0]["why"] == "cloud asks for it no longer"


def test_a_name_that_the_region_took_first_stays_its_own(cloud: Tier) -> None:
    region = cloud.regions["eu"]
    region.apply(service("press", "gpu", process={"command": ["mine"]}))
    cloud.apply(service("press", "gpu"))
    cloud.flow()
    assert b"mine" in region.items("eu-1")["assignment/press"]
    (condition,) = region.core.delegated.conditions()
    assert "service/press: the name is taken by what token:admin declared at eu" in condition.text
    region.apply(service("press", "gpu", process={"command": ["changed"]}))
    region.ask(inputs.DeleteResource(kind="service", name="press"))
    region.settle()
    assert region.core.delegated.conditions() == []
    assert b"1000" in region.items("eu-1")["assignment/press"]


def test_a_bad_document_is_refused_alone_and_the_last_good_one_stays(cloud: Tier) -> None:
    region = cloud.regions["eu"]
    items = cloud.items("eu")
    bad = items["delegation/service/line"].replace(b'"command":["sleep","1"]', b'"command":[]')
    other = items["delegation/service/line"].replace(b"line", b"good")
    give(region, {"delegation/service/line": bad, "delegation/service/good": other, "delegation/service/odd": b"{}"})
    assert command(region) == "1"
    assert region.runs("eu-1") == ["good", "line"]
    texts = [condition.text for condition in region.core.delegated.conditions()]
    assert "spec.process.command: is empty" in texts[0]
    assert "service/odd: it cannot be read here" in texts[1]
    override(region, THEIRS)
    region.ask(inputs.ReleaseOverride(kind="service", name="line"))
    region.settle()
    assert command(region) == "1"
    give(region, {})
    assert (region.runs("eu-1"), region.core.delegated.conditions()) == ([], [])


def give(region: Tier, items: dict[str, bytes]) -> None:
    region.give(items)
    region.settle()


def test_a_document_under_anothers_name_is_refused(cloud: Tier) -> None:
    region = cloud.regions["eu"]
    raw = cloud.items("eu")["delegation/service/line"].replace(
        b'"name":"line","generation"', b'"name":"x","generation"'
    )
    give(region, {"delegation/service/x": raw})
    (condition,) = region.core.delegated.conditions()
    assert "handed down as service/x, and says that it is service/line" in condition.text
    assert views.services(region.core) == []


def test_what_both_sides_of_a_cut_changed_is_decided_when_it_heals() -> None:
    tree = Tree()
    cloud, eu = tree.add("cloud"), tree.add("eu", "cloud")
    eu.device("eu-1", {"gpu": "yes"})
    cloud.ask(inputs.Apply(documents=[OURS]))
    eu.cut()
    cloud.ask(inputs.Apply(documents=[LATER, service("more", "gpu")]))
    given = inputs.Override(for_s=3_600.0, reason="a fire")
    eu.ask(inputs.Apply(documents=[THEIRS], override=given))
    eu.ask(inputs.Apply(documents=[service("own", "gpu")]))
    eu.restart()
    eu.heal()

    def runs() -> str:
        return msgspec.json.decode(eu.core.resources.get("service", "line").spec)["spec"]["process"]["command"][1]

    assert (runs(), eu.core.delegated.owner("service/more"), eu.core.delegated.owner("service/own")) == (
        "2",
        "cloud",
        "",
    )
    (mark,) = cloud.core.subtree.sum().marks
    assert (mark.at, mark.what, mark.user, mark.reason) == ("eu", "service/line", "token:admin", "a fire")
    tree.later(3_700.0)
    assert runs() == "3"
    assert cloud.core.subtree.sum().marks == []
