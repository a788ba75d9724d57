"""The end that looks down: one input, its effects."""

from __future__ import annotations

import msgspec
import pytest

from protocol import codec, documents, effects, limits, messages
from protocol.effects import Effects, Now
from protocol.entropy import Entropy
from protocol.link import events
from protocol.link.parent import Parent
from protocol.link.table import ParentState
from protocol.snapshot import Snapshot
from tests.support.link_world import CHILD, PARENT, FakeSigner, task

T0 = Now(10.0, 1_700_000_000.0)
DOCUMENT = documents.encode(task(1))
STATUS = messages.Status(session=1, count=1, held=messages.Held(), heads={}, time_ms=5_000, body=msgspec.Raw(b"{}"))


def parent(spaces: dict[str, dict[str, bytes]] | None = None) -> Parent:
    one = Parent(Snapshot(node=PARENT, spaces=spaces or {}), node=PARENT, signer=FakeSigner())
    one.start(Entropy(b"e"), "life", "1", T0, Effects())
    if not spaces:
        one.add_child(CHILD, T0, Effects())
    return one


def hello(session: int = 1, nonce: str = "n", **more: object) -> messages.Hello:
    return msgspec.structs.replace(messages.Hello(session=session, nonce=nonce, node=CHILD, version="1"), **more)


def live(session: int = 1) -> Parent:
    one = parent()
    one.opened(CHILD, 1, "key", False, T0, Effects())
    one.got(CHILD, 1, hello(session=session), T0, Effects())
    return one


def after(seconds: float) -> Now:
    return Now(T0.mono + seconds, T0.wall + seconds)


def sent(fx: Effects) -> list[messages.Message]:
    return [one.message for one in fx.send if isinstance(one, effects.Send)]


def kinds(things: list[events.ParentEvent]) -> list[str]:
    return [type(one).__name__ for one in things]


def test_strangers_are_not_heard() -> None:
    one = parent()
    told = one.opened("stranger", 4, "key", False, T0, Effects())
    assert told == [events.CloseAsked(node="stranger", connection=4, reason="not enrolled here", ban=True)]
    assert one.got("stranger", 4, hello(), T0, fx := Effects()) == []
    assert one.closed("stranger", 4, 0, "", "gone", T0, fx) == []
    assert fx == Effects()
    one.add_child(CHILD, T0, again := Effects())
    assert (again, one.children()) == (Effects(), [CHILD])


def test_a_session_is_stored_with_its_welcome() -> None:
    one = parent()
    told = one.got(CHILD, 1, hello(session=7), T0, fx := Effects())
    assert kinds(told) == ["ChildLive"]
    assert [type(message) for message in sent(fx)] == [messages.Welcome]
    assert any(isinstance(op, effects.Put) and op.space == "child" for op in fx.store)
    view = one.view(CHILD)
    assert (view.live, view.session, view.since_wall) == (True, 7, T0.wall)


def test_late_ends_of_older_sessions_change_nothing() -> None:
    one = live()
    told = one.got(CHILD, 2, hello(session=2), T0, Effects())
    assert kinds(told) == ["CloseAsked", "ChildLive"]
    assert one.closed(CHILD, 1, 0, "", "late socket", T0, Effects()) == []
    assert one.closed(CHILD, 0, 1, "n", "late will", T0, Effects()) == []
    assert one.got(CHILD, 2, messages.Bye(session=2, nonce="other", reason="?"), T0, Effects()) == []
    assert one.view(CHILD).live
    assert kinds(one.got(CHILD, 2, messages.Bye(session=2, nonce="n", reason="stopped"), T0, Effects())) == [
        "ChildAway"
    ]
    assert one.closed(CHILD, 2, 0, "", "again", T0, Effects()) == []


def test_words_of_an_older_session_or_another_connection_change_nothing() -> None:
    one = live(session=2)
    for connection, session in ((1, 1), (1, 3), (9, 2)):
        late = msgspec.structs.replace(STATUS, session=session)
        fx = Effects()
        assert one.got(CHILD, connection, late, T0, fx) == []
        assert fx == Effects()
    assert kinds(one.got(CHILD, 1, msgspec.structs.replace(STATUS, session=2), T0, Effects())) == ["ChildStatus"]


def test_two_nonces_under_one_counter_are_a_clone_and_both_are_out() -> None:
    one = live()
    told = one.got(CHILD, 2, hello(nonce="other"), T0, fx := Effects())
    assert kinds(told) == ["CloneSeen", "CloseAsked", "ChildAway", "CloseAsked"]
    [refusal] = sent(fx)
    assert isinstance(refusal, messages.Welcome)
    assert "second device" in refusal.refused
    assert kinds(one.got(CHILD, 3, hello(session=9), T0, Effects())) == ["CloseAsked"]
    assert one.view(CHILD).state is ParentState.QUARANTINED
    one.release(CHILD, T0, Effects())
    one.release(CHILD, T0, again := Effects())
    assert again == Effects()
    assert kinds(one.got(CHILD, 3, hello(session=9), T0, Effects())) == ["ChildLive"]


def test_a_clone_of_a_child_that_is_away_is_seen_too() -> None:
    one = live()
    one.closed(CHILD, 1, 0, "", "cut", T0, Effects())
    assert kinds(one.got(CHILD, 2, hello(nonce="other"), T0, Effects())) == ["CloneSeen", "CloseAsked"]


def test_a_counter_that_is_behind_is_told_the_newest() -> None:
    one = live(session=9)
    told = one.got(CHILD, 2, hello(session=3, nonce="old"), T0, fx := Effects())
    assert told == [events.ChildRestored(node=CHILD, session=3, newest=9)]
    assert sent(fx) == [messages.Look(incarnation="life", session=9)]
    assert one.got(CHILD, 1, hello(session=3), T0, Effects()) == []
    assert one.view(CHILD).live


def test_a_copy_of_the_hello_gets_the_same_answer_and_a_late_one_none() -> None:
    one = live()
    assert one.got(CHILD, 1, hello(), T0, fx := Effects()) == []
    assert [type(message) for message in sent(fx)] == [messages.Welcome]
    one.closed(CHILD, 1, 0, "", "cut", T0, Effects())
    assert one.got(CHILD, 1, hello(), T0, fx := Effects()) == []
    assert sent(fx) == []


@pytest.mark.parametrize(
    "odd",
    [
        hello(node="gw-2"),
        hello(session=0),
        hello(nonce=""),
        hello(streams={"state": messages.StreamHead(epoch="x", seq=1)}),
        messages.Look(incarnation="x"),
    ],
)
def test_what_a_child_may_not_say_is_dropped(odd: messages.AnyMessage) -> None:
    one = parent()
    assert kinds(one.got(CHILD, 1, odd, T0, fx := Effects())) == ["Misbehaved"]
    assert fx == Effects()


def test_with_an_expired_certificate_only_renewal_is_served() -> None:
    one = parent()
    one.opened(CHILD, 1, "key", True, T0, Effects())
    told = one.got(CHILD, 1, hello(), T0, fx := Effects())
    assert told == [events.ChildLive(node=CHILD, hello=hello(), renew_only=True)]
    [greeting] = sent(fx)
    assert isinstance(greeting, messages.Welcome)
    assert greeting.renew_only
    assert one.got(CHILD, 1, STATUS, T0, Effects()) == []
    one.set_desired(CHILD, {"task/t1": DOCUMENT}, T0, fx := Effects())
    assert sent(fx) == []
    renew = messages.Renew(session=1, csr="CSR")
    assert one.got(CHILD, 1, renew, T0, Effects()) == [events.RenewAsked(node=CHILD, csr="CSR")]
    large = messages.Renew(session=1, csr="x" * (limits.CSR_BYTES_MAX + 1))
    assert kinds(one.got(CHILD, 1, large, T0, Effects())) == ["Misbehaved"]
    one.renewed(CHILD, "PEM", "", T0, fx := Effects())
    assert [type(message) for message in sent(fx)] == [messages.Renewed]
    assert not one.ask(CHILD, "a", 1, "logs", {}, T0, Effects())
    one.closed(CHILD, 1, 0, "", "cut", T0, Effects())
    one.renewed(CHILD, "PEM", "", T0, fx := Effects())
    assert sent(fx) == []


def test_an_older_status_never_wins() -> None:
    one = live()
    told = one.got(CHILD, 1, msgspec.structs.replace(STATUS, count=2), T0, fx := Effects())
    assert kinds(told) == ["ChildStatus"]
    assert fx.lazy
    assert one.got(CHILD, 1, STATUS, T0, Effects()) == []
    status = one.view(CHILD).status
    assert status is not None
    assert status.count == 2


def test_a_status_that_waited_never_comes_after_a_newer_one() -> None:
    one = live()
    for count in range(1, limits.STATUSES_BURST + 2):
        one.got(CHILD, 1, msgspec.structs.replace(STATUS, count=count), T0, Effects())
    newest = msgspec.structs.replace(STATUS, count=99)
    assert kinds(one.got(CHILD, 1, newest, after(1), Effects())) == ["ChildStatus"], "before the timer of the other"
    assert one.tick(after(1), Effects()) == []
    assert one.view(CHILD).status == newest
    for count in range(100, 200):
        one.got(CHILD, 1, msgspec.structs.replace(STATUS, count=count), after(1), Effects())
    one.got(CHILD, 2, hello(session=2), after(1), Effects())
    assert one.tick(after(9), Effects()) == [], "nor in a later session"


def test_what_was_last_known_outlives_a_restart() -> None:
    one = parent({"child": {CHILD: b"{}"}, "status": {CHILD: msgspec.json.encode(STATUS)}})
    view = one.view(CHILD)
    assert (view.status, view.last_contact_wall, view.state) == (STATUS, 5.0, ParentState.AWAY)
    quarantined = parent({"child": {CHILD: b'{"quarantined":"clone"}'}})
    assert quarantined.view(CHILD).state is ParentState.QUARANTINED


def test_who_speaks_without_a_session_is_told_to_look_again_but_seldom() -> None:
    one = parent({"child": {CHILD: b'{"session":1,"nonce":"n"}'}})
    one.got(CHILD, 0, STATUS, T0, fx := Effects())
    one.got(CHILD, 0, STATUS, after(1), fx)
    assert sent(fx) == [messages.Look(incarnation="life", ended=1)]
    one.strayed(CHILD, after(30), unread := Effects())
    assert sent(unread) == [messages.Look(incarnation="life", ended=1)], "what nobody can read says as much"
    one.strayed("stranger", after(40), nobody := Effects())
    assert sent(nobody) == []
    one.got(CHILD, 0, msgspec.structs.replace(STATUS, session=0), after(60), late := Effects())
    assert sent(late) == []


def test_silence_ends_a_session() -> None:
    one = live()
    due = one.next_wake()
    assert due == T0.mono + limits.CONTACT_EVERY_S * limits.CONTACT_MISSES_MAX
    one.got(CHILD, 1, STATUS, after(100), Effects())
    assert one.tick(after(limits.CONTACT_EVERY_S * limits.CONTACT_MISSES_MAX), Effects()) == []
    assert kinds(one.tick(after(100 + limits.CONTACT_EVERY_S * 3), Effects())) == ["ChildAway", "CloseAsked"]
    assert one.next_wake() is None


def test_a_parent_that_starts_says_look_to_all_some_at_a_time() -> None:
    nodes = {f"gw-{n}": b"{}" for n in range(50)}
    nodes["gw-revoked"] = b'{"revoked":"stolen"}'
    one = parent({"child": nodes})
    assert one.next_wake() is None
    one.look(T0)
    assert one.next_wake() == T0.mono
    one.got("gw-0", 0, hello(node="gw-0"), T0, Effects())
    looks = 0
    for step in range(10):
        one.tick(after(step * 0.1), fx := Effects())
        assert len(fx.send) <= limits.LOOKS_PER_S_MAX * 0.1
        looks += len(fx.send)
    assert looks == 49


def test_a_revoked_child_is_told_once_and_never_heard_again() -> None:
    one = live()
    told = one.revoke(CHILD, "stolen", T0, fx := Effects())
    assert told == [events.CloseAsked(node=CHILD, connection=1, reason="revoked", ban=True)]
    assert [type(message) for message in sent(fx)] == [messages.Revoked]
    assert one.revoke(CHILD, "again", T0, Effects()) == []
    assert one.got(CHILD, 1, hello(session=5), T0, fx := Effects()) == []
    assert fx == Effects()
    assert kinds(one.opened(CHILD, 2, "key", False, T0, Effects())) == ["CloseAsked"]
    assert one.view(CHILD).revoked == "stolen"
    assert one.tick(after(1_000), Effects()) == []


def test_questions_go_to_a_live_child_and_answers_come_back() -> None:
    one = live()
    assert one.ask(CHILD, "a", 1, "logs", {}, T0, fx := Effects())
    assert [type(message) for message in sent(fx)] == [messages.Ask]
    answer = messages.Answer(session=1, id="a", part=0, last=True, data=msgspec.Raw(b"1"))
    assert one.got(CHILD, 1, answer, T0, Effects()) == [events.ChildAnswer(node=CHILD, answer=answer)]


# ------------------------------------------------------------------------------------------------ desired


def desired(fx: Effects) -> messages.Desired:
    [message] = [one for one in sent(fx) if isinstance(one, messages.Desired)]
    return message


def held(one: Parent) -> messages.Held:
    view = one.view(CHILD)
    return messages.Held(term=view.term, generation=view.generation, digest=view.digest)


def test_a_change_is_numbered_stored_and_goes_as_a_delta_with_its_small_documents() -> None:
    one = live()
    one.set_desired(CHILD, {"task/t1": DOCUMENT}, T0, fx := Effects())
    first = desired(fx)
    assert (first.signed.generation, first.base, first.put.keys()) == (1, "", {"task/t1"})
    assert [bytes(raw) for raw in first.documents] == [DOCUMENT]
    assert {op.space for op in fx.store if isinstance(op, effects.Put)} == {"asked", "body"}
    second = documents.encode(task(2))
    one.set_desired(CHILD, {"task/t2": second}, T0, fx := Effects())
    delta = desired(fx)
    assert (delta.base, list(delta.put), delta.gone) == (first.signed.digest, ["task/t2"], ["task/t1"])
    assert effects.Delete("body", documents.digest_of(DOCUMENT)) in fx.store
    assert not one.set_desired(CHILD, {"task/t2": second}, T0, again := Effects())
    assert again == Effects()


def test_what_no_status_confirms_is_sent_again_whole() -> None:
    one = live()
    one.set_desired(CHILD, {"task/t1": DOCUMENT}, T0, Effects())
    one.tick(after(limits.ACK_WAIT_S), fx := Effects())
    assert desired(fx).base == ""
    one.got(CHILD, 1, msgspec.structs.replace(STATUS, held=held(one)), after(11), Effects())
    one.tick(after(100), fx := Effects())
    assert fx.send == []


def test_a_child_that_holds_it_already_gets_nothing_and_one_behind_gets_it_at_once() -> None:
    one = live()
    one.set_desired(CHILD, {"task/t1": DOCUMENT}, T0, Effects())
    one.got(CHILD, 2, hello(session=2, held=held(one)), T0, fx := Effects())
    assert [type(message) for message in sent(fx)] == [messages.Welcome]
    one.got(CHILD, 3, hello(session=3), T0, fx := Effects())
    assert [type(message) for message in sent(fx)] == [messages.Welcome, messages.Desired]


@pytest.mark.parametrize(
    "beyond",
    [
        messages.Held(term=1, generation=9, digest="d"),
        messages.Held(term=3, generation=1, digest="d"),
        messages.Held(term=1, generation=1, digest="d"),
    ],
)
def test_a_restored_hub_waits_for_an_operator_and_then_goes_beyond_all(beyond: messages.Held) -> None:
    one = live()
    one.set_desired(CHILD, {"task/t1": DOCUMENT}, T0, Effects())
    told = one.got(CHILD, 2, hello(session=2, held=beyond), T0, fx := Effects())
    assert kinds(told)[-1] == "RestoredParent"
    assert one.view(CHILD).blocked
    one.set_desired(CHILD, {"task/t2": documents.encode(task(2))}, T0, fx)
    assert not any(isinstance(message, messages.Desired) for message in sent(fx))
    one.new_term(CHILD, T0, fx := Effects())
    signed = desired(fx).signed
    assert signed.term == max(1, beyond.term) + 1
    assert signed.generation > beyond.generation


def test_a_restored_hub_that_has_overtaken_a_child_knows_what_it_asked_for_and_what_not() -> None:
    one, asked, fx = live(), list[messages.Held](), Effects()
    for number in range(1, limits.GENERATIONS_KNOWN + 3):
        one.set_desired(CHILD, {f"task/t{number}": documents.encode(task(number))}, T0, fx)
        asked.append(held(one))
    stored = {op.space: {op.key: op.value} for op in fx.store if isinstance(op, effects.Put) and op.key == CHILD}
    one = parent({**stored, "child": {CHILD: b"{}"}})
    one.opened(CHILD, 1, "key", False, T0, Effects())
    for session, known in enumerate(asked, 1):
        other = msgspec.structs.replace(known, digest=known.digest[: len("sha256:0")] + "f" * 63)
        told = one.got(CHILD, 1, hello(session=session * 2, held=known), after(session * 60), Effects())
        assert "RestoredParent" not in kinds(told), known.generation
        told = one.got(CHILD, 1, hello(session=session * 2 + 1, held=other), after(session * 60), Effects())
        is_too_long_ago = known.generation < len(asked) - limits.GENERATIONS_KNOWN
        assert ("RestoredParent" in kinds(told)) is not is_too_long_ago, known.generation


def test_a_status_that_names_more_than_was_asked_is_an_alarm_once() -> None:
    one = live()
    beyond = messages.Held(term=1, generation=5, digest="d")
    assert kinds(one.got(CHILD, 1, msgspec.structs.replace(STATUS, held=beyond), T0, Effects())) == [
        "ChildStatus",
        "RestoredParent",
    ]
    more = msgspec.structs.replace(STATUS, count=2, held=beyond)
    assert kinds(one.got(CHILD, 1, more, T0, Effects())) == ["ChildStatus"]
    one.closed(CHILD, 1, 0, "", "cut", T0, Effects())
    one.new_term(CHILD, T0, fx := Effects())
    assert fx.send == []


def test_only_what_this_child_is_asked_for_is_given_out_in_bounded_parts() -> None:
    one = live()
    bodies = [documents.encode(task(n, size=200_000)) for n in range(4)]
    one.set_desired(CHILD, {f"task/t{n}": raw for n, raw in enumerate(bodies)}, T0, fx := Effects())
    assert desired(fx).documents == []
    digests = [documents.digest_of(raw) for raw in bodies]
    one.ticket_for = lambda node, digest: "t" if digest == "known" else ""
    need = messages.Need(session=1, documents=[*digests, "sha256:other"], tickets=["known", "unknown"], manifest=True)
    one.got(CHILD, 1, need, T0, fx := Effects())
    [reply] = [message for message in sent(fx) if isinstance(message, messages.Documents)]
    assert [documents.digest_of(bytes(raw)) for raw in reply.documents] == digests[:1], "the rest is asked for again"
    assert reply.tickets == {"known": "t", "unknown": ""}
    assert desired(fx).base == ""
    one.got(CHILD, 1, messages.Need(session=1, documents=["sha256:other", digests[3]]), T0, fx := Effects())
    [reply] = [message for message in sent(fx) if isinstance(message, messages.Documents)]
    assert (len(reply.documents), reply.missing) == (1, ["sha256:other"])


def test_whatever_a_child_asks_for_fits_into_what_may_wait_for_its_socket() -> None:
    one = live()
    count = limits.NEED_DIGESTS_MAX
    bodies = [documents.encode(task(n, size=60_000)) for n in range(count)]
    one.set_desired(CHILD, {f"task/t{n}": raw for n, raw in enumerate(bodies)}, T0, Effects())
    need = messages.Need(session=1, documents=[documents.digest_of(raw) for raw in bodies])
    one.got(CHILD, 1, need, T0, fx := Effects())
    assert sum(len(codec.encode(message)) for message in sent(fx)) <= limits.DOCUMENTS_BYTES_MAX + limits.KIB
    waits_s, asked = limits.ACK_WAIT_S, 1
    while waits_s < limits.CONTACT_EVERY_S * limits.CONTACT_MISSES_MAX:  # so long may a socket take nothing
        waits_s, asked = 2 * waits_s + limits.ACK_WAIT_S, asked + 1
    largest = max(limits.DOCUMENTS_BYTES_MAX, limits.DOCUMENT_BYTES_MAX)
    assert asked * largest < limits.WRITE_BUFFER_BYTES_MAX * 3 // 4, "and there is room for all else"
    assert limits.NEED_DIGESTS_MAX * limits.DOCUMENT_BYTES_MAX > limits.WRITE_BUFFER_BYTES_MAX, "or nothing is bounded"


def test_a_manifest_whose_documents_are_asked_for_is_not_sent_again_meanwhile() -> None:
    one = live()
    raw = documents.encode(task(1, size=200_000))
    one.set_desired(CHILD, {"task/t1": raw}, T0, Effects())
    one.got(CHILD, 1, messages.Need(session=1, documents=[documents.digest_of(raw)]), after(9.0), Effects())
    one.tick(after(limits.ACK_WAIT_S), fx := Effects())
    assert sent(fx) == []


def test_what_is_asked_outlives_a_restart() -> None:
    one = live()
    one.set_desired(CHILD, {"task/t1": DOCUMENT}, T0, fx := Effects())
    spaces: dict[str, dict[str, bytes]] = {"child": {CHILD: b"{}"}}
    for op in fx.store:
        assert isinstance(op, effects.Put)
        spaces.setdefault(op.space, {})[op.key] = op.value
    again = parent(spaces)
    again.got(CHILD, 1, hello(), T0, fx := Effects())
    assert [bytes(raw) for raw in desired(fx).documents] == [DOCUMENT]
    del spaces["body"]
    broken = parent(spaces)
    broken.got(CHILD, 1, hello(), T0, fx := Effects())
    assert desired(fx).documents == []
    broken.set_desired(CHILD, {}, T0, Effects())


def test_who_was_adopted_twice_and_has_been_heard_is_not_heard_when_its_next_parent_has_asked_more() -> None:
    one = parent()
    one.adopt(CHILD, Effects())
    one.got(CHILD, 1, hello(session=1), T0, Effects())
    one.adopt(CHILD, Effects())  # the word that it belongs here comes late
    one.leave(CHILD, Effects())
    assert kinds(one.got(CHILD, 2, hello(session=2), after(1.0), Effects())) == ["CloseAsked", "ChildLive"]
    held = messages.Held(term=9, generation=1, digest="sha256:d")
    told = one.got(CHILD, 3, hello(session=3, held=held), after(2.0), fx := Effects())
    assert [one.reason for one in told if isinstance(one, events.CloseAsked)] == ["it belongs to another parent"]
    assert (len(told), sent(fx)) == (1, []), "that it holds more is no sign of a restored parent"
    one.adopt(CHILD, Effects())
    told = one.got(CHILD, 4, hello(session=4, held=held), after(3.0), Effects())
    assert kinds(told) == ["CloseAsked", "ChildLive"]
