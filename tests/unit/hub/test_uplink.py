"""A hub as a child: it connects, its own entries go up, and being cut off changes nothing of what it does."""

import pytest

from hub.core import inputs
from protocol.link.table import ChildState
from tests.support.tree import Tree
from tests.unit.hub import world


@pytest.fixture
def tree() -> Tree:
    tree = Tree()
    tree.add("cloud")
    tree.add("eu-north", "cloud", {"continent": "eu"})
    return tree


def above(tree: Tree, stream: str) -> list[int]:
    """Return the seqs of a stream of eu-north that the root holds."""
    return [seq for node, _, name, seq, *_ in tree.hubs["cloud"].store.entries if (node, name) == ("eu-north", stream)]


def test_what_a_regions_operators_do_stands_above_once_and_in_order(tree: Tree) -> None:
    region = tree.hubs["eu-north"]
    region.ask(inputs.CreateToken(id="a", secret_hash=world.SECRET_HASH, ttl_s=60.0, uses=1))
    region.cut()
    region.ask(inputs.CreateToken(id="b", secret_hash=world.SECRET_HASH, ttl_s=60.0, uses=1))
    assert len(above(tree, "audit")) < region.store.streams["audit"].last
    region.restart()
    region.heal()
    assert above(tree, "audit") == list(range(1, region.store.streams["audit"].last + 1))
    assert region.core.up is not None
    assert region.core.up.view().waiting["audit"] == 0


def test_a_region_shows_how_its_link_stands(tree: Tree) -> None:
    region = tree.hubs["eu-north"]
    up = region.core.up
    assert up is not None
    assert up.view().state == "live"
    region.cut()
    assert up.view().state == "offline"
    assert up.view().reason == "cut"
    assert up.view().last_contact_ms > 0


def test_a_revoked_region_goes_on_with_what_is_its_own(tree: Tree) -> None:
    region = tree.hubs["eu-north"]
    tree.hubs["cloud"].ask(inputs.RevokeNode(node="eu-north", reason="sold"))
    up = region.core.up
    assert up is not None
    assert up.child.state is ChildState.REFUSED
    assert "revoked: sold" in up.view().reason
    region.device("gw-1")
    assert region.core.rollup.is_online("gw-1")


def test_a_restarted_root_is_found_again(tree: Tree) -> None:
    tree.hubs["cloud"].restart()
    tree.later(60.0)
    assert tree.hubs["cloud"].core.rollup.is_online("eu-north")


def test_a_region_says_goodbye(tree: Tree) -> None:
    tree.hubs["eu-north"].take(inputs.Stopping())
    tree.run()
    assert not tree.hubs["cloud"].core.rollup.is_online("eu-north")
    assert not tree.hubs["cloud"].take(inputs.Stopping()).send
