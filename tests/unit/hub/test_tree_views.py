"""What operators see at a root of nodes, regions and services two tiers down, always with as of when."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec
import pytest

from hub.core import inputs, views
from hub.core.registry import Refusal
from protocol import messages, status
from protocol.link import events
from tests.support.tree import Hub, Tree
from tests.unit.hub import world
from tests.unit.hub.world import Device


@dataclass
class Fleet:
    """cloud with a device of its own, and two regions with two devices each, all of which run `vision`."""

    tree: Tree
    cloud: Hub
    north: Hub
    south: Hub
    devices: dict[str, Device]

    def service(self) -> dict[str, Any]:
        return views.service(self.cloud.core, "vision", self.tree.now)

    def on(self) -> list[dict[str, Any]]:
        return views.on(self.cloud.core, "service/vision").nodes

    def regions(self) -> dict[str, dict[str, Any]]:
        return {one["hub"]: one for one in self.service()["in"]}

    def node(self, name: str) -> dict[str, Any]:
        return views.node(self.cloud.core, name, self.tree.now)


@pytest.fixture
def fleet() -> Fleet:
    tree = Tree()
    cloud = tree.add("cloud")
    north, south = (tree.add(name, "cloud", {"continent": "eu"}) for name in ("eu-north", "eu-south"))
    devices = {
        f"{hub.name}/{name}": hub.device(name, {"cam": ""})
        for hub, names in ((north, ("a-1", "a-2")), (south, ("b-1", "b-2")))
        for name in names
    }
    document = world.service("vision", "cam")
    document["spec"]["placement"]["regions"] = "continent=eu"
    cloud.ask(inputs.Apply(documents=[document]))
    tree.later(2.0)
    digest = cloud.core.resources.document("service/vision")[2]
    for address, device in devices.items():
        device.settle()
        state = "failed" if address == "eu-south/b-2" else "running"
        device.report(status.Report(services={"vision": status.ServiceReport(state=state, digest=digest)}))
    tree.later(2.0)
    return Fleet(tree, cloud, north, south, devices)


def test_every_node_has_the_same_fields_wherever_it_is(fleet: Fleet) -> None:
    fleet.cloud.device("own-1")
    listed = views.nodes(fleet.cloud.core, "").nodes
    assert [one["path"] for one in listed] == [
        "cloud/eu-north",
        "cloud/eu-north/a-1",
        "cloud/eu-north/a-2",
        "cloud/eu-south",
        "cloud/eu-south/b-1",
        "cloud/eu-south/b-2",
        "cloud/own-1",
    ]
    assert len({tuple(one) for one in listed}) == 1
    assert [one["kind"] for one in listed if one["through"] == ""] == ["hub", "hub", "agent"]
    assert [one["address"] for one in views.nodes(fleet.cloud.core, "cam").nodes] == sorted(fleet.devices)


def test_a_node_below_a_region_shows_what_the_region_last_knew(fleet: Fleet) -> None:
    node = fleet.node("cloud/eu-south/b-2")
    assert (node["through"], node["state"], node["last_state"]) == ("eu-south", "online", "online")
    assert node["services"]["vision"]["state"] == "failed"
    before = fleet.tree.wall
    fleet.south.cut()
    fleet.tree.later(60.0)
    node = fleet.node("b-2")
    assert (node["state"], node["silent"], node["last_state"]) == ("unheard", "eu-south", "online")
    assert node["since_ms"] == pytest.approx(before * 1000, abs=1)
    assert before * 1000 - 5_000 < node["as_of_ms"] <= before * 1000


def test_an_alarm_further_down_is_shown_with_how_many_more_there_are(fleet: Fleet) -> None:
    for what in ("misbehaved", "fork"):
        fleet.south.core.registry.alarm("b-1", what, f"it is a {what}", fleet.tree.now, fx := world.Effects())
        fleet.south.perform(fx)
    fleet.devices["eu-south/b-1"].leave()
    fleet.tree.later(1.0)
    (alarm,) = fleet.node("b-1")["alarms"]
    assert alarm["text"] == "it is a misbehaved (and 1 more: ask its own hub)"
    assert fleet.node("a-1")["alarms"] == []


def test_a_service_is_shown_by_region_and_by_node(fleet: Fleet) -> None:
    service = fleet.service()
    assert (service["placed"], service["running"], service["current"], service["away"]) == (4, 3, 4, 0)
    south = fleet.regions()["eu-south"]
    assert (south["state"], south["is_asked"], south["placed"], south["running"]) == ("online", True, 2, 1)
    assert south["generation"] == service["generation"]
    assert [(one["node"], one["region"], one["current"]) for one in fleet.on()] == [
        ("eu-north/a-1", "eu-north", True),
        ("eu-north/a-2", "eu-north", True),
        ("eu-south/b-1", "eu-south", True),
        ("eu-south/b-2", "eu-south", True),
    ]
    assert views.nodes_of(fleet.cloud.core, "vision") == sorted(fleet.devices)
    assert views.services(fleet.cloud.core)[0]["regions"] == {"eu-north": None, "eu-south": None}


def test_what_a_silent_region_runs_is_last_known_and_counted_as_away(fleet: Fleet) -> None:
    fleet.south.cut()
    fleet.tree.later(10.0)
    south = fleet.regions()["eu-south"]
    assert (south["state"], south["placed"], south["running"], south["away"]) == ("away", 2, 1, 2)
    assert fleet.service()["away"] == 2
    states = {one["node"]: (one["node_state"], one["silent"]) for one in fleet.on()}
    assert states["eu-south/b-1"] == ("unheard", "eu-south")
    assert states["eu-north/a-1"] == ("online", "")


def test_an_override_in_a_region_is_shown_above_until_when(fleet: Fleet) -> None:
    document = world.service("vision", "cam", process={"command": ["sleep", "7"]})
    life = inputs.Override(for_s=3_600.0, reason="belt jammed")
    fleet.south.ask(inputs.Apply(documents=[document], override=life))
    fleet.tree.later(1.0)
    (mark,) = fleet.regions()["eu-south"]["marks"]
    assert (mark["user"], mark["reason"]) == ("token:admin", "belt jammed")
    assert mark["until_ms"] == pytest.approx((fleet.tree.wall + 3_600) * 1000, abs=5_000)
    assert fleet.service()["placed"] == 4  # it is still that of its owner
    own = views.service(fleet.south.core, "vision", fleet.tree.now)
    assert (own["owner"], own["override"]["reason"]) == ("cloud", "belt jammed")
    assert fleet.service()["override"] is None


def test_a_name_taken_in_a_region_is_told_apart_from_ours(fleet: Fleet) -> None:
    for hub in (fleet.north, fleet.cloud):
        hub.ask(inputs.Apply(documents=[world.service("own", "nobody" if hub is fleet.cloud else "cam")]))
    fleet.tree.later(1.0)
    tallies = fleet.cloud.core.subtree.sum().tallies
    assert (tallies["service/own"].owner, tallies["service/own"].placed) == ("cloud", 0)
    assert (tallies["service/own@eu-north"].owner, tallies["service/own@eu-north"].placed) == ("eu-north", 2)


def test_regions_are_listed_with_what_they_come_to(fleet: Fleet) -> None:
    fleet.tree.add("rome", "eu-south").device("c-1")
    fleet.tree.later(2.0)
    found = {one["address"]: one for one in views.regions(fleet.cloud.core)}
    assert list(found) == ["eu-north", "eu-south", "eu-south/rome"]
    assert found["eu-south"]["region"]["nodes"] == {"online": 3}
    assert found["eu-south"]["region"]["worst"][0]["at"] == "b-2"
    assert found["eu-south/rome"]["region"]["nodes"] == {"online": 1}


def test_what_belongs_to_a_region_is_decided_there(fleet: Fleet) -> None:
    reply = fleet.cloud.request(inputs.CordonNode(node="b-1", cordoned=True))
    assert reply is not None
    assert "b-1 belongs to eu-south: its operators decide there" in reply.error
    done = fleet.cloud.ask(inputs.CordonNode(node="cloud/eu-south", cordoned=True))
    assert (done["name"], done["cordoned"]) == ("eu-south", True)


def test_a_name_is_kept_for_what_is_gone_and_refused_when_it_is_of_several(fleet: Fleet) -> None:
    named = views.named
    core = fleet.cloud.core
    assert [named(core, text) for text in ("", "cloud", "b-1", "cloud/eu-south/b-9")] == [
        "",
        "cloud",
        "eu-south/b-1",
        "eu-south/b-9",
    ]
    fleet.north.device("b-1")
    fleet.tree.later(1.0)
    with pytest.raises(Refusal, match="2 nodes"):
        named(core, "b-1")


def test_what_a_region_owns_appears_above_with_its_owner_and_its_counts(fleet: Fleet) -> None:
    fleet.north.ask(inputs.Apply(documents=[world.service("frost", "cam")]))
    fleet.tree.later(2.0)
    listed = {one["name"]: one for one in views.services(fleet.cloud.core)}
    assert listed["vision"]["owner"] == "cloud"
    frost = listed["frost"]
    assert (frost["owner"], frost["placed"], frost["changed_ms"]) == ("eu-north", 2, 0)
    assert frost.keys() == listed["vision"].keys()
    with pytest.raises(Refusal):
        views.service(fleet.cloud.core, "frost", fleet.tree.now)


def test_a_page_may_begin_and_end_anywhere_in_a_tree(fleet: Fleet) -> None:
    core = fleet.cloud.core
    fleet.cloud.device("eu-north-1")  # sorts behind all that is below eu-north, though "-" is before "/"
    whole = [one["address"] for one in views.nodes(core, "").nodes]
    assert whole[:4] == ["eu-north", "eu-north/a-1", "eu-north/a-2", "eu-north-1"]
    for size in range(1, len(whole) + 1):
        read, start = list[str](), whole[0]
        while start:
            page = views.nodes(core, "", start, size)
            assert len(page.nodes) <= size
            read, start = [*read, *(one["address"] for one in page.nodes)], page.more
        assert read == whole
    assert [one["address"] for one in views.nodes(core, "", "eu-north/a-11").nodes] == whole[2:], "it need not be there"


def test_who_leaves_a_region_leaves_the_list_though_another_came_at_once(fleet: Fleet) -> None:
    core = fleet.cloud.core
    before = [one["address"] for one in views.nodes(core, "").nodes]
    rosters = core.parent.rosters
    brief = rosters.known("eu-south")["b-1"]
    put = {"b-0": msgspec.Raw(brief)}
    roster = messages.Roster(session=8, number=1, put=put, gone=["b-1"])
    _, told = rosters.take("eu-south", roster, fleet.tree.now)
    (event,) = told
    assert isinstance(event, events.ChildRoster)
    core.subtree.heard("eu-south", event.put, event.gone)
    after = [one["address"] for one in views.nodes(core, "").nodes]
    assert after == ["eu-south/b-0" if one == "eu-south/b-1" else one for one in before]
