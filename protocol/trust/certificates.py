"""Keys, certificates and certificate requests: who is who, on paper (DESIGN 8). All functions over bytes.

    root      P-256, a CA; what is pinned is its public key (SHA-256 of the SubjectPublicKeyInfo)
    hub       P-256, TLS; `URI:skerry:hub:ID`, `DNS:ID.skerry`; serverAuth and clientAuth
    node      P-256, TLS; `URI:skerry:node:ID`; clientAuth only (INVARIANTS C4: roles are apart)
    signer    Ed25519, signs what a hub asks of its children; `URI:skerry:signer:ID`; no TLS purpose

Dates are arguments (`now_s`, seconds since 1970) and are never judged here: a device may believe in 1970, so what a
date means is decided where a trusted time is known. Only the functions `make_*` and `issue_*` draw randomness.
"""

from __future__ import annotations

import datetime
import hashlib
import ipaddress
import itertools
from collections.abc import Sequence

import msgspec
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.x509 import oid

from protocol import ids, limits
from protocol.errors import BadId, TooLarge, TrustError

ROLES = ("node", "hub", "signer")

_DAY_S = 86_400
_BACKDATE_S = 3_600  # a peer's clock may be a little behind


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """What a certificate says: `key` is the SHA-256 of its SubjectPublicKeyInfo (hex), times in ms since 1970."""

    role: str
    id: str
    key: str
    serial: str
    from_ms: int
    until_ms: int


# ------------------------------------------------------------------------------------------------ keys


def make_key() -> ec.EllipticCurvePrivateKey:
    """Make a new P-256 key, for TLS or a CA."""
    return ec.generate_private_key(ec.SECP256R1())


def key_pem(key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey) -> bytes:
    """Return a private key as PKCS 8 PEM, unencrypted: the file's permissions guard it."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def load_key(pem: bytes) -> ec.EllipticCurvePrivateKey:
    """Return the P-256 private key in `pem`. Raises TrustError."""
    key = _private(pem)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise TrustError("the private key is not an elliptic curve key: it was not made by Skerry")
    return key


def load_signing_key(pem: bytes) -> ed25519.Ed25519PrivateKey:
    """Return the Ed25519 private key in `pem`. Raises TrustError."""
    key = _private(pem)
    if not isinstance(key, ed25519.Ed25519PrivateKey):
        raise TrustError("the signing key is not an Ed25519 key: it was not made by Skerry")
    return key


def spki_hash(data: bytes | str) -> str:
    """Return the SHA-256 (hex) of the SubjectPublicKeyInfo in a certificate, request or public key (PEM; or a
    certificate as DER, as TLS gives it). Raises TrustError."""
    raw = data.encode() if isinstance(data, str) else data
    try:
        return _hash_of(_public(raw))
    except (ValueError, UnsupportedAlgorithm) as error:
        raise TrustError(f"no public key can be read from these {len(raw)} bytes: {error}") from error


# ------------------------------------------------------------------------------------------------ issuing


def make_root(key: ec.EllipticCurvePrivateKey, hub: str, now_s: float, days: int = limits.CA_DAYS) -> bytes:
    """Return the self-signed root certificate (PEM) of the CA that begins at `hub`."""
    subject = x509.Name([x509.NameAttribute(oid.NameOID.COMMON_NAME, f"{hub} skerry root")])
    builder = _builder(subject, subject, key.public_key(), now_s, days)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=2), critical=True)
    builder = builder.add_extension(_usage(certify=True), critical=True)
    return _signed(builder, key)


def issue_node(csr: bytes, node: str, ca_key: ec.EllipticCurvePrivateKey, ca: bytes, now_s: float, days: int) -> bytes:
    """Return a certificate (PEM) naming `node`, for the key of a request that is checked; its own names are ignored."""
    key = check_csr(csr)
    names: list[x509.GeneralName] = [x509.UniformResourceIdentifier(f"skerry:node:{node}")]
    return _issue(key, node, names, [oid.ExtendedKeyUsageOID.CLIENT_AUTH], ca_key, ca, now_s, days)


def issue_hub(
    key: ec.EllipticCurvePublicKey,
    hub: str,
    hosts: Sequence[str],
    ca_key: ec.EllipticCurvePrivateKey,
    ca: bytes,
    now_s: float,
    days: int,
) -> bytes:
    """Return the hub's TLS certificate (PEM): its id, and `hosts` (names and addresses) for curl and browsers."""
    names: list[x509.GeneralName] = [x509.UniformResourceIdentifier(f"skerry:hub:{hub}")]
    names.append(x509.DNSName(hub + ids.DNS_SUFFIX))
    names.extend(_general_name(host) for host in hosts)
    usages = [oid.ExtendedKeyUsageOID.SERVER_AUTH, oid.ExtendedKeyUsageOID.CLIENT_AUTH]
    return _issue(key, hub, names, usages, ca_key, ca, now_s, days)


def broker_name(hub: str) -> str:
    """Return the DNS name that an external broker of `hub` proves: not the hub's own, for the broker is not trusted."""
    return f"broker.{hub}{ids.DNS_SUFFIX}"


def issue_broker(
    key: ec.EllipticCurvePublicKey, hub: str, ca_key: ec.EllipticCurvePrivateKey, ca: bytes, now_s: float, days: int
) -> bytes:
    """Return the TLS certificate (PEM) of an external broker of `hub`: a server and nothing else."""
    names: list[x509.GeneralName] = [x509.DNSName(broker_name(hub))]
    return _issue(key, broker_name(hub), names, [oid.ExtendedKeyUsageOID.SERVER_AUTH], ca_key, ca, now_s, days)


def make_signer(
    hub: str, ca_key: ec.EllipticCurvePrivateKey, ca: bytes, now_s: float, days: int = limits.CA_DAYS
) -> tuple[ed25519.Ed25519PrivateKey, bytes]:
    """Make the hub's signing key; return it with its chain (PEM: the signer, then the root)."""
    key = ed25519.Ed25519PrivateKey.generate()
    names: list[x509.GeneralName] = [x509.UniformResourceIdentifier(f"skerry:signer:{hub}")]
    usages = [oid.ExtendedKeyUsageOID.CODE_SIGNING]
    return key, _issue(key.public_key(), hub, names, usages, ca_key, ca, now_s, days) + ca


# ------------------------------------------------------------------------------------------------ requests


def make_csr(key: ec.EllipticCurvePrivateKey, node: str) -> bytes:
    """Return a certificate request (PEM) for `key`."""
    subject = x509.Name([x509.NameAttribute(oid.NameOID.COMMON_NAME, node)])
    request = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    return request.public_bytes(serialization.Encoding.PEM)


def check_csr(pem: bytes | str) -> ec.EllipticCurvePublicKey:
    """Return the public key of a request: P-256, its own signature whole, at most CSR_BYTES_MAX (INVARIANTS C10).

    Raises TooLarge (before parsing) or TrustError.
    """
    raw = pem.encode() if isinstance(pem, str) else pem
    if len(raw) > limits.CSR_BYTES_MAX:
        raise TooLarge(f"a certificate request of {len(raw)} bytes is over {limits.CSR_BYTES_MAX}")
    try:
        request = x509.load_pem_x509_csr(raw)
        key = request.public_key()
        whole = request.is_signature_valid
    except (ValueError, UnsupportedAlgorithm) as error:
        raise TrustError(f"not a certificate request in PEM: {error}") from error
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise TrustError("the certificate request is for another kind of key: make a P-256 key (prime256v1)")
    if not whole:
        raise TrustError("the certificate request is not signed by its own key: make it again")
    return key


# ------------------------------------------------------------------------------------------------ reading


def identify(data: bytes | str) -> Identity:
    """Return whom a certificate (PEM, first of a chain; or DER) names. Raises TrustError when it is none of ours."""
    raw = data.encode() if isinstance(data, str) else data
    certificate = _load(raw)
    role, name = _named(certificate)
    return Identity(
        role=role,
        id=name,
        key=_hash_of(certificate.public_key()),
        serial=f"{certificate.serial_number:x}",
        from_ms=int(certificate.not_valid_before_utc.timestamp() * 1000),
        until_ms=int(certificate.not_valid_after_utc.timestamp() * 1000),
    )


def hosts_of(pem: bytes) -> set[str]:
    """Return the host names and addresses in a certificate, without the one that carries the id."""
    try:
        names = _load(pem).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError) as error:
        raise TrustError("the certificate names no host") from error
    hosts = {name for name in names.get_values_for_type(x509.DNSName) if not name.endswith(ids.DNS_SUFFIX)}
    return hosts | {str(address) for address in names.get_values_for_type(x509.IPAddress)}


def check_issued(chain: bytes | str, role: str, name: str, root_pin: str) -> x509.Certificate:
    """Return the leaf of `chain` (PEM, leaf first, root last) after checking it; dates are not judged.

    Each is issued by the next, all issuers are CAs, the last one's key is the pinned root, the leaf names `name` in
    `role`. Raises TrustError or TooLarge.
    """
    certificates = load_chain(chain)
    root = certificates[-1]
    if len(certificates) < 2 or _hash_of(root.public_key()) != root_pin:
        raise TrustError(f"the certificate chain of {name} does not end at the pinned root: it is of another hub")
    for certificate, issuer in itertools.pairwise(certificates):
        _check_link(certificate, issuer, name)
    if _named(certificates[0]) != (role, name):
        raise TrustError(f"the certificate names {' '.join(_named(certificates[0]))}, not {role} {name}")
    return certificates[0]


def load_chain(chain: bytes | str) -> list[x509.Certificate]:
    """Return the certificates of a PEM chain, at most CHAIN_CERTIFICATES_MAX. Raises TrustError or TooLarge."""
    raw = chain.encode() if isinstance(chain, str) else chain
    if len(raw) > limits.CHAIN_BYTES_MAX:
        raise TooLarge(f"a certificate chain of {len(raw)} bytes is over {limits.CHAIN_BYTES_MAX}")
    try:
        certificates = x509.load_pem_x509_certificates(raw)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise TrustError(f"not a certificate chain in PEM: {error}") from error
    if len(certificates) > limits.CHAIN_CERTIFICATES_MAX:
        raise TooLarge(f"a chain of {len(certificates)} certificates is over {limits.CHAIN_CERTIFICATES_MAX}")
    return certificates


def _check_link(certificate: x509.Certificate, issuer: x509.Certificate, name: str) -> None:
    try:
        constraints = issuer.extensions.get_extension_for_class(x509.BasicConstraints).value
        certificate.verify_directly_issued_by(issuer)
    except (x509.ExtensionNotFound, ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm) as error:
        raise TrustError(f"the certificate chain of {name} is broken: {error or 'a signature is wrong'}") from error
    if not constraints.ca:
        raise TrustError(f"the certificate chain of {name} is broken: an issuer is no CA")


def _named(certificate: x509.Certificate) -> tuple[str, str]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        uris = names.get_values_for_type(x509.UniformResourceIdentifier)
    except (x509.ExtensionNotFound, ValueError) as error:
        raise TrustError("the certificate names nobody: it was not issued by a hub") from error
    ours = [uri.split(":", 2)[1:] for uri in uris if uri.startswith("skerry:")]
    if len(ours) != 1 or len(ours[0]) != 2 or ours[0][0] not in ROLES:
        raise TrustError("the certificate has no single skerry: name: it was not issued by a hub")
    role, name = ours[0]
    common = [str(attribute.value) for attribute in certificate.subject.get_attributes_for_oid(oid.NameOID.COMMON_NAME)]
    if common != [name]:
        raise TrustError(f"the certificate's common name {common} is not its id {name!r}")
    try:
        return role, ids.node_id(name)
    except BadId as error:
        raise TrustError(f"the certificate names no node: {error}") from error


def _load(raw: bytes) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(raw) if raw.startswith(b"-----") else x509.load_der_x509_certificate(raw)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise TrustError(f"not a certificate: {error}") from error


def _private(pem: bytes) -> object:
    try:
        return serialization.load_pem_private_key(pem, None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise TrustError(f"the private key cannot be read: {error}") from error


def _public(raw: bytes) -> PublicKeyTypes:
    if b"-----BEGIN CERTIFICATE REQUEST" in raw:
        return x509.load_pem_x509_csr(raw).public_key()
    if b"-----BEGIN PUBLIC KEY" in raw:
        return serialization.load_pem_public_key(raw)
    if raw.startswith(b"-----"):
        return x509.load_pem_x509_certificate(raw).public_key()
    return x509.load_der_x509_certificate(raw).public_key()


def _hash_of(key: PublicKeyTypes) -> str:
    der = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(der).hexdigest()


def _issue(
    key: ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey,
    name: str,
    names: list[x509.GeneralName],
    usages: list[x509.ObjectIdentifier],
    ca_key: ec.EllipticCurvePrivateKey,
    ca: bytes,
    now_s: float,
    days: int,
) -> bytes:
    issuer = _load(ca)
    subject = x509.Name([x509.NameAttribute(oid.NameOID.COMMON_NAME, name)])
    builder = _builder(subject, issuer.subject, key, now_s, days)
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    builder = builder.add_extension(_usage(certify=False), critical=True)
    builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    builder = builder.add_extension(x509.ExtendedKeyUsage(usages), critical=False)
    authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key())
    return _signed(builder.add_extension(authority, critical=False), ca_key)


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey,
    now_s: float,
    days: int,
) -> x509.CertificateBuilder:
    start = datetime.datetime.fromtimestamp(int(now_s) - _BACKDATE_S, datetime.UTC)
    end = datetime.datetime.fromtimestamp(int(now_s) + days * _DAY_S, datetime.UTC)
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key)
    builder = builder.serial_number(x509.random_serial_number()).not_valid_before(start).not_valid_after(end)
    return builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)


def _signed(builder: x509.CertificateBuilder, key: ec.EllipticCurvePrivateKey) -> bytes:
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _usage(*, certify: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not certify,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=certify,
        crl_sign=certify,
        encipher_only=False,
        decipher_only=False,
    )
