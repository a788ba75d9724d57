"""How many copies each region is asked for: even, remembered, within its room, whatever the order of the facts."""

from __future__ import annotations

import random
from collections.abc import Mapping

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as some

from hub.core import inputs
from hub.core.down.shares import Place, split
from protocol import limits, selector
from protocol.effects import Effects
from protocol.snapshot import DOUBT, STORE, Doubt
from tests.support.tree import Hub, Tree
from tests.unit.hub.world import service

PLACES = some.lists(
    some.builds(
        Place,
        name=some.sampled_from(["", "af", "asia", "au", "eu", "us"]),
        room=some.none() | some.integers(0, 6),
        has=some.integers(0, 6),
        online=some.booleans(),
        weight=some.integers(1, 3),
    ),
    unique_by=lambda place: place.name,
)


@given(PLACES, some.integers(1, 20), some.randoms())
def test_the_same_facts_give_the_same_answer_whatever_their_order(
    places: list[Place], total: int, chance: random.Random
) -> None:
    shuffled = list(places)
    chance.shuffle(shuffled)
    assert split("service/x", total, places) == split("service/x", total, shuffled)


@given(PLACES, some.integers(1, 20))
def test_what_fits_is_given_and_never_more(places: list[Place], total: int) -> None:
    found = split("service/x", total, places)
    rooms = {place.name: total if place.room is None else min(place.room, total) for place in places}
    assert sum(found.values()) == min(total, sum(rooms.values()))
    assert all(0 < share <= rooms[name] for name, share in found.items())


@given(PLACES, some.integers(1, 20))
def test_who_has_it_keeps_it(places: list[Place], total: int) -> None:
    found = split("service/x", total, places)
    has = {place.name: min(place.has, place.has if place.room is None else place.room) for place in places}
    if sum(has.values()) <= total:
        assert all(found.get(name, 0) >= count for name, count in has.items())
    else:
        assert all(found.get(name, 0) <= count for name, count in has.items())


@given(PLACES, some.integers(1, 20))
def test_what_is_settled_stays_settled(places: list[Place], total: int) -> None:
    found = split("service/x", total, places)
    again = [Place(name=one.name, room=one.room, has=found.get(one.name, 0), weight=one.weight) for one in places]
    assert split("service/x", total, again) == found


@given(some.integers(1, 8), some.integers(1, 40))
def test_it_is_spread_evenly(count: int, total: int) -> None:
    found = split("service/x", total, [Place(name=f"r{number}") for number in range(count)])
    given_ = [found.get(f"r{number}", 0) for number in range(count)]
    assert max(given_) - min(given_) <= 1


def test_sites_count_before_regions_where_the_spread_says_so() -> None:
    assert split("x", 8, [Place(name="eu", weight=3), Place(name="us", weight=1)]) == {"eu": 6, "us": 2}


def test_a_region_that_is_connected_goes_first_and_a_count_is_bounded() -> None:
    away = Place(name="eu", online=False)
    assert split("x", 2, [away, Place(name="us", room=1)]) == {"eu": 1, "us": 1}
    assert split("x", 10**9, [Place(name="eu")]) == {"eu": limits.NODES_MAX}


# ------------------------------------------------------------------------------------------------ with real regions


def tree(**devices: int) -> Tree:
    """A cloud over regions with so many devices each, of which every one is at a site of its own."""
    made = Tree()
    made.add("cloud")
    for region, count in devices.items():
        made.add(region, "cloud")
        for number in range(count):
            made.hubs[region].device(f"{region}-{number}", {"gpu": "yes", "site": f"s{number}"})
    made.later(10.0)
    return made


def shares(hub: Hub) -> dict[str, int]:
    return hub.core.resources.get("service", "line").shares


def placed(made: Tree, name: str = "line") -> int:
    return sum(
        len(made.hubs[region].core.resources.get("service", name).nodes) for region in shares(made.hubs["cloud"])
    )


def apply(hub: Hub, count: int | str, **placement: object) -> None:
    document = service("line", "gpu", count=count)
    document["spec"]["placement"] |= placement
    hub.ask(inputs.Apply(documents=[document]))
    hub.tree.later(5.0)


def test_a_region_gets_no_more_than_fits_and_the_rest_goes_to_others() -> None:
    made = tree(eu=1, us=4)
    apply(made.hubs["cloud"], 4)
    assert shares(made.hubs["cloud"]) == {"eu": 1, "us": 3}
    assert placed(made) == 4


def test_what_a_region_loses_goes_to_others_and_does_not_come_back_by_itself() -> None:
    made = tree(eu=2, us=4)
    cloud, eu = made.hubs["cloud"], made.hubs["eu"]
    apply(cloud, 4)
    assert shares(cloud) == {"eu": 2, "us": 2}
    eu.ask(inputs.RevokeNode(node="eu-0", reason="stolen"))
    made.later(10.0)
    assert shares(cloud) == {"eu": 1, "us": 3}
    eu.device("eu-9", {"gpu": "yes"})
    made.later(10.0)
    assert shares(cloud) == {"eu": 1, "us": 3}
    assert placed(made) == 4


def test_what_had_no_room_is_placed_as_soon_as_there_is_some() -> None:
    made = tree(eu=1, us=1)
    cloud = made.hubs["cloud"]
    apply(cloud, 4)
    assert shares(cloud) == {"eu": 1, "us": 1}
    for number in (7, 8):
        made.hubs["us"].device(f"us-{number}", {"gpu": "yes"})
    made.later(10.0)
    assert shares(cloud) == {"eu": 1, "us": 3}


def test_a_cut_and_its_end_move_nothing() -> None:
    made = tree(eu=2, us=4)
    cloud = made.hubs["cloud"]
    apply(cloud, 4)
    before = shares(cloud)
    made.hubs["eu"].cut()
    made.later(600.0)
    assert shares(cloud) == before
    cloud.restart()
    made.hubs["eu"].heal()
    made.later(600.0)
    assert shares(cloud) == before


def test_a_roster_that_is_not_whole_takes_nothing_away() -> None:
    made = tree(eu=2, us=4)
    cloud = made.hubs["cloud"]
    apply(cloud, 4)
    assert cloud.core.parent.rosters.is_whole("eu")
    for region in ("eu", "us"):
        made.hubs[region].cut()
    cloud.restart()  # what it knows of them is from before
    assert not cloud.core.parent.rosters.is_whole("eu")
    live = cloud.core.resources._live["service/line"]  # pyright: ignore[reportPrivateUsage]
    assert cloud.core.rooms.of("eu", live).nodes is None
    assert cloud.core.resources.resettle("service/line", Effects()) == []


def test_what_a_restored_region_has_forgotten_takes_nothing_away_before_its_operator_has_looked() -> None:
    made = tree(eu=2, us=4)
    cloud, eu = made.hubs["cloud"], made.hubs["eu"]
    backup = eu.store.copy()
    eu.device("eu-2", {"gpu": "yes"})
    made.later(10.0)
    apply(cloud, 6)
    assert shares(cloud) == {"eu": 3, "us": 3}

    backup.spaces.setdefault(STORE, {})[DOUBT] = msgspec.json.encode(Doubt(reason="a copy"))
    eu.store = backup
    eu.restart()
    made.later(120.0)
    assert eu.core.up is not None
    assert eu.core.up.child.live
    assert not cloud.core.parent.rosters.is_whole("eu")
    assert shares(cloud) == {"eu": 3, "us": 3}

    eu.ask(inputs.AcceptRestore())
    made.later(10.0)
    assert cloud.core.parent.rosters.is_whole("eu")
    assert shares(cloud) == {"eu": 2, "us": 4}
    assert cloud.core.subtree.find("eu/eu-2") is None


def test_a_cordoned_node_keeps_what_it_has_and_makes_no_room_for_more() -> None:
    made = tree(eu=2, us=4)
    cloud, eu = made.hubs["cloud"], made.hubs["eu"]
    for name in ("eu-0", "eu-1"):
        eu.ask(inputs.CordonNode(node=name, cordoned=True))
    made.later(10.0)
    apply(cloud, 4)
    assert shares(cloud) == {"us": 4}


def test_a_region_is_gone_through_once_for_all_that_seek_the_same_until_it_changes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = tree(eu=2, us=4)
    cloud, eu = made.hubs["cloud"], made.hubs["eu"]
    apply(cloud, 4)
    live = cloud.core.resources._live["service/line"]  # pyright: ignore[reportPrivateUsage]
    looked: list[str] = []
    matches = selector.Selector.matches

    def counted(self: selector.Selector, labels: Mapping[str, str]) -> bool:
        looked.append(labels["node"])
        return matches(self, labels)

    monkeypatch.setattr(selector.Selector, "matches", counted)
    assert [cloud.core.rooms.of("us", live).nodes for _ in range(3)] == [4, 4, 4]
    assert len(looked) <= 4

    eu.ask(inputs.LabelNode(node="eu-0", remove=["gpu"]))
    made.later(10.0)
    assert cloud.core.rooms.of("eu", live).nodes == 1
    eu.ask(inputs.CordonNode(node="eu-1", cordoned=True))
    made.later(10.0)
    assert cloud.core.rooms.of("eu", live).nodes == 0, "it never said that it runs there"


def test_regions_with_more_sites_get_more_where_sites_come_first() -> None:
    made = tree(eu=3, us=1)
    apply(made.hubs["cloud"], 4, spread=["site"])
    assert shares(made.hubs["cloud"]) == {"eu": 3, "us": 1}


def test_a_hub_in_the_middle_splits_its_share() -> None:
    made = tree(eu=1, us=1)
    made.add("oslo", "eu")
    for number in range(2):
        made.hubs["oslo"].device(f"oslo-{number}", {"gpu": "yes"})
    made.later(20.0)
    apply(made.hubs["cloud"], 4)
    made.later(20.0)
    assert shares(made.hubs["cloud"]) == {"eu": 3, "us": 1}
    eu = made.hubs["eu"].core.resources.get("service", "line")
    assert (eu.nodes, eu.shares) == (["eu-0"], {"oslo": 2})
    assert len(made.hubs["oslo"].core.resources.get("service", "line").nodes) == 2
