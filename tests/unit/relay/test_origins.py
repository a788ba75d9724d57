"""What a hub makes of relayed rows: each once, its chain whole, and what is not there is listed until it comes."""

from __future__ import annotations

import msgspec
import pytest

from protocol import limits
from protocol.effects import Effects
from protocol.link import cursor, events
from protocol.link.relay import runs, wrap
from protocol.link.relay.record import Record
from protocol.messages import FormerEpoch, GapBody
from tests.support.link_world import FakeSigner
from tests.unit.relay.parts import EPOCH, NODE, SIGNER, STREAM, Origin, Root, carried, kinds

LATER = "b" * 16


def test_rows_are_taken_once_whatever_way_they_come() -> None:
    root, gw = Root(), Origin().say(5)
    assert kinds(root.take("oslo", *gw.runs(0, 3))) == ["ChildEntries"]
    assert root.take("oslo", *gw.runs(0, 3)) == []
    told = root.take("bergen", *gw.runs(1, 5))
    assert isinstance(told[0], events.ChildEntries)
    assert [row[0] for row in told[0].rows] == [4, 5]
    assert told[0].node == "bergen/gw-7", "it is where its newest rows come from"
    assert (root.holds(gw), root.missing()) == ([1, 2, 3, 4, 5], [])


def test_what_a_hub_did_not_relay_is_a_hole_until_it_comes() -> None:
    root, gw = Root(), Origin().say(9)
    root.take("oslo", *gw.runs(0, 2))
    told = root.take("oslo", *gw.runs(6, 9))
    assert isinstance(told[0], events.LossDeclared)
    assert (told[0].node, told[0].count, told[0].reason, told[0].hub) == ("oslo/gw-7", 4, "rows 3 to 6", "oslo")
    assert root.missing() == [(3, 6, "hole")]
    told = root.take("bergen", *gw.runs(3, 5))
    assert root.missing() == [(3, 3, "hole"), (6, 6, "hole")]
    assert isinstance(told[0], events.ChildEntries)
    assert (told[0].prev, told[0].last, told[0].before, told[0].hash) == (3, 5, gw.hash(3), gw.hash(5))
    root.take("bergen", *gw.runs(0, 9))
    assert (root.holds(gw), root.missing()) == (list(range(1, 10)), [])


def test_a_run_that_begins_in_a_hole_and_goes_on_beyond_the_cursor_does_both() -> None:
    root, gw = Root(), Origin().say(9)
    root.take("oslo", *gw.runs(3, 5))
    assert root.missing() == [(1, 3, "hole")]
    root.take("oslo", *gw.runs(1, 9))
    assert (root.holds(gw), root.missing()) == ([2, 3, 4, 5, 6, 7, 8, 9], [(1, 1, "hole")])


def test_what_falls_into_a_hole_and_does_not_fit_is_set_aside() -> None:
    root, gw, forged = Root(), Origin().say(6), Origin().say(6, "forged")
    root.take("oslo", *gw.runs(0, 1), *gw.runs(4, 6))
    for prev, last in ((1, 3), (2, 4)):
        told = root.take("bergen", *forged.runs(prev, last))
        assert kinds(told) in (["Fork"], []), "told once"
    assert (root.holds(gw), root.missing()) == ([1, 5, 6], [(2, 4, "hole")])
    assert root.record().aside == 4
    root.take("oslo", *gw.runs(1, 4))
    assert root.holds(gw) == [1, 2, 3, 4, 5, 6]


def test_a_line_that_parted_is_set_aside_until_an_operator_has_looked() -> None:
    root, gw, copy = Root(), Origin().say(6), Origin().say(9, "copy")
    root.take("oslo", *gw.runs(0, 4))
    told = root.take("bergen", *copy.runs(3, 6))
    assert kinds(told) == ["Fork"]
    assert isinstance(told[0], events.Fork)
    assert (told[0].node, told[0].seq) == ("bergen/gw-7", 5)
    assert root.take("bergen", *copy.runs(6, 8)) == []
    assert root.record().aside == 5
    root.take("oslo", *gw.runs(4, 6))
    assert root.holds(gw) == [1, 2, 3, 4, 5, 6]
    root.take("bergen", *copy.runs(5, 7))
    root.origins.accept("bergen", fx := Effects())
    root.commit(fx)
    told = root.take("bergen", *copy.runs(8, 9))
    assert kinds(told) == ["LossDeclared", "ChildEntries"]
    assert root.missing() == [(7, 8, "hole")]


def test_rows_that_do_not_come_to_their_hash_or_follow_no_order_change_nothing() -> None:
    root, gw = Root(), Origin().say(4)
    [run] = gw.runs(0, 4)
    assert kinds(root.take("oslo", msgspec.structs.replace(run, hash="ab" * 32))) == ["Fork"]
    assert kinds(root.take("oslo", msgspec.structs.replace(run, last=3))) == ["Misbehaved"]
    jump = msgspec.structs.replace(run, rows=[run.rows[0], run.rows[2]])
    assert kinds(root.take("oslo", jump)) == ["Misbehaved"]
    assert kinds(root.take("oslo", msgspec.structs.replace(run, odd=[0]))) == ["Misbehaved"]
    assert root.holds(gw) == []
    root.take("oslo", run)
    assert (root.holds(gw), root.record().forked) == ([1, 2, 3, 4], "")


@pytest.mark.parametrize(
    "lie", ["other rows", "rows out of order", "beyond, with a hash that is none of theirs", "fills"]
)
def test_who_relays_what_is_not_true_moves_nobody(lie: str) -> None:
    root, gw, forged = Root(), Origin().say(6), Origin().say(9, "forged")
    root.take("oslo", *gw.runs(0, 1), *gw.runs(2, 4))
    [run] = forged.runs(4, 9)
    said = {
        "other rows": forged.runs(3, 9)[0],
        "rows out of order": msgspec.structs.replace(run, rows=run.rows[::-1]),
        "beyond, with a hash that is none of theirs": msgspec.structs.replace(forged.runs(6, 9)[0], hash="ab" * 32),
        "fills": forged.runs(1, 9)[0],
    }[lie]
    told = root.take("evil", said)
    assert [one.node.partition("/")[0] for one in told] == ["evil"], "it is told of who said it"
    assert (root.record().at, root.record().seq) == ("oslo/gw-7", 4)
    assert root.origins.records.newest("oslo/gw-7")["state"][1] is root.record()
    assert not root.origins.records.newest("evil/gw-7")
    root.take("oslo", *gw.runs(4, 6), *gw.runs(1, 2))
    assert (root.holds(gw), root.missing()) == ([1, 2, 3, 4, 5, 6], [])


def test_a_run_that_moves_nobody_makes_no_former_epoch_the_newest() -> None:
    root, gw = Root(), Origin().say(5)
    root.take("oslo", *gw.runs(0, 5))
    new = heir(gw, 5).say(1)
    root.take("oslo", turn(new, 5, gw, 5), *new.runs(5, 6))
    root.take("evil", *Origin().say(9, "forged").runs(4, 9))
    assert root.origins.records.newest("oslo/gw-7")["state"][0] == LATER


def test_rows_that_are_no_entries_go_up_as_they_are_and_are_counted_at_each_tier() -> None:
    gw = Origin().say(1)
    odd = [b'{"no":"entry"}', b"[" * 900 + b"]" * 900, b'"\xff"', b"[4,1]"]
    for raw in odd:
        gw.rows.append((len(gw.rows) + 1, raw, cursor.chain(gw.tip, raw)))
        gw.tip = gw.rows[-1][2]
    gw.say(1)
    event = gw.event(0, 1)
    row = (6, gw.rows[5][1], gw.tip, 1_000, "app.said", "")
    poison = [(seq, raw, tip) for seq, raw, tip in gw.rows[1:5]]
    event = msgspec.structs.replace(event, rows=[*event.rows, row], last=6, hash=gw.tip, poison=poison)
    root = Root()
    told = root.take("oslo", *carried(event))
    assert kinds(told) == ["Poison", "ChildEntries"]
    assert isinstance(told[0], events.Poison)
    assert (told[0].node, told[0].seq, told[0].count) == ("oslo/gw-7", 2, 4)
    assert [op.raw for op in root.store.aside] == odd
    assert isinstance(told[1], events.ChildEntries)
    assert told[1].poison == poison, "a further tier hears it too"
    above = Root()
    above.take("eu", *carried(told[1], "oslo/gw-7"))
    assert above.record().at == "eu/oslo/gw-7"
    assert above.record().hash == gw.tip.hex()


def test_a_row_that_is_no_entry_and_too_large_stays_below() -> None:
    gw = Origin().say(1)
    raw = b'"' + b"x" * limits.ROW_BYTES_MAX + b'"'
    gw.rows.append((2, raw, cursor.chain(gw.tip, raw)))
    gw.tip = gw.rows[-1][2]
    gw.say(1)
    event = msgspec.structs.replace(
        gw.event(0, 1),
        rows=[(seq, one, tip, 0, "app.said", "") for seq, one, tip in (gw.rows[0], gw.rows[2])],
        last=3,
        hash=gw.tip,
        poison=[(2, raw, gw.rows[1][2])],
    )
    pieces = list(wrap.pieces(event))
    assert [(piece.prev, piece.last, len(piece.raws)) for piece in pieces] == [(0, 1, 1), (1, 2, 0), (2, 3, 1)]


def test_large_messages_go_up_in_pieces_that_fit() -> None:
    gw = Origin().say(8, "x" * (limits.RELAY_RUN_BYTES // 3))
    event = gw.event(0, 8)
    sizes = [sum(map(len, piece.raws)) for piece in wrap.pieces(event)]
    assert len(sizes) == 4
    assert max(sizes) <= limits.RELAY_RUN_BYTES
    root = Root()
    root.take("oslo", *carried(event))
    assert root.holds(gw) == list(range(1, 9))


# ------------------------------------------------------------------------------------------------ what is lost


def test_what_its_origin_declares_lost_is_listed_and_may_come_after_all() -> None:
    root, gw = Root(), Origin().say(9)
    told = root.take("bergen", *gw.runs(0, 9, (3, 6)))
    assert kinds(told) == ["LossDeclared", "ChildEntries"]
    assert isinstance(told[0], events.LossDeclared)
    assert (told[0].count, told[0].reason) == (4, "full")
    assert root.missing() == [(3, 6, "lost")]
    assert root.holds(gw) == [1, 2, 7, 8, 9]
    root.take("oslo", *gw.runs(0, 6))
    assert (root.holds(gw), root.missing()) == (list(range(1, 10)), [])
    assert not [row for row in root.store.entries if cursor.decode_gap(row[4])], "the GAP gives way"


@pytest.mark.parametrize("held", [2, 3])
def test_a_gap_that_is_the_lowest_row_left_is_taken_though_nobody_knows_what_stood_before_it(held: int) -> None:
    root, gw = Root(), Origin().say(9)
    root.take("oslo", *gw.runs(0, held))
    root.take("bergen", *carried(msgspec.structs.replace(gw.event(3, 9, (4, 6)), before=b"")))
    assert root.missing() == [*([(3, 3, "hole")] if held < 3 else []), (4, 6, "lost")]
    assert root.holds(gw) == [*range(1, held + 1), 7, 8, 9]
    root.take("oslo", *gw.runs(2, 5))
    assert (root.holds(gw), root.missing()) == ([1, 2, 3, 4, 5, 7, 8, 9], [(6, 6, "lost")])


def test_a_gap_over_what_is_here_takes_nothing_from_it() -> None:
    root, gw = Root(), Origin().say(9)
    root.take("oslo", *gw.runs(0, 6))
    root.take("bergen", *gw.runs(0, 9, (1, 5)))
    assert (root.holds(gw), root.missing()) == (list(range(1, 10)), [])
    root.take("bergen", *gw.runs(4, 9, (5, 9)))
    assert root.missing() == []


def test_a_gap_in_what_fills_a_hole_fills_nothing() -> None:
    root, gw = Root(), Origin().say(9)
    root.take("oslo", *gw.runs(7, 9))
    root.take("bergen", *gw.runs(0, 7, (3, 5)))
    assert root.holds(gw) == [1, 2, 6, 7, 8, 9]
    assert root.missing() == [(3, 5, "lost")], "but who has them no more says so"
    assert root.record().key == "", "and names no key, since it is elsewhere now"


def test_a_gap_that_nobody_vouches_for_is_a_hole_and_the_rest_is_taken() -> None:
    root, gw = Root(), Origin().say(9)
    [run] = gw.runs(0, 9, (3, 4))
    forged = gw.gap(3, 4, FakeSigner(b"another"))[1]
    rows = [msgspec.Raw(forged) if index == 2 else row for index, row in enumerate(run.rows)]
    told = root.take("oslo", msgspec.structs.replace(run, rows=rows))
    assert kinds(told) == ["ChildEntries", "LossDeclared", "ChildEntries"]
    assert (root.holds(gw), root.missing()) == ([1, 2, 5, 6, 7, 8, 9], [(3, 4, "hole")])
    assert [op.seq for op in root.store.aside] == [4]
    last = msgspec.structs.replace(
        Origin().say(9).runs(0, 9, (8, 9))[0], rows=[msgspec.Raw(gw.gap(8, 9, FakeSigner(b"x"))[1])]
    )
    other = Root()
    other.take("oslo", *gw.runs(0, 7))
    told = other.take("oslo", msgspec.structs.replace(last, prev=7, before=gw.hash(7).hex()))
    assert kinds(told) == ["LossDeclared"]
    assert other.missing() == [(8, 9, "hole")]


def test_a_gap_of_another_key_than_before_is_not_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    root, gw = Root(), Origin().say(9)
    root.take("oslo", *gw.runs(0, 4, (3, 4)))
    monkeypatch.setattr(SIGNER, "sign_gap", _signed)
    root.take("oslo", *gw.runs(4, 9, (5, 6)))
    assert root.missing() == [(3, 4, "lost"), (5, 6, "hole")]


def _signed(node: str, epoch: str, stream: str, body: GapBody) -> GapBody:
    return msgspec.structs.replace(FakeSigner.sign_gap(SIGNER, node, epoch, stream, body), key="b3RoZXI=")


def test_ranges_are_bounded_and_what_is_closed_stays_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MISSING_KEPT", 2)
    root, gw = Root(), Origin().say(30)
    for prev in (2, 6, 10, 14):
        root.take("oslo", *gw.runs(prev, prev + 2))
    assert root.missing() == [(9, 10, "hole"), (13, 14, "hole")]
    assert root.record().closed == 4
    assert root.take("oslo", *gw.runs(0, 2)) == [], "what is closed is filled no more"


def test_a_hole_that_its_origin_declares_lost_is_lost_though_it_says_so_late() -> None:
    root, gw = Root(), Origin().say(12)
    root.take("oslo", *gw.runs(0, 2), *gw.runs(8, 12))
    assert root.missing() == [(3, 8, "hole")]
    told = root.take("oslo", *gw.runs(2, 8, (5, 7)))
    assert kinds(told) == ["ChildEntries", "ChildEntries", "ChildEntries", "LossDeclared"]
    assert (root.missing(), root.holds(gw)) == ([(5, 7, "lost")], [1, 2, 3, 4, 8, 9, 10, 11, 12])
    assert root.take("oslo", *gw.runs(2, 8, (5, 7))) == []

    above = Root()
    above.take("cloud", *gw.runs(0, 2), *gw.runs(8, 12))
    for event in told:
        if isinstance(event, events.ChildEntries):
            above.take("cloud", *carried(event))
    assert above.missing() == [(5, 7, "lost")], "at every hub above"
    root.take("bergen", *gw.runs(4, 8, (5, 6)), *gw.runs(0, 12))
    assert (root.missing(), root.holds(gw)) == ([], list(range(1, 13))), "what comes after all takes its place"


@pytest.mark.parametrize("before", [True, False], ids=["what stood before is known", "nobody knows"])
def test_a_late_gap_in_the_midst_of_a_hole_parts_it(before: bool) -> None:
    root, gw = Root(), Origin().say(12)
    root.take("oslo", *gw.runs(0, 2), *gw.runs(10, 12))
    [run] = gw.runs(4, 7, (5, 7))
    told = root.take("oslo", run if before else msgspec.structs.replace(run, before=""))
    assert kinds(told) == ["ChildEntries", "LossDeclared"]
    assert root.missing() == [(3, 4, "hole"), (5, 7, "lost"), (8, 10, "hole")]
    assert root.take("oslo", *gw.runs(4, 7, (5, 7))) == []
    root.take("oslo", *gw.runs(7, 8, (8, 8)), *gw.runs(2, 4, (3, 4)))
    assert root.missing() == [(3, 8, "lost"), (9, 10, "hole")]
    root.take("oslo", *gw.runs(2, 4), *gw.runs(7, 10))
    assert (root.missing(), root.holds(gw)) == ([(5, 7, "lost")], [1, 2, 3, 4, 8, 9, 10, 11, 12])


@pytest.mark.parametrize(("first", "last"), [(3, 5), (5, 10)])
def test_a_late_gap_that_begins_or_ends_as_the_hole_with_another_hash_leaves_it(first: int, last: int) -> None:
    root, gw, other = Root(), Origin().say(12), Origin().say(12, "other")
    root.take("oslo", *gw.runs(0, 2), *gw.runs(10, 12))
    root.take("oslo", *other.runs(first - 1, last, (first, last)))
    assert root.missing() == [(3, 10, "hole")]


def test_a_late_gap_that_nobody_vouches_for_leaves_the_hole() -> None:
    root, gw = Root(), Origin().say(12)
    root.take("oslo", *gw.runs(0, 2), *gw.runs(8, 12))
    [run] = gw.runs(2, 8, (5, 7))
    forged = msgspec.Raw(gw.gap(5, 7, FakeSigner(b"another"))[1])
    root.take("oslo", msgspec.structs.replace(run, rows=[*run.rows[:2], forged, *run.rows[3:]]))
    assert root.missing() == [(5, 7, "hole")]


def test_an_unchained_stream_is_numbered_alone() -> None:
    root, gw = Root(), Origin(stream="metrics").say(6)
    root.take("oslo", *gw.runs(0, 2), *gw.runs(4, 6), *gw.runs(1, 5))
    record = root.record(stream="metrics")
    assert (record.seq, record.hash, record.missing) == (6, "", [])
    assert root.holds(gw) == [1, 2, 3, 4, 5, 6]


# ------------------------------------------------------------------------------------------------ held back


def held(
    gw: Origin, first: int, last: int, *, by: str = "oslo", at: str = NODE, signer: FakeSigner = SIGNER
) -> runs.Held:
    gap = GapBody(first=first, last=last, count=last - first + 1, reason="policy", hash=gw.hash(last).hex())
    said = runs.Held(at=at, epoch=gw.epoch, stream=gw.stream, before=gw.hash(first - 1).hex(), by=by, gap=gap)
    return msgspec.structs.replace(said, gap=signer.sign_gap(by, gw.epoch, said.signed_as, gap))


def test_what_is_held_back_is_shown_as_held_and_told_on() -> None:
    root, gw = Root(), Origin().say(9)
    root.take("oslo", *gw.runs(0, 2))
    told = root.take("oslo", held(gw, 3, 5))
    assert kinds(told) == ["HeldBack"]
    assert isinstance(told[0], events.HeldBack)
    assert told[0].held.at == "oslo/gw-7"
    root.take("oslo", held(gw, 6, 7), *gw.runs(7, 9))
    assert (root.missing(), root.holds(gw)) == ([(3, 7, "held")], [1, 2, 8, 9])
    assert root.take("oslo", held(gw, 3, 5)) == []


def test_what_was_held_back_may_come_by_another_way() -> None:
    root, gw = Root(), Origin().say(9)
    root.take("oslo", held(gw, 1, 5))
    root.take("bergen", *gw.runs(0, 9))
    assert (root.holds(gw), root.missing()) == (list(range(1, 10)), [])


def test_a_hole_that_a_hub_holds_is_held() -> None:
    root, gw = Root(), Origin().say(9)
    root.take("oslo", *gw.runs(4, 9))
    root.take("oslo", held(gw, 1, 4))
    assert root.missing() == [(1, 4, "held")]


def test_a_part_of_a_hole_that_a_hub_holds_is_held(monkeypatch: pytest.MonkeyPatch) -> None:
    root, gw = Root(), Origin().say(12)
    root.take("oslo", *gw.runs(0, 1), *gw.runs(9, 12))
    assert kinds(root.take("oslo", held(gw, 4, 5))) == ["HeldBack"]
    assert root.missing() == [(2, 3, "hole"), (4, 5, "held"), (6, 9, "hole")]
    root.take("oslo", held(gw, 6, 7))
    assert root.missing() == [(2, 3, "hole"), (4, 7, "held"), (8, 9, "hole")]
    root.take("oslo", *gw.runs(1, 3), *gw.runs(7, 9))
    assert (root.missing(), root.holds(gw)) == ([(4, 7, "held")], [1, 2, 3, 8, 9, 10, 11, 12])

    monkeypatch.setattr(limits, "MISSING_KEPT", 2)
    other, root = Origin().say(12), Root()
    root.take("oslo", *other.runs(0, 1), *other.runs(9, 12))
    assert root.take("oslo", held(other, 4, 5), *other.runs(3, 5, (4, 5))) == []
    assert root.missing() == [(2, 9, "hole")], "a hole that cannot be parted any more stays one"


@pytest.mark.parametrize("odd", ["by a stranger", "forged", "for another stream"])
def test_who_holds_back_must_be_on_the_way_and_sign(odd: str) -> None:
    root, gw = Root(), Origin().say(9)
    root.take("oslo", *gw.runs(0, 2))
    said = {
        "by a stranger": held(gw, 4, 5, by="bergen"),
        "forged": held(gw, 4, 5, signer=FakeSigner(b"x")),
        "for another stream": msgspec.structs.replace(held(gw, 4, 5), stream="audit"),
    }[odd]
    told = root.take("oslo", said)
    assert kinds(told)[0] == "Misbehaved"
    found = root.record(stream=said.stream)
    assert [one.why.value for one in found.missing] == ["hole"]


# ------------------------------------------------------------------------------------------------ epochs


def turn(gw: Origin, seq: int, former: Origin | None = None, ends: int = 0, **words: object) -> runs.Turn:
    said = runs.Turn(
        at=NODE,
        epoch=gw.epoch,
        stream=gw.stream,
        seq=seq,
        hash=gw.hash(seq).hex(),
        former=former.epoch if former is not None else "",
        ends=ends,
        ends_hash=former.hash(ends).hex() if former is not None else "",
    )
    return msgspec.structs.replace(said, **words)


def heir(gw: Origin, upto: int) -> Origin:
    """Return the stream that goes on from `gw` at `upto`, in a new epoch and with the same rows up to there."""
    new = Origin(epoch=LATER)
    new.rows, new.tip = gw.rows[:upto], gw.hash(upto)
    return new


def test_a_new_epoch_goes_on_where_the_hub_below_says() -> None:
    root, gw = Root(), Origin().say(5)
    root.take("oslo", *gw.runs(0, 5))
    new = heir(gw, 5).say(3, "anew")
    told = root.take("oslo", turn(new, 5, gw, 5, reason="restored"))
    assert kinds(told) == ["EpochChanged"]
    assert isinstance(told[0], events.EpochChanged)
    assert (told[0].node, told[0].former, told[0].seq, told[0].place) == ("oslo/gw-7", EPOCH, 5, 5)
    root.take("oslo", *new.runs(5, 8))
    assert (root.record(LATER).seq, root.missing(LATER)) == (8, [])
    assert root.take("oslo", turn(new, 5, gw, 5)) == [], "told again, it is known"


def test_an_end_that_never_came_is_a_hole_of_the_former_epoch() -> None:
    root, gw = Root(), Origin().say(9)
    root.take("oslo", *gw.runs(0, 5))
    new = heir(gw, 9).say(1)
    told = root.take("oslo", turn(new, 9, gw, 9, lost=2, reason="given up"))
    assert kinds(told) == ["LossDeclared", "EpochChanged", "LossDeclared"]
    assert root.missing() == [(6, 9, "hole")]
    assert root.record(LATER).closed == 2
    root.take("bergen", *gw.runs(5, 9))
    assert (root.missing(), root.holds(gw)) == ([], list(range(1, 10)))


def test_rows_that_came_under_the_former_epoch_are_not_stored_again() -> None:
    root, gw = Root(), Origin().say(6)
    root.take("oslo", *gw.runs(0, 6))
    new = heir(gw, 4).say(3, "other")
    root.take("bergen", turn(new, 2, gw, 0))
    assert root.record(LATER).again == 6
    root.take("bergen", *new.runs(2, 7))
    assert [row[3] for row in root.store.entries if row[1] == LATER] == [5, 6, 7]
    assert root.record(LATER).again == 0


def test_where_a_stream_is_met_anew_what_the_former_hub_did_not_relay_is_a_hole() -> None:
    root, gw = Root(), Origin().say(6)
    root.take("oslo", *gw.runs(0, 3))
    new = heir(gw, 6).say(2)
    root.take("bergen", turn(new, 5, gw, 0), *new.runs(5, 8))
    assert root.missing(LATER) == [(4, 5, "hole")]
    root.take("bergen", *new.runs(3, 5))
    assert root.missing(LATER) == []


def test_rows_below_the_place_where_an_epoch_began_are_no_hole_though_who_says_so_was_slower() -> None:
    root, gw = Root(), Origin().say(6)
    new = heir(gw, 6).say(6)
    root.ordered[NODE] = "bergen"
    root.take("oslo", *gw.runs(0, 3))
    root.take("bergen", turn(new, 9, gw, 0), *new.runs(9, 12))
    assert root.missing(LATER) == [(4, 9, "hole")]
    root.take("oslo", *gw.runs(3, 4))
    told = root.take("oslo", turn(new, 6, gw, 6, reason="restored"))
    assert kinds(told) == ["LossDeclared", "EpochChanged"], "nor is it a hole further up"
    assert root.missing() == [(5, 6, "hole")], "what is missing is of the former"
    assert root.missing(LATER) == [(7, 9, "hole")]
    assert root.take("oslo", turn(new, 6, gw, 6, reason="restored")) == []
    root.take("oslo", *new.runs(6, 9))
    assert (root.missing(LATER), root.holds(new)) == ([], list(range(7, 13)))


def test_only_who_had_the_former_epoch_says_where_the_next_one_began() -> None:
    root, gw = Root(), Origin().say(6)
    root.take("oslo", *gw.runs(0, 3))
    new = heir(gw, 6).say(6)
    root.take("bergen", turn(new, 9, gw, 0), *new.runs(9, 12))
    for child, said in (("bergen", turn(new, 6, gw, 6)), ("oslo", turn(new, 8)), ("oslo", turn(new, 8, gw, 6))):
        assert root.take(child, said) == []
    assert root.missing(LATER) == [(4, 9, "hole")]


def test_epochs_and_origins_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "EPOCHS_KEPT_MAX", 2)
    root = Root()
    for number in range(5):
        root.take("oslo", *Origin(epoch=f"{number:016x}").say(1).runs(0, 1))
    assert [key.split("/")[1][-1] for key, _ in root.origins.records.all()] == ["2", "3", "4"]
    monkeypatch.setattr(limits, "ORIGINS_OF_CHILD_MAX", 3)
    for node in ("gw-8", "gw-6"):
        root.take("oslo", *Origin(node=node).say(1).runs(0, 1))
    gw = Origin(node="gw-9").say(1)
    for said in (*gw.runs(0, 1), held(gw, 1, 1, at="gw-9"), msgspec.structs.replace(turn(gw, 1), at="gw-9")):
        assert kinds(root.take("oslo", said)) == ["Misbehaved"]
    assert kinds(root.take("bergen", *gw.runs(0, 1))) == ["ChildEntries"], "no hub takes another one's room"
    assert STREAM == "state"


def test_where_there_is_no_more_room_the_oldest_epochs_give_way_to_what_is_new(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "ORIGINS_OF_CHILD_MAX", 4)
    root = Root()
    for epoch in (1, 2):
        for node in ("gw-7", "gw-8"):
            root.take("oslo", *Origin(node=node, epoch=f"{epoch:016x}").say(1).runs(0, 1))
    assert kinds(root.take("oslo", *Origin(node="gw-9").say(1).runs(0, 1))) == ["ChildEntries"]
    assert kinds(root.take("oslo", *Origin(node="gw-7", epoch=f"{3:016x}").say(1).runs(0, 1))) == ["ChildEntries"]
    known = sorted((key.split("/")[0], key.split("/")[1][-1]) for key, _ in root.origins.records.all())
    assert known == [("gw-7", "2"), ("gw-7", "3"), ("gw-8", "2"), ("gw-9", "a")]

    root.take("bergen", *Origin(node="gw-8", epoch=f"{2:016x}").say(2).runs(1, 2))  # it has moved
    assert kinds(root.take("oslo", *Origin(node="gw-6").say(1).runs(0, 1))) == ["ChildEntries"]
    assert kinds(root.take("oslo", *Origin(node="gw-5").say(1).runs(0, 1))) == ["ChildEntries"]
    assert kinds(root.take("oslo", *Origin(node="gw-4").say(1).runs(0, 1))) == ["Misbehaved"], "each is the newest"


def test_an_epoch_that_gives_way_to_the_one_that_names_it_is_unknown_then(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "EPOCHS_KEPT_MAX", 2)
    root = Root()
    first = Origin(epoch=f"{0:016x}").say(5)
    root.take("oslo", *first.runs(0, 1))
    for number in (1, 2):
        root.take("oslo", *Origin(epoch=f"{number:016x}").say(1).runs(0, 1))
    new = heir(first, 4).say(2)
    assert "EpochChanged" in kinds(root.take("oslo", turn(new, 4, first, 4)))
    assert not root.missing(LATER)


def test_where_an_epoch_parts_from_the_former_is_believed_as_far_as_the_hashes_agree() -> None:
    held = Record(at="eu/gw-7", seq=4, hash="a", since=1)
    assert held.shared(FormerEpoch(epoch="e", seq=4, hash="b"), is_chained=True) == (0, "")
    assert held.shared(FormerEpoch(epoch="e", seq=3, hash="b"), is_chained=True) == (3, "b")
    assert (held.shared(FormerEpoch(epoch="e", seq=9), is_chained=False), held.again) == ((4, "a"), 0)
    assert (held.shared(FormerEpoch(epoch="e", seq=9), is_chained=True), held.again) == ((4, "a"), 9)
    assert (held.shared(FormerEpoch(epoch="e", seq=7), is_chained=True), held.again) == ((4, "a"), 9), "no row twice"
