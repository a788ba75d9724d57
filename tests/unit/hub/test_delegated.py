"""What an operator declares at a hub reaches regions as it was written; each places its share on its own nodes."""

from __future__ import annotations

import pytest

from hub.core import inputs
from tests.unit.hub.tiers import Tier
from tests.unit.hub.world import service, workflow


@pytest.fixture
def cloud() -> Tier:
    """A cloud over two regions of two devices each."""
    cloud = Tier()
    for name, continent in (("eu", "eu"), ("us", "us")):
        region = cloud.region(name, continent=continent)
        for number in (1, 2):
            region.enroll(f"{name}-{number}", {"gpu": "yes"})
    return cloud


def test_what_is_for_all_runs_on_every_device_of_every_region(cloud: Tier) -> None:
    cloud.enroll("own-1", {"gpu": "yes"})
    (result,) = cloud.apply(service("line", "gpu"))
    assert (result["nodes"], result["regions"]) == (["own-1"], {"eu": None, "us": None})
    cloud.flow()
    for name, region in cloud.regions.items():
        assert [region.runs(f"{name}-{number}") for number in (1, 2)] == [["line"], ["line"]]
        assert region.core.delegated.owner("service/line") == "cloud"
    assert cloud.runs("own-1") == ["line"]


def test_a_device_that_enrolls_later_gets_what_is_for_all_with_no_word_from_above(cloud: Tier) -> None:
    cloud.apply(service("line", "gpu"))
    cloud.flow()
    region = cloud.regions["eu"]
    region.enroll("eu-3", {"gpu": "yes"})
    region.settle()
    assert region.runs("eu-3") == ["line"]


def test_a_total_is_split_and_each_region_chooses_its_devices(cloud: Tier) -> None:
    (result,) = cloud.apply(service("line", "gpu", count=2))
    assert result["regions"] == {"eu": 1, "us": 1}
    cloud.flow()
    running = [node for name, region in cloud.regions.items() for node in ("1", "2") if region.runs(f"{name}-{node}")]
    assert len(running) == 2
    assert cloud.shares("line") == {"eu": 1, "us": 1}


def test_regions_are_chosen_by_their_labels_and_counted_each(cloud: Tier) -> None:
    document = service("line", "gpu", count="2 per region")
    document["spec"]["placement"]["regions"] = "continent=eu"
    cloud.enroll("own-1", {"gpu": "yes"})
    (result,) = cloud.apply(document)
    assert (result["nodes"], result["regions"]) == ([], {"eu": 2})
    cloud.flow()
    assert cloud.regions["eu"].runs("eu-1") == cloud.regions["eu"].runs("eu-2") == ["line"]
    assert cloud.regions["us"].runs("us-1") == []


def test_a_change_follows_and_what_is_deleted_above_ends_below(cloud: Tier) -> None:
    cloud.apply(service("line", "gpu"), workflow("report", "*"))
    cloud.flow()
    region = cloud.regions["eu"]
    assert region.runs("eu-1") == ["line", "report"]
    before = region.items("eu-1")["assignment/line"]
    cloud.apply(service("line", "gpu", process={"command": ["sleep", "2"]}))
    cloud.flow()
    assert region.items("eu-1")["assignment/line"] != before
    cloud.ask(inputs.DeleteResource(kind="service", name="line"))
    cloud.flow()
    assert region.runs("eu-1") == ["report"]
    assert [kind for kind, _, _ in region.store.rows["audit"] if kind.startswith("delegation")] == [
        "delegation.applied",
        "delegation.applied",
        "delegation.applied",
        "delegation.withdrawn",
    ]


def test_a_region_that_is_drained_gives_its_share_to_others_and_a_cordoned_one_keeps_it(cloud: Tier) -> None:
    cloud.apply(service("line", "gpu", count=4))
    assert cloud.shares("line") == {"eu": 2, "us": 2}
    cloud.ask(inputs.CordonNode(node="eu", cordoned=True))
    cloud.settle()
    assert cloud.shares("line") == {"eu": 2, "us": 2}
    cloud.ask(inputs.DrainNode(node="eu"))
    cloud.settle()
    assert cloud.shares("line") == {"us": 4}
    cloud.flow()
    assert cloud.regions["eu"].runs("eu-1") == cloud.regions["eu"].runs("eu-2") == []


def test_a_region_that_enrolls_gets_what_had_no_place(cloud: Tier) -> None:
    (result,) = cloud.apply(
        dict(
            service("line", "gpu", count=1),
            spec={
                **service("line", "gpu")["spec"],
                "placement": {"selector": "gpu", "regions": "continent=asia", "count": 2},
            },
        )
    )
    assert (result["regions"], result["note"]) == ({}, 'no region matches "continent=asia"')
    cloud.region("asia", continent="asia")
    assert cloud.shares("line") == {"asia": 2}


def test_a_hubs_own_nodes_have_a_part_like_a_region_and_are_spread_over_sites(cloud: Tier) -> None:
    for number in range(6):
        cloud.enroll(f"own-{number}", {"gpu": "yes", "site": "a" if number < 4 else f"s{number}"})
    (result,) = cloud.apply(service("line", "gpu", count=9))
    assert result["regions"] == {"eu": 3, "us": 3}
    assert {cloud.core.registry.get(name).labels["site"] for name in result["nodes"]} == {"a", "s4", "s5"}
    by_site = service("press", "gpu", count=5)
    by_site["spec"]["placement"]["spread"] = ["site"]
    (result,) = cloud.apply(by_site)
    assert (len(result["nodes"]), result["regions"]) == (3, {"eu": 1, "us": 1})


def test_a_dry_run_says_which_regions_it_would_reach(cloud: Tier) -> None:
    cloud.enroll("own-1", {"gpu": "yes"})
    for count, regions in (("all", {"eu": None, "us": None}), ("1 per region", {"eu": 1, "us": 1})):
        (result,) = cloud.apply(service("line", "gpu", count=count), dry_run=True)
        assert (result["nodes"], result["regions"]) == (["own-1"], regions)
    assert cloud.delegations("eu") == {}


def test_nobody_is_handed_what_an_empty_selector_selects(cloud: Tier) -> None:
    for count in ("all", 2):
        (result,) = cloud.apply(service(f"line-{count}", "", count=count))
        assert (result["nodes"], result["regions"]) == ([], {})
    assert cloud.delegations("eu") == {}
