"""How devices get in: tokens, names, keys, certificates."""

import msgspec
import pytest

from hub.core import inputs, views
from protocol import limits
from tests.unit.hub.world import SECRET_HASH, World, enroll, key_of, only


@pytest.fixture
def world() -> World:
    return World()


def test_a_device_with_a_token_becomes_a_node_when_its_certificate_is_made(world: World) -> None:
    world.token(labels={"site": "oslo"}, uses=1)
    fx = world.request(enroll("oslo-1", labels={"site": "bergen", "gpu": ""}, facts={"os": "debian"}))
    issue = only(fx, inputs.IssueCertificate)
    assert (issue.node, issue.csr, issue.key) == ("oslo-1", "CSR", key_of("oslo-1"))
    assert not fx.store
    assert not views.nodes(world.core, "").nodes

    fx = world.take(
        inputs.CertificateIssued(request=issue.request, node="oslo-1", certificate="PEM", serial="7", until_ms=9)
    )
    reply = msgspec.json.decode(only(fx, inputs.Reply).data)
    assert reply == {"node": "oslo-1", "certificate": "PEM", "until_ms": 9}
    node = world.node("oslo-1")
    assert node["labels"] == {"site": "oslo", "gpu": ""}
    assert (node["state"], node["since_ms"], node["facts"]) == ("away", int(world.wall * 1000), {"os": "debian"})
    assert views.tokens(world.core)[0]["used"] == 1
    assert ("node.enrolled", "oslo-1") in [row[:2] for row in world.store.rows["audit"]]


def test_a_token_is_refused_with_the_reason(world: World) -> None:
    world.token(ttl_s=60.0, uses=1)
    assert "knows no token 'nope'" in world.refused(enroll("a", token="nope")).error
    assert "was altered" in world.refused(enroll("a", secret_hash="0" * 64)).error
    world.enroll("oslo-1")
    used = world.refused(enroll("oslo-2"))
    assert "used up (1 of 1)" in used.error
    assert used.status == 403
    world.later(60.0)
    assert "expired" in world.refused(enroll("oslo-2")).error


def test_no_device_takes_the_hubs_own_name(world: World) -> None:
    world.token()
    assert "(cloud), which peers are told apart by" in world.refused(enroll(world.core.node)).error
    assert (
        only(world.request(enroll("", facts={"hostname": world.core.node})), inputs.IssueCertificate).node
        != world.core.node
    )


def test_two_devices_cannot_use_the_last_use_at_the_same_time(world: World) -> None:
    world.token(uses=1)
    world.request(enroll("oslo-1"))
    assert "used up" in world.refused(enroll("oslo-2")).error


def test_a_certificate_that_is_not_made_costs_no_use(world: World) -> None:
    world.token(uses=1)
    issue = only(world.request(enroll("oslo-1")), inputs.IssueCertificate)
    fx = world.take(inputs.CertificateIssued(request=issue.request, node="oslo-1", error="the CSR has an RSA key"))
    assert "RSA" in only(fx, inputs.Reply).error
    assert not fx.store
    world.enroll("oslo-1")


def test_a_device_whose_answer_was_lost_enrolls_again_with_the_same_token(world: World) -> None:
    world.token(uses=1)
    assert world.enroll("oslo-1")["node"] == "oslo-1"
    assert world.enroll("oslo-1")["node"] == "oslo-1"
    assert views.tokens(world.core)[0]["used"] == 1


def test_a_name_is_never_given_to_another_key(world: World) -> None:
    world.enroll("oslo-1")
    assert "taken by another key" in world.refused(enroll("oslo-1", key="f" * 64)).error
    world.request(enroll("oslo-2"))
    assert "taken by another key" in world.refused(enroll("oslo-2", key="f" * 64)).error
    assert "enrolled as oslo-1" in world.refused(enroll("oslo-9", key=key_of("oslo-1"))).error


def test_a_device_without_a_name_gets_one_of_its_host_or_its_token(world: World) -> None:
    world.token()

    def named(key: str, **facts: str) -> str:
        issue = only(world.request(enroll("", key=key * 64, facts=facts)), inputs.IssueCertificate)
        world.take(inputs.CertificateIssued(request=issue.request, node=issue.node, certificate="PEM"))
        return issue.node

    assert named("a", hostname="Pi_Kitchen.local") == "pi-kitchen"
    assert named("b", hostname="pi-kitchen") == "pi-kitchen-bbbbbbbb"
    assert named("c", hostname="localhost") == "tok-cccccccc"
    assert named("d") == "tok-dddddddd"
    assert named("a") == "pi-kitchen"


def test_odd_names_labels_and_facts_are_refused(world: World) -> None:
    world.token()
    assert world.refused(enroll("../etc")).status == 422
    assert "cannot name a node" in world.refused(enroll("Oslo 1")).error
    assert "a key is" in world.refused(enroll("a", labels={"no good": "x"})).error
    assert "a value is" in world.refused(enroll("a", labels={"site": "a b"})).error
    assert "which is the name" in world.refused(enroll("a", labels={"node": "x"})).error
    many = {f"k{number}": "" for number in range(limits.LABELS_MAX + 1)}
    assert "labels: at most" in world.refused(enroll("a", labels=many)).error
    assert "facts" in world.refused(enroll("a", facts={"a": "x" * 500})).error


def test_a_revoked_key_never_comes_back_under_any_name(world: World) -> None:
    world.enroll("oslo-1")
    world.ask(inputs.RevokeNode(node="oslo-1", reason="stolen"))
    assert "revoked as oslo-1" in world.refused(enroll("oslo-1")).error
    assert "revoked as oslo-1" in world.refused(enroll("oslo-7", key=key_of("oslo-1"))).error
    assert "taken by another key" in world.refused(enroll("oslo-1", key="f" * 64)).error


def test_a_node_that_is_revoked_while_its_certificate_is_made_stays_out(world: World) -> None:
    world.enroll("oslo-1")
    issue = only(world.request(enroll("oslo-1")), inputs.IssueCertificate)
    world.ask(inputs.RevokeNode(node="oslo-1", reason="stolen"))
    fx = world.take(inputs.CertificateIssued(request=issue.request, node="oslo-1", certificate="PEM"))
    assert "revoked meanwhile" in only(fx, inputs.Reply).error


def test_what_nobody_waits_for_changes_nothing(world: World) -> None:
    assert not world.take(inputs.CertificateIssued(request="certificate-9", node="oslo-1", certificate="PEM")).store


def test_tokens_are_made_within_bounds_and_withdrawn(world: World) -> None:
    def create(**changed: object) -> inputs.CreateToken:
        return msgspec.structs.replace(
            inputs.CreateToken(id="t1", secret_hash=SECRET_HASH, ttl_s=60.0, uses=1), **changed
        )

    assert "lives up to 30 days" in world.refused(create(ttl_s=1e9)).error
    assert "serves 1 to" in world.refused(create(uses=0)).error
    world.ask(create())
    assert "already" in world.refused(create()).error
    assert world.ask(inputs.DeleteToken(id="t1")) == {"deleted": "t1"}
    assert world.refused(inputs.DeleteToken(id="t1")).status == 404
    assert "knows no token" in world.refused(enroll("a", token="t1")).error
    kinds = [row[0] for row in world.store.rows["audit"]]
    assert kinds[-2:] == ["token.created", "token.deleted"]
    assert all(SECRET_HASH not in str(row) for row in world.store.rows["audit"])


def test_tokens_are_bounded_and_long_expired_ones_make_room(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "TOKENS_MAX", 2)
    world.token("a", ttl_s=60.0)
    world.token("b", ttl_s=60.0)
    full = inputs.CreateToken(id="c", secret_hash=SECRET_HASH, ttl_s=60.0, uses=1)
    assert "tokens are alive" in world.refused(full).error
    world.later(2 * 86_400.0)
    world.ask(full)
    assert [token["id"] for token in views.tokens(world.core)] == ["c"]


def test_enrollments_under_way_and_nodes_are_bounded(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "ENROLLMENTS_PENDING_MAX", 1)
    world.token()
    issue = only(world.request(enroll("oslo-1")), inputs.IssueCertificate)
    assert world.refused(enroll("oslo-2")).status == 503
    world.take(inputs.CertificateIssued(request=issue.request, node="oslo-1", certificate="PEM"))
    monkeypatch.setattr(limits, "NODES_MAX", 1)
    assert "nodes, its most" in world.refused(enroll("oslo-2")).error


# ------------------------------------------------------------------------------------------------ asking apart


def apart(world: World, node: str = "oslo-1", *, key: str = "", days: float = -1) -> inputs.Renew:
    until_ms = int((world.wall + days * 86_400) * 1000)
    return inputs.Renew(node=node, key=key or key_of(node), csr="CSR2", until_ms=until_ms)


def test_an_expired_node_that_asks_apart_gets_a_certificate_on_its_key(world: World) -> None:
    world.enroll("oslo-1")
    fx = world.request(apart(world))
    issue = only(fx, inputs.IssueCertificate)
    assert (issue.node, issue.csr, issue.key) == ("oslo-1", "CSR2", key_of("oslo-1"))
    assert not [act for act in fx.act if isinstance(act, inputs.Reply)]
    assert world.refused(apart(world)).status == 503
    fx = world.take(inputs.CertificateIssued(request=issue.request, node="oslo-1", certificate="PEM2", until_ms=9))
    assert msgspec.json.decode(only(fx, inputs.Reply).data) == {"certificate": "PEM2"}
    assert world.store.rows["audit"][-1][:2] == ("certificate.renewed", "oslo-1")
    assert world.node("oslo-1")["certificate_until_ms"] == 9
    assert world.core.enrollment.tokens["tok"].used == 1


def test_what_the_authority_says_against_it_is_the_answer_apart(world: World) -> None:
    world.enroll("oslo-1")
    issue = only(world.request(apart(world)), inputs.IssueCertificate)
    fx = world.take(inputs.CertificateIssued(request=issue.request, node="oslo-1", error="an RSA key"))
    reply = only(fx, inputs.Reply)
    assert (reply.status, reply.error) == (422, "oslo-1 cannot renew its certificate: an RSA key")
    issue = only(world.request(apart(world)), inputs.IssueCertificate)
    world.ask(inputs.RevokeNode(node="oslo-1", reason="sold"))
    fx = world.take(inputs.CertificateIssued(request=issue.request, node="oslo-1", certificate="PEM2"))
    assert "was revoked meanwhile" in only(fx, inputs.Reply).error


def test_a_node_whose_certificate_is_good_for_long_gets_none_apart(world: World) -> None:
    world.enroll("oslo-1")
    assert world.ask(apart(world, days=60)) == {}
    assert only(world.request(apart(world, days=20)), inputs.IssueCertificate)


def test_a_revoked_node_gets_the_signed_word_apart_with_what_proves_it(world: World) -> None:
    world.enroll("oslo-1")
    world.ask(inputs.RevokeNode(node="oslo-1", reason="sold"))
    said = world.ask(apart(world))
    assert (said["revoked"]["child"], said["revoked"]["reason"], said["chain"]) == (
        "oslo-1",
        "sold (by token:admin)",
        "CHAIN",
    )
    assert "certificate" not in said


def test_without_the_key_of_a_node_nothing_is_learned_apart(world: World) -> None:
    world.enroll("oslo-1")
    unknown, other = world.refused(apart(world, "nobody")), world.refused(apart(world, key="0" * 64))
    assert (unknown.status, unknown.error) == (other.status, other.error)
    for _ in range(limits.RENEWS_BURST + 1):
        world.refused(apart(world, key="0" * 64))
    assert only(world.request(apart(world)), inputs.IssueCertificate), "strangers do not use up a node's turns"


def test_a_node_that_asks_apart_too_often_waits(world: World) -> None:
    world.enroll("oslo-1")
    for _ in range(limits.RENEWS_BURST):
        world.ask(apart(world, days=60))
    assert world.refused(apart(world)).status == 429
    world.later(limits.RENEWS_EVERY_S)
    world.ask(apart(world, days=60))


def test_all_that_ask_apart_share_a_rate_that_one_of_them_cannot_use_up(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "RENEWALS_PER_S", limits.RENEWS_BURST + 1)
    world.restart()
    world.fleet(oslo_1={}, oslo_2={}, oslo_3={})
    for _ in range(limits.RENEWS_BURST * 3):
        world.request(apart(world, days=60))
    assert world.ask(apart(world, "oslo-2", days=60)) == {}
    assert "renewals a second" in world.refused(apart(world, "oslo-3", days=60)).error
    world.later(1)
    assert world.ask(apart(world, "oslo-3", days=60)) == {}
