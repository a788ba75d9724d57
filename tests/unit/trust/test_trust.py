"""Signatures, tokens and tickets: what holds, and everything that must not."""

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

from protocol import limits
from protocol.errors import TooLarge, TrustError
from protocol.trust import certificates, signing

NOW_S = 1_800_000_000.0
ROOT_KEY = certificates.make_key()
ROOT = certificates.make_root(ROOT_KEY, "cloud", NOW_S)
OTHER_KEY = certificates.make_key()
OTHER_ROOT = certificates.make_root(OTHER_KEY, "cloud", NOW_S)
DIGEST = "sha256:" + "a" * 64
SECRET = bytes(range(32))


def signer(hub: str = "cloud") -> signing.Signer:
    ca_key, ca = ROOT_KEY, ROOT
    if hub != "cloud":
        ca_key = certificates.make_key()
        ca = certificates.issue_ca(certificates.make_csr(ca_key, hub), hub, ROOT_KEY, ROOT, NOW_S) + ROOT
    key, chain = certificates.make_signer(hub, ca_key, ca, NOW_S)
    return signing.Signer(key, hub, chain)


def test_a_child_that_pins_the_root_trusts_what_its_parent_signed():
    cloud = signer()
    for pin in (ROOT, signing.spki_hash(ROOT)):
        anchor = signing.Anchor(pin)
        assert anchor.learn(cloud.chain, "cloud") == cloud.key
        anchor.check_manifest(cloud.manifest("gw-1", 1, 7, DIGEST), "cloud", "gw-1")
        anchor.check_revoked(cloud.revoked("gw-1", 5, "stolen", "i1"), "cloud", "gw-1")


@pytest.mark.parametrize(
    "change",
    [{"term": 2}, {"generation": 8}, {"digest": "sha256:" + "b" * 64}, {"signature": "AAAA"}, {"signature": "é"}],
)
def test_an_altered_manifest_is_refused(change: dict[str, object]):
    cloud = signer()
    anchor = signing.Anchor(ROOT)
    anchor.learn(cloud.chain, "cloud")
    altered = msgspec.structs.replace(cloud.manifest("gw-1", 1, 7, DIGEST), **change)
    with pytest.raises(TrustError, match="signature of cloud is wrong"):
        anchor.check_manifest(altered, "cloud", "gw-1")


def test_a_manifest_for_another_node_is_refused():
    cloud = signer()
    anchor = signing.Anchor(ROOT)
    anchor.learn(cloud.chain, "cloud")
    with pytest.raises(TrustError, match="for 'gw-2' came to gw-1"):
        anchor.check_manifest(cloud.manifest("gw-2", 1, 7, DIGEST), "cloud", "gw-1")
    with pytest.raises(TrustError, match="for 'gw-2' came to gw-1"):
        anchor.check_revoked(cloud.revoked("gw-2", 5, "", "i1"), "cloud", "gw-1")


def test_a_key_that_was_never_proven_signs_nothing():
    with pytest.raises(TrustError, match="has not proven"):
        signing.Anchor(ROOT).check_manifest(signer().manifest("gw-1", 1, 7, DIGEST), "cloud", "gw-1")


def test_the_key_of_one_hub_does_not_speak_for_another():
    oslo = signer("oslo")
    anchor = signing.Anchor(ROOT)
    with pytest.raises(TrustError, match="names signer oslo, not signer cloud"):
        anchor.learn(oslo.chain, "cloud")
    anchor.learn(oslo.chain, "oslo")
    forged = msgspec.structs.replace(oslo.manifest("gw-1", 1, 7, DIGEST), parent="cloud")
    with pytest.raises(TrustError, match="has not proven"):
        anchor.check_manifest(forged, "cloud", "gw-1")


def test_a_signer_of_another_root_is_not_learned():
    key, chain = certificates.make_signer("cloud", OTHER_KEY, OTHER_ROOT, NOW_S)
    assert key
    with pytest.raises(TrustError, match="does not end at the pinned root"):
        signing.Anchor(ROOT).learn(chain, "cloud")


def test_a_signer_whose_chain_was_given_our_root_is_not_learned():
    _, chain = certificates.make_signer("cloud", OTHER_KEY, OTHER_ROOT, NOW_S)
    leaf = chain[: -len(OTHER_ROOT)]
    with pytest.raises(TrustError, match="is broken"):
        signing.Anchor(ROOT).learn(leaf + ROOT, "cloud")


def test_a_tls_certificate_is_no_signer_and_no_ca():
    tls = certificates.make_key()
    hub = certificates.issue_hub(tls.public_key(), "cloud", [], ROOT_KEY, ROOT, NOW_S, 1)
    with pytest.raises(TrustError, match="names hub cloud, not signer cloud"):
        signing.Anchor(ROOT).learn(hub + ROOT, "cloud")
    with pytest.raises(TrustError, match="not that of a CA"):
        certificates.issue_node(certificates.make_csr(certificates.make_key(), "x"), "gw-1", tls, hub, NOW_S, 1)


def test_a_signer_with_another_kind_of_key_is_not_learned():
    key = certificates.make_key()
    root = x509.load_pem_x509_certificate(ROOT)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "cloud")])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(root.subject).public_key(key.public_key())
    builder = builder.not_valid_before(root.not_valid_before_utc).not_valid_after(root.not_valid_after_utc)
    uri = x509.UniformResourceIdentifier("skerry:signer:cloud")
    san = x509.SubjectAlternativeName([uri, x509.DNSName("cloud.skerry")])
    odd = builder.serial_number(1).add_extension(san, critical=False).sign(ROOT_KEY, hashes.SHA256())
    with pytest.raises(TrustError, match="no Ed25519 key"):
        signing.Anchor(ROOT).learn(odd.public_bytes(serialization.Encoding.PEM) + ROOT, "cloud")


def test_what_is_no_chain_or_too_long_a_one_is_not_learned():
    chain = signer().chain
    with pytest.raises(TrustError, match="not a certificate chain"):
        signing.Anchor(ROOT).learn("rubbish", "cloud")
    with pytest.raises(TooLarge):
        signing.Anchor(ROOT).learn(chain * 40, "cloud")
    with pytest.raises(TooLarge):
        signing.Anchor(ROOT).learn(ROOT * (limits.CHAIN_CERTIFICATES_MAX + 1), "cloud")


def test_only_so_many_signing_keys_are_remembered():
    anchor = signing.Anchor(ROOT)
    signers = [signer() for _ in range(limits.SIGNERS_KEPT_MAX + 1)]
    for one in signers:
        anchor.learn(one.chain, "cloud")
    anchor.check_manifest(signers[-1].manifest("gw-1", 1, 1, DIGEST), "cloud", "gw-1")
    with pytest.raises(TrustError, match="has not proven"):
        anchor.check_manifest(signers[0].manifest("gw-1", 1, 1, DIGEST), "cloud", "gw-1")


def test_a_token_says_which_hub_made_it_and_pins_the_root():
    pin = signing.spki_hash(ROOT)
    text = signing.token_make("abcd1234", SECRET, pin, "oslo.cloud.skerry")
    token = signing.token_parse(f" {text}\n")
    assert (token.id, token.pin, token.scope) == ("abcd1234", pin, "oslo.cloud.skerry")
    assert signing.secret_hash(token.secret) == signing.secret_hash(text.split(".")[2])
    assert signing.same(token.pin, pin)
    assert not signing.same(token.pin, "é")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "sk1",
        "sk2.a.b.c.d.skerry",
        "x" * 600,
        "sk1.a.AAAA.AAAA.cloud.skerry",
        "sk1.A!.{s}.{p}.cloud.skerry",
        "sk1.a.{s}.{p}=.cloud.skerry",
        "sk1.a.{s}é.{p}.cloud.skerry",
        "sk1.a.{s}.{p}",
        "sk1.a.{s}.{p}.cloud",
        "sk1.a.{s}.{p}..skerry",
        "sk1.a.{s}.{p}.Cloud.skerry",
        "sk1.a.{s}.{p}." + "x" * 63 + ("." + "x" * 62) * 2 + ".skerry",
    ],
)
def test_what_is_no_token_is_refused_without_repeating_it(text: str):
    whole = signing.token_make("a", SECRET, signing.spki_hash(ROOT), "cloud.skerry").split(".")
    text = text.replace("{s}", whole[2]).replace("{p}", whole[3])
    with pytest.raises(TrustError, match="not an enrollment token") as raised:
        signing.token_parse(text)
    assert whole[2] not in str(raised.value)


def test_a_ticket_is_for_one_node_one_artifact_and_a_while():
    ticket = signing.ticket_make(SECRET, "gw-1", DIGEST, 2_000)
    assert signing.ticket_check(SECRET, ticket, DIGEST, 1_999) == "gw-1"
    with pytest.raises(TrustError, match="expired"):
        signing.ticket_check(SECRET, ticket, DIGEST, 2_000)
    with pytest.raises(TrustError, match="not for this artifact"):
        signing.ticket_check(SECRET, ticket, "sha256:" + "b" * 64, 0)
    with pytest.raises(TrustError, match="not for this artifact"):
        signing.ticket_check(SECRET, ticket.replace("gw-1", "gw-2"), DIGEST, 0)
    with pytest.raises(TrustError, match="not for this artifact"):
        signing.ticket_check(SECRET, ticket.replace("2000", "9000"), DIGEST, 0)
    with pytest.raises(TrustError, match="not for this artifact"):
        signing.ticket_check(bytes(32), ticket, DIGEST, 0)


@pytest.mark.parametrize("ticket", ["", "a.b", "gw-1.x.AAAA", "../x.5.AAAA", "gw-1.5.!", "y" * 600])
def test_what_is_no_ticket_is_refused(ticket: str):
    with pytest.raises(TrustError, match="not an artifact ticket"):
        signing.ticket_check(SECRET, ticket, DIGEST, 0)
