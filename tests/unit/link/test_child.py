"""The end that looks up: one input, its effects."""

from __future__ import annotations

import itertools

import msgspec
import pytest

from protocol import documents, effects, limits, messages
from protocol.effects import Effects, Now
from protocol.entropy import Entropy
from protocol.link import events, table
from protocol.link.child import Child
from protocol.link.table import ChildState
from protocol.snapshot import Snapshot, StreamState
from tests.support.link_world import CHILD, PARENT, FakeSigner, task

EPOCH = "a" * 16
T0 = Now(10.0, 1_700_000_000.0)
SIGNER = FakeSigner()


def child(spaces: dict[str, dict[str, bytes]] | None = None) -> Child:
    snapshot = Snapshot(node=CHILD, streams={"state": StreamState(epoch=EPOCH)}, spaces=spaces or {})
    return Child(snapshot, node=CHILD, parent=PARENT, trust=SIGNER)


def begin(one: Child, now: Now = T0) -> Effects:
    fx = Effects()
    one.start(Entropy(b"e"), "1", ["x"], {}, now, fx)
    return fx


def nonce(fx: Effects) -> str:
    connect = next(act for act in fx.act if isinstance(act, table.Connect))
    return connect.nonce


def welcome(session: int, nonce: str, **more: object) -> messages.Welcome:
    base = messages.Welcome(
        incarnation="life",
        session=session,
        nonce=nonce,
        parent=PARENT,
        cursors={"state": messages.Cursor(epoch=EPOCH, seq=0, credit=100)},
        time_ms=int(T0.wall * 1000) + 5_000,
        contact_s=60.0,
        chain=FakeSigner.chain,
    )
    return msgspec.structs.replace(base, **more)


def live(spaces: dict[str, dict[str, bytes]] | None = None, **more: object) -> Child:
    one = child(spaces)
    fx = begin(one)
    one.opened(one.session, T0, Effects())
    one.got(welcome(one.session, nonce(fx), **more), T0, Effects())
    return one


def after(seconds: float) -> Now:
    return Now(T0.mono + seconds, T0.wall + seconds)


def sent(fx: Effects) -> list[str]:
    return [type(one.message).__name__ if isinstance(one, effects.Send) else "SendRows" for one in fx.send]


def test_a_session_is_stored_before_it_connects() -> None:
    fx = begin(one := child({"link": {"session": b"41"}}))
    assert effects.Put("link", "session", b"42") in fx.store
    assert fx.act == [table.Connect(session=42, nonce=nonce(fx))]
    assert one.state is ChildState.CONNECTING


def test_status_goes_first_after_the_welcome_and_then_the_rows() -> None:
    one = child()
    start = begin(one)
    one.append("state", [("k", "", b"1")], T0, Effects())
    one.opened(1, T0, hello := Effects())
    told = one.got(welcome(1, nonce(start)), T0, fx := Effects())
    assert sent(hello) == ["Hello"]
    assert sent(fx) == ["Status", "SendRows"]
    assert told == [events.WentLive()]
    assert one.offset_ms == 5_000
    assert one.last_contact_wall == T0.wall


def test_a_welcome_with_another_nonce_changes_nothing() -> None:
    one = child()
    begin(one)
    one.opened(1, T0, Effects())
    assert one.got(welcome(1, "another"), T0, fx := Effects()) == []
    assert (fx, one.state) == (Effects(), ChildState.GREETING)


def test_a_chain_that_does_not_hold_is_told_and_the_rest_goes_on() -> None:
    one = child()
    start = begin(one)
    one.opened(1, T0, Effects())
    told = one.got(welcome(1, nonce(start), chain="forged"), T0, Effects())
    assert [type(event) for event in told] == [events.DesiredRefused, events.WentLive]


def test_late_news_of_an_older_session_change_nothing() -> None:
    one = live({"link": {"session": b"5"}})
    assert one.closed(5, "late will", T0, Effects()) == []
    one.opened(5, T0, fx := Effects())
    assert fx == Effects()
    late = messages.EntriesAck(incarnation="life", session=5, stream="state", epoch=EPOCH, seq=1)
    other = messages.EntriesAck(incarnation="other", session=6, stream="state", epoch=EPOCH, seq=1)
    assert one.got(late, T0, Effects()) == one.got(other, T0, Effects()) == []
    assert one.got(messages.Need(session=6), T0, Effects()) == []
    assert one.live


def test_waits_grow_with_jitter_and_stay_bounded() -> None:
    one = child()
    begin(one)
    now, waits = T0, list[float]()
    for _ in range(40):
        one.closed(one.session, "no route", now, Effects())
        assert one.state is ChildState.WAITING
        due = one.next_wake()
        assert due is not None
        waits.append(due - now.mono)
        now = Now(due, now.wall)
        one.tick(now, Effects())
        assert one.state is ChildState.CONNECTING
    assert all(limits.BACKOFF_S_MIN - 0.001 <= wait <= limits.BACKOFF_S_MAX + 0.001 for wait in waits)
    assert max(waits) > 10 * limits.BACKOFF_S_MIN
    assert len(set(waits)) > 20


@pytest.mark.parametrize("opened", [False, True])
def test_no_answer_in_time_closes_and_tries_again(opened: bool) -> None:
    one = child()
    begin(one)
    if opened:
        one.opened(1, T0, Effects())
    one.tick(after(limits.CONNECT_WAIT_S), fx := Effects())
    assert fx.act == [table.Disconnect(session=1, reason="no answer")]
    assert one.state is ChildState.WAITING


def test_look_of_a_new_parent_opens_a_new_session_and_of_the_same_is_late() -> None:
    one = live()
    assert one.got(messages.Look(incarnation="life"), T0, Effects()) == []
    told = one.got(messages.Look(incarnation="next"), T0, fx := Effects())
    assert [type(event) for event in told] == [events.WentOffline]
    assert [type(act) for act in fx.act] == [table.Disconnect, table.Connect]
    assert one.session == 2
    assert one.got(messages.Look(incarnation="next"), T0, Effects()) == []


def test_who_is_told_that_its_session_is_over_greets_anew_once() -> None:
    one = live()
    one.got(messages.Look(incarnation="life", ended=1), T0, fx := Effects())
    assert [type(act) for act in fx.act] == [table.Disconnect, table.Connect]
    one.opened(2, T0, Effects())
    assert one.got(messages.Look(incarnation="life", ended=1), T0, late := Effects()) == []
    assert late.act == [], "the word on the former session came twice"


def test_a_restored_child_mints_above_what_the_parent_knows() -> None:
    one = child()
    begin(one)
    one.opened(1, T0, Effects())
    assert one.got(messages.Look(incarnation="life", session=1), T0, Effects()) == []
    one.got(messages.Look(incarnation="life", session=9), T0, fx := Effects())
    assert fx.act[0] == table.Disconnect(session=1, reason="the parent says look again")
    assert one.session == 10


def test_a_quarantined_child_asks_again_seldom() -> None:
    one = child()
    start = begin(one)
    one.opened(1, T0, Effects())
    told = one.got(welcome(1, nonce(start), refused="a clone"), T0, fx := Effects())
    assert told == [events.Quarantined(reason="a clone")]
    assert (one.state, one.refusal) == (ChildState.REFUSED, "a clone")
    assert one.closed(1, "closed", T0, Effects()) == []
    one.tick(after(limits.REFUSED_RETRY_S), Effects())
    assert one.state is ChildState.CONNECTING
    assert fx.act == [table.Disconnect(session=1, reason="a clone")]


def test_revoked_is_believed_when_signed_stored_and_stays_after_a_restart() -> None:
    one = live()
    forged = FakeSigner(b"other").revoked(CHILD, 1, "stolen", "life")
    assert one.got(forged, T0, Effects()) == []
    told = one.got(SIGNER.revoked(CHILD, 1, "stolen", "life"), T0, fx := Effects())
    assert told == [events.RevokedBy(reason="stolen")]
    assert effects.Put("link", "revoked", b"stolen") in fx.store
    assert one.got(SIGNER.revoked(CHILD, 1, "stolen", "life"), T0, Effects()) == []
    again = child({"link": {"revoked": b"stolen"}})
    assert begin(again).act == []
    assert (again.state, again.next_wake()) == (ChildState.REFUSED, None)


def test_revoked_while_away_is_heard_before_the_child_could_greet() -> None:
    begin(one := child())
    assert one.state is ChildState.CONNECTING
    told = one.got(SIGNER.revoked(CHILD, 1, "sold", "life"), T0, Effects())
    assert told == [events.RevokedBy(reason="sold")]
    assert (one.state, one.next_wake()) == (ChildState.REFUSED, None)


def test_with_an_expired_certificate_only_renewal_is_served() -> None:
    one = live(renew_only=True)
    one.append("state", [("k", "", b"1")], T0, fx := Effects())
    one.need_ticket("d", T0, fx)
    one.answer("a", 0, True, b"1", T0, fx)
    one.renew("CSR", T0, fx)
    assert sent(fx) == ["Renew"]
    assert one.next_wake() is None
    assert one.tick(after(500), Effects()) == []
    renewed = messages.Renewed(incarnation="life", session=1, certificate="PEM")
    assert one.got(renewed, T0, Effects()) == [events.Renewed(certificate="PEM")]
    refused = messages.Renewed(incarnation="life", session=1, refused="no")
    assert one.got(refused, T0, Effects()) == [events.RenewRefused(reason="no")]
    told = one.certified(T0, fx := Effects())
    assert told == [events.WentOffline(reason="the certificate was renewed")]
    assert [type(act) for act in fx.act] == [table.Disconnect, table.Connect]
    assert one.state is ChildState.CONNECTING


def test_a_certificate_that_was_renewed_early_is_used_from_the_next_connection_on() -> None:
    one = live()
    told = one.certified(T0, fx := Effects())
    assert told == []
    assert (one.state, fx.act) == (ChildState.LIVE, [])


def test_stopping_says_bye_when_greeted() -> None:
    one = live()
    one.stop(T0, fx := Effects())
    assert sent(fx) == ["Bye"]
    assert fx.act == [table.Disconnect(session=1, reason="stopped")]
    one.stop(T0, again := Effects())
    assert again == Effects()
    begin(waiting := child())
    waiting.stop(T0, fx := Effects())
    assert (sent(fx), waiting.state) == ([], ChildState.IDLE)


def test_questions_tickets_and_answers_cross_while_live() -> None:
    one = live()
    ask = messages.Ask(incarnation="life", session=1, id="a", deadline_ms=1, what="logs")
    assert one.got(ask, T0, Effects()) == [events.Asked(ask=ask)]
    one.answer("a", 0, True, b'["x"]', T0, fx := Effects())
    one.need_ticket("d", T0, fx)
    assert sent(fx) == ["Answer", "Need"]
    reply = messages.Documents(incarnation="life", session=1, tickets={"d": "t"})
    assert one.got(reply, T0, Effects()) == [events.Ticket(digest="d", ticket="t")]
    offline = child()
    offline.answer("a", 0, True, b"1", T0, fx := Effects())
    offline.need_ticket("d", T0, fx)
    offline.renew("CSR", T0, fx)
    assert fx == Effects()


def test_a_changed_report_settles_before_it_goes_and_an_equal_one_never_does() -> None:
    one = live()
    one.set_report(b'{"a":1}', T0, Effects())
    one.set_report(b'{"a":1}', after(0.04), Effects())
    assert one.next_wake() == pytest.approx(T0.mono + limits.STATUS_SETTLE_S)
    one.tick(after(limits.STATUS_SETTLE_S), fx := Effects())
    assert sent(fx) == ["Status"]
    one.tick(after(limits.STATUS_SETTLE_S + limits.STATUS_EVERY_S), fx := Effects())
    assert sent(fx) == ["Status"]


def test_a_parent_that_acks_nothing_gets_the_rows_again_and_is_left_in_the_end() -> None:
    one = live()
    one.append("state", [("k", "", b"1")], T0, Effects())
    now = T0
    waits_s = [limits.ACK_WAIT_S, 2 * limits.ACK_WAIT_S, limits.ACK_WAIT_S_MAX, limits.ACK_WAIT_S_MAX]
    assert len(waits_s) == limits.ACK_MISSES_MAX + 1
    for wait_s in waits_s[:-1]:
        one.tick(Now(now.mono + wait_s - 1.0, now.wall), fx := Effects())
        assert "SendRows" not in sent(fx)
        now = Now(now.mono + wait_s, now.wall)
        one.tick(now, fx := Effects())
        assert "SendRows" in sent(fx)
    told = one.tick(Now(now.mono + waits_s[-1], now.wall), fx := Effects())
    assert told == [events.WentOffline(reason="the parent acks nothing")]
    assert fx.act == [table.Disconnect(session=1, reason="no acks")]


def test_a_parent_whose_acks_take_long_gets_no_row_twice_for_long() -> None:
    one = live()
    at, took, sent_twice = 0.0, limits.ACK_WAIT_S + 5.0, list[int]()
    for seq in range(1, 20):
        if seq == 15:
            took = 0.1
        one.append("state", [("k", "", b"1")], after(at), Effects())
        one.tick(after(at + min(took, limits.ACK_WAIT_S)), fx := Effects())
        sent_twice += [seq] * sent(fx).count("SendRows")
        at += took
        ack = messages.EntriesAck(incarnation="life", session=1, stream="state", epoch=EPOCH, seq=seq, credit=100)
        one.got(ack, after(at), Effects())
    assert sent_twice == [1], "it has learned how long an ack takes"
    one.append("state", [("k", "", b"1")], after(at), Effects())
    one.tick(after(at + limits.ACK_WAIT_S), fx := Effects())
    assert "SendRows" in sent(fx), "and that it takes long no more"


def test_an_ack_alone_is_not_worth_a_commit_of_its_own() -> None:
    one = live()
    one.append("state", [("k", "", b"1")] * 3, T0, Effects())
    ack = messages.EntriesAck(incarnation="life", session=1, stream="state", epoch=EPOCH, seq=2, credit=100)
    told = one.got(ack, T0, fx := Effects())
    assert told == [events.Acked(stream="state", seq=2)]
    assert fx.store == []
    assert not one.synced("state")
    assert one.heads()["state"][:3] == (EPOCH, 3, 2)
    assert one.lost == {}
    one.stop(T0, fx := Effects())
    assert fx.store == [effects.Acked("state", EPOCH, 2)]


def test_the_parents_cursor_is_stored_seldom_and_lazily() -> None:
    one = live()
    many = limits.ACKED_APART_ROWS
    one.append("state", [("k", "", b"1")] * many, T0, Effects())
    for seq, stored in ((many - 1, []), (many, [effects.Acked("state", EPOCH, many)])):
        ack = messages.EntriesAck(incarnation="life", session=1, stream="state", epoch=EPOCH, seq=seq, credit=900)
        one.got(ack, T0, fx := Effects())
        assert fx.store == stored
        assert fx.lazy


def test_what_is_held_goes_with_the_next_pump_and_not_with_an_ack() -> None:
    one = live()
    one.append("state", [("k", "", b"1")], T0, Effects())
    one.append("state", [("k", "", b"2")], T0, fx := Effects(), hold=True)
    assert not fx.send
    ack = messages.EntriesAck(incarnation="life", session=1, stream="state", epoch=EPOCH, seq=1, credit=100)
    one.got(ack, T0, fx := Effects())
    assert not fx.send
    one.pump(T0, fx := Effects())
    assert sent(fx) == ["SendRows"]


def test_a_refill_is_obeyed_once_and_strange_acks_change_nothing() -> None:
    one = live()
    one.append("state", [("k", "", b"1")] * 3, T0, Effects())
    refill = messages.EntriesAck(
        incarnation="life", session=1, stream="state", epoch=EPOCH, seq=0, credit=100, refill=True
    )
    one.got(refill, T0, first := Effects())
    one.got(refill, T0, second := Effects())
    assert (sent(first), sent(second)) == (["SendRows"], [])
    for strange in (
        msgspec.structs.replace(refill, stream="logs"),
        msgspec.structs.replace(refill, epoch="b" * 16),
    ):
        assert one.got(strange, T0, Effects()) == []


def test_a_stream_that_the_parent_does_not_serve_sends_nothing() -> None:
    one = live(cursors={})
    one.append("state", [("k", "", b"1")], T0, fx := Effects())
    assert sent(fx) == []


def test_epochs_that_never_settle_are_negotiated_with_backoff() -> None:
    one = child()
    start = begin(one)
    one.append("state", [("k", "", b"1")], T0, Effects())
    now = T0
    states: list[ChildState] = []
    for _ in range(3):
        one.opened(one.session, now, Effects())
        cursors = {"state": messages.Cursor(epoch="c" * 16, seq=0)}
        told = one.got(welcome(one.session, nonce(start), cursors=cursors), now, start := Effects())
        assert any(isinstance(event, events.EpochBegun) for event in told)
        states.append(one.state)
    assert states == [ChildState.CONNECTING, ChildState.CONNECTING, ChildState.WAITING]


# ------------------------------------------------------------------------------------------------ desired


def desired(
    generation: int, *tasks: documents.Task, base: str = "", inline: bool = True, **more: object
) -> messages.Desired:
    raw = {documents.document_id(one): documents.encode(one) for one in tasks}
    items = {key: documents.digest_of(one) for key, one in raw.items()}
    signed = SIGNER.manifest(CHILD, 1, generation, documents.manifest_digest(dict(items)))
    message = messages.Desired(
        incarnation="life",
        session=1,
        signed=signed,
        base=base,
        put=dict(items),
        documents=[msgspec.Raw(one) for one in raw.values()] if inline else [],
    )
    return msgspec.structs.replace(message, **more)


def test_a_complete_manifest_is_stored_and_then_wanted() -> None:
    one = live()
    told = one.got(desired(1, task(1)), T0, fx := Effects())
    assert [type(event) for event in told] == [events.Wanted]
    assert [op.space for op in fx.store if isinstance(op, effects.Put)] == ["document", "manifest"]
    assert one.held.generation == 1
    assert one.got(desired(1, task(1)), T0, Effects()) == []


def test_what_is_held_is_wanted_again_after_a_restart() -> None:
    one = live()
    one.got(desired(1, task(1)), T0, fx := Effects())
    spaces: dict[str, dict[str, bytes]] = {}
    for op in fx.store:
        assert isinstance(op, effects.Put)
        spaces.setdefault(op.space, {})[op.key] = op.value
    again = child(spaces)
    told = again.start(Entropy(b"e"), "1", [], {}, T0, Effects())
    assert [type(event) for event in told] == [events.Wanted]


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (desired(1, task(1)), "older"),
        (desired(2, task(9)), "another content"),
        (desired(3, task(1), put={}), "do not match"),
        (desired(3, task(1), signed=FakeSigner(b"other").manifest(CHILD, 1, 3, "d")), "signature"),
        (desired(3, task(1), put={f"t/{n}": "d" for n in range(limits.MANIFEST_DOCUMENTS_MAX + 1)}), "are over"),
    ],
)
def test_a_manifest_that_must_not_be_taken_leaves_the_last_good_one(message: messages.Desired, words: str) -> None:
    one = live()
    one.got(desired(2, task(2)), T0, Effects())
    told = one.got(message, T0, fx := Effects())
    assert len(told) == 1
    assert isinstance(told[0], events.DesiredRefused)
    assert words in told[0].reason
    assert one.held.generation == 2
    assert fx.store == []


def test_a_delta_on_something_unknown_or_that_does_not_fit_asks_for_the_whole() -> None:
    one = live()
    one.got(first := desired(1, task(1)), T0, Effects())
    for odd in (desired(2, task(2), base="sha256:unknown"), desired(2, task(2), base=first.signed.digest)):
        assert one.got(odd, T0, fx := Effects()) == []
        assert [one.message for one in fx.send if isinstance(one, effects.Send)] == [
            messages.Need(session=1, manifest=True)
        ]
    whole = desired(2, task(2), base=first.signed.digest, gone=["task/t1"])
    told = one.got(whole, T0, fx := Effects())
    assert isinstance(told[0], events.Wanted)
    assert list(told[0].items) == ["task/t2"]
    assert any(isinstance(op, effects.Delete) and op.space == "document" for op in fx.store)


def test_nothing_is_wanted_until_every_document_is_here() -> None:
    one = live()
    big = documents.encode(task(1))
    assert one.got(desired(5, task(1), inline=False), T0, fx := Effects()) == []
    assert sent(fx) == ["Need"]
    assert one.got(desired(4, task(4)), T0, Effects()) == []  # older than what is pending
    one.tick(after(limits.ACK_WAIT_S), fx := Effects())
    assert "Need" in sent(fx)
    stray = messages.Documents(incarnation="life", session=1, documents=[msgspec.Raw(b'"stray"')])
    assert one.got(stray, T0, Effects()) == []
    reply = messages.Documents(incarnation="life", session=1, documents=[msgspec.Raw(big)])
    assert [type(event) for event in one.got(reply, T0, Effects())] == [events.Wanted]
    assert one.got(reply, T0, Effects()) == []


def _needs(fx: Effects) -> list[list[str]]:
    return [
        one.message.documents
        for one in fx.send
        if isinstance(one, effects.Send) and isinstance(one.message, messages.Need)
    ]


def _part(*tasks: documents.Task) -> messages.Documents:
    bodies = [msgspec.Raw(documents.encode(one)) for one in tasks]
    return messages.Documents(incarnation="life", session=1, documents=bodies)


def test_the_next_part_is_asked_for_when_the_one_before_it_is_in() -> None:
    one = live()
    tasks = [task(number) for number in range(4)]
    digests = [documents.digest_of(documents.encode(each)) for each in tasks]
    manifest = desired(5, *tasks, inline=False)
    one.got(manifest, T0, fx := Effects())
    assert _needs(fx) == [digests]
    for word in (manifest, messages.Documents(incarnation="life", session=1, tickets={"d": "t"})):
        one.got(word, T0, fx := Effects())
        assert _needs(fx) == [], "a part is under way"
    one.got(_part(tasks[0], tasks[1]), T0, fx := Effects())
    assert _needs(fx) == [digests[2:]]
    one.got(_part(tasks[0], tasks[1]), T0, fx := Effects())
    assert _needs(fx) == [], "the same part again"
    one.got(_part(tasks[2]), T0, fx := Effects())
    assert _needs(fx) == [digests[3:]]


def test_a_part_that_takes_long_is_asked_for_ever_more_seldom() -> None:
    one = live()
    tasks = [task(number) for number in range(3)]
    one.got(desired(5, *tasks, inline=False), T0, Effects())
    asked, at = list[float](), 0.0
    while at < 320.0:
        at += 1.0
        one.tick(after(at), fx := Effects())
        asked += [at] * len(_needs(fx))
    assert asked == [10.0, 30.0, 70.0, 150.0, 310.0]
    one.got(_part(tasks[0]), after(at), fx := Effects())
    assert len(_needs(fx)) == 1
    one.tick(after(at + limits.NEED_WAIT_S_MAX - 1.0), fx := Effects())
    assert _needs(fx) == [], "a part takes its time here"
    one.got(_part(tasks[1]), after(at + 1.0), fx := Effects())
    one.tick(after(at + 1.0 + limits.ACK_WAIT_S), fx := Effects())
    assert len(_needs(fx)) == 1, "the link is quick again"


def test_a_document_over_its_bound_is_not_asked_for_again_and_again() -> None:
    one = live()
    large = task(1, size=limits.DOCUMENT_BYTES_MAX)
    one.got(desired(5, large, inline=False), T0, Effects())
    one.got(_part(large), T0, fx := Effects())
    assert _needs(fx) == []


def test_documents_that_the_parent_lacks_end_the_wait() -> None:
    one = live()
    one.got(desired(1, task(1), inline=False), T0, Effects())
    older = messages.Documents(incarnation="life", session=1, missing=["sha256:x"])
    assert one.got(older, T0, Effects()) == []
    reply = messages.Documents(incarnation="life", session=1, missing=[documents.digest_of(documents.encode(task(1)))])
    told = one.got(reply, T0, Effects())
    assert isinstance(told[0], events.DesiredRefused)
    assert "lacks 1 documents" in told[0].reason


def waits(one: Child, count: int, *, lived_s: float = 0.0) -> list[float]:
    """Lose the link `count` times, each time `lived_s` after the welcome; return the waits that follow."""
    took, now = list[float](), T0
    for _ in range(count):
        now = Now(now.mono + lived_s, now.wall)
        one.closed(one.session, "gone", now, Effects())
        due = one.next_wake()
        assert due is not None
        took.append(due - now.mono)
        now = Now(due, now.wall)
        one.tick(now, fx := Effects())
        one.opened(one.session, now, Effects())
        one.got(welcome(one.session, nonce(fx)), now, Effects())
        assert one.live
    return took


def test_waits_are_decorrelated_and_grow_while_sessions_do_not_last() -> None:
    took = waits(live(), 200)
    assert min(took) >= limits.BACKOFF_S_MIN - 0.001
    assert max(took) <= limits.BACKOFF_S_MAX + 0.001
    assert all(later <= 3 * one + 0.001 for one, later in itertools.pairwise(took))
    assert max(took) > 20
    assert len({round(one, 3) for one in took}) > 100, "no two of a fleet keep step"


def test_a_session_that_lasted_makes_waits_small_again() -> None:
    assert all(one <= 3 * limits.BACKOFF_S_MIN + 0.001 for one in waits(live(), 50, lived_s=limits.BACKOFF_S_MAX))
