"""A hub as a child: it connects, its own entries go up, and being cut off changes nothing of what it does."""

import copy

import msgspec
import pytest

from hub.core import inputs, views
from protocol import messages
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
    tree.later(1_000.0)
    at_ms = int(tree.wall * 1000)
    tree.hubs["cloud"].ask(inputs.RevokeNode(node="eu-north", reason="sold"))
    for _ in range(2):
        up = region.core.up
        assert up is not None
        assert up.child.state is ChildState.REFUSED
        assert "revoked: sold (by token:admin)" in up.view().reason
        assert up.view().since_ms == at_ms
        (said,) = views.hub(region.core, tree.now)["conditions"]
        assert (said["what"], said["since_ms"]) == ("turned-away", at_ms)
        tree.later(500.0)
        region.restart()
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


def noted(tree: Tree, kind: str) -> list[dict[str, object]]:
    """Return the bodies of the entries of `kind` in eu-north's own audit."""
    rows = tree.hubs["eu-north"].store.streams["audit"].rows.values()
    entries = [msgspec.json.decode(raw, type=messages.Entry) for raw, _ in rows]
    return [msgspec.json.decode(one.body) for one in entries if one.kind == kind]


def test_a_restored_root_is_refilled_and_it_is_said(tree: Tree) -> None:
    root, region = tree.hubs["cloud"], tree.hubs["eu-north"]
    backup = copy.deepcopy(root.store)
    region.ask(inputs.CreateToken(id="a", secret_hash=world.SECRET_HASH, ttl_s=60.0, uses=1))
    root.store = backup
    root.restart()
    tree.later(120.0)
    assert [said["stream"] for said in noted(tree, "parent.behind")] == ["audit"]
    assert above(tree, "audit") == list(range(1, region.store.streams["audit"].last + 1))


def test_what_nobody_signed_is_refused_and_shown(tree: Tree) -> None:
    region = tree.hubs["eu-north"]
    up = region.core.up
    assert up is not None
    held = tree.hubs["cloud"].core.parent.view("eu-north")
    signed = messages.Signed(
        parent="cloud",
        child="eu-north",
        term=held.term,
        generation=held.generation + 1,
        digest="0" * 64,
        key="k",
        signature="not the root's",
    )
    region.take(inputs.UpGot(message=messages.Desired(incarnation="cloud-1", session=up.child.session, signed=signed)))
    assert "the last good one stays" in up.view().refused
    assert len(noted(tree, "desired.refused")) == 1
