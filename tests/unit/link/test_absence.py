"""A month away changes nothing between two ends: no cursor, no number and no hash lapses with time (A8, A15)."""

from protocol.link import events
from tests.support.link_world import CHILD, World

MONTH_S = 30 * 86_400.0


def test_a_child_that_was_away_for_a_month_goes_on_where_it_stood() -> None:
    world = World()
    world.append("state", 10)
    world.settle()
    world.cut()
    world.reachable = False
    world.wall += MONTH_S
    world.append("state", 5)
    world.advance(60.0)
    world.child_events.clear()
    world.settle()
    world.check_streams()
    assert world.received("state") == list(range(1, 16))
    assert world.parent.view(CHILD).lost == {}
    assert not any(isinstance(one, events.ParentBehind | events.GapDeclared) for one in world.child_events)
