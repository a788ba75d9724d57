"""The same rules one tier up: a region that its parent cannot reach, its share, and the lease that bounds it."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from hub.core import inputs
from hub.core.failover import rules
from protocol import documents, effects, limits, messages
from protocol.effects import Effects
from tests.support.tree import Hub, Tree
from tests.unit.hub.world import service

AFTER_S = 600.0
KEY = "service/line"
LEASE_S = rules.lease_s(documents.Disconnect(replace_after_s=AFTER_S, at_most_one=True), limits.STOP_GRACE_S)
BOUND_S = rules.bound_s(LEASE_S, limits.STOP_GRACE_S, clocks=limits.TIERS_MAX)


def line(*, one: bool, on_return: str = "keep_original") -> dict[str, Any]:
    disconnect = {"hub": {"replace_after": "10m"}, "on_return": on_return, "at_most_one": one}
    return service("line", "*", count=1, disconnect=disconnect)


@pytest.fixture
def tree() -> Tree:
    made = Tree()
    made.add("cloud")
    for name in ("eu", "us"):
        made.add(name, "cloud")
        made.hubs[name].enroll(f"gw-{name}")
    made.later(1.0)
    return made


def shares(tree: Tree) -> dict[str, int]:
    return tree.hubs["cloud"].core.resources.get("service", "line").shares


def asked(tree: Tree) -> list[str]:
    """Return the regions that were handed it, as they know it."""
    return sorted(name for name in ("eu", "us") if tree.hubs[name].core.resources.find(KEY) is not None)


def may_give_s(hub: Hub) -> float:
    """Return for how long a region may let it run from now on."""
    return hub.core.failover.leases.ceiling.seconds(hub.core.resources.get("service", "line"), hub.now)


def declared(tree: Tree, *, one: bool) -> tuple[Hub, Hub]:
    """Return who has the share, and who has not."""
    tree.hubs["cloud"].ask(inputs.Apply(documents=[line(one=one)]))
    tree.later(1.0)
    (first,) = shares(tree)
    return tree.hubs[first], tree.hubs["us" if first == "eu" else "eu"]


def test_the_share_of_a_region_that_is_away_goes_to_another_and_comes_back(tree: Tree) -> None:
    first, second = declared(tree, one=True)
    first.cut()
    tree.later(AFTER_S - 5)
    assert shares(tree) == {first.name: 1}
    tree.later(10)
    assert shares(tree) == {second.name: 1}
    assert first.core.resources.get("service", "line").count == 1  # it goes on with what it was handed

    first.heal()
    assert shares(tree) == {first.name: 1}
    assert asked(tree) == [first.name]


def test_without_a_lease_the_original_counts_again_once_it_says_that_it_runs(tree: Tree) -> None:
    first, second = declared(tree, one=False)
    first.cut()
    tree.later(AFTER_S + 5)
    first.heal()
    assert (shares(tree), asked(tree)) == ({second.name: 1}, ["eu", "us"])


def test_a_region_lets_run_no_longer_than_it_may_itself(tree: Tree) -> None:
    first, second = declared(tree, one=True)
    tree.later(1.0)
    assert 0 < may_give_s(first) <= LEASE_S
    first.cut()
    cut_at = tree.mono
    tree.later(LEASE_S + 1)
    assert may_give_s(first) == 0.0

    tree.later(AFTER_S + 5 - (tree.mono - cut_at))
    assert shares(tree) == {second.name: 1}
    while may_give_s(second) == 0.0:
        assert tree.mono < cut_at + BOUND_S + 60.0
        tree.later(1.0)
    assert tree.mono >= cut_at + BOUND_S - 60.0 / limits.LEASE_ASKED_SHARE
    assert may_give_s(first) == 0.0


def test_a_region_that_restarts_while_it_is_cut_off_lets_nothing_run_that_it_has_no_lease_for(tree: Tree) -> None:
    first, _ = declared(tree, one=True)
    tree.later(1.0)
    first.cut()
    first.restart()
    assert may_give_s(first) == 0.0


def test_a_device_that_waits_for_its_region_gets_its_lease_as_soon_as_the_region_has_one(tree: Tree) -> None:
    first, _ = declared(tree, one=True)
    device = first.device("gw-0")
    first.ask(inputs.DrainNode(node=f"gw-{first.name}"))
    tree.later(1.0)
    assert first.core.resources.get("service", "line").nodes == ["gw-0"]
    first.cut()
    first.restart()  # it knows of no lease of its own any more
    device.connect()
    device.count += 1
    said = messages.Status(
        session=device.session,
        count=device.count,
        held=device.held,
        heads={},
        time_ms=1,
        body=msgspec.Raw(b"{}"),
        leases=["line"],
    )
    given: list[float] = []
    perform = first.perform

    def noted(fx: Effects) -> None:
        given.extend(1.0 for send in fx.send if send.peer == "gw-0" and _is_lease(send))
        perform(fx)

    first.perform = noted
    device.got(said)
    assert not given
    first.heal()
    assert given, "it asked once, and need not ask again"


def _is_lease(send: effects.Send | effects.SendRows) -> bool:
    return isinstance(send, effects.Send) and isinstance(send.message, messages.Leases)


def test_what_a_region_declares_itself_needs_nobody_above(tree: Tree) -> None:
    region = tree.hubs["eu"]
    region.ask(inputs.Apply(documents=[line(one=True)]))
    region.cut()
    tree.later(AFTER_S)
    assert may_give_s(region) == float("inf")


def fence(hub: Hub) -> str:
    """Return what a copy at the device of a region finds as SKERRY_FENCE; empty: it is not asked for there."""
    core = hub.core
    items = core.failover.items(f"gw-{hub.name}")
    found = [one for one in map(documents.decode, items.values()) if isinstance(one, documents.Fence)]
    assert all(f"service/{one.service}" in core.delegate.placed(f"gw-{hub.name}") for one in found)
    return found[0].text if found else ""


def test_the_fence_of_a_replacement_in_another_region_is_higher_than_that_of_who_returns(tree: Tree) -> None:
    first, second = declared(tree, one=True)
    assert fence(first) == "0000000001.0000000001"
    first.cut()
    first.core.failover.books.raise_to(KEY, 9, Effects())  # it has placed it more often meanwhile
    tree.later(AFTER_S + 5)
    assert fence(second) == "0000000002.0000000001"
    first.enroll("gw-9")
    first.ask(inputs.DrainNode(node=f"gw-{first.name}"))
    tree.later(1.0)
    (moved,) = [one.text for one in map(documents.decode, first.core.failover.items("gw-9").values())]  # type: ignore[union-attr]
    assert moved == "0000000001.0000000010"
    assert moved < fence(second), "the copy that may return is no higher than its replacement"
    second.restart()
    tree.later(1.0)
    assert fence(second) == "0000000002.0000000001", "a hub that starts knows it from what it was asked"


def test_a_third_tier_stands_under_the_fences_of_both_above_it(tree: Tree) -> None:
    first, second = declared(tree, one=True)
    for hub in (first, second):
        tree.add(f"{hub.name}-north", hub.name).enroll(f"gw-{hub.name}-north")
        hub.ask(inputs.DrainNode(node=f"gw-{hub.name}"))
    tree.later(3.0)
    below = tree.hubs[f"{first.name}-north"]
    assert fence(below) == "0000000001.0000000002.0000000001"
