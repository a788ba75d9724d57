"""What operators see of their own hub: the link to the one above, what they are to look at, and policies."""

from __future__ import annotations

from typing import Any

import pytest

from hub.core import inputs, views
from hub.core.registry import Refusal
from tests.support.tree import Hub, Tree
from tests.unit.hub import world


@pytest.fixture
def tree() -> Tree:
    tree = Tree()
    tree.add("cloud")
    tree.add("eu", "cloud", {"continent": "eu"})
    tree.later(2.0)
    return tree


def seen(hub: Hub) -> dict[str, Any]:
    return views.hub(hub.core, hub.tree.now)


def policy(name: str, **spec: Any) -> dict[str, Any]:
    return {"apiVersion": "skerry/v1", "kind": "Policy", "metadata": {"name": name}, "spec": spec}


def test_a_root_has_no_link_upward(tree: Tree) -> None:
    root = seen(tree.hubs["cloud"])
    assert (root["parent"], root["conditions"], root["region"]["hubs"]) == (None, [], {"online": 1})


def test_a_region_shows_how_its_link_stands_and_what_waits(tree: Tree) -> None:
    cloud, eu = tree.hubs["cloud"], tree.hubs["eu"]
    up = seen(eu)["parent"]
    assert (up["name"], up["state"], up["reason"]) == ("cloud", "live", "")
    assert sum(up["waiting"].values()) == 0
    eu.cut()
    tree.later(60.0)
    eu.ask(inputs.Apply(documents=[world.service("own", "nobody")]))
    up = seen(eu)["parent"]
    assert (up["state"], up["waiting"]["audit"] > 0) == ("offline", True)
    assert up["since_ms"] < tree.wall * 1000 - 50_000
    assert 0 < up["last_contact_ms"] <= up["since_ms"] + 1
    assert seen(eu)["conditions"] == []
    assert cloud.core.up is None


def test_a_document_that_is_not_followed_and_an_artifact_that_does_not_come_are_to_be_looked_at(tree: Tree) -> None:
    cloud, eu = tree.hubs["cloud"], tree.hubs["eu"]
    eu.ask(inputs.Apply(documents=[world.service("vision", "cam")]))
    cloud.ask(inputs.Apply(documents=[world.service("vision", "cam")]))
    tree.later(2.0)
    (found,) = seen(eu)["conditions"]
    assert (found["what"], "the name is taken" in found["text"]) == ("delegation-refused", True)
    cloud.ask(inputs.RevokeNode(node="eu", reason="stolen"))
    tree.later(1.0)
    found = {one["what"]: one["text"] for one in seen(eu)["conditions"]}
    assert "revoked: stolen" in found["turned-away"]
    assert seen(eu)["parent"]["state"] == "refused"


def test_policies_are_shown_with_their_owner_and_what_they_come_to(tree: Tree) -> None:
    cloud, eu = tree.hubs["cloud"], tree.hubs["eu"]
    cloud.ask(inputs.Apply(documents=[policy("thrift", regions="continent=eu", forward={"metrics": "summary"})]))
    tree.later(2.0)
    eu.ask(inputs.Apply(documents=[policy("tight", allow={"services": 3, "users": ["app"]}, may=["run"])]))
    tree.later(2.0)
    (own,) = views.policies(cloud.core)
    assert (own["owner"], own["inherited"], own["binds_here"], own["regions"]) == ("cloud", False, False, ["eu"])
    below = {one["name"]: one for one in views.policies(eu.core)}
    assert (below["thrift"]["owner"], below["thrift"]["inherited"]) == ("cloud", True)
    one = views.policy(eu.core, "tight")
    assert one["rules"]["forward"] == {"state": "all", "metrics": "all", "logs": "all"}
    force = one["in_force"]
    assert force["forward"] == {"state": "all", "metrics": "summary", "logs": "all"}
    assert (force["users"], force["services"], force["may"]) == (["app"], 3, ["run"])
    assert force["from"] == [{"name": "thrift", "owner": "cloud"}, {"name": "tight", "owner": "eu"}]
    (region,) = views.policy(cloud.core, "thrift")["in"]
    assert (region["hub"], region["generation"], region["refused"]) == ("eu", own["generation"], "")
    with pytest.raises(Refusal, match="skerry get policies"):
        views.policy(eu.core, "none")


def line(*, one: bool) -> dict[str, Any]:
    cut = {"hub": {"replace_after": "10m"}, "on_return": "keep_replacement", "at_most_one": one}
    return world.service("line", "*", count=1, disconnect=cut)


@pytest.mark.parametrize("one", [False, True])
def test_a_copy_that_was_taken_over_its_fences_and_leases_are_shown(tree: Tree, one: bool) -> None:
    cloud = tree.hubs["cloud"]
    tree.add("us", "cloud")
    for name in ("eu", "us"):
        tree.hubs[name].enroll(f"gw-{name}")
    tree.later(1.0)
    cloud.ask(inputs.Apply(documents=[world.service("plain", "*"), line(one=one)]))
    tree.later(1.0)
    assert views.service(cloud.core, "plain", tree.now)["copies"] is None
    (first,) = views.service(cloud.core, "line", tree.now)["regions"]
    copies = views.service(cloud.core, "line", tree.now)["copies"]
    assert (copies["replace_after_s"], copies["at_most_one"], copies["parked"]) == (600.0, one, {})
    assert (list(copies["fences"]), list(copies["leases"])) == ([first], [first] if one else [])
    tree.hubs[first].cut()
    tree.later(100.0)
    if one:
        left = views.service(cloud.core, "line", tree.now)["copies"]["leases"][first]
        assert (left["copies"], 0 < left["left_s"] < copies["leases"][first]["left_s"]) == (1, True)
    tree.later(2_000.0)
    copies = views.service(cloud.core, "line", tree.now)["copies"]
    other = "us" if first == "eu" else "eu"
    assert copies["parked"][first]["by"] == {other: 1}
    assert copies["parked"][first]["kept"] is False
    assert first not in copies["leases"]
