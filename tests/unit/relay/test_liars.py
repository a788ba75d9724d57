"""A hub that lies about what is below it: it pays for that with its own room, and takes nothing from its siblings."""

from __future__ import annotations

import msgspec
import pytest

from protocol import limits
from protocol.effects import Effects
from protocol.link import events
from protocol.link.room.shares import Counted
from protocol.messages import GapBody
from tests.support.link_world import FakeSigner
from tests.unit.relay.parts import EPOCH, Origin, Root, kinds
from tests.unit.relay.test_origins import LATER, heir, held, turn


def holes(root: Root, child: str, at: str, *places: int) -> list[events.ParentEvent]:
    """Let `child` relay rows of a node behind holes, two rows wide each; return what is told."""
    gw = Origin(node=at.rpartition("/")[2]).say(max(places) + 2)
    told: list[events.ParentEvent] = []
    for prev in places:
        told += root.take(child, *gw.runs(prev, prev + 2, at=at))
    return told


def lacks(root: Root, node: str) -> tuple[list[tuple[int, int]], int]:
    record = root.record(node=node)
    return [(one.first, one.last) for one in record.missing], record.closed


def crowded(told: list[events.ParentEvent]) -> list[tuple[str, str]]:
    return [(one.node, one.hub) for one in told if isinstance(one, events.Crowded)]


def test_who_lacks_most_gives_way_and_a_sibling_at_any_depth_keeps_what_it_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MISSING_OF_CHILD_MAX", 6)
    root = Root()
    assert crowded(holes(root, "eu", "oslo/gw-1", 2, 6)) == []
    assert crowded(holes(root, "bergen", "gw-2", 2, 6, 10, 14, 18)) == [], "each child has room of its own"
    told: list[events.ParentEvent] = []
    for number in range(9):
        told += holes(root, "eu", f"evil/inner-{number}/x-{number}", 2, 6)
    assert set(crowded(told)) == {("eu", f"eu/evil/inner-{number}") for number in range(9)}, "it says where"
    assert lacks(root, "gw-1") == ([(1, 2), (5, 6)], 0)
    assert lacks(root, "gw-2")[1] == 0
    left = [lacks(root, f"x-{number}") for number in range(9)]
    assert sum(len(ranges) for ranges, _ in left) == 4
    assert sum(closed for _, closed in left) == 14 * 2, "what is closed is counted"
    assert root.take("eu", *Origin(node="gw-1").say(8).runs(0, 8, at="oslo/gw-1"))
    assert lacks(root, "gw-1") == ([], 0)


def test_a_range_that_finds_no_room_in_its_own_record_is_closed_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MISSING_OF_CHILD_MAX", 2)
    root = Root()
    told = holes(root, "oslo", "gw-7", 2, 6, 10)
    assert kinds(told).count("Crowded") == 1
    assert crowded(told) == [("oslo", "oslo")]
    assert lacks(root, "gw-7") == ([(5, 6), (9, 10)], 2)


def test_what_moves_to_another_child_takes_its_ranges_along(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MISSING_OF_CHILD_MAX", 2)
    root, gw = Root(), Origin().say(9)
    root.take("oslo", *gw.runs(2, 3), *gw.runs(4, 5))
    root.take("bergen", *gw.runs(5, 6))
    assert crowded(holes(root, "oslo", "gw-8", 2, 6)) == []
    assert crowded(root.take("bergen", *gw.runs(7, 9))) == [("bergen", "bergen")]


def test_counts_go_where_things_go() -> None:
    found = Counted()
    found.put("a", "eu/oslo/gw-1", 3)
    found.put("b", "eu/oslo/gw-2", 4)
    found.put("c", "eu/bergen/gw-3", 6)
    assert (found.of("eu"), found.most("eu")) == (13, "eu/oslo/gw-2")
    found.put("b", "us/gw-2", 4)
    assert (found.of("eu"), found.of("us"), found.most("eu")) == (9, 4, "eu/bergen/gw-3")
    found.put("c", "eu/bergen/gw-3", 0)
    found.put("a", "eu/oslo/gw-1", 0)
    assert (found.of("eu"), found.most("us"), found.of("nobody")) == (0, "us/gw-2", 0)


def known(root: Root) -> list[str]:
    return sorted(key.split("/")[0] for key, _ in root.origins.records.all())


def test_what_a_hub_invents_takes_no_room_from_its_siblings_at_any_depth(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "ORIGINS_OF_CHILD_MAX", 4)
    root = Root()
    root.take("eu", *Origin(node="gw-1").say(1).runs(0, 1, at="oslo/gw-1"))
    for number in range(6):
        root.take("eu", *Origin(node=f"x-{number}").say(1).runs(0, 1, at=f"evil/x-{number}"))
    assert known(root) == ["gw-1", "x-0", "x-1", "x-2"]
    assert kinds(root.take("eu", *Origin(node="x-9").say(1).runs(0, 1, at="evil/x-9"))) == ["Misbehaved"]
    for number in (2, 3):
        told = root.take("eu", *Origin(node=f"gw-{number}").say(1).runs(0, 1, at=f"oslo/gw-{number}"))
        assert kinds(told) == ["ChildEntries"]
    assert known(root) == ["gw-1", "gw-2", "gw-3", "x-2"]
    assert kinds(root.take("eu", *Origin(node="gw-4").say(1).runs(0, 1, at="oslo/gw-4"))) == ["Misbehaved"]
    root.take("eu", *Origin(node="gw-5").say(1).runs(0, 1, at="bergen/gw-5"))
    assert len(known(root)) == 4


def test_what_is_known_of_nodes_that_are_gone_gives_way_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "ORIGINS_OF_CHILD_MAX", 3)
    root = Root()
    for node in ("gw-1", "gw-2", "gw-3"):
        root.take("oslo", *Origin(node=node).say(1).runs(0, 1))
    records = root.origins.records
    records.there((), ["oslo/gw-2", "oslo/gw-3", "oslo/stranger"])
    records.there(["oslo/gw-2", "oslo/stranger"], ())
    assert kinds(root.origins.run("oslo", Origin(node="gw-4").say(1).runs(0, 1)[0], Effects())) == ["ChildEntries"]
    assert sorted(key.split("/")[0] for key, _ in records.all()) == ["gw-1", "gw-2", "gw-4"], "who is back stays"
    again = Origin(node="gw-1", epoch=LATER).say(1)
    assert kinds(root.origins.run("oslo", again.runs(0, 1)[0], Effects())) == ["Misbehaved"]


# ------------------------------------------------------------------------------------------------ of a sibling's device


def test_a_turn_that_a_sibling_invents_ends_no_epoch_and_passes_no_lie_on() -> None:
    root, gw = Root(), Origin().say(9)
    root.take("oslo", *gw.runs(0, 5))
    lie = msgspec.structs.replace(turn(heir(gw, 5), 5, gw, 5), ends=4_000, ends_hash="ab" * 32)
    [told] = root.take("evil", lie)
    assert isinstance(told, events.EpochChanged)
    assert (told.node, told.former, told.seq, told.hash) == ("evil/gw-7", gw.epoch, 0, ""), (
        "the tiers above hear no end"
    )
    assert (root.record().at, root.record().seq, root.missing()) == ("oslo/gw-7", 5, [])
    assert kinds(root.take("oslo", *gw.runs(5, 9))) == ["ChildEntries"]
    assert root.holds(gw) == list(range(1, 10))


def test_a_hub_is_believed_about_the_end_of_what_it_had_and_of_whom_was_ordered_to_it() -> None:
    for child, ordered in (("oslo", {}), ("bergen", {"gw-7": "bergen"})):
        root, gw = Root(), Origin().say(9)
        root.ordered = ordered
        root.take("oslo", *gw.runs(0, 5))
        told = root.take(child, turn(heir(gw, 9), 9, gw, 9))
        assert kinds(told) == ["LossDeclared", "EpochChanged"]
        assert (root.missing(), root.record(LATER).at) == ([(6, 9, "hole")], f"{child}/gw-7")


def test_rows_that_a_sibling_says_it_holds_back_move_no_cursor() -> None:
    root, gw, forged = Root(), Origin().say(9), Origin().say(9, "forged")
    root.take("oslo", *gw.runs(0, 5))
    for at, by in (("gw-7", "evil"), ("sub/gw-7", "sub")):
        [told] = root.take("evil", held(forged, 6, 9, by=by, at=at))
        assert isinstance(told, events.Misbehaved)
        assert told.node == "evil"
        assert "it is at oslo/gw-7, and was not told to move" in told.reason
    root.take("oslo", *gw.runs(5, 9))
    assert (root.holds(gw), root.missing()) == (list(range(1, 10)), [])


class Evil(FakeSigner):
    """Signs with a key of its own, and well."""

    def sign_gap(self, node: str, epoch: str, stream: str, body: GapBody) -> GapBody:
        return msgspec.structs.replace(super().sign_gap(node, epoch, stream, body), key="ZXZpbA==")


@pytest.mark.parametrize("lie", ["another hash", "another key"])
def test_a_late_gap_that_a_sibling_invents_turns_no_hole_into_a_loss_and_names_no_key(lie: str) -> None:
    root, gw = Root(), Origin().say(12)
    root.take("oslo", *gw.runs(0, 2), *gw.runs(8, 12))
    other = Origin().say(12, "forged") if lie == "another hash" else gw
    [run] = other.runs(2, 8, (3, 8))
    forged = msgspec.structs.replace(run, rows=[msgspec.Raw(other.gap(3, 8, Evil())[1])])
    for child in ("evil", *(["oslo"] if other is not gw else [])):
        assert root.take(child, forged) == []
    assert (root.record().at, root.missing(), root.record().key) == ("oslo/gw-7", [(3, 8, "hole")], "")
    assert "LossDeclared" in kinds(root.take("oslo", *gw.runs(2, 8, (5, 7))))
    assert root.missing() == [(5, 7, "lost")], "its own hub is believed"


def test_a_late_gap_by_way_of_a_former_hub_is_believed_with_the_key_that_is_known() -> None:
    root, gw = Root(), Origin().say(12)
    root.take("oslo", *gw.runs(0, 3, (2, 2)), *gw.runs(8, 12))
    root.take("bergen", *gw.runs(3, 8, (5, 8)))
    assert root.missing() == [(2, 2, "lost"), (5, 8, "lost")]


def test_of_one_node_the_lowest_class_gives_way_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MISSING_OF_CHILD_MAX", 2)
    root = Root()
    for stream in ("audit", "logs", "state"):
        root.take("oslo", *Origin(stream=stream).say(3).runs(2, 3))
    assert [len(root.record(stream=name).missing) for name in ("audit", "state", "logs")] == [1, 1, 0]

    monkeypatch.setattr(limits, "ORIGINS_OF_CHILD_MAX", 3)
    root.origins.records.there((), ["oslo/gw-7"])
    root.origins.run("oslo", Origin(node="gw-8").say(1).runs(0, 1)[0], Effects())
    assert keys(root) == [f"gw-7/{EPOCH}/audit", f"gw-7/{EPOCH}/state", f"gw-8/{EPOCH}/state"]


def test_who_has_most_pays_with_its_lowest_class(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "ORIGINS_OF_CHILD_MAX", 2)
    root = Root()
    for stream in ("audit", "logs"):
        root.take("eu", *Origin(stream=stream).say(1).runs(0, 1, at="oslo/gw-7"))
    root.take("eu", *Origin(node="gw-8").say(1).runs(0, 1, at="bergen/gw-8"))
    assert keys(root) == [f"gw-7/{EPOCH}/audit", f"gw-8/{EPOCH}/state"]


def keys(root: Root) -> list[str]:
    return sorted(key for key, _ in root.origins.records.all())


def test_what_the_hub_holds_back_that_a_device_was_ordered_to_is_shown_there() -> None:
    root, gw = Root(), Origin().say(9)
    root.ordered = {"gw-7": "bergen"}
    root.take("oslo", *gw.runs(0, 5))
    [told] = root.take("bergen", held(gw, 6, 9, by="bergen"))
    assert (told.node, root.record().at, root.missing()) == ("bergen/gw-7", "bergen/gw-7", [(6, 9, "held")])
