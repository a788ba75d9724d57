"""A parent that cannot be reached is looked for elsewhere: after a while, seldom, never because it turned us away."""

from __future__ import annotations

import pytest

from hub.core import inputs, views
from hub.core.up.seek import Seek, Sought
from protocol import effects, limits
from protocol.link import table
from tests.support.tree import Hub, Tree

LONG_S = limits.DISCOVER_AFTER_S + limits.DISCOVER_S_MIN + 2 * limits.BACKOFF_S_MAX


@pytest.fixture
def tree() -> Tree:
    """A region that has lost its parent."""
    tree = Tree()
    for name, above in (("cloud", ""), ("eu", "cloud")):
        tree.add(name, above)
    tree.hubs["eu"].cut()
    return tree


def looks(hub: Hub) -> int:
    return sum(isinstance(act, Seek) for act in hub.acts)


def test_one_that_is_away_for_long_is_looked_for_once_at_a_time_and_ever_more_seldom(tree: Tree) -> None:
    eu = tree.hubs["eu"]
    tree.later(limits.DISCOVER_AFTER_S - 1)
    assert looks(eu) == 0
    tree.later(LONG_S)
    assert looks(eu) == 1
    tree.later(600.0)
    assert looks(eu) == 1, "one look is under way"
    eu.take(Sought(reason="nobody on this network announces itself as cloud"))
    parent = views.hub(eu.core, tree.now)["parent"]
    assert (parent["state"], parent["looked"]) == ("offline", "nobody on this network announces itself as cloud")
    tree.later(limits.DISCOVER_S_MAX)
    assert looks(eu) == 2


def test_when_it_is_found_the_region_connects_at_once_and_puts_it_on_record(tree: Tree) -> None:
    eu, cloud = tree.hubs["eu"], tree.hubs["cloud"]
    tree.later(LONG_S)
    eu.is_cut = False
    tried = sum(isinstance(act, table.Connect) for act in eu.acts)
    eu.take(Sought(place="10.0.0.7:8883"))
    tree.later(1.0)
    assert sum(isinstance(act, table.Connect) for act in eu.acts) > tried
    assert cloud.core.rollup.is_online("eu")
    assert any(b"hub.found" in raw and b"10.0.0.7:8883" in raw for raw, _ in eu.store.streams["audit"].rows.values())
    assert views.hub(eu.core, tree.now)["parent"]["looked"] == ""
    eu.take(Sought(place="10.0.0.8:8883"))
    tree.later(LONG_S)
    assert looks(eu) == 1, "it is live: nothing is looked for"


def test_who_turns_us_away_is_there_and_not_looked_for(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    eu = tree.hubs["eu"]

    def perform(act: effects.Action) -> None:
        if isinstance(act, table.Connect):
            tree.put(eu, inputs.UpClosed(session=act.session, reason="unknown", turned_away=True))

    monkeypatch.setattr(eu, "_perform", perform)
    tree.later(LONG_S + 600.0)
    assert looks(eu) == 0


def test_a_root_looks_for_nobody(tree: Tree) -> None:
    assert not tree.hubs["cloud"].take(Sought(place="x:1")).act
