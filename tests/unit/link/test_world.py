"""Two ends joined in memory: what a person would tell of a link."""

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
