"""A hub that cannot be reached is looked for elsewhere: after a while, seldom, and never because it turned us away."""

from __future__ import annotations

from edge_agent.core import inputs
from protocol import limits
from protocol.link import table
from tests.unit.agent.world import World, acts

LONG_S = limits.DISCOVER_AFTER_S + limits.DISCOVER_S_MIN + 2 * limits.BACKOFF_S_MAX


def failing(world: World, seconds: float, *, turned_away: bool = False) -> list[inputs.Seek]:
    """Let every try to connect fail at once; return the looks that begin."""
    found: list[inputs.Seek] = []
    end = world.mono + seconds
    waiting = acts(world.fx, table.Connect)
    while world.mono < end:
        for connect in waiting:
            closed = inputs.Closed(session=connect.session, reason="connection refused", turned_away=turned_away)
            found += acts(world.do(closed), inputs.Seek)
        done = world.wait(1.0)
        waiting = [act for act in done if isinstance(act, table.Connect)]
        found += [act for act in done if isinstance(act, inputs.Seek)]
    return found


def test_a_hub_that_is_away_for_long_is_looked_for_once_at_a_time():
    world = World()
    world.start()

    assert not failing(world, limits.DISCOVER_AFTER_S - 1)
    assert len(failing(world, LONG_S)) == 1
    assert not failing(world, 3_600), "one look is under way"


def test_who_turns_us_away_is_there_and_not_looked_for():
    world = World()
    world.start()

    assert not failing(world, 3_600, turned_away=True)


def test_a_look_that_finds_nobody_is_followed_by_others_ever_more_seldom():
    world = World()
    world.start()
    failing(world, LONG_S)

    begun = world.mono
    for _ in range(30):
        world.do(inputs.Sought(reason="nobody announces itself as cloud"))
        assert len(failing(world, limits.DISCOVER_S_MAX + 2 * limits.BACKOFF_S_MAX)) == 1
    assert world.mono - begun > 10 * limits.DISCOVER_S_MIN


def test_when_it_is_found_the_device_connects_at_once_and_puts_it_on_record():
    world = World()
    world.start()
    failing(world, LONG_S)
    failing(world, limits.BACKOFF_S_MAX)

    fx = world.do(inputs.Sought(place="10.0.0.9:8883"))

    assert acts(fx, table.Connect) or world.core.status(world.now()).link.state == "connecting"
    assert [row.key for row in world.store.rows["audit"] if row.kind == "hub.found"] == [""]


def test_an_answer_that_comes_when_the_link_is_back_changes_nothing():
    world = World()
    world.start()
    failing(world, LONG_S)
    world.online()

    world.do(inputs.Sought(place="10.0.0.9:8883"))

    assert not [row for row in world.store.rows["audit"] if row.kind == "hub.found"]
    assert not [act for act in world.wait(3_600) if isinstance(act, inputs.Seek)]
