"""A metered link: what waits for the next contact, what does not, and how presence is judged meanwhile."""

from __future__ import annotations

import pytest

from protocol import documents, effects, limits, messages
from protocol.effects import Effects
from protocol.link import events, table
from protocol.link.child import Child
from protocol.link.flow.contacts import Contacts
from protocol.snapshot import Snapshot, StreamState
from tests.support.link_world import CHILD, PARENT, FakeSigner, task
from tests.unit.link import test_child as below
from tests.unit.link import test_parent as above

HOUR_S = 3_600.0
AWAY_S = HOUR_S * limits.CONTACT_MISSES_MAX
T0, after = below.T0, below.after
SHUT = after(limits.CONTACT_OPEN_S + 1)
"""A moment after the greeting's talk."""


def metered(every_s: float = HOUR_S) -> Child:
    """A metered child that was greeted at T0."""
    snapshot = Snapshot(node=CHILD, streams={"state": StreamState(epoch=below.EPOCH)})
    one = Child(snapshot, node=CHILD, parent=PARENT, trust=FakeSigner(), contact_s=every_s)
    fx = below.begin(one)
    one.opened(1, T0, hello := Effects())
    [sent] = hello.send
    assert isinstance(sent, effects.Send)
    assert isinstance(sent.message, messages.Hello)
    assert sent.message.contact_s == every_s
    one.got(below.welcome(1, below.nonce(fx), contact_s=every_s), T0, Effects())
    return one


def test_between_two_contacts_nothing_is_said_and_all_of_it_is_with_the_next() -> None:
    one = metered()
    for number in range(3):
        one.append("state", [("k", str(number), b"1")], SHUT, fx := Effects())
        assert fx.store, "it is on disk at once"
        assert not fx.send
    one.set_report(b'{"a":1}', SHUT, fx := Effects())
    one.pump(SHUT, fx)
    assert (one.tick(after(HOUR_S - 1), fx), fx.send) == ([], [])
    assert one.next_wake() == after(HOUR_S).mono
    one.tick(after(HOUR_S), fx)
    assert below.sent(fx) == ["Status", "SendRows"]
    assert isinstance(fx.send[1], effects.SendRows)
    assert fx.send[1].upto == 3
    assert one.next_wake() == after(HOUR_S + limits.ACK_WAIT_S).mono, "the rows' ack; then an hour again"


def test_what_is_appended_while_a_contacts_rows_are_under_way_waits_for_the_next_one() -> None:
    one = metered()
    one.append("state", [("k", "", b"1")], SHUT, Effects())
    one.tick(after(HOUR_S), Effects())
    one.append("state", [("k", "", b"2")], after(HOUR_S + 1), fx := Effects())
    assert not fx.send


def test_a_word_of_the_parent_opens_a_contact_that_tells_all_that_is_new() -> None:
    one = metered()
    one.append("state", [("k", "", b"1")], SHUT, Effects())
    one.set_report(b'{"a":1}', SHUT, Effects())
    ask = messages.Ask(incarnation="life", session=1, id="q", deadline_ms=0, what="status", params={})
    assert one.got(ask, SHUT, fx := Effects()) == [events.Asked(ask=ask)]
    assert below.sent(fx) == ["SendRows"]
    settled = effects.Now(SHUT.mono + limits.STATUS_SETTLE_S, SHUT.wall + limits.STATUS_SETTLE_S)
    one.tick(settled, fx := Effects())
    assert below.sent(fx) == ["Status"]
    one.append("state", [("k", "", b"2")], settled, fx := Effects())
    assert below.sent(fx) == ["SendRows"]


def test_what_the_core_knows_to_be_waited_for_goes_at_once() -> None:
    one = metered()
    one.append("state", [("task.ended", "t", b"1")], SHUT, Effects())
    one.speak(SHUT, fx := Effects())
    assert below.sent(fx) == ["SendRows"]


def test_where_nothing_is_metered_a_word_to_speak_changes_nothing() -> None:
    one = below.live()
    one.append("state", [("k", "", b"1")], SHUT, Effects(), hold=True)
    one.speak(SHUT, fx := Effects())
    assert fx == Effects(), "it waits to share a commit"


def test_a_metered_child_gets_slower_in_trying_than_another() -> None:
    waits: list[float] = []
    for one in (below.live(), metered()):
        now, most = T0, 0.0
        one.closed(one.session, "cut", now, Effects())
        for _ in range(60):
            due = one.next_wake()
            assert due is not None
            most = max(most, due - now.mono)
            now = effects.Now(due, T0.wall)
            one.tick(now, fx := Effects())
            assert [type(act) for act in fx.act] == [table.Connect]
            one.closed(one.session, "no way", now, Effects())
        waits.append(most)
    assert waits[0] <= limits.BACKOFF_S_MAX + 0.001 < waits[1] <= HOUR_S + 0.001


@pytest.mark.parametrize(("declared", "meant"), [(0.0, 0.0), (1.0, limits.CONTACT_S_MIN), (1e9, limits.CONTACT_S_MAX)])
def test_a_contact_interval_is_bounded(declared: float, meant: float) -> None:
    assert Contacts(declared).every_s == meant


# ------------------------------------------------------------------------------------------------ seen from above


def greeted(contact_s: float = HOUR_S) -> above.Parent:
    one = above.parent()
    one.got(CHILD, 1, above.hello(contact_s=contact_s), T0, fx := Effects())
    [welcome] = above.sent(fx)
    assert isinstance(welcome, messages.Welcome)
    assert welcome.contact_s == contact_s
    return one


def test_a_metered_child_is_away_when_it_missed_its_own_contacts() -> None:
    one = greeted()
    assert one.tick(after(AWAY_S - 1), Effects()) == []
    assert one.view(CHILD).live
    assert above.kinds(one.tick(after(AWAY_S), Effects())) == ["ChildAway", "CloseAsked"]


def test_a_connection_that_the_network_forgot_is_not_an_absence() -> None:
    one = greeted()
    one.got(CHILD, 1, above.STATUS, after(HOUR_S), Effects())
    assert one.closed(CHILD, 1, 0, "", "reset", after(HOUR_S + 60), Effects()) == []
    view = one.view(CHILD)
    assert (view.live, view.quiet, view.contact_s) == (False, True, HOUR_S)
    assert one.tick(after(HOUR_S + AWAY_S - 1), Effects()) == []
    assert above.kinds(one.got(CHILD, 2, above.hello(session=2, contact_s=HOUR_S), after(2 * HOUR_S), Effects())) == [
        "ChildLive"
    ]
    assert not one.view(CHILD).quiet


def test_a_quiet_child_that_does_not_come_back_is_away_once() -> None:
    one = greeted()
    one.closed(CHILD, 1, 0, "", "reset", after(60), Effects())
    assert one.tick(after(AWAY_S - 1), Effects()) == []
    assert above.kinds(one.tick(after(AWAY_S), Effects())) == ["ChildAway"]
    assert (one.tick(after(2 * AWAY_S), Effects()), one.next_wake()) == ([], None)


def test_a_metered_child_that_says_goodbye_is_away_at_once() -> None:
    one = greeted()
    bye = messages.Bye(session=1, nonce="n", reason="stopped")
    assert above.kinds(one.got(CHILD, 1, bye, after(60), Effects())) == ["ChildAway"]
    assert not one.view(CHILD).quiet


def test_a_quiet_child_of_which_there_are_two_is_here_no_more() -> None:
    one = greeted()
    one.closed(CHILD, 1, 0, "", "reset", after(60), Effects())
    told = one.got(CHILD, 2, above.hello(nonce="other", contact_s=HOUR_S), after(61), Effects())
    assert above.kinds(told) == ["CloneSeen", "CloseAsked", "ChildAway"]
    assert not one.view(CHILD).quiet


def test_a_revoked_child_is_quiet_no_more() -> None:
    one = greeted()
    one.closed(CHILD, 1, 0, "", "reset", after(60), Effects())
    one.revoke(CHILD, "stolen", after(61), Effects())
    assert (one.view(CHILD).quiet, one.tick(after(AWAY_S), Effects())) == (False, [])


def test_a_parent_that_restarts_gives_a_metered_child_the_time_to_speak() -> None:
    one = above.parent({"child": {CHILD: b'{"session":1,"nonce":"n","contact_s":3600.0}'}})
    assert one.view(CHILD).quiet
    assert one.next_wake() == after(AWAY_S).mono
    assert above.kinds(one.tick(after(AWAY_S), Effects())) == ["ChildAway"]


@pytest.mark.parametrize("said", [0.0, 1.0, limits.CONTACT_EVERY_S - 1])
def test_who_speaks_more_often_than_it_must_is_not_metered(said: float) -> None:
    one = above.parent()
    one.got(CHILD, 1, above.hello(contact_s=said), T0, Effects())
    assert one.view(CHILD).contact_s == limits.CONTACT_EVERY_S
    assert above.kinds(one.closed(CHILD, 1, 0, "", "reset", T0, Effects())) == ["ChildAway"]


def test_nobody_declares_more_than_the_longest_interval() -> None:
    one = above.parent()
    one.got(CHILD, 1, above.hello(contact_s=1e12), T0, Effects())
    assert one.view(CHILD).contact_s == limits.CONTACT_S_MAX


def test_what_is_asked_of_a_metered_child_goes_at_once_while_it_is_connected() -> None:
    one = greeted()
    one.set_desired(CHILD, {"task/t1": documents.encode(task(1))}, SHUT, fx := Effects())
    assert [type(message) for message in above.sent(fx)] == [messages.Desired]
