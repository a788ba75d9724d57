"""Keys, certificates and certificate requests: who is who, on paper (DESIGN 8). All functions over bytes.

    ca        P-256, of the root hub or a region; `URI:skerry:ca:ID`, `DNS:SCOPE`; at most limits.TIERS_MAX in a row
    hub       P-256, TLS; `URI:skerry:hub:ID`, `DNS:SCOPE`; serverAuth and clientAuth
    node      P-256, TLS; `URI:skerry:node:ID`, `DNS:ID.SCOPE`; clientAuth only (INVARIANTS C4: roles are apart)
    signer    Ed25519, signs what a hub asks of its children; `URI:skerry:signer:ID`, `DNS:SCOPE`; no TLS purpose

SCOPE is the DNS name of a hub's domain: `cloud.skerry` of the root `cloud`, `eu-north.cloud.skerry` of its region
`eu-north`. A region's CA is confined to its scope (a critical name constraint), so that whatever it issues names
something below it; what is pinned everywhere is the root's public key (SHA-256 of its SubjectPublicKeyInfo). Chains are
PEM, each certificate followed by its issuer; `issue_*` return one without the root. protocol.trust.chains checks them.

Dates are arguments (`now_s`, seconds since 1970) and are never judged here: a device may believe in 1970, so what a
date means is decided where a trusted time is known. Only the functions `make_*` and `issue_*` draw randomness.
"""

from __future__ import annotations

import datetime
import hashlib
import ipaddress
from collections.abc import Sequence

import msgspec
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.x509 import oid

from protocol import ids, limits
from protocol.errors import BadId, TooLarge, TrustError

ROLES = ("node", "hub", "signer", "ca")

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
    scope: str = ""
    """Of a node: the domain that its certificate stands in."""


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
    scope = hub + ids.DNS_SUFFIX
    subject = _ca_subject(hub, scope)
    builder = _builder(subject, subject, key.public_key(), now_s, days)
    builder = _as_ca(builder, hub, scope, limits.TIERS_MAX - 1)
    return _signed(builder, key)


def issue_ca(
    csr: bytes, hub: str, ca_key: ec.EllipticCurvePrivateKey, ca: bytes, now_s: float, days: int = limits.REGION_CA_DAYS
) -> bytes:
    """Return the chain of the CA of the child hub `hub`, confined to its scope, for the key of a checked request.

    Raises TrustError when the issuer is of the last tier that may have hubs below it, or the scope is too long.
    """
    key = check_csr(csr)
    issuer = _load(ca)
    scope = f"{hub}.{scope_of(ca)}"
    if len(scope) > limits.SCOPE_CHARS_MAX:
        raise TrustError(f"the path of names {scope} is over {limits.SCOPE_CHARS_MAX} characters: choose shorter names")
    below = issuer.extensions.get_extension_for_class(x509.BasicConstraints).value.path_length or 0
    if below < 1:
        raise TrustError(f"hub {named(issuer)[1]} is of the last of {limits.TIERS_MAX} tiers: no hub can be below it")
    builder = _as_ca(_builder(_ca_subject(hub, scope), issuer.subject, key, now_s, days), hub, scope, below - 1)
    builder = builder.add_extension(x509.NameConstraints([x509.DNSName(scope)], None), critical=True)
    return _signed(_by(builder, ca_key), ca_key) + _without_root(ca)


def issue_node(csr: bytes, node: str, ca_key: ec.EllipticCurvePrivateKey, ca: bytes, now_s: float, days: int) -> bytes:
    """Return a chain naming `node`, for the key of a request that is checked; its own names are ignored."""
    key = check_csr(csr)
    names: list[x509.GeneralName] = [x509.UniformResourceIdentifier(f"skerry:node:{node}")]
    names.append(x509.DNSName(f"{node}.{scope_of(ca)}"))
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
    """Return the hub's TLS chain: its id, its scope, and what of `hosts` its CA may name, for curl and browsers."""
    names: list[x509.GeneralName] = [x509.UniformResourceIdentifier(f"skerry:hub:{hub}")]
    names.append(x509.DNSName(scope_of(ca)))
    names.extend(_general_name(host) for host in nameable(hosts, ca))
    usages = [oid.ExtendedKeyUsageOID.SERVER_AUTH, oid.ExtendedKeyUsageOID.CLIENT_AUTH]
    return _issue(key, hub, names, usages, ca_key, ca, now_s, days)


def nameable(hosts: Sequence[str], ca: bytes) -> list[str]:
    """Return those of `hosts` that this CA may put into a certificate: one that is confined names addresses only."""
    confined = _constraint(_load(ca)) is not None
    return [host for host in hosts if not confined or isinstance(_general_name(host), x509.IPAddress)]


def broker_name(scope: str) -> str:
    """Return the DNS name that an external broker of the hub with `scope` proves: not the hub's own, for the broker is
    not trusted. No child hub is called `broker`."""
    return f"{ids.BROKER}.{scope}"


def issue_broker(
    key: ec.EllipticCurvePublicKey, ca_key: ec.EllipticCurvePrivateKey, ca: bytes, now_s: float, days: int
) -> bytes:
    """Return the TLS chain of an external broker of the hub whose CA this is: a server and nothing else."""
    names: list[x509.GeneralName] = [x509.DNSName(broker_name(scope_of(ca)))]
    return _issue(key, ids.BROKER, names, [oid.ExtendedKeyUsageOID.SERVER_AUTH], ca_key, ca, now_s, days)


def make_signer(
    hub: str, ca_key: ec.EllipticCurvePrivateKey, ca: bytes, now_s: float, days: int = limits.CA_DAYS
) -> tuple[ed25519.Ed25519PrivateKey, bytes]:
    """Make the hub's signing key; return it with its whole chain (PEM: the signer first, the root last)."""
    key = ed25519.Ed25519PrivateKey.generate()
    names: list[x509.GeneralName] = [x509.UniformResourceIdentifier(f"skerry:signer:{hub}")]
    names.append(x509.DNSName(scope_of(ca)))
    usages = [oid.ExtendedKeyUsageOID.CODE_SIGNING]
    leaf = _issue(key.public_key(), hub, names, usages, ca_key, ca, now_s, days)
    return key, leaf + _root_of(ca)


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
    role, name = named(certificate)
    return Identity(
        role=role,
        id=name,
        key=_hash_of(certificate.public_key()),
        serial=f"{certificate.serial_number:x}",
        from_ms=int(certificate.not_valid_before_utc.timestamp() * 1000),
        until_ms=int(certificate.not_valid_after_utc.timestamp() * 1000),
        scope=dns_names(certificate)[0].partition(".")[2] if role == "node" and dns_names(certificate) else "",
    )


def hosts_of(pem: bytes) -> set[str]:
    """Return the host names and addresses in a certificate, without the one that carries the id."""
    try:
        names = _load(pem).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError) as error:
        raise TrustError("the certificate names no host") from error
    hosts = {name for name in names.get_values_for_type(x509.DNSName) if not name.endswith(ids.DNS_SUFFIX)}
    return hosts | {str(address) for address in names.get_values_for_type(x509.IPAddress)}


def scope_of(pem: bytes | str) -> str:
    """Return the one DNS name of a CA's certificate (first of a chain). Raises TrustError when it is no CA of ours."""
    certificate = _load(pem.encode() if isinstance(pem, str) else pem)
    role, name = named(certificate)
    names = dns_names(certificate)
    if role != "ca" or len(names) != 1:
        raise TrustError(f"the certificate of {role} {name} is not that of a CA")
    return names[0]


def dns_names(certificate: x509.Certificate) -> list[str]:
    """Return the DNS names in a certificate."""
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return names.get_values_for_type(x509.DNSName)


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


def key_hash(certificate: x509.Certificate) -> str:
    """Return the SHA-256 (hex) of a certificate's SubjectPublicKeyInfo."""
    return _hash_of(certificate.public_key())


def _without_root(chain: bytes) -> bytes:
    return b"".join(_pem(one) for one in load_chain(chain)[:-1])


def _root_of(chain: bytes) -> bytes:
    return _pem(load_chain(chain)[-1])


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _constraint(certificate: x509.Certificate) -> x509.NameConstraints | None:
    try:
        return certificate.extensions.get_extension_for_class(x509.NameConstraints).value
    except x509.ExtensionNotFound:
        return None


def named(certificate: x509.Certificate) -> tuple[str, str]:
    """Return the role and the id in a certificate. Raises TrustError when it is none of ours."""
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
    return _signed(_by(builder, ca_key), ca_key) + _without_root(ca)


def _as_ca(builder: x509.CertificateBuilder, hub: str, scope: str, below: int) -> x509.CertificateBuilder:
    names = [x509.UniformResourceIdentifier(f"skerry:ca:{hub}"), x509.DNSName(scope)]
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=below), critical=True)
    builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.add_extension(_usage(certify=True), critical=True)


def _ca_subject(hub: str, scope: str) -> x509.Name:
    """Return a subject that no other CA of the tree has, and no leaf: the scope as domain components (RFC 2247)."""
    domain = [x509.NameAttribute(oid.NameOID.DOMAIN_COMPONENT, label) for label in reversed(scope.split("."))]
    return x509.Name([*domain, x509.NameAttribute(oid.NameOID.COMMON_NAME, hub)])


def _by(builder: x509.CertificateBuilder, ca_key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key())
    return builder.add_extension(authority, critical=False)


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
