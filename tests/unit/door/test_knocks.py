"""Who knocks and is not known: each once, bounded, forgotten when it comes in or stays away."""

from hub.shell.door.knocks import Knocks
from protocol import limits


def test_each_is_named_once_until_it_comes_in_or_stays_away() -> None:
    knocks = Knocks()
    knocks.note("gw-1", "k1", 1_000.0)
    knocks.note("gw-2", "k2", 1_001.0)
    knocks.note("gw-1", "k1", 1_002.0)
    assert [(one.node, one.first_ms, one.last_ms) for one in knocks.recent(1_002.0)] == [
        ("gw-2", 1_001_000, 1_001_000),
        ("gw-1", 1_000_000, 1_002_000),
    ]
    knocks.known("gw-2", "k2")
    knocks.known("gw-3", "k3")
    assert [one.node for one in knocks.recent(1_002.0)] == ["gw-1"]
    assert knocks.recent(1_003.0 + limits.KNOCK_KEPT_S) == []


def test_who_knocked_longest_ago_goes_first_when_they_are_many() -> None:
    knocks = Knocks()
    for number in range(limits.KNOCKS_MAX + 2):
        knocks.note(f"gw-{number}", "k", 1_000.0)
    assert [one.node for one in knocks.recent(1_000.0)] == [f"gw-{one}" for one in range(2, limits.KNOCKS_MAX + 2)]
