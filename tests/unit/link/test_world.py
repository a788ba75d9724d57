"""Two ends joined in memory: what a person would tell of a link."""

import pytest

from tests.support.link_world import World, task


def test_entries_status_and_desired_arrive() -> None:
    world = World()
    world.ask(task(1))
    world.append("state", 10)
    world.settle()
    assert world.received("state") == list(range(1, 11))
    assert world.wanted is not None
    assert list(world.wanted[1]) == ["task/t1"]
    world.check_streams()


def test_what_is_applied_twice_is_found_also_behind_what_was_looked_at() -> None:
    world = World()
    world.append("state", 10)
    world.settle()
    world.check_doubles()
    entries = world.hub_disk.entries
    again = next(row for row in entries if row[2] == "state")
    entries.append(again)
    with pytest.raises(AssertionError, match="applied twice"):
        world.check_doubles()
    world.hub_disk.entries = entries.copy()
    with pytest.raises(AssertionError, match="applied twice"):
        world.check_doubles()
    world.hub_disk.entries.pop()
    world.check_streams()
