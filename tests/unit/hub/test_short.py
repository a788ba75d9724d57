"""What found no place: said of regions that have told what they make of it, and of the whole."""

from __future__ import annotations

from typing import Any

import pytest

from hub.core import inputs, views
from hub.core.views import spread
from tests.unit.hub.world import World, service

OVERRIDDEN = [{"user": "kari", "reason": "a storm"}]


def said(found: dict[str, Any], *inside: dict[str, Any]) -> list[tuple[str, int, int]]:
    """Return what is said of a service with one node of this hub's own."""
    region: dict[str, Any] = {"is_asked": True, "state": "online", "refused": "", "marks": [], "generation": 13}
    whole: dict[str, Any] = {"generation": 13, "count": None, "per_region": False, "nodes": [], **found}
    lacking = spread.short(whole, [{"hub": "north", "placed": 1, "share": None} | region | one for one in inside])
    return [(one["hub"], one["placed"], one["asked"]) for one in lacking]


@pytest.mark.parametrize(
    ("found", "region", "lacking"),
    [
        ({}, {}, []),
        ({"count": 2, "per_region": True}, {"share": 2}, [("north", 1, 2)]),
        ({"count": 3}, {"share": 2}, [("north", 1, 2), ("", 2, 3)]),
        ({"count": 2}, {"share": 1}, [("", 1, 2)]),
        ({"count": 2, "nodes": ["a"]}, {"share": 1}, []),
        ({"count": 1}, {"share": 1}, []),
        ({"count": 2, "per_region": True}, {"share": 2, "state": "away"}, []),
        ({"count": 2, "per_region": True}, {"share": 2, "refused": "the name is taken"}, []),
        ({"count": 2, "per_region": True}, {"share": 2, "generation": 12}, []),
        ({"count": 2, "per_region": True}, {"share": 2, "marks": OVERRIDDEN}, []),
        ({"count": 2, "per_region": True}, {"share": 2, "marks": [{"at": "a", **OVERRIDDEN[0]}]}, [("north", 1, 2)]),
        ({"count": 2, "per_region": True}, {"share": 2, "is_asked": False}, [("", 0, 2)]),
    ],
)
def test_only_who_has_told_what_it_makes_of_it_is_short(
    found: dict[str, Any], region: dict[str, Any], lacking: list[tuple[str, int, int]]
) -> None:
    assert said(found, region) == lacking


def test_a_hub_says_how_many_copies_of_a_service_have_no_place() -> None:
    world = World()
    world.fleet(oslo_1={"site": "oslo"})
    world.ask(inputs.Apply(documents=[service("line", "site=oslo", count=3), service("all", "site=oslo")]))
    assert views.service(world.core, "line", world.now)["short"] == [{"hub": "", "placed": 1, "asked": 3}]
    assert views.service(world.core, "all", world.now)["short"] == []
