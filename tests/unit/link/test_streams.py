"""Our own streams and a parent's cursors: segments, quotas, GAPs, epochs, poison, forks."""

from __future__ import annotations

import msgspec
import pytest

from protocol import effects, limits, messages
from protocol.effects import Effects, Now
from protocol.errors import RemoteProtocolError, TrustError
from protocol.link import cursor, events
from protocol.link.own_stream import OwnStream
from protocol.link.parent_entries import Incoming
from protocol.link.room.holes import HOLES, Hole, key
from protocol.link.room.pages import ROW_BYTES
from protocol.snapshot import Snapshot, StreamState
from tests.support import single
from tests.support.link_world import FakeSigner

NODE, EPOCH, NOW = "gw-1", "a" * 16, Now(1.0, 1_700_000_000.0)
HASH = "ab" * 32


def doubt(node: str, epoch: str, stream: str, body: messages.GapBody) -> str:
    try:
        FakeSigner().check_gap(node, "", epoch, stream, body)
    except TrustError as error:
        return str(error)
    return ""


def own(name: str = "state", **state: object) -> OwnStream:
    full = msgspec.structs.replace(StreamState(epoch=EPOCH), **state)
    return OwnStream(NODE, name, Snapshot(node=NODE, streams={name: full}), FakeSigner())


def rows(stream: OwnStream, count: int, size: int = 10) -> list[tuple[int, bytes, bytes]]:
    fx = Effects()
    stream.append([("k", "", b'"' + b"x" * size + b'"')] * count, NOW, fx)
    return [row for op in fx.store if isinstance(op, effects.Rows) for row in op.rows]


def entries(some: list[tuple[int, bytes, bytes]], *, tip: str | None = None, stream: str = "state") -> messages.Entries:
    return messages.Entries(
        session=1,
        stream=stream,
        epoch=EPOCH,
        prev=some[0][0] - 1,
        rows=[msgspec.Raw(raw) for _, raw, _ in some],
        hash=some[-1][2].hex() if tip is None else tip,
    )


def incoming(stream: OwnStream) -> Incoming:
    one = Incoming(NODE, doubt)
    one.greet({stream.name: stream.head()}, Effects())
    return one


def test_the_chain_is_bound_to_node_epoch_and_stream() -> None:
    one = own()
    assert one.hash == cursor.genesis(NODE, EPOCH, "state")
    assert one.hash != own("audit").hash
    [(seq, raw, tip)] = rows(one, 1)
    assert seq == 1
    assert tip == cursor.chain(cursor.genesis(NODE, EPOCH, "state"), raw)
    assert raw == single.row(1, 1_700_000_000_000, "k", "", b'"xxxxxxxxxx"')


def test_rows_cursor_and_ack_leave_together() -> None:
    stream = own()
    one = incoming(stream)
    some = rows(stream, 3)
    ack, told = one.take(entries(some), fx := Effects())
    assert ack is not None
    assert (ack.seq, ack.hash, ack.refill) == (3, stream.hash.hex(), False)
    assert [type(op) for op in fx.store] == [effects.Received, effects.Put]
    assert [type(event) for event in told] == [events.ChildEntries]
    ack, told = one.take(entries(some), fx := Effects())
    assert (fx.store, told) == ([], [])
    assert ack is not None
    assert ack.seq == 3


def test_a_hole_gets_resume_from_and_half_known_rows_only_their_new_half() -> None:
    stream = own()
    one = incoming(stream)
    some = rows(stream, 5)
    ack, _ = one.take(entries(some[2:]), fx := Effects())
    assert ack is not None
    assert (ack.refill, ack.seq, fx.store) == (True, 0, [])
    one.take(entries(some[:3]), Effects())
    _, told = one.take(entries(some), Effects())
    assert isinstance(told[0], events.ChildEntries)
    assert [row[0] for row in told[0].rows] == [4, 5]


def test_other_bytes_under_the_same_number_are_set_aside_once() -> None:
    stream = own()
    one = incoming(stream)
    some = rows(stream, 2)
    one.take(entries(some[:1]), Effects())
    ack, told = one.take(entries(some[1:], tip=HASH), fx := Effects())
    assert ack is not None
    assert (ack.fork, ack.refill, ack.seq) == (True, True, 1)
    assert [type(event) for event in told] == [events.Fork]
    assert [type(op) for op in fx.store] == [effects.SetAside, effects.Put]
    _, told = one.take(entries(some[1:], tip=HASH), fx := Effects())
    assert (told, fx.store) == ([], [])
    ack, _ = one.take(entries(some[:1], tip=HASH), Effects())
    assert ack is not None
    assert ack.fork, "a copy of what is held must be the same to the last bit"


def test_a_poison_row_is_set_aside_and_the_stream_goes_on() -> None:
    stream = own("metrics")
    one = incoming(stream)
    some = rows(stream, 3)
    large = single.row(3, 0, "k", "", b'"' + b"x" * (limits.ENTRY_BYTES_MAX * 2) + b'"')
    message = entries([some[0], (2, b'{"no":"entry"}', b""), (3, large, b"")], stream="metrics")
    ack, told = one.take(message, fx := Effects())
    assert ack is not None
    assert ack.seq == 3
    assert [type(event).__name__ for event in told] == ["Poison", "ChildEntries"]
    assert [op.seq for op in fx.store if isinstance(op, effects.SetAside)] == [2, 3]
    assert one.cursors["metrics"].aside == 2


def test_much_poison_in_a_message_is_all_counted_and_little_of_it_kept() -> None:
    one = incoming(own("metrics"))
    count = limits.ENTRIES_COUNT_MAX
    message = entries([(seq, b"0", b"") for seq in range(1, count + 1)], stream="metrics")
    ack, told = one.take(message, fx := Effects())
    assert ack is not None
    assert (ack.seq, one.cursors["metrics"].aside) == (count, count)
    assert told[0] == events.Poison(node=NODE, stream="metrics", epoch=EPOCH, seq=1, count=count)
    assert isinstance(told[1], events.ChildEntries)
    assert (told[1].rows, told[1].prev, told[1].last, len(told[1].poison)) == ([], 0, count, count)
    kept = [op.seq for op in fx.store if isinstance(op, effects.SetAside)]
    assert kept == list(range(1, limits.ENTRIES_POISON_KEPT + 1))


@pytest.mark.parametrize("odd", [b"[" * 980 + b"]" * 980, b'"\xff"'])
def test_a_row_that_nobody_could_read_is_poison_and_its_neighbours_count(odd: bytes) -> None:
    stream = own()
    one = incoming(stream)
    stream.append([("a", "", b"1"), ("b", "", odd), ("c", "", b"3")], NOW, fx := Effects())
    assert isinstance(fx.store[0], effects.Rows)
    ack, told = one.take(entries(fx.store[0].rows), fx := Effects())
    assert ack is not None
    assert (ack.seq, ack.hash) == (3, stream.hash.hex())
    assert [type(event).__name__ for event in told] == ["Poison", "ChildEntries"]


def test_too_many_rows_and_jumping_rows_are_refused_whole() -> None:
    stream = own()
    one = incoming(stream)
    some = rows(stream, 4)
    jump = entries([some[0], some[2]])
    gap = cursor.encode_gap(9, 0, messages.GapBody(first=5, last=9, count=5, reason="r", hash=HASH))
    bare = cursor.encode_gap(3, 0, messages.GapBody(first=1, last=3, count=3, reason="r", hash=""))
    odd = b'[1,0,"gap","",{}]'
    many = entries([some[0]] * (limits.ENTRIES_COUNT_MAX + 1))
    for bad in (jump, entries([(1, gap, b"")]), entries([(1, bare, b"")]), entries([(1, odd, b"")]), many):
        ack, told = one.take(bad, fx := Effects())
        assert ack is not None
        assert ack.refill
        assert [type(event) for event in told] == [events.Misbehaved]
        assert fx.store == []
    assert one.take(msgspec.structs.replace(jump, epoch="b" * 16), Effects()) == (None, [])


def test_a_body_over_the_bound_is_set_aside_at_its_source() -> None:
    one = own()
    one.append([("a", "", b"1"), ("b", "", b'"' + b"x" * limits.ENTRY_BYTES_MAX + b'"')], NOW, fx := Effects())
    assert [type(op) for op in fx.store] == [effects.SetAside, effects.Rows]
    assert one.last == 2


@pytest.fixture
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "SEGMENT_ROWS", 4)
    monkeypatch.setattr(limits, "QUOTA_BYTES", dict.fromkeys(limits.QUOTA_BYTES, 2_000))


@pytest.mark.usefixtures("_small")
def test_acked_rows_go_first_and_without_a_word() -> None:
    one = own()
    rows(one, 16)
    one.note_acked(16, Effects())
    one.append([("k", "", b'"xxxxxxxxxx"')] * 20, NOW, fx := Effects())
    assert {type(op) for op in fx.store if isinstance(op, effects.Gap | effects.Trim)} == {effects.Trim}
    assert one.lost == 0


@pytest.mark.usefixtures("_small")
def test_unacked_rows_go_under_one_growing_gap() -> None:
    one = own()
    parent = incoming(one)
    fx = Effects()
    for _ in range(20):
        fx = Effects()
        one.append([("k", "", b'"xxxxxxxxxx"')] * 4, NOW, fx)
    gap = [op for op in fx.store if isinstance(op, effects.Gap)][-1]
    assert gap.first == 1
    assert one.lost == gap.last
    assert one.head().first == 1
    assert one.chunk(0, one.last, limits.MIB)[0] == gap.last
    ack, told = parent.take(entries([(1, gap.raw, gap.hash)]), Effects())
    assert ack is not None
    assert ack.seq == gap.last
    assert [event.count for event in told if isinstance(event, events.LossDeclared)] == [gap.last]
    assert parent.cursors["state"].lost == gap.last


@pytest.mark.usefixtures("_small")
def test_a_restored_parent_is_told_what_is_kept_no_more() -> None:
    one = own()
    rows(one, 16)
    one.note_acked(16, Effects())
    rows(one, 12)
    assert one.floor > 0
    floor = one.floor
    lost = one.refill_gap(2, NOW, fx := Effects())
    assert lost == floor - 2
    gap = [op for op in fx.store if isinstance(op, effects.Gap)][-1]
    assert (gap.first, gap.last) == (3, floor)
    assert one.refill_gap(5, NOW, Effects()) == 0


def test_rows_that_the_journal_let_go_by_itself_are_given_up_to_the_newest() -> None:
    one = own(first=5, last=9, hash=b"h" * 32)
    one.refill_gap(0, NOW, fx := Effects())
    assert one.lost == 9
    assert [(op.first, op.last) for op in fx.store if isinstance(op, effects.Gap)] == [(1, 9)]


def test_a_fork_below_what_this_life_knows_gives_that_past_up() -> None:
    one = own(last=9, hash=b"h" * 32, segments=[(1, 9, 90)])
    rows(one, 3)
    one.begin_epoch("b" * 16, "fork", fx := Effects(), forked_at=4)
    head = one.head()
    assert (head.base, head.first, head.seq) == (9, 10, 12)
    new = next(op for op in fx.store if isinstance(op, effects.NewEpoch))
    assert (new.base, new.former.lost) == (9, 9)
    parent = Incoming(NODE, doubt)
    parent.greet({"state": messages.StreamHead(epoch=EPOCH, seq=4)}, Effects())
    parent.cursors["state"].seq = 4
    told = parent.greet({"state": head}, Effects())
    assert [type(event) for event in told] == [events.EpochChanged, events.LossDeclared]
    assert (parent.cursors["state"].seq, parent.cursors["state"].lost) == (9, 5)


def test_a_new_journal_begins_anew_and_says_that_it_knows_no_past() -> None:
    parent = incoming(own())
    parent.cursors["state"].seq = 7
    told = parent.greet({"state": messages.StreamHead(epoch="b" * 16, seq=0)}, Effects())
    assert [type(event) for event in told] == [events.EpochChanged, events.LossDeclared]
    assert parent.cursors["state"].seq == 0
    assert parent.cursors["state"].hash == cursor.genesis(NODE, "b" * 16, "state").hex()


def test_metrics_that_fell_behind_alarm_nobody() -> None:
    parent = incoming(own("metrics"))
    parent.cursors["metrics"].seq = 7
    assert parent.greet({"metrics": messages.StreamHead(epoch=EPOCH, seq=3)}, Effects()) == []


@pytest.mark.parametrize(
    "head",
    [
        messages.StreamHead(epoch="../x", seq=0),
        messages.StreamHead(epoch=EPOCH, seq=-1),
        messages.StreamHead(epoch=EPOCH, seq=2**60),
        messages.StreamHead(epoch=EPOCH, seq=1, base=2),
        messages.StreamHead(epoch=EPOCH, seq=1, hash="zz"),
        messages.StreamHead(epoch=EPOCH, seq=1, was=messages.FormerEpoch(epoch=EPOCH, seq=-1)),
    ],
)
def test_a_head_that_makes_no_sense_is_refused(head: messages.StreamHead) -> None:
    with pytest.raises(RemoteProtocolError):
        Incoming(NODE, doubt).greet({"state": head}, Effects())
    with pytest.raises(RemoteProtocolError):
        Incoming(NODE, doubt).greet({"stranger": messages.StreamHead(epoch=EPOCH, seq=0)}, Effects())


def test_a_record_of_another_file_counts_no_more_but_for_what_was_lost() -> None:
    stored = msgspec.json.encode({"epoch": "c" * 16, "floor": 9, "base_hash": HASH, "lost": 3})
    state = StreamState(epoch=EPOCH)
    one = OwnStream(
        NODE, "state", Snapshot(node=NODE, streams={"state": state}, spaces={"stream": {"state": stored}}), FakeSigner()
    )
    assert (one.lost, one.floor, one.base_hash) == (3, 0, cursor.genesis(NODE, EPOCH, "state"))


def test_segments_come_back_after_a_restart() -> None:
    stream = own()
    ops: list[effects.Store] = []
    for _ in range(3):
        stream.append([("k", "", b"1")] * 600, NOW, fx := Effects())
        ops += fx.store
    puts = {op.key: op.value for op in ops if isinstance(op, effects.Put) and op.space == "segment"}
    assert len(puts) == 1
    stored = stream.bytes - 1_800 * ROW_BYTES
    state = StreamState(epoch=EPOCH, last=1_800, hash=stream.hash, segments=[(1, 1_800, stored)])
    again = OwnStream(
        NODE, "state", Snapshot(node=NODE, streams={"state": state}, spaces={"segment": puts}), FakeSigner()
    )
    assert again.bytes == pytest.approx(stream.bytes, rel=0.02)
    assert again.chunk(0, 1_800, limits.MIB) == stream.chunk(0, 1_800, limits.MIB)
    assert again.chunk(0, 1_800, limits.MIB)[0] == 1_200
    assert again.chunk(1_200, 1_800, limits.MIB)[0] == 1_800
    assert own("metrics", last=9, segments=[(1, 4, 40), (5, 9, 50)]).chunk(0, 9, limits.MIB)[0] == 4


def test_a_message_is_no_larger_than_there_is_room_and_never_empty() -> None:
    stream = own()
    stream.append([("k", "", b'"%s"' % (b"x" * 900))] * 100, NOW, Effects())
    upto, size = stream.chunk(0, 100, 10_000)
    assert upto * 900 <= size <= 10_000
    assert stream.chunk(0, 5, 10_000)[0] == 5, "credit"
    assert stream.chunk(0, 100, 1)[0] == 1


# ---------------------------------------------------------------------------------------------------- signed GAPs


def fallen(name: str = "state", count: int = 80) -> tuple[OwnStream, effects.Gap]:
    """Return a stream that lost rows, and its GAP."""
    one, fx = own(name), Effects()
    for _ in range(count // 4):
        fx = Effects()
        one.append([("k", "", b'"xxxxxxxxxx"')] * 4, NOW, fx)
    return one, [op for op in fx.store if isinstance(op, effects.Gap)][-1]


def forged(gap: effects.Gap, **change: object) -> tuple[int, bytes, bytes]:
    body = cursor.decode_gap(gap.raw)
    assert body is not None
    return 1, cursor.encode_gap(gap.last, 0, msgspec.structs.replace(body, **change)), gap.hash


@pytest.mark.usefixtures("_small")
@pytest.mark.parametrize("name", ["state", "metrics"])
def test_a_gap_that_is_not_signed_moves_no_cursor_and_is_told_once(name: str) -> None:
    stream, gap = fallen(name)
    parent = incoming(stream)
    bad = entries([forged(gap, signature="")], tip=gap.hash.hex(), stream=name)
    ack, told = parent.take(bad, fx := Effects())
    assert ack is not None
    assert (ack.seq, ack.refill, parent.waits(name)) == (0, True, True)
    assert [(type(event).__name__, event.stream) for event in told if isinstance(event, events.GapRefused)] == [
        ("GapRefused", name)
    ]
    assert [op.reason for op in fx.store if isinstance(op, effects.SetAside)] == ["its signature is wrong"]
    assert (parent.cursors[name].seq, parent.cursors[name].lost, parent.cursors[name].aside) == (0, 0, 1)
    _, told = parent.take(bad, fx := Effects())
    assert (told, fx.store) == ([], []), "told once"
    _, told = parent.take(entries([forged(gap, signature="")], tip=gap.hash.hex(), stream=name), Effects())
    assert told == []


@pytest.mark.usefixtures("_small")
def test_a_gap_of_another_stream_or_range_is_forged() -> None:
    _, other = fallen("audit")
    stream, gap = fallen()
    for bad in (forged(other), forged(gap, count=1), forged(gap, reason="nothing"), forged(gap, hash=HASH)):
        parent = incoming(stream)
        _, told = parent.take(entries([bad]), Effects())
        assert [type(event) for event in told] == [events.GapRefused]
        assert parent.cursors["state"].seq == 0


@pytest.mark.usefixtures("_small")
def test_a_stream_that_waits_goes_on_with_a_gap_that_holds() -> None:
    stream, gap = fallen()
    parent = incoming(stream)
    parent.take(entries([forged(gap, signature="")]), Effects())
    ack, told = parent.take(entries([(1, gap.raw, gap.hash)]), fx := Effects())
    assert ack is not None
    assert (ack.seq, parent.waits("state"), parent.cursors["state"].lost) == (gap.last, False, gap.last)
    assert [type(event) for event in told] == [events.LossDeclared, events.ChildEntries]
    [loss] = parent.losses.known["state"]
    assert (loss.first, loss.last, loss.count, loss.time_ms) == (1, gap.last, gap.last, 1_700_000_000_000)
    again = Incoming(NODE, doubt)
    again.losses.load("state", next(op.value for op in fx.store if isinstance(op, effects.Put) and op.space == "loss"))
    assert again.losses.known == parent.losses.known


@pytest.mark.usefixtures("_small")
def test_an_operator_may_accept_a_hole_once() -> None:
    stream, gap = fallen()
    parent = incoming(stream)
    parent.take(entries([forged(gap, signature="")]), Effects())
    fx = Effects()
    assert parent.accept(fx) == ["state"]
    assert parent.accept(Effects()) == []
    again = Incoming(NODE, doubt)
    again.load("state", next(op.value for op in fx.store if isinstance(op, effects.Put)))
    ack, _ = again.take(entries([forged(gap, signature="")]), Effects())
    assert ack is not None
    assert (ack.seq, again.cursors["state"].lost, again.cursors["state"].accepted) == (gap.last, gap.last, False)
    assert again.losses.known["state"][0].reason.endswith("(accepted by an operator, though its signature is wrong)")
    assert again.resume("state").seq == gap.last


@pytest.mark.usefixtures("_small")
def test_a_gap_that_comes_over_into_a_new_epoch_is_signed_anew() -> None:
    stream, gap = fallen()
    stream.begin_epoch("b" * 16, "fork", fx := Effects())
    new = [op for op in fx.store if isinstance(op, effects.Gap)][-1]
    assert (new.first, new.last, new.epoch) == (gap.first, gap.last, "b" * 16)
    body = cursor.decode_gap(new.raw)
    assert body is not None
    assert doubt(NODE, "b" * 16, "state", body) == ""
    assert doubt(NODE, EPOCH, "state", body) != ""


@pytest.mark.usefixtures("_small")
def test_a_gap_of_a_journal_that_was_restored_is_signed_for_its_new_epoch_when_a_life_begins() -> None:
    stream, gap = fallen()
    stored = [op for op in _shrunk(stream) if isinstance(op, effects.Put) and op.space == "stream"][-1].value
    former = messages.FormerEpoch(epoch=EPOCH, seq=stream.last, reason="restored or copied")
    state = StreamState(epoch="b" * 16, first=stream.floor, last=stream.last, hash=stream.hash, former=former)
    snapshot = Snapshot(node=NODE, streams={"state": state}, spaces={"stream": {"state": stored}})
    again = OwnStream(NODE, "state", snapshot, FakeSigner())
    again.save_once(fx := Effects())
    new = [op for op in fx.store if isinstance(op, effects.Gap)][-1]
    assert (new.first, new.epoch) == (gap.first, "b" * 16)
    body = cursor.decode_gap(new.raw)
    assert body is not None
    assert doubt(NODE, "b" * 16, "state", body) == ""


@pytest.mark.usefixtures("_small")
def test_what_is_under_a_gap_does_not_pass_for_acked_in_a_new_epoch() -> None:
    stream, gap = fallen()
    stream.begin_epoch("b" * 16, "fork", fx := Effects())
    assert stream.acked == gap.first - 1 == 0, "else a parent that lacks these rows passes for one that was restored"
    assert [op.seq for op in fx.store if isinstance(op, effects.Acked)] == [0]


def _shrunk(stream: OwnStream) -> list[effects.Store]:
    """Make the stream lose more; return what it stores."""
    fx = Effects()
    before = stream.lost
    while stream.lost == before:
        fx = Effects()
        stream.append([("k", "", b'"xxxxxxxxxx"')] * 4, NOW, fx)
    return fx.store


@pytest.mark.usefixtures("_small")
def test_what_is_lost_again_and_again_is_one_range_at_the_parent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "LOSSES_KEPT", 2)
    one, parent = own("metrics"), incoming(own("metrics"))
    for _ in range(3):
        ops = _shrunk(one)
        gap = [op for op in ops if isinstance(op, effects.Gap)][-1]
        parent.take(entries([(gap.first, gap.raw, b"")], stream="metrics"), Effects())
        one.note_acked(gap.last, Effects())
    [loss] = parent.losses.known["metrics"]
    assert (loss.first, loss.last, loss.count) == (1, one.floor, one.lost)
    for epoch in "cde":
        gone = messages.GapBody(first=1, last=2, count=2, reason="r", hash="")
        parent.losses.add("metrics", epoch * 16, gone, 0, Effects())
    assert [loss.epoch[0] for loss in parent.losses.known["metrics"]] == ["d", "e"]


def test_two_holes_in_one_message_are_both_counted_and_listed() -> None:
    parent = incoming(own("metrics"))
    some: list[tuple[int, bytes, bytes]] = []
    for first in (1, 7):
        body = messages.GapBody(first=first, last=first + 2, count=3, reason=f"damage {first}", hash="")
        signed = FakeSigner().sign_gap(NODE, EPOCH, "metrics", body)
        some.append((first, cursor.encode_gap(first + 2, 5, signed), b""))
        some += [(seq, single.row(seq, 5, "k", "", b"1"), b"") for seq in range(first + 3, first + 6)]
    ack, told = parent.take(entries(some, stream="metrics"), Effects())
    assert ack is not None
    assert (ack.seq, parent.cursors["metrics"].lost) == (12, 6)
    assert [(loss.first, loss.count, loss.reason) for loss in parent.losses.known["metrics"]] == [
        (1, 3, "damage 1"),
        (7, 3, "damage 7"),
    ]
    assert [event.count for event in told if isinstance(event, events.LossDeclared)] == [3, 3]


def gaps(first: int, count: int) -> list[tuple[int, bytes, bytes]]:
    """Return `count` GAPs of metrics, each over one row, all signed."""
    rows = list[tuple[int, bytes, bytes]]()
    for seq in range(first, first + count):
        body = messages.GapBody(first=seq, last=seq, count=1, reason="r", hash="")
        signed = FakeSigner().sign_gap(NODE, EPOCH, "metrics", body)
        rows.append((seq, cursor.encode_gap(seq, 0, signed), b""))
    return rows


def test_signatures_are_few_in_a_message_and_checked_last() -> None:
    checked = list[int]()

    def counted(node: str, epoch: str, stream: str, body: messages.GapBody) -> str:
        checked.append(body.first)
        return doubt(node, epoch, stream, body)

    one = Incoming(NODE, counted)
    one.greet({"metrics": own("metrics").head()}, Effects())
    most = limits.ENTRIES_GAPS_MAX
    stray = (9_999, single.row(9_999, 0, "k", "", b"1"), b"")
    for bad in ([*gaps(1, most), stray], gaps(1, most + 1)):
        _, told = one.take(entries(bad, stream="metrics"), fx := Effects())
        assert [type(event) for event in told] == [events.Misbehaved]
        assert (fx.store, checked) == ([], [])
    ack, _ = one.take(entries(gaps(1, most), stream="metrics"), Effects())
    assert ack is not None
    assert (ack.seq, len(checked)) == (most, most)


def test_a_stream_with_many_holes_sends_few_in_a_message() -> None:
    holes = [Hole(seq, seq, "", 0, "r") for seq in range(2, 2 * limits.HOLES_MAX, 2)]
    spaces = {HOLES: {key("metrics", hole): msgspec.json.encode(hole) for hole in holes}}
    state = msgspec.structs.replace(StreamState(epoch=EPOCH), last=1_000)
    snapshot = Snapshot(node=NODE, streams={"metrics": state}, spaces=spaces)
    stream = OwnStream(NODE, "metrics", snapshot, FakeSigner())
    after, most = 0, 0
    while after < stream.last:
        upto, _ = stream.chunk(after, stream.last, limits.MIB)
        most = max(most, sum(after < hole.last <= upto for hole in holes))
        after = upto
    assert most == limits.ENTRIES_GAPS_MAX


def test_what_a_child_says_is_lost_never_comes_to_more_than_a_number_holds() -> None:
    one = incoming(own("metrics"))
    most = limits.INTEGER_MAX
    for number in range(1, 5):
        was = messages.FormerEpoch(epoch=one.cursors["metrics"].epoch, seq=0, hash="", reason="r")
        for head in (
            messages.StreamHead(epoch=f"{2 * number:016x}", seq=0, was=was),
            messages.StreamHead(
                epoch=f"{2 * number + 1:016x}",
                seq=most,
                base=most,
                was=msgspec.structs.replace(was, epoch=f"{2 * number:016x}"),
            ),
        ):
            one.greet({"metrics": head}, Effects())
    assert one.cursors["metrics"].lost == most
