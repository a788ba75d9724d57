"""A lease rides on a Status and counts from when the child sent it, however long the answer takes (INVARIANTS A20)."""

from __future__ import annotations

import msgspec

from protocol import limits, messages
from protocol.effects import Effects
from protocol.link import events
from protocol.link.flow.leases import Requests
from tests.support.link_world import CHILD
from tests.unit.link import test_child, test_parent
from tests.unit.link.test_child import T0, after

GRANT = {"web": 60.0}


def grant(count: int, session: int = 1) -> messages.Leases:
    return messages.Leases(incarnation="life", session=session, count=count, granted=GRANT)


def test_a_status_asks_for_leases_and_what_is_granted_counts_from_it() -> None:
    one = test_child.live()
    one.want_leases(["web"], 20.0, T0)
    one.tick(after(limits.STATUS_SETTLE_S), fx := Effects())
    (status,) = [message for message in test_parent.sent(fx) if isinstance(message, messages.Status)]
    assert status.leases == ["web"]

    told = one.got(grant(status.count), after(30.0), Effects())

    assert told == [events.Leased(granted=GRANT, asked=after(limits.STATUS_SETTLE_S).mono)]


def test_it_asks_as_often_as_it_needs_to_and_at_once_for_a_new_one() -> None:
    one = test_child.live()
    one.want_leases(["web"], 5.0, T0)
    one.tick(after(1.0), Effects())
    assert one.next_wake() == after(6.0).mono
    one.want_leases(["web"], 5.0, after(2.0))
    assert one.next_wake() == after(6.0).mono
    one.want_leases(["db", "web"], 5.0, after(2.0))
    assert one.next_wake() == after(2.0 + limits.STATUS_SETTLE_S).mono
    one.want_leases([], 5.0, after(2.0))
    one.tick(after(3.0), Effects())
    assert one.next_wake() == after(3.0 + limits.STATUS_EVERY_S).mono


def test_an_answer_to_what_was_never_asked_or_in_another_session_grants_nothing() -> None:
    one = test_child.live()
    assert one.got(grant(1), T0, Effects()) == []  # that Status asked for none
    one.want_leases(["web"], 20.0, T0)
    one.tick(after(1.0), Effects())
    assert one.got(grant(3), after(1.0), Effects()) == []
    assert one.got(grant(2, session=9), after(1.0), Effects()) == []


def test_the_moments_that_are_remembered_are_bounded() -> None:
    requests = Requests()
    requests.want(["web"], 1.0)
    for count in range(1, limits.LEASE_REQUESTS_KEPT + 3):
        requests.sent(count, float(count))
    assert requests.asked_at(2) is None
    assert requests.asked_at(3) == 3.0
    requests.begin()
    assert requests.asked_at(3) is None


def test_a_parent_answers_a_live_child_and_nobody_else() -> None:
    one = test_parent.live()
    one.lease(CHILD, 4, GRANT, fx := Effects())
    assert test_parent.sent(fx) == [msgspec.structs.replace(grant(4), incarnation="life")]

    one.closed(CHILD, 1, 0, "", "gone", T0, Effects())
    one.lease(CHILD, 5, GRANT, fx := Effects())
    assert fx.send == []


def test_a_child_that_grants_itself_leases_misbehaves() -> None:
    told = test_parent.live().got(CHILD, 1, grant(1), T0, Effects())
    assert test_parent.kinds(told) == ["Misbehaved"]
