"""What concerns the parent: the report, the certificate, being turned away, being restored."""

from __future__ import annotations

import itertools

import msgspec
import pytest

from edge_agent.core import inputs
from protocol import effects, limits, messages, status
from protocol.link import own_stream
from protocol.snapshot import DOUBT, STORE, Doubt, StreamState
from tests.unit.agent.world import DAY_S, WALL, World, acts, body, only, running, sent, service


@pytest.fixture
def world() -> World:
    world = World()
    world.start()
    world.online()
    return world


def statuses(world: World, seconds: float) -> list[status.Report]:
    """Let time pass; return the reports that went up."""
    found: list[status.Report] = []
    until = world.mono + seconds
    while world.wake_at is not None and world.wake_at <= until:
        world.wall += max(0.0, world.wake_at - world.mono)
        world.mono = max(world.mono, world.wake_at)
        found += [status.decode(bytes(one.body)) for one in sent(world.do(inputs.Tick()), messages.Status)]
    world.wall += until - world.mono
    world.mono = until
    return found


def vitals(cpu: float) -> inputs.Sampled:
    return inputs.Sampled(vitals=status.Vitals(cpu=cpu, memory_total=1))


def test_a_change_is_reported_once_it_has_settled(world: World) -> None:
    world.desire(service("web"))
    running(world, "s-web-1", pid=77)
    (report,) = statuses(world, 1)
    assert report.services["web"].state == "running"
    assert report.services["web"].pid == 77
    assert report.platform == {"machine": "arm64", "isolation": "nothing of it (unknown why)"}


def test_what_did_not_change_is_not_reported_again(world: World) -> None:
    world.desire(service("web"))
    statuses(world, 1)
    world.do(inputs.LogRead(ask="x", part=0, last=True, lines=[]))
    assert not statuses(world, 5)


def test_vitals_are_one_status_a_minute_and_their_entries_share_commits(world: World) -> None:
    statuses(world, 1)
    world.do(vitals(0.1))
    world.do(vitals(0.2))
    (report,) = statuses(world, 1)
    assert report.vitals is not None
    assert report.vitals.cpu == 0.1
    assert [body(entry)["cpu"] for entry in world.entries("metrics", "vitals")] == [0.1]
    stored: list[effects.Rows] = []
    for number in range(limits.VITALS_TOGETHER):
        assert len(world.entries("metrics", "vitals")) == 1
        world.mono += limits.VITALS_EVERY_S
        stored += [op for op in world.do(vitals(number)).store if isinstance(op, effects.Rows)]
    assert [body(entry)["cpu"] for entry in world.entries("metrics", "vitals")] == [0.1, 0, 1, 2, 3, 4]
    assert len(stored) == 1


def test_a_life_that_ends_in_order_leaves_no_sample_behind(world: World) -> None:
    for number in range(3):
        world.do(vitals(number))
        world.mono += limits.VITALS_EVERY_S
    world.do(inputs.Stopping())
    assert [body(entry)["cpu"] for entry in world.entries("metrics", "vitals")] == [0, 1, 2]


def test_each_life_and_each_generation_is_an_audit_entry(world: World) -> None:
    world.desire(service("web"))
    world.start(reboot=True)
    assert world.kinds("audit") == ["agent.started", "desired.applied", "agent.started"]
    assert world.last("agent.started", "audit")["rebooted"] is True
    assert world.last("desired.applied", "audit")["generation"] == 1


def test_a_refused_manifest_is_shown_until_a_good_one_comes(world: World) -> None:
    world.desire(service("web"))
    world.generation = 0
    world.desire(service("web", "./other"))
    assert world.last("desired.refused", "audit")["reason"]
    assert world.local(inputs.LocalStatus())["conditions"][0]["what"] == "desired"
    world.desire(service("web"))
    assert not world.local(inputs.LocalStatus())["conditions"]


# ------------------------------------------------------------------------------------------------ certificate


def test_the_certificate_is_renewed_early(world: World) -> None:
    assert not world.all(inputs.MakeCsr)
    days = 0
    while not world.all(inputs.MakeCsr):
        days += 1
        world.offline()
        world.mono, world.wall = world.mono + DAY_S, world.wall + DAY_S
        world.online()
    assert limits.RENEW_AT_SHARE * 90 <= days <= (limits.RENEW_AT_SHARE + 0.1) * 90 + 1
    (renew,) = sent(world.do(inputs.CsrMade(csr="CSR")), messages.Renew)
    assert renew.csr == "CSR"
    fx = world.got(messages.Renewed, certificate="PEM")
    assert only(fx, inputs.StoreCertificate).certificate == "PEM"
    until_ms = int((world.wall + 90 * DAY_S) * 1000)
    world.do(inputs.CertificateStored(from_ms=int(world.wall * 1000), until_ms=until_ms))
    assert world.last("certificate.renewed", "audit")["until_ms"] == until_ms
    assert len(world.all(inputs.MakeCsr)) == 1


def test_a_renewal_that_comes_due_while_connected_needs_no_reconnect() -> None:
    world = World()
    world.start(until_ms=int((WALL + 5 * 3_600) * 1000))
    world.online()
    assert world.core.handle(inputs.Tick(), world.now()).wake_at
    world.mono, world.wall = world.mono + 4 * 3_600, world.wall + 4 * 3_600
    assert acts(world.do(inputs.Tick()), inputs.MakeCsr)


def test_once_an_expired_certificate_is_renewed_the_device_greets_again_with_it() -> None:
    world = World()
    world.start(until_ms=int((WALL - 1) * 1000))
    world.online(renew_only=True)
    world.do(inputs.CsrMade(csr="CSR"))
    world.got(messages.Renewed, certificate="PEM")
    stored = inputs.CertificateStored(from_ms=int(WALL * 1000), until_ms=int((WALL + 90 * DAY_S) * 1000))
    assert acts(world.do(stored), inputs.Connect)


def test_a_refused_renewal_is_shown_and_asked_for_again() -> None:
    world = World()
    world.start(until_ms=int((WALL - 1) * 1000))
    assert "has expired" in world.local(inputs.LocalStatus())["conditions"][0]["text"]
    assert only(world.online(renew_only=True), inputs.MakeCsr) == inputs.MakeCsr()
    world.got(messages.Renewed, refused="another key")
    assert "another key" in world.local(inputs.LocalStatus())["conditions"][0]["text"]
    world.wait(limits.RENEW_RETRY_S + 1)
    assert len(world.all(inputs.MakeCsr)) == 2
    assert not acts(world.offline(), inputs.MakeCsr)


# ------------------------------------------------------------------------------------------------ turned away


def test_a_revoked_device_stops_pulling_and_its_work_goes_on(world: World) -> None:
    world.desire(service("web"))
    running(world, "s-web-1")
    revoked = messages.Revoked(
        incarnation="one", parent="cloud", child="gw-1", time_ms=1, reason="stolen", key="k", signature="s"
    )
    fx = world.do(inputs.Got(message=revoked))
    assert only(fx, inputs.StopPulling).reason == "stolen"
    assert not acts(fx, inputs.Stop)
    assert world.last("revoked", "audit")["reason"] == "stolen"
    fx = world.start(inputs.Found(instance="s-web-1", pid=4))
    assert not acts(fx, inputs.Connect)
    view = world.local(inputs.LocalStatus())
    assert view["link"]["state"] == "refused"
    assert "the work here goes on" in view["conditions"][0]["text"]


def test_a_quarantined_device_says_so_until_it_is_let_in_again(world: World) -> None:
    world.offline()
    fx = world.online(refused="a clone was seen")
    assert not acts(fx, inputs.StopPulling)
    assert world.last("clone.seen", "audit")["reason"] == "a clone was seen"
    assert "an operator decides" in world.local(inputs.LocalStatus())["conditions"][0]["text"]
    world.wait(limits.REFUSED_RETRY_S)
    world.online()
    assert not world.local(inputs.LocalStatus())["conditions"]


def test_a_store_that_was_set_aside_is_named_as_long_as_it_is_here(world: World) -> None:
    name = "journal.db.damaged-20261122T071500Z-1"
    world.do(inputs.Sampled(vitals=status.Vitals(), aside=[name]))
    (told,) = world.local(inputs.LocalStatus())["conditions"]
    assert told["what"] == "store"
    assert told["text"].startswith(f"damaged, and set aside as {name}; what could be read of it goes on")
    assert statuses(world, 1)[-1].conditions[0].text == told["text"]
    world.wait(limits.VITALS_EVERY_S)
    world.do(inputs.Sampled(vitals=status.Vitals()))
    assert not world.local(inputs.LocalStatus())["conditions"]


def test_what_the_link_says_of_its_streams_is_journaled() -> None:
    world = World()
    world.store.streams["metrics"] = StreamState(epoch="0" * 16, first=11, last=20, acked=10)
    world.store.streams["state"] = StreamState(epoch="0" * 16, first=1, last=20, acked=10, hash=b"h" * 32)
    world.start()
    fits = messages.Cursor(epoch="0" * 16, seq=10)
    world.online(cursors={"metrics": messages.Cursor(epoch="0" * 16, seq=5), "state": fits})
    assert world.last("parent.behind", "audit")["count"] == 5
    assert world.last("gap.declared", "audit")["count"] == 5
    world.offline()
    world.online(cursors={"state": messages.Cursor(epoch="0" * 16, seq=99, hash="ff")})
    assert world.last("epoch.begun", "audit")["stream"] == "state"


def test_what_is_on_record_as_lost_is_not_told_again_in_the_next_life_as_if_the_quota_were_full() -> None:
    world = World()
    record = own_stream.Record(epoch="0" * 16, lost=7)
    world.store.spaces = {"agent": {"losses": b'{"state": 9}'}, own_stream.SPACE: {"logs": msgspec.json.encode(record)}}
    damaged = Doubt(reason="recovered from a damaged file", lost={"logs": 7}, in_place=True)
    world.store.spaces[STORE] = {DOUBT: msgspec.json.encode(damaged)}
    world.store.streams["metrics"] = StreamState(epoch="0" * 16, first=11, last=20, acked=10)
    world.start()
    world.online(cursors={"metrics": messages.Cursor(epoch="0" * 16, seq=5)})
    world.start()
    world.wait(limits.LOSS_NOTED_EVERY_S)
    assert world.local(inputs.LocalStatus())["lost"] == {"logs": 7, "metrics": 5}
    noted = [body(entry) for entry in world.entries("audit", "gap.declared")]
    assert noted == [{"stream": "metrics", "count": 5, "reason": "the parent was restored"}]


def test_the_daemon_stops_with_a_bye_and_its_work_goes_on(world: World) -> None:
    world.desire(service("web"))
    fx = world.do(inputs.Stopping())
    assert sent(fx, messages.Bye)
    assert not acts(fx, inputs.Stop)


def test_the_same_inputs_lead_to_the_same_effects() -> None:
    def life() -> list[bytes]:
        world = World()
        world.start()
        world.online()
        world.desire(service("web"))
        world.wait(100)
        return [msgspec.msgpack.encode(entry) for entry in world.store.rows["state"]]

    assert life() == life()


# ------------------------------------------------------------------------------------------------ asking apart


EXPIRED_MS = int((WALL - 1) * 1000)


def unheard(world: World, seconds: float) -> list[inputs.AskApart]:
    """Let the transport connect each time, and nobody answer the Hello; return the questions apart."""
    found: list[inputs.AskApart] = []
    until = world.mono + seconds
    while world.mono < until:
        for act in world.wait(1.0):
            if isinstance(act, inputs.Connect):
                found += acts(world.do(inputs.Opened(session=act.session)), inputs.AskApart)
            elif isinstance(act, inputs.AskApart):
                found.append(act)
    return found


def failing(world: World, seconds: float, *, turned_away: bool) -> list[inputs.AskApart]:
    """Let every try to connect fail at once; return the questions apart."""
    found: list[inputs.AskApart] = []
    until = world.mono + seconds
    while world.mono < until:
        for act in world.wait(1.0):
            if isinstance(act, inputs.Connect):
                closed = inputs.Closed(session=act.session, reason="no", turned_away=turned_away)
                found += acts(world.do(closed), inputs.AskApart)
            elif isinstance(act, inputs.AskApart):
                found.append(act)
    return found


def test_an_expired_device_that_is_not_let_in_asks_apart_and_is_let_in_with_what_it_gets() -> None:
    world = World()
    world.start(until_ms=EXPIRED_MS)
    assert len(failing(world, 60, turned_away=False)) == 1, "one question at a time"
    fx = world.do(inputs.AnsweredApart(certificate="PEM"))
    assert only(fx, inputs.StoreCertificate).certificate == "PEM"
    world.do(inputs.CertificateStored(from_ms=int(WALL * 1000), until_ms=int((WALL + 90 * DAY_S) * 1000)))
    assert not failing(world, 600, turned_away=False)
    assert world.last("certificate.renewed", "audit")


@pytest.mark.parametrize("how", ["turned away", "unheard"])
def test_a_device_that_nobody_lets_in_or_answers_for_long_asks_apart(how: str) -> None:
    world = World()
    world.start()
    asked = unheard(world, 20) if how == "unheard" else failing(world, 20, turned_away=True)
    assert not asked, "a broker that restarts is no reason"
    asked = unheard(world, 200) if how == "unheard" else failing(world, 200, turned_away=True)
    assert len(asked) == 1


def test_a_device_that_reaches_nobody_does_not_ask_apart() -> None:
    world = World()
    world.start()
    assert not failing(world, 3_600, turned_away=False)


def test_who_was_turned_away_and_then_reaches_nobody_begins_to_count_anew() -> None:
    world = World()
    world.start()
    for _ in range(5):
        assert not failing(world, 20, turned_away=True)
        assert not failing(world, 70, turned_away=False)


def test_questions_apart_grow_seldom_and_end_when_the_link_is_live() -> None:
    world = World()
    world.start(until_ms=EXPIRED_MS)
    times: list[float] = []
    while len(times) < 40:
        if failing(world, 1, turned_away=True):
            times.append(world.mono)
            world.do(inputs.AnsweredApart())
    waits = [after - before for before, after in itertools.pairwise(times)]
    assert min(waits) >= limits.RENEW_APART_S_MIN - 1
    assert max(waits) <= limits.RENEW_APART_S_MAX + 1
    assert max(waits) > limits.RENEW_APART_S_MAX / 4
    assert len({round(wait) for wait in waits}) > 20, "no two devices ask in step"
    world.online(renew_only=True)
    assert not [act for act in world.wait(3_600) if isinstance(act, inputs.AskApart)]
    world.do(inputs.AnsweredApart())
    assert not [act for act in world.wait(3_600) if isinstance(act, inputs.AskApart)], "a late answer begins nothing"


def test_a_refusal_apart_is_shown_until_the_link_is_live() -> None:
    world = World()
    world.start(until_ms=EXPIRED_MS)
    assert failing(world, 60, turned_away=True)
    world.do(inputs.AnsweredApart(refused="no node of this name"))
    assert "no node of this name" in world.local(inputs.LocalStatus())["conditions"][0]["text"]
    world.online(renew_only=True)
    assert "no node of this name" not in str(world.local(inputs.LocalStatus())["conditions"])


@pytest.mark.parametrize("waits", [True, False])
def test_a_device_that_is_told_apart_that_it_was_revoked_shows_it_and_asks_no_more(waits: bool) -> None:
    world = World()
    world.start()
    world.online()
    world.desire(service("web"))
    running(world, "s-web-1")
    world.offline()
    if waits:
        assert unheard(world, 200)
    else:
        assert failing(world, 200, turned_away=True)
    revoked = messages.Revoked(
        incarnation="one", parent="cloud", child="gw-1", time_ms=1, reason="sold", key="k", signature="s"
    )
    fx = world.do(inputs.Got(message=revoked))
    assert only(fx, inputs.StopPulling).reason == "sold"
    world.do(inputs.AnsweredApart())
    later = world.wait(7_200)
    assert not [act for act in later if isinstance(act, inputs.AskApart | inputs.Connect | inputs.Stop)]
    assert world.local(inputs.LocalStatus())["link"]["state"] == "refused"
    assert not acts(world.start(), inputs.Connect), "nor in its next life"
