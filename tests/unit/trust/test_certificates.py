"""Certificates and requests: what is issued, and what is not taken."""

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509 import oid

from protocol import limits
from protocol.errors import TooLarge, TrustError
from protocol.trust import certificates, chains

NOW_S = 1_800_000_000.0
ROOT_KEY = certificates.make_key()
ROOT = certificates.make_root(ROOT_KEY, "cloud", NOW_S)
PIN = certificates.spki_hash(ROOT)


def request(key: object, signed_by: object = None) -> bytes:
    subject = x509.Name([x509.NameAttribute(oid.NameOID.COMMON_NAME, "gw-1")])
    algorithm = None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    built = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, algorithm)  # pyright: ignore[reportArgumentType]
    return built.public_bytes(serialization.Encoding.PEM)


def odd_certificate(common: str, uris: list[str], *, names: bool = True) -> bytes:
    """A certificate of our root with other names than Skerry gives."""
    key = certificates.make_key()
    root = x509.load_pem_x509_certificate(ROOT)
    builder = x509.CertificateBuilder().issuer_name(root.subject).public_key(key.public_key()).serial_number(1)
    builder = builder.subject_name(x509.Name([x509.NameAttribute(oid.NameOID.COMMON_NAME, common)]))
    builder = builder.not_valid_before(root.not_valid_before_utc).not_valid_after(root.not_valid_after_utc)
    if names:
        san = x509.SubjectAlternativeName([x509.UniformResourceIdentifier(uri) for uri in uris])
        builder = builder.add_extension(san, critical=False)
    return builder.sign(ROOT_KEY, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def test_a_node_gets_a_certificate_for_its_own_key_and_the_hubs_name_for_it():
    key = certificates.make_key()
    csr = certificates.make_csr(key, "what-it-calls-itself")
    pem = certificates.issue_node(csr, "gw-1", ROOT_KEY, ROOT, NOW_S, 90)
    identity = certificates.identify(pem)
    assert (identity.role, identity.id) == ("node", "gw-1")
    assert identity.key == certificates.spki_hash(csr)
    assert identity.until_ms - int(NOW_S * 1000) == 90 * 86_400_000
    leaf = chains.check_issued(pem + ROOT, "node", "gw-1", PIN)
    usages = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usages) == [oid.ExtendedKeyUsageOID.CLIENT_AUTH]


def test_a_certificate_is_read_as_tls_gives_it_too():
    pem = certificates.issue_node(certificates.make_csr(ROOT_KEY, "x"), "gw-1", ROOT_KEY, ROOT, NOW_S, 1)
    der = x509.load_pem_x509_certificate(pem).public_bytes(serialization.Encoding.DER)
    assert certificates.identify(der) == certificates.identify(pem.decode())
    assert certificates.spki_hash(der) == certificates.spki_hash(pem)


def test_a_hub_is_known_by_its_id_and_by_the_hosts_that_curl_checks():
    key = certificates.make_key()
    hosts = ["localhost", "127.0.0.1", "::1"]
    pem = certificates.issue_hub(key.public_key(), "cloud", hosts, ROOT_KEY, ROOT, NOW_S, 30)
    names = x509.load_pem_x509_certificate(pem).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["cloud.skerry", "localhost"]
    assert [str(address) for address in names.get_values_for_type(x509.IPAddress)] == ["127.0.0.1", "::1"]
    assert certificates.identify(pem).role == "hub"
    assert certificates.hosts_of(pem) == set(hosts)


def test_a_certificate_without_names_names_no_host():
    with pytest.raises(TrustError, match="names no host"):
        certificates.hosts_of(odd_certificate("gw-1", [], names=False))


def test_keys_survive_the_way_through_a_file():
    key = certificates.make_key()
    again = certificates.load_key(certificates.key_pem(key))
    assert again.private_numbers() == key.private_numbers()
    signing_key = ed25519.Ed25519PrivateKey.generate()
    assert (
        certificates.load_signing_key(certificates.key_pem(signing_key)).private_bytes_raw()
        == signing_key.private_bytes_raw()
    )


def test_a_key_of_the_wrong_kind_or_damaged_is_named():
    with pytest.raises(TrustError, match="not an elliptic curve key"):
        certificates.load_key(certificates.key_pem(ed25519.Ed25519PrivateKey.generate()))
    with pytest.raises(TrustError, match="not an Ed25519 key"):
        certificates.load_signing_key(certificates.key_pem(certificates.make_key()))
    with pytest.raises(TrustError, match="cannot be read"):
        certificates.load_key(b"rubbish")


@pytest.mark.parametrize(
    "key",
    [
        rsa.generate_private_key(65_537, 2_048),
        ec.generate_private_key(ec.SECP384R1()),
        ed25519.Ed25519PrivateKey.generate(),
    ],
    ids=["rsa", "p384", "ed25519"],
)
def test_a_request_for_another_kind_of_key_is_refused(key: object):
    with pytest.raises(TrustError, match="make a P-256 key"):
        certificates.check_csr(request(key))


def test_a_request_that_is_too_large_is_refused_before_it_is_parsed():
    with pytest.raises(TooLarge):
        certificates.check_csr(b"x" * (limits.CSR_BYTES_MAX + 1))


def test_a_request_that_is_none_is_refused():
    with pytest.raises(TrustError, match="not a certificate request"):
        certificates.check_csr("hello")


def test_a_request_with_another_keys_signature_is_refused():
    pem = certificates.make_csr(certificates.make_key(), "gw-1")
    der = bytearray(x509.load_pem_x509_csr(pem).public_bytes(serialization.Encoding.DER))
    der[der.index(b"gw-1")] = ord("h")
    forged = x509.load_der_x509_csr(bytes(der)).public_bytes(serialization.Encoding.PEM)
    with pytest.raises(TrustError, match="not signed by its own key"):
        certificates.check_csr(forged)


def test_a_public_key_has_the_same_hash_wherever_it_stands():
    key = certificates.make_key()
    spki = serialization.PublicFormat.SubjectPublicKeyInfo
    public = key.public_key().public_bytes(serialization.Encoding.PEM, spki)
    assert certificates.spki_hash(public) == certificates.spki_hash(certificates.make_csr(key, "a").decode())
    with pytest.raises(TrustError, match="no public key"):
        certificates.spki_hash("rubbish")


@pytest.mark.parametrize(
    ("pem", "says"),
    [
        (odd_certificate("gw-1", [], names=False), "names nobody"),
        (odd_certificate("gw-1", ["https://example"]), "no single skerry"),
        (odd_certificate("gw-1", ["skerry:node:gw-1", "skerry:hub:gw-1"]), "no single skerry"),
        (odd_certificate("gw-1", ["skerry:king:gw-1"]), "no single skerry"),
        (odd_certificate("gw-1", ["skerry:node"]), "no single skerry"),
        (odd_certificate("gw-2", ["skerry:node:gw-1"]), "common name"),
        (odd_certificate("../x", ["skerry:node:../x"]), "names no node"),
        (b"rubbish", "not a certificate"),
    ],
)
def test_a_certificate_with_odd_names_is_nobodys(pem: bytes, says: str):
    with pytest.raises(TrustError, match=says):
        certificates.identify(pem)


def test_a_renewed_certificate_of_another_node_is_refused():
    pem = certificates.issue_node(certificates.make_csr(ROOT_KEY, "x"), "gw-1", ROOT_KEY, ROOT, NOW_S, 1)
    with pytest.raises(TrustError, match="names node gw-1, not node gw-2"):
        chains.check_issued(pem + ROOT, "node", "gw-2", PIN)
    with pytest.raises(TrustError, match="does not end at the pinned root"):
        chains.check_issued(pem, "node", "gw-1", PIN)
