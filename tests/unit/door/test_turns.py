"""Whose input is next: small and current ones at once, long ones in turns, each node's own order kept."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import msgspec

from hub.core import inputs
from hub.shell.door.turns import Turns
from protocol import limits, messages
from protocol.link import cursor

LARGE = limits.TURNS_BYTES // 2
SMALL = 2 * limits.KIB


class Core:
    """An inbox whose commits come when the test says so."""

    def __init__(self) -> None:
        self.heard: list[inputs.Input] = []
        self._undone: deque[Callable[[], None]] = deque()
        self.turns = Turns(self._take)

    def _take(self, event: inputs.Input, done: Callable[[], None]) -> None:
        self.heard.append(event)
        self._undone.append(done)

    def commit(self) -> None:
        """Commit the oldest input."""
        self._undone.popleft()()

    def commit_all(self) -> None:
        """Commit until nothing is left."""
        while self._undone:
            self.commit()

    def who(self) -> list[str]:
        """Whose inputs were heard, in order."""
        return [getattr(one, "node", "") for one in self.heard]


def entries(node: str, prev: int = 0) -> inputs.Got:
    message = messages.Entries(session=1, stream="state", epoch="e", prev=prev, rows=[], hash="")
    return inputs.Got(node=node, connection=1, message=message)


def status(node: str) -> inputs.Got:
    message = messages.Status(session=1, count=1, held=messages.Held(), heads={}, time_ms=0, body=msgspec.Raw(b"{}"))
    return inputs.Got(node=node, connection=1, message=message)


def closed(node: str) -> inputs.Closed:
    return inputs.Closed(node=node, connection=1, reason="gone")


def test_what_is_small_goes_at_once_past_all_that_waits() -> None:
    core = Core()
    for number in range(10):
        core.turns.put("far", entries("far", number), LARGE)
    core.turns.put("near", entries("near"), SMALL)
    assert core.who() == ["far", "far", "near"], "two fill what may be under way of those that wait"
    assert core.turns.waiting == 8


def test_backlogs_take_turns_by_bytes() -> None:
    core = Core()
    for number in range(40):
        core.turns.put("wide", entries("wide", number), LARGE)
    for number in range(80):
        core.turns.put("narrow", entries("narrow", number), LARGE // 4)
    core.commit_all()
    shared = core.who()[2:52]  # after those that were alone, while both wait
    assert 38 <= shared.count("narrow") <= 42, "a quarter of the bytes each, four times as often"
    assert len(core.heard) == 120


def test_who_comes_late_owes_nothing_and_is_owed_nothing() -> None:
    core = Core()
    for number in range(20):
        core.turns.put("first", entries("first", number), LARGE)
    for _ in range(10):
        core.commit()
    for number in range(8):
        core.turns.put("second", entries("second", number), LARGE)
    before = len(core.heard)
    core.commit_all()
    assert core.who()[before : before + 8].count("second") in (4, 5)


def test_a_nodes_own_order_is_kept_and_its_status_overtakes() -> None:
    core = Core()
    for number in range(4):
        core.turns.put("far", entries("far", number), LARGE)
    core.turns.put("far", closed("far"), limits.INPUT_BYTES)
    core.turns.put("far", status("far"), SMALL)
    assert core.heard[-1] == status("far"), "a level does not wait for history"
    core.commit_all()
    expected = [*(entries("far", number) for number in range(4)), closed("far")]
    assert [one for one in core.heard if one != status("far")] == expected


def test_a_flood_of_small_ones_waits_for_its_turn_too() -> None:
    core = Core()
    for _ in range(100):
        core.turns.put("loud", status("loud"), SMALL)
    assert core.turns.waiting == 0
    for number in range(4):
        core.turns.put("far", entries("far", number), LARGE)
    core.turns.put("quiet", status("quiet"), SMALL)
    assert core.who()[-1] == "quiet"
    for _ in range(1_000):
        core.turns.put("loud", status("loud"), SMALL)
    under_way = core.who().count("loud") * SMALL
    assert under_way <= limits.EXPRESS_BYTES + limits.TURNS_BYTES
    core.turns.put("quiet", status("quiet"), SMALL)
    assert core.who()[-1] == "quiet"
    core.commit_all()
    assert core.turns.waiting == 0
    assert core.who().count("loud") == 1_100


def test_done_is_called_after_the_commit_and_never_for_what_the_store_lost() -> None:
    core, done = Core(), list[str]()
    core.turns.put("a", status("a"), SMALL, lambda: done.append("express"))
    for name in "bcde":
        core.turns.put("a", entries("a"), LARGE, lambda name=name: done.append(name))
    assert done == []
    core.commit()
    assert done == ["express"]
    core.turns.clear()
    core.commit_all()
    assert done == ["express"]
    core.turns.put("a", entries("a"), LARGE, lambda: done.append("again"))
    core.commit_all()
    assert done == ["express", "again"]


def test_rows_and_gaps_count_however_few_bytes_they_are() -> None:
    core = Core()
    count = limits.ENTRIES_COUNT_MAX
    poison = messages.Entries(session=1, stream="metrics", epoch="e", prev=0, rows=[msgspec.Raw(b"0")] * count)
    for _ in range(10):
        core.turns.put("evil", inputs.Got(node="evil", connection=1, message=poison), SMALL)
    most = limits.TURNS_BYTES // (count * limits.ROW_WORK_BYTES) + 1
    assert len(core.heard) <= most
    other = Core()
    raw = cursor.encode_gap(1, 0, messages.GapBody(first=1, last=1, count=1, reason="", hash=""))
    hole = msgspec.structs.replace(poison, rows=[msgspec.Raw(raw)] * limits.ENTRIES_GAPS_MAX)
    for _ in range(100):
        other.turns.put("evil", inputs.Got(node="evil", connection=1, message=hole), SMALL)
    assert len(other.heard) <= limits.TURNS_BYTES // (limits.ENTRIES_GAPS_MAX * limits.GAP_WORK_BYTES) + 1
