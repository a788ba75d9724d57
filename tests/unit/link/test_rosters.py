"""Rosters, both ends joined by hand: first all, then changes; what a whole one does not name goes, and not earlier."""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec
import pytest

from protocol import codec, effects, limits, messages
from protocol.codec import UP
from protocol.effects import Effects, Now
from protocol.link import events
from protocol.link.roster import brief as briefs
from protocol.link.roster.child import Sender
from protocol.link.roster.kept import ROSTER
from protocol.link.roster.parent import Rosters
from protocol.snapshot import Snapshot

HUB = "oslo"


def brief(state: str = "online", **fields: object) -> bytes:
    return briefs.encode(briefs.Brief(state=state, **fields))  # pyright: ignore[reportArgumentType]


@dataclass
class Joined:
    """A hub with nodes below it, its parent, and a wire on which pages wait until they are carried."""

    nodes: dict[str, bytes] = field(default_factory=dict[str, bytes])
    session: int = 0
    mono: float = 10.0
    wire: list[messages.Roster] = field(default_factory=list[messages.Roster])
    told: list[events.ParentEvent] = field(default_factory=list[events.ParentEvent])
    disk: dict[str, bytes] = field(default_factory=dict[str, bytes])

    def __post_init__(self) -> None:
        self.sender = Sender("cloud", lambda address, now: self.nodes.get(address))
        self.boot_parent()

    @property
    def now(self) -> Now:
        return Now(self.mono, 1_700_000_000.0 + self.mono)

    @property
    def known(self) -> dict[str, bytes]:
        return dict(self.rosters.known(HUB))

    def boot_parent(self) -> None:
        self.rosters = Rosters(Snapshot(node="cloud", spaces={ROSTER: dict(self.disk)}))

    def connect(self) -> None:
        self.session += 1
        self.wire.clear()
        self.sender.begin(self.session, list(self.nodes), self.now, fx := Effects())
        self.perform(fx)

    def change(self, address: str, raw: bytes | None) -> None:
        if raw is None:
            del self.nodes[address]
        else:
            self.nodes[address] = raw
        self.sender.changed(address, self.now)

    def perform(self, fx: Effects) -> None:
        for one in fx.store:
            if isinstance(one, effects.Put):
                self.disk[one.key] = one.value
            elif isinstance(one, effects.Delete):
                self.disk.pop(one.key, None)
        for send in fx.send:
            assert isinstance(send, effects.Send)
            page = codec.decode(codec.encode(send.message), UP)
            assert isinstance(page, messages.Roster)
            self.wire.append(page)

    def carry(self, *, lost_ack: bool = False) -> None:
        """Take the oldest page across, and its ack back."""
        ack, told = self.rosters.take(HUB, self.wire.pop(0), self.now)
        self.told += told
        if ack is not None and not lost_ack:
            self.sender.acked(ack.session, ack.number, self.now, fx := Effects())
            self.perform(fx)

    def tick(self, seconds: float = 0.0) -> None:
        self.mono += seconds
        self.sender.tick(self.now, fx := Effects())
        self.rosters.tick(self.now, fx)
        self.perform(fx)

    def settle(self) -> None:
        for _ in range(10_000):
            while self.wire:
                self.carry()
            if self.sender.settled:
                return
            self.tick(1.0)
        raise AssertionError("it does not settle")


def crowd(count: int) -> dict[str, bytes]:
    return {f"gw-{number}": brief(labels={"site": "oslo", "row": str(number)}) for number in range(count)}


def test_first_all_then_what_changed() -> None:
    joined = Joined(crowd(3))
    joined.connect()
    joined.settle()
    assert joined.known == joined.nodes
    assert joined.rosters.is_whole(HUB)
    joined.change("gw-1", brief("away"))
    joined.change("gw-7", brief())
    joined.change("gw-2", None)
    assert joined.wire == []  # it waits for company
    joined.tick(limits.STATUS_SETTLE_S)
    assert [(list(page.put), page.gone, page.whole) for page in joined.wire] == [(["gw-1", "gw-7"], ["gw-2"], False)]
    joined.settle()
    assert joined.known == joined.nodes
    assert events.ChildRoster(node=HUB, put=["gw-1", "gw-7"], gone=["gw-2"]) in joined.told


def test_a_hub_with_nobody_below_it_says_so() -> None:
    joined = Joined()
    joined.connect()
    assert [(page.whole, page.last, page.put) for page in joined.wire] == [(True, True, {})]
    joined.settle()
    assert joined.rosters.is_whole(HUB)


def test_what_changes_ten_times_while_the_window_is_full_crosses_once() -> None:
    joined = Joined(crowd(2))
    joined.connect()
    joined.settle()
    for turn in range(limits.ROSTER_WINDOW):
        joined.change("gw-0", brief("away", since_ms=turn))
        joined.tick(limits.STATUS_SETTLE_S)
    for turn in range(10):
        joined.change("gw-1", brief("away", since_ms=turn))
        joined.tick(limits.STATUS_SETTLE_S)
    assert len(joined.wire) == limits.ROSTER_WINDOW
    while joined.wire:
        joined.carry()
        joined.tick()
    assert joined.known == joined.nodes
    said = [event for event in joined.told if isinstance(event, events.ChildRoster) and "gw-1" in event.put]
    assert len(said) == 2  # in the whole, and as it was in the end


def test_pages_are_bounded() -> None:
    joined = Joined(
        {f"gw-{number}": brief(labels={f"key-{at}": "x" * 250 for at in range(16)}) for number in range(100)}
    )
    joined.connect()
    pages: list[messages.Roster] = []
    while joined.wire:
        pages.append(joined.wire[0])
        joined.carry()
    assert joined.known == joined.nodes
    assert all(sum(map(len, page.put.values())) <= limits.ROSTER_BYTES_MAX for page in pages)
    assert [page.last for page in pages] == [False] * (len(pages) - 1) + [True]
    many = Joined(crowd(limits.ROSTER_NAMES_MAX * 3))
    many.connect()
    many.settle()
    assert many.known == many.nodes


def test_nothing_goes_before_a_whole_roster_is_complete() -> None:
    joined = Joined(crowd(1_000))
    joined.connect()
    joined.settle()
    for number in range(500):
        del joined.nodes[f"gw-{number}"]
    joined.connect()
    while len(joined.wire) > 1 or not joined.wire[0].last:
        joined.carry()
        assert len(joined.known) == 1_000  # half of them are not named by anything yet, and stay (A11)
    joined.carry()
    assert joined.known == joined.nodes


def test_a_session_that_breaks_before_the_end_lets_nothing_go() -> None:
    joined = Joined(crowd(1_000))
    joined.connect()
    joined.settle()
    before = joined.known
    for number in range(900):
        del joined.nodes[f"gw-{number}"]
    joined.nodes |= {f"new-{number}": brief(labels={"row": "7"}) for number in range(900)}
    joined.connect()
    joined.carry()
    joined.sender.end()
    assert before.keys() <= joined.known.keys()
    joined.connect()
    joined.settle()
    assert joined.known == joined.nodes


def test_a_lost_page_goes_again_in_order() -> None:
    joined = Joined(crowd(600))
    joined.connect()
    joined.wire.pop(0)
    while joined.wire:
        joined.carry()  # none follows: nothing is taken
    assert joined.known == {}
    joined.tick(limits.ACK_WAIT_S)
    joined.settle()
    assert joined.known == joined.nodes


def test_pages_that_overtake_one_another_arrive_all_the_same() -> None:
    joined = Joined(crowd(2_000))
    joined.connect()
    assert len(joined.wire) == limits.ROSTER_WINDOW
    joined.change("gw-0", brief(labels={"row": "7"}))
    for _ in range(100):
        del joined.wire[:-1]  # of what goes at once only the last one comes: the others, behind it, are too late
        if joined.wire:
            joined.carry()
        else:
            joined.tick(limits.ACK_WAIT_S_MAX)
    assert joined.sender.settled
    assert joined.known == joined.nodes


def test_a_page_that_comes_twice_has_its_effect_once() -> None:
    joined = Joined(crowd(3))
    joined.connect()
    joined.carry(lost_ack=True)
    assert not joined.sender.settled
    told = len(joined.told)
    joined.tick(limits.ACK_WAIT_S)
    joined.carry()
    assert joined.sender.settled
    assert len(joined.told) == told


def test_an_ack_of_another_session_changes_nothing() -> None:
    joined = Joined(crowd(3))
    joined.connect()
    joined.sender.acked(joined.session + 1, 1, joined.now, Effects())
    joined.sender.acked(joined.session, 0, joined.now, Effects())
    assert not joined.sender.settled
    joined.settle()
    joined.sender.acked(joined.session, 1, joined.now, fx := Effects())
    assert fx == Effects()


def test_what_changes_while_the_whole_is_said_follows() -> None:
    joined = Joined(crowd(2_000))
    joined.connect()
    first = next(iter(joined.wire[0].put))
    joined.change(first, brief("away"))  # has gone already, as it was
    joined.change("gw-1999", None)  # has not: it is simply not named
    joined.settle()
    assert joined.known == joined.nodes


def test_a_parent_that_restarts_shows_what_was_last_known() -> None:
    joined = Joined(crowd(5))
    joined.connect()
    joined.settle()
    joined.change("gw-0", None)
    joined.tick(limits.STATUS_SETTLE_S)
    joined.settle()
    while joined.rosters.next_wake() is not None:
        joined.tick(limits.ROSTER_STORED_EVERY_S)
    joined.boot_parent()
    assert joined.known == joined.nodes
    assert not joined.rosters.is_whole(HUB)
    del joined.nodes["gw-4"]
    joined.connect()
    joined.settle()
    assert joined.known == joined.nodes


def test_much_is_stored_some_at_a_time() -> None:
    joined = Joined(crowd(limits.ROSTER_STORED_AT_ONCE * 2))
    joined.connect()
    while joined.wire:
        joined.carry()
    joined.mono += limits.ROSTER_STORED_EVERY_S
    joined.rosters.tick(joined.now, fx := Effects())
    assert len(fx.store) == limits.ROSTER_STORED_AT_ONCE


def test_a_child_that_is_out_leaves_nothing_behind() -> None:
    joined = Joined(crowd(5))
    joined.connect()
    joined.settle()
    joined.tick(limits.ROSTER_STORED_EVERY_S)
    assert len(joined.disk) == 5
    assert sorted(joined.rosters.forget(HUB, joined.now)) == sorted(joined.nodes)
    assert joined.rosters.forget(HUB, joined.now) == []
    joined.tick(limits.ROSTER_STORED_EVERY_S)
    assert joined.disk == {}
    assert joined.rosters.children() == []


# ------------------------------------------------------------------------------------------------ abuse


def page(number: int, put: dict[str, bytes], *, session: int = 1, last: bool = True) -> messages.Roster:
    raw = {address: msgspec.Raw(one) for address, one in put.items()}
    return messages.Roster(session=session, number=number, put=raw, whole=True, last=last)


def reasons(joined: Joined, roster: messages.Roster) -> list[str]:
    _, told = joined.rosters.take(HUB, roster, joined.now)
    return [event.reason for event in told if isinstance(event, events.Misbehaved)]


def test_odd_addresses_are_refused_and_the_rest_is_kept() -> None:
    joined = Joined()
    for number, odd in enumerate(("../x", "", "a//b", "A", "gw-1/", "/".join("abcde")), start=1):
        (reason,) = reasons(joined, page(number, {odd: brief(), f"gw-{number}": brief()}))
        assert "in its roster" in reason
    assert set(joined.known) == {f"gw-{number}" for number in range(1, 7)}


def test_a_brief_that_cannot_be_read_or_is_too_long_is_refused() -> None:
    joined = Joined({"gw-1": brief()})
    assert "cannot be read" in reasons(joined, page(1, {"gw-1": b'{"state":7}'}))[0]
    assert "the most is" in reasons(joined, page(2, {"gw-1": brief(alarm="x" * limits.BRIEF_BYTES_MAX)}))[0]
    assert joined.known == {}


def test_what_cannot_be_read_of_a_node_does_not_make_it_go() -> None:
    joined = Joined()
    assert not reasons(joined, page(1, {"gw-1": brief()}))
    assert reasons(joined, page(1, {"gw-1": b"{"}, session=2))
    assert set(joined.known) == {"gw-1"}


def test_more_nodes_than_a_hub_may_have_are_refused_with_bounded_memory() -> None:
    joined = Joined()
    number, found = 0, ""
    while not found:
        number += 1
        joined.mono += limits.ROSTERS_EVERY_S
        names = {f"gw-{number}-{one}": brief() for one in range(limits.ROSTER_NAMES_MAX)}
        found = next(iter(reasons(joined, page(number, names, last=False))), "")
    assert str(limits.NODES_MAX) in found
    assert len(joined.known) == limits.NODES_MAX


def test_large_briefs_are_refused_beyond_a_bound_of_all_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    one = brief(alarm="x" * 200)
    monkeypatch.setattr(limits, "ROSTER_KEPT_BYTES_MAX", 3 * len(one))
    joined = Joined()
    assert not reasons(joined, page(1, {"gw-1": one, "gw-2": one}))
    assert not reasons(joined, page(2, {"gw-2": brief(alarm="y" * 200), "gw-3": one})), (
        "what takes its own place is no more"
    )
    assert "bytes" in reasons(joined, page(3, {"gw-4": one}))[0]
    assert set(joined.known) == {"gw-1", "gw-2", "gw-3"}
    gone = messages.Roster(session=1, number=4, put={"gw-4": msgspec.Raw(one)}, gone=[])
    joined.rosters.take(HUB, messages.Roster(session=1, number=4, put={}, gone=["gw-1"]), joined.now)
    assert not reasons(joined, msgspec.structs.replace(gone, number=5))


def test_a_child_whose_names_come_and_go_faster_than_they_are_stored_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "ROSTER_UNSTORED_MAX", 6)
    joined = Joined()

    def flap(number: int) -> bool:
        put = {f"x-{number}-{one}": msgspec.Raw(brief()) for one in range(3)}
        gone = [f"x-{number - 1}-{one}" for one in range(3)]
        roster = messages.Roster(session=1, number=number, put=put, gone=gone)
        return joined.rosters.take(HUB, roster, joined.now)[0] is not None

    assert [flap(1), flap(2), flap(3)] == [True, True, False]
    assert joined.rosters.take("bergen", page(1, {"gw-1": brief()}), joined.now)[0] is not None, "others are heard"
    joined.mono += limits.ROSTER_STORED_EVERY_S
    joined.rosters.tick(joined.now, Effects())
    assert flap(3), "it comes again, and is taken"


def test_too_many_names_in_a_page_are_not_looked_at() -> None:
    joined = Joined()
    names = {f"gw-{one}": brief() for one in range(limits.ROSTER_NAMES_MAX + 1)}
    assert "page" in reasons(joined, page(1, names))[0]
    assert joined.known == {}


def test_a_child_that_says_too_much_is_not_heard_for_a_while() -> None:
    joined = Joined()
    acks = [joined.rosters.take(HUB, page(1, {}), joined.now)[0] for _ in range(limits.ROSTERS_BURST + 1)]
    assert acks[-1] is None
    assert None not in acks[:-1]
    joined.mono += 1.0
    assert joined.rosters.take(HUB, page(1, {}), joined.now)[0] is not None


def test_an_agent_has_no_roster() -> None:
    joined = Joined()
    joined.rosters.is_hub = lambda node: False
    ack, told = joined.rosters.take("gw-1", page(1, {"gw-2": brief()}), joined.now)
    assert ack is None
    assert isinstance(told[0], events.Misbehaved)
    assert joined.rosters.children() == []


def test_all_children_together_are_bounded_too() -> None:
    joined = Joined()
    joined.rosters.take("bergen", page(1, {"gw-1": brief()}), joined.now)
    object.__setattr__(joined.rosters, "_count", limits.SUBTREE_NODES_MAX)
    assert "no room" in reasons(joined, page(1, {"gw-2": brief()}))[0]
