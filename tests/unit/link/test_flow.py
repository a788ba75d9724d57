"""What a parent hears how often, what its children may have under way, and what it remembers to look at."""

from __future__ import annotations

import itertools
from typing import TypeVar

import msgspec

from protocol import effects, limits, messages
from protocol.effects import Effects, Now
from protocol.entropy import Entropy
from protocol.link import cursor, events
from protocol.link.flow import bucket
from protocol.link.flow.agenda import Agenda
from protocol.link.flow.credit import Credit
from protocol.link.flow.looks import Looks
from protocol.link.flow.rate import Kind, Rates
from protocol.link.parent import Parent
from protocol.snapshot import Snapshot
from tests.support.link_world import FakeSigner

EPOCH = "e" * 16
T = TypeVar("T")


class Hub:
    """A parent and what it sends; time stands still unless the test moves it."""

    def __init__(self, *nodes: str) -> None:
        self.parent = Parent(Snapshot(node="cloud"), node="cloud", signer=FakeSigner())
        self.mono = 100.0
        self.sessions = dict.fromkeys(nodes, 0)
        self.counts = itertools.count(1)
        self.parent.start(Entropy(b""), "life", "1", self.now, Effects())
        for node in nodes:
            self.parent.add_child(node, self.now, Effects())

    @property
    def now(self) -> Now:
        return Now(self.mono, 1_700_000_000.0 + self.mono)

    def got(self, node: str, message: messages.AnyMessage) -> tuple[Effects, list[events.ParentEvent]]:
        """Hear a message; return what comes of it."""
        fx = Effects()
        return fx, self.parent.got(node, 1, message, self.now, fx)

    def hello(self, node: str, *, last: int = 0) -> Effects:
        """Begin a session of a node whose newest row is `last`."""
        self.sessions[node] += 1
        heads = {"state": messages.StreamHead(epoch=EPOCH, seq=last, hash="")}
        hello = messages.Hello(session=self.sessions[node], nonce="aa", node=node, version="1", streams=heads)
        return self.got(node, hello)[0]

    def status(self, node: str, *, body: bytes = b"{}", last: int = 0) -> list[events.ParentEvent]:
        """Tell a status; return what the parent made of it."""
        message = messages.Status(
            session=self.sessions[node],
            count=next(self.counts),
            held=messages.Held(),
            heads={"state": last},
            time_ms=0,
            body=msgspec.Raw(body),
        )
        return self.got(node, message)[1]

    def entries(self, node: str, prev: int, count: int, tip: bytes) -> tuple[messages.EntriesAck, bytes]:
        """Send rows; return the ack and where the chain stands."""
        rows = cursor.encode_rows(prev, tip, True, 1_000, [("app.x", "", b"{}")] * count)
        message = messages.Entries(
            session=self.sessions[node],
            stream="state",
            epoch=EPOCH,
            prev=prev,
            rows=[msgspec.Raw(raw) for _, raw, _ in rows],
            hash=rows[-1][2].hex(),
        )
        fx, _ = self.got(node, message)
        return only(fx, messages.EntriesAck), rows[-1][2]

    def tick(self) -> list[events.ParentEvent]:
        """Do what is due."""
        return self.parent.tick(self.now, Effects())


def only(fx: Effects, kind: type[T]) -> T:
    """Return the one message of its kind that is sent."""
    (found,) = (one.message for one in fx.send if isinstance(one, effects.Send) and isinstance(one.message, kind))
    return found


def sent(fx: Effects) -> list[str]:
    """Return the kinds of what is sent."""
    return [type(one.message).__name__ for one in fx.send if isinstance(one, effects.Send)]


# ---------------------------------------------------------------------------------------------- how often


def test_a_child_that_greets_without_end_is_answered_at_a_rate() -> None:
    hub = Hub("a", "b")
    answers = [sent(hub.hello("a")) for _ in range(1_000)]
    assert answers.count(["Welcome"]) == limits.HELLOS_BURST
    assert not any(answers[limits.HELLOS_BURST :])
    assert sent(hub.hello("b")) == ["Welcome"], "another one is heard"
    hub.mono += limits.HELLOS_EVERY_S
    assert [sent(hub.hello("a")) for _ in range(3)] == [["Welcome"], [], []]


def test_of_a_flood_of_statuses_the_newest_is_heard_in_its_time() -> None:
    hub = Hub("a")
    hub.hello("a")
    heard = [hub.status("a", body=b"%d" % number) for number in range(1_000)]
    assert [bool(told) for told in heard] == [True] * limits.STATUSES_BURST + [False] * (1_000 - limits.STATUSES_BURST)
    due = hub.parent.next_wake()
    assert due is not None
    hub.mono = due - 0.001
    assert hub.tick() == []
    hub.mono = due + 0.001
    (told,) = hub.tick()
    assert isinstance(told, events.ChildStatus)
    assert bytes(told.status.body) == b"999", "a level: what was between is worth nothing"
    assert hub.tick() == []
    view = hub.parent.view("a")
    assert view.status is not None
    assert bytes(view.status.body) == b"999"


def test_a_status_that_waited_ends_with_its_session() -> None:
    hub = Hub("a")
    hub.hello("a")
    for _ in range(limits.STATUSES_BURST + 1):
        hub.status("a")
    hub.got("a", messages.Bye(session=1, nonce="aa", reason="stopped"))
    hub.mono += 1_000
    assert hub.tick() == []
    assert hub.parent.view("a").live is False


def test_needs_and_renewals_are_answered_at_a_rate() -> None:
    hub = Hub("a")
    hub.hello("a")
    need = messages.Need(session=1, tickets=["d"])
    assert sum(bool(sent(hub.got("a", need)[0])) for _ in range(2_000)) == limits.NEEDS_BURST
    renew = messages.Renew(session=1, csr="CSR")
    assert sum(len(hub.got("a", renew)[1]) for _ in range(100)) == limits.RENEWS_BURST
    hub.mono += limits.RENEWS_EVERY_S
    assert len(hub.got("a", renew)[1]) == 1


def test_a_rate_is_full_again_after_a_quiet_time_and_never_fuller() -> None:
    rates = Rates()
    for now in (0.0, 10_000.0):
        assert sum(rates.take(Kind.HELLO, now) for _ in range(100)) == limits.HELLOS_BURST
        assert rates.free_at(Kind.HELLO) == now + limits.HELLOS_EVERY_S
    assert rates.take(Kind.STATUS, 10_000.0), "each kind has its own"


def test_a_bucket_gives_a_seconds_worth_at_once_and_then_one_at_a_time() -> None:
    rate = bucket.per_second(2)
    assert [rate.take(now) for now in (0.0, 0.0, 0.0, 0.5, 0.5)] == [True, True, False, True, False]
    assert rate.free_at == 1.0
    for count in range(1, 300):
        rate = bucket.per_second(count)
        assert sum(rate.take(86_400.123) for _ in range(2 * count)) == count


# ---------------------------------------------------------------------------------------------- how much


def test_many_backlogs_share_what_may_be_under_way_and_who_is_current_keeps_its_own() -> None:
    credit = Credit()
    full = limits.CREDIT_ROWS["state"]
    credit.note("live", limits.CREDIT_BEHIND_ROWS)
    for number in range(1_000):
        credit.note(f"n{number}", 1_000_000)
        total = sum(credit.rows(f"n{one}")["state"] for one in range(number + 1))
        assert total <= max(limits.CREDIT_ROWS_TOTAL, limits.CREDIT_ROWS_MIN * (number + 1))
    assert credit.rows("n0")["state"] == limits.CREDIT_ROWS_MIN
    assert credit.rows("live")["state"] == full
    for number in range(1, 1_000):
        credit.note(f"n{number}", 0)
    assert credit.rows("n0")["state"] == full


def test_a_welcome_and_each_ack_tell_the_credit_of_the_moment() -> None:
    names = [f"n{number}" for number in range(32)]
    hub = Hub(*names, "live")
    first = only(hub.hello("n0", last=5_000), messages.Welcome)
    assert first.cursors["state"].credit == limits.CREDIT_ROWS["state"], "alone"
    others = [only(hub.hello(name, last=5_000), messages.Welcome) for name in names[1:]]
    assert others[-1].cursors["state"].credit == limits.CREDIT_ROWS_TOTAL // 32
    assert only(hub.hello("live"), messages.Welcome).cursors["state"].credit == limits.CREDIT_ROWS["state"]
    tip = cursor.genesis("n0", EPOCH, "state")
    ack, tip = hub.entries("n0", 0, 100, tip)
    assert ack.credit == limits.CREDIT_ROWS_TOTAL // 32
    for name in names[1:31]:
        hub.got(name, messages.Bye(session=1, nonce="aa", reason="stopped"))
    ack, tip = hub.entries("n0", 100, 100, tip)
    assert ack.credit == min(limits.CREDIT_ROWS["state"], limits.CREDIT_ROWS_TOTAL // 2)
    hub.status("live", last=1_000_000)
    hub.status("n31", last=1_000_000)
    assert hub.entries("n0", 200, 100, tip)[0].credit == min(limits.CREDIT_ROWS["state"], limits.CREDIT_ROWS_TOTAL // 3)


# ---------------------------------------------------------------------------------------------- when


def test_an_agenda_holds_the_earliest_time_of_each_and_does_not_grow() -> None:
    agenda = Agenda()
    for number in range(10_000, 0, -1):
        for name in "abc":
            agenda.put(name, float(number))
    agenda.put("a", 7_000.0)
    assert len(agenda) <= 100
    assert agenda.next() is not None
    assert agenda.pop(0.5) is None
    assert sorted(str(agenda.pop(1.0)) for _ in range(3)) == ["a", "b", "c"]
    assert agenda.pop(20_000.0) is None, "the later times were replaced"
    agenda.put("a", 5.0)
    assert agenda.next() == 5.0


def test_looks_go_some_at_a_time() -> None:
    looks = Looks()
    looks.begin([], 1.0)
    assert looks.due is None
    looks.begin((f"n{number}" for number in range(50)), 1.0)
    told = list[str]()
    now = 1.0
    while looks.due is not None:
        now = looks.due
        assert looks.some(now - 0.01) == []
        told += looks.some(now)
    assert told == [f"n{number}" for number in range(50)]
    assert now >= 1.0 + 50 / limits.LOOKS_PER_S_MAX - 0.1
