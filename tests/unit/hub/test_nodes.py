"""Nodes: presence, labels, alarms, overrides, certificates."""

import msgspec
import pytest

from hub.core import inputs, views
from protocol import documents, effects, limits, messages, status
from tests.unit.hub.world import Device, World, acts, key_of, only, service, topics


@pytest.fixture
def world() -> World:
    return World()


def alarms(world: World, name: str = "oslo-1") -> list[str]:
    return [alarm["what"] for alarm in world.node(name)["alarms"]]


def sent(fx: effects.Effects, kind: type[messages.Message]) -> list[messages.Message]:
    return [send.message for send in fx.send if isinstance(send, effects.Send) and isinstance(send.message, kind)]


def test_a_node_that_is_away_says_since_when_and_what_was_last_known(world: World) -> None:
    device = world.fleet(oslo_1={"site": "oslo"})["oslo-1"]
    device.report(status.Report(vitals=status.Vitals(cpu=0.5), platform={"os": "debian"}))
    reported = int(world.wall * 1000)
    world.later(30.0)
    fx = device.leave()
    assert "node/oslo-1" in topics(fx)
    world.later(3_600.0)
    node = world.node("oslo-1")
    assert (node["state"], node["since_ms"], node["as_of_ms"]) == ("away", reported + 30_000, reported)
    assert (node["vitals"]["cpu"], node["platform"], node["version"]) == (0.5, {"os": "debian"}, "0.1.0")
    assert node["last_contact_ms"] == reported
    kinds = [row[0] for row in world.store.rows["state"]]
    assert kinds == ["node.live", "node.away"]


def test_a_node_that_falls_silent_is_away_after_its_lease(world: World) -> None:
    world.fleet(oslo_1={"site": "oslo"})
    fx = world.later(limits.CONTACT_EVERY_S * limits.CONTACT_MISSES_MAX)
    assert only(fx, inputs.CloseChild).node == "oslo-1"
    assert world.node("oslo-1")["state"] == "away"


def metered(world: World) -> Device:
    """A device that speaks once an hour, enrolled, connected, heard."""
    device = world.fleet(oslo_1={"site": "oslo"})["oslo-1"]
    device.contact_s = 3_600.0
    device.connect()
    device.report(status.Report(vitals=status.Vitals(cpu=0.5)))
    return device


def test_a_metered_node_is_online_while_its_own_contacts_are_not_overdue(world: World) -> None:
    device = metered(world)
    heard = world.node("oslo-1")["last_contact_ms"]
    world.later(3_000.0)
    device.take(inputs.Closed(node="oslo-1", connection=device.connection, reason="reset by peer"))
    world.later(4_000.0)
    node = world.node("oslo-1")
    assert (node["state"], node["contact_s"], node["last_contact_ms"]) == ("online", 3_600.0, heard)
    world.restart()
    node = world.node("oslo-1")
    assert (node["state"], node["contact_s"], node["last_contact_ms"]) == ("online", 3_600.0, heard)
    world.later(3 * 3_600.0 - 1)
    assert world.node("oslo-1")["state"] == "online"
    fx = world.later(2.0)
    assert "node/oslo-1" in topics(fx)
    node = world.node("oslo-1")
    assert (node["state"], node["last_contact_ms"]) == ("away", heard)
    assert [row[0] for row in world.store.rows["state"]] == ["node.live", "node.away"], "once, and no more"


def test_a_metered_node_that_comes_back_in_time_was_never_away(world: World) -> None:
    device = metered(world)
    device.take(inputs.Closed(node="oslo-1", connection=device.connection, reason="reset by peer"))
    world.restart()
    world.later(3_600.0)
    device.connect()
    assert [row[0] for row in world.store.rows["state"]] == ["node.live"]
    world.restart()
    assert world.node("oslo-1")["state"] == "online"


def test_a_metered_node_that_was_stopped_is_away_at_once_and_after_a_restart(world: World) -> None:
    device = metered(world)
    device.leave()
    assert world.node("oslo-1")["state"] == "away"
    world.restart()
    assert world.node("oslo-1")["state"] == "away"


def test_nobody_is_asked_over_a_connection_that_is_gone(world: World) -> None:
    device = metered(world)
    device.take(inputs.Closed(node="oslo-1", connection=device.connection, reason="reset by peer"))
    refusal = world.refused(inputs.AskNode(id="q1", node="oslo-1", what="status"))
    assert "reached at its next contact" in refusal.error


def test_a_late_close_of_an_older_connection_changes_nothing(world: World) -> None:
    device = world.fleet(oslo_1={"site": "oslo"})["oslo-1"]
    device.connect()
    device.take(inputs.Closed(node="oslo-1", connection=1, reason="late"))
    assert world.node("oslo-1")["state"] == "online"
    fx = device.take(inputs.Closed(node="oslo-1", connection=2, reason="reset"))
    assert world.node("oslo-1")["state"] == "away"
    assert "node/oslo-1" in topics(fx)


def test_a_node_that_never_came_is_away_since_it_was_enrolled(world: World) -> None:
    world.enroll("oslo-1")
    node = world.node("oslo-1")
    assert (node["since_ms"], node["last_contact_ms"], node["as_of_ms"]) == (int(world.wall * 1000), 0, 0)
    assert "never connected" in views.away_text(world.core, world.core.subtree.get("oslo-1"))


def test_labels_are_set_and_removed_and_work_follows(world: World) -> None:
    device = world.fleet(oslo_1={"site": "oslo"})["oslo-1"]
    world.ask(inputs.Apply(documents=[service("vision", "gpu")]))
    fx = world.request(inputs.LabelNode(node="oslo-1", set={"gpu": ""}, remove=["site", "none"]))
    device.see(fx)
    assert msgspec.json.decode(only(fx, inputs.Reply).data)["labels"] == {"gpu": ""}
    assert list(device.items) == ["assignment/vision"]
    assert world.refused(inputs.LabelNode(node="oslo-1", set={"a b": ""})).status == 422
    assert world.refused(inputs.LabelNode(node="nope")).status == 404
    assert world.store.rows["audit"][-1] == (
        "operator.label",
        "oslo-1",
        {"who": "token:admin", "set": {"gpu": ""}, "remove": ["site", "none"]},
    )


def test_a_clone_is_quarantined_until_an_operator_accepts_the_node(world: World) -> None:
    device = world.fleet(oslo_1={"site": "oslo"})["oslo-1"]
    world.take(inputs.Opened(node="oslo-1", connection=7, key=key_of("oslo-1")))
    fx = world.take(inputs.Got(node="oslo-1", connection=7, message=device.hello(nonce="f" * 32)))
    assert {close.connection for close in acts(fx, inputs.CloseChild)} == {1, 7}
    assert (world.node("oslo-1")["state"], alarms(world)) == ("quarantined", ["clone-seen"])
    assert (
        "or it came back from an old backup: it is not served; make sure that there is only one"
        in world.node("oslo-1")["alarms"][0]["text"]
    )
    device.connect()
    assert world.node("oslo-1")["state"] == "quarantined"
    world.restart()
    assert world.node("oslo-1")["state"] == "quarantined"
    world.ask(inputs.AcceptNode(node="oslo-1", reason="one was switched off"))
    assert (world.node("oslo-1")["state"], alarms(world)) == ("away", [])
    device.connect()
    assert world.node("oslo-1")["state"] == "online"


def test_a_hub_that_was_restored_asks_the_operator_before_it_takes_over(world: World) -> None:
    device = world.fleet(oslo_1={"site": "oslo"})["oslo-1"]
    device.leave()
    device.held = messages.Held(term=1, generation=40, digest="sha256:" + "f" * 64)
    device.connect()
    assert alarms(world) == ["restored-parent"]
    fx = world.request(inputs.Apply(documents=[service("line", "site=oslo")]))
    assert not sent(fx, messages.Desired)
    fx = world.request(inputs.AcceptNode(node="oslo-1"))
    device.see(fx)
    assert (device.held.term, device.held.generation, list(device.items)) == (2, 41, ["assignment/line"])


def test_what_goes_wrong_on_a_link_is_shown_and_on_record(world: World) -> None:
    device = world.fleet(oslo_1={"site": "oslo"})["oslo-1"]
    device.entries(("a", "", {}), ("b", "", {}))
    device.leave()
    device.epoch, device.seq = "b" * 16, 0
    device.connect()
    assert alarms(world) == ["epoch-changed", "loss-declared"]
    device.session -= 1
    device.got(msgspec.structs.replace(device.hello(), session=1))
    device.leave()
    device.session = 0
    device.connect()
    assert "child-restored" in alarms(world)
    device.session = 9
    device.connect()
    for _ in range(3):
        device.got(messages.Look(incarnation="x"))
    world.take(inputs.Bad(node="oslo-1", connection=1, error="not JSON"))
    assert "misbehaved" in alarms(world)
    kinds = [row[0] for row in world.store.rows["audit"]]
    assert kinds.count("link.misbehaved") == 1
    assert kinds.count("link.loss-declared") == 1


def test_a_fork_and_a_poisoned_row_are_alarms(world: World) -> None:
    device = world.fleet(oslo_1={"site": "oslo"})["oslo-1"]
    bad = messages.Entries(session=1, stream="state", epoch=device.epoch, prev=0, rows=[msgspec.Raw(b'"x"')])
    device.got(bad)
    assert (alarms(world), world.node("oslo-1")["aside"]) == (["poison"], {"state": 1})
    row = msgspec.Raw(b'[2,1,"a","",{}]')
    device.got(messages.Entries(session=1, stream="state", epoch=device.epoch, prev=1, rows=[row], hash="0" * 64))
    assert alarms(world) == ["poison", "fork"]


def test_metrics_that_begin_anew_are_on_record_and_no_alarm(world: World) -> None:
    device = world.fleet(oslo_1={"site": "oslo"})["oslo-1"]
    for epoch in ("c" * 16, "d" * 16):
        device.session += 1
        head = messages.StreamHead(epoch=epoch, seq=0)
        device.got(msgspec.structs.replace(device.hello(), streams={"metrics": head}))
    assert alarms(world) == []
    assert "link.epoch-changed" in [row[0] for row in world.store.rows["audit"]]


def test_a_status_that_says_nothing_new_wakes_nobody_and_its_commit_can_wait(world: World) -> None:
    device = world.fleet(oslo_1={})["oslo-1"]
    same = status.Report(vitals=status.Vitals(cpu=0.5))
    assert "node/oslo-1" in topics(device.report(same)), "the first of a session"
    world.later(60.0)
    fx = device.report(same)
    assert (fx.act, fx.send, fx.lazy) == ([], [], True)
    assert world.node("oslo-1")["as_of_ms"] == int(world.wall * 1000)
    assert "node/oslo-1" in topics(device.report(same, seq=7)), "it has more to send"
    assert "node/oslo-1" in topics(device.report(status.Report(vitals=status.Vitals(cpu=0.6)), seq=7))


def test_a_status_that_cannot_be_read_is_an_alarm_until_one_can(world: World) -> None:
    device = world.fleet(oslo_1={"site": "oslo"})["oslo-1"]
    device.report(status.Report(vitals=status.Vitals(cpu=0.5)))
    device.count += 1
    odd = messages.Status(
        session=1, count=device.count, held=device.held, heads={}, time_ms=1, body=msgspec.Raw(b'{"services":7}')
    )
    device.got(odd)
    assert (alarms(world), world.node("oslo-1")["vitals"]) == (["odd-status"], None)
    device.report(status.Report())
    assert alarms(world) == []


def test_alarms_of_a_node_are_bounded(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "ALARMS_KEPT_MAX", 2)
    world.enroll("oslo-1")
    fx = effects.Effects()
    for what in ("a", "b", "a", "c"):
        world.core.registry.alarm("oslo-1", what, "text", world.now, fx)
    assert alarms(world) == ["a", "c"]
    before = len(fx.store)
    world.core.registry.alarm("oslo-1", "c", "text", world.now, fx)
    assert len(fx.store) == before


def test_a_device_renews_on_its_own_key_and_one_that_expired_may_do_only_that(world: World) -> None:
    device = world.fleet(oslo_1={"site": "oslo"})["oslo-1"]
    device.connect(expired=True)
    assert (world.node("oslo-1")["state"], alarms(world)) == ("away", ["certificate-expired"])
    fx = device.got(messages.Renew(session=device.session, csr="CSR2"))
    issue = only(fx, inputs.IssueCertificate)
    assert (issue.node, issue.csr, issue.key) == ("oslo-1", "CSR2", key_of("oslo-1"))
    assert not device.got(messages.Renew(session=device.session, csr="CSR2")).act
    fx = world.take(
        inputs.CertificateIssued(request=issue.request, node="oslo-1", certificate="PEM2", serial="8", until_ms=99)
    )
    (renewed,) = sent(fx, messages.Renewed)
    assert isinstance(renewed, messages.Renewed)
    assert renewed.certificate == "PEM2"
    assert world.node("oslo-1")["certificate_until_ms"] == 99
    assert world.store.rows["audit"][-1][0] == "certificate.renewed"
    device.connect()
    assert (world.node("oslo-1")["state"], alarms(world)) == ("online", [])


def test_a_renewal_that_fails_says_why(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    device = world.fleet(oslo_1={"site": "oslo"})["oslo-1"]
    issue = only(device.got(messages.Renew(session=1, csr="CSR")), inputs.IssueCertificate)
    fx = world.take(inputs.CertificateIssued(request=issue.request, node="oslo-1", error="an RSA key"))
    (renewed,) = sent(fx, messages.Renewed)
    assert isinstance(renewed, messages.Renewed)
    assert renewed.refused == "an RSA key"
    monkeypatch.setattr(limits, "ENROLLMENTS_PENDING_MAX", 0)
    (renewed,) = sent(device.got(messages.Renew(session=1, csr="CSR")), messages.Renewed)
    assert isinstance(renewed, messages.Renewed)
    assert "try again" in renewed.refused


def test_a_hold_of_updates_is_shown_and_its_end_is_asked_for(world: World) -> None:
    device = world.fleet(oslo_1={"site": "oslo"})["oslo-1"]
    device.see(world.request(inputs.Apply(documents=[service("line", "site=oslo")])))
    release = inputs.RequestRelease(node="oslo-1", service="", reason="a mend is due")
    assert "reports no hold" in str(world.refused(release))
    hold = status.HoldReport(user="kari", uid=1001, reason="shift", since_ms=5, generation=3, waiting=2)
    device.report(status.Report(hold=hold))
    shown = views.node(world.core, "oslo-1", world.now)["hold"]
    assert (shown["user"], shown["waiting"], shown["generation"]) == ("kari", 2, 3)
    (on,) = views.on(world.core, "service/line").nodes
    assert on["hold"]["reason"] == "shift"
    device.see(world.request(release))
    assert "unhold/device" in device.items
    device.report(status.Report())
    device.settle()
    assert list(device.items) == ["assignment/line"]


def test_an_override_is_asked_back_until_it_is_over(world: World) -> None:
    device = world.fleet(oslo_1={"site": "oslo"})["oslo-1"]
    device.see(world.request(inputs.Apply(documents=[service("line", "site=oslo")])))
    release = inputs.RequestRelease(node="oslo-1", service="line", reason="belt is mended")
    assert world.refused(release).status == 404
    override = status.OverrideReport(decision="stop", user="kari", uid=1001)
    held = status.Report(services={"line": status.ServiceReport(state="stopped", override=override)})
    device.report(held)
    fx = world.request(release)
    assert not only(fx, inputs.Reply).error
    device.see(fx)
    assert sorted(device.items) == ["assignment/line", "release/line"]
    (desired,) = sent(fx, messages.Desired)
    assert isinstance(desired, messages.Desired)
    asked = documents.decode(bytes(desired.documents[0]))
    assert asked == documents.ReleaseRequest(service="line", by="token:admin", reason="belt is mended")
    world.restart()
    device.connect()
    device.report(held)
    device.settle()
    assert "release/line" in device.items
    device.report(status.Report(services={"line": status.ServiceReport(state="running")}))
    device.settle()
    assert list(device.items) == ["assignment/line"]


def test_a_report_under_another_term_is_not_one_that_saw_the_request(world: World) -> None:
    device = world.fleet(oslo_1={"site": "oslo"})["oslo-1"]
    device.see(world.request(inputs.Apply(documents=[service("line", "site=oslo")])))
    override = status.OverrideReport(decision="stop", user="kari", uid=1001)
    device.report(status.Report(services={"line": status.ServiceReport(state="stopped", override=override)}))
    device.leave()
    device.held = messages.Held(term=2, generation=1, digest="sha256:" + "f" * 64)
    device.connect()
    device.see(world.request(inputs.AcceptNode(node="oslo-1")))
    device.see(world.request(inputs.RequestRelease(node="oslo-1", service="line")))
    device.held = messages.Held(term=2, generation=device.held.generation, digest=device.held.digest)
    device.report(status.Report(services={"line": status.ServiceReport(state="running")}))
    device.settle()
    assert world.core.delegate.has_releases("oslo-1")


def test_only_a_revoked_node_hears_a_farewell_when_it_comes_back(world: World) -> None:
    world.token()
    world.enroll("oslo-1")
    assert world.core.farewell("oslo-1") is None
    assert world.core.farewell("nobody") is None
    world.request(inputs.RevokeNode(node="oslo-1", reason="stolen"))
    said = world.core.farewell("oslo-1")
    assert said is not None
    assert (said.child, said.reason, said.time_ms) == ("oslo-1", "stolen (by token:admin)", int(world.wall * 1000))


def test_revoking_twice_or_without_a_reason(world: World) -> None:
    world.enroll("oslo-1")
    world.ask(inputs.RevokeNode(node="oslo-1"))
    assert world.node("oslo-1")["revoked_reason"] == "no reason given"
    assert "is revoked" in world.refused(inputs.RevokeNode(node="oslo-1")).error
    assert world.core.registry.gate("oslo-1", key_of("oslo-1")) == "oslo-1 is revoked: no reason given"
    world.restart()
    assert world.node("oslo-1")["state"] == "revoked"
    assert len(world.core.registry) == 1


def test_why_each_stream_goes_on_in_a_new_epoch_stands_in_the_alarm(world: World) -> None:
    device = world.fleet(oslo_1={"site": "oslo"})["oslo-1"]
    reasons = {"audit": "the store was damaged", "state": "the store was damaged; rows after 7 may be lost"}
    for epochs in ("b" * 16, "c" * 16):
        device.session += 1
        heads = {
            stream: messages.StreamHead(
                epoch=epochs, seq=0, was=messages.FormerEpoch(epoch=device.epoch, seq=0, reason=reason)
            )
            for stream, reason in reasons.items()
        }
        device.got(msgspec.structs.replace(device.hello(), streams=heads))
    text = next(one["text"] for one in world.node("oslo-1")["alarms"] if one["what"] == "epoch-changed")
    lines = text.split("; also ")
    assert len(lines) == len(reasons)
    for line, (stream, reason) in zip(sorted(lines), reasons.items(), strict=True):
        assert line.startswith(f"its {stream} goes on in a new epoch ({reason})")
