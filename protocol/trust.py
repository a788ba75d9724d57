"""What is signed and how it is checked: manifests, revocations, enrollment tokens, artifact tickets.

Pure functions over bytes: keys are arguments, nothing draws randomness (that is protocol.certificates.make_*). What a
signature covers is one JSON array whose first element names the purpose, so that no signature serves for another
purpose, and every field is bound: the parent, the child it is for, and the key (INVARIANTS C3).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519

from protocol import certificates, ids, limits, messages
from protocol.certificates import (
    check_csr,
    check_issued,
    identify,
    issue_hub,
    issue_node,
    key_pem,
    load_key,
    load_signing_key,
    make_csr,
    make_key,
    make_root,
    make_signer,
    spki_hash,
)
from protocol.errors import BadId, TrustError

__all__ = [
    "Anchor",
    "Signer",
    "Token",
    "check_csr",
    "check_issued",
    "identify",
    "issue_hub",
    "issue_node",
    "key_id",
    "key_pem",
    "load_key",
    "load_signing_key",
    "make_csr",
    "make_key",
    "make_root",
    "make_signer",
    "manifest_bytes",
    "revoked_bytes",
    "same",
    "secret_hash",
    "spki_hash",
    "ticket_check",
    "ticket_make",
    "token_make",
    "token_parse",
]

_TOKEN_BYTES_MAX = 512
_TICKET_BYTES_MAX = 512


# ------------------------------------------------------------------------------------------------ what is signed


def manifest_bytes(parent: str, child: str, term: int, generation: int, digest: str, key: str) -> bytes:
    """Return what a manifest's signature covers; `key` is the signing key's id."""
    return msgspec.json.encode(["skerry/1/manifest", parent, child, term, generation, digest, key])


def revoked_bytes(parent: str, child: str, time_ms: int, reason: str, incarnation: str, key: str) -> bytes:
    """Return what a revocation's signature covers; `key` is the signing key's id."""
    return msgspec.json.encode(["skerry/1/revoked", parent, child, time_ms, reason, incarnation, key])


def key_id(public_raw: bytes) -> str:
    """Return the id of an Ed25519 public key (its 32 raw bytes): the first 32 hex digits of its SHA-256."""
    return hashlib.sha256(public_raw).hexdigest()[:32]


class Signer:
    """A hub's signing key at work. `chain` (PEM) travels in Welcome, so that a child can check what it signs."""

    def __init__(self, key: ed25519.Ed25519PrivateKey, node: str, chain_pem: str | bytes) -> None:
        self._key = key
        self.node = node
        self.chain = chain_pem.decode() if isinstance(chain_pem, bytes) else chain_pem
        self.key = key_id(_raw(key.public_key()))

    def manifest(self, child: str, term: int, generation: int, digest: str) -> messages.Signed:
        """Sign the manifest with `digest` for `child`."""
        covered = manifest_bytes(self.node, child, term, generation, digest, self.key)
        return messages.Signed(
            parent=self.node,
            child=child,
            term=term,
            generation=generation,
            digest=digest,
            key=self.key,
            signature=self.sign(covered),
        )

    def revoked(self, child: str, time_ms: int, reason: str, incarnation: str) -> messages.Revoked:
        """Sign the message that tells `child` that it is no longer part of the fleet."""
        covered = revoked_bytes(self.node, child, time_ms, reason, incarnation, self.key)
        return messages.Revoked(
            incarnation=incarnation,
            parent=self.node,
            child=child,
            time_ms=time_ms,
            reason=reason,
            key=self.key,
            signature=self.sign(covered),
        )

    def sign(self, covered: bytes) -> str:
        """Return the signature over `covered`, base64. `covered` must begin with a purpose of its own."""
        return base64.b64encode(self._key.sign(covered)).decode()


class Anchor:
    """What a child trusts: the pinned root, and the signing keys whose chains led to it (at most SIGNERS_KEPT_MAX)."""

    def __init__(self, root: str | bytes) -> None:
        """`root` is the SHA-256 of the root's SubjectPublicKeyInfo (64 hex digits) or the root's PEM."""
        text = root.decode() if isinstance(root, bytes) else root
        self.root_pin = text if _is_hash(text) else spki_hash(text)
        self._signers: dict[tuple[str, str], ed25519.Ed25519PublicKey] = {}

    def learn(self, chain_pem: str | bytes, parent: str) -> str:
        """Take the signing key of `parent` from its chain (signer first, root last); return its key's id.

        Raises TrustError when the chain does not hold, and then learns nothing.
        """
        leaf = certificates.check_issued(chain_pem, "signer", parent, self.root_pin)
        key = leaf.public_key()
        if not isinstance(key, ed25519.Ed25519PublicKey):
            raise TrustError(f"the signing certificate of {parent} has no Ed25519 key")
        known = key_id(_raw(key))
        self._signers.pop((parent, known), None)
        self._signers[parent, known] = key
        while len(self._signers) > limits.SIGNERS_KEPT_MAX:
            del self._signers[next(iter(self._signers))]
        return known

    def check_manifest(self, signed: messages.Signed, parent: str, child: str) -> None:
        """Raise TrustError unless `signed` is by `parent` for `child`, with a key that was learned."""
        self._check_bound(signed.parent, signed.child, parent, child, "manifest")
        covered = manifest_bytes(parent, child, signed.term, signed.generation, signed.digest, signed.key)
        self.check(covered, signed.signature, signed.key, parent)

    def check_revoked(self, revoked: messages.Revoked, parent: str, child: str) -> None:
        """Raise TrustError unless `revoked` is by `parent` for `child`, with a key that was learned."""
        self._check_bound(revoked.parent, revoked.child, parent, child, "revocation")
        covered = revoked_bytes(parent, child, revoked.time_ms, revoked.reason, revoked.incarnation, revoked.key)
        self.check(covered, revoked.signature, revoked.key, parent)

    def check(self, covered: bytes, signature: str, key: str, parent: str) -> None:
        """Raise TrustError unless `signature` (base64) over `covered` is by the key `key` of `parent`."""
        public = self._signers.get((parent, key))
        if public is None:
            raise TrustError(f"signed with key {key[:40]!r}, which {parent} has not proven to be its own")
        try:
            public.verify(base64.b64decode(signature, validate=True), covered)
        except (InvalidSignature, binascii.Error, ValueError) as error:
            raise TrustError(
                f"the signature of {parent} is wrong: the bytes were altered or signed by another"
            ) from error

    @staticmethod
    def _check_bound(said_parent: str, said_child: str, parent: str, child: str, what: str) -> None:
        if (said_parent, said_child) != (parent, child):
            raise TrustError(f"a {what} by {said_parent!r} for {said_child!r} came to {child} from {parent}: refused")


# ------------------------------------------------------------------------------------------------ tokens


class Token(msgspec.Struct, frozen=True, kw_only=True):
    """An enrollment token: `pin` is the SHA-256 (hex) of the root's SubjectPublicKeyInfo (INVARIANTS C12)."""

    id: str
    secret: str
    pin: str


def token_make(id: str, secret: bytes, root_spki: str) -> str:  # noqa: A002 - the wire's word
    """Return the token's text, `sk1.ID.SECRET.PIN`. `secret` is 16 or more random bytes, `root_spki` hex."""
    assert len(secret) >= 16
    return f"sk1.{ids.name(id)}.{_b64(secret)}.{_b64(bytes.fromhex(root_spki))}"


def token_parse(text: str) -> Token:
    """Return the parts of a token. Raises TrustError; the message never repeats the token."""
    parts = text.strip().split(".") if len(text) <= _TOKEN_BYTES_MAX else []
    try:
        prefix, id_, secret, pin = parts
        if prefix != "sk1" or len(_unb64(secret)) < 16 or len(_unb64(pin)) != 32:
            raise ValueError("odd parts")
        return Token(id=ids.name(id_), secret=secret, pin=_unb64(pin).hex())
    except (ValueError, BadId) as error:
        raise TrustError("not an enrollment token: copy the whole text that `skerry token create` printed") from error


def secret_hash(secret: str) -> str:
    """Return the SHA-256 (hex) of a token's secret as it stands in the text: what a hub stores of it."""
    return hashlib.sha256(secret.encode()).hexdigest()


def same(one: str, other: str) -> bool:
    """Compare two secrets or hashes in a time that tells nothing of where they differ."""
    return hmac.compare_digest(one.encode(), other.encode())


# ------------------------------------------------------------------------------------------------ artifact tickets


def ticket_make(secret: bytes, node: str, digest: str, expires_ms: int) -> str:
    """Return a ticket that lets `node` fetch the artifact `digest` until `expires_ms` (the hub's time)."""
    return f"{node}.{expires_ms}.{_b64(_ticket_mac(secret, node, digest, expires_ms))}"


def ticket_check(secret: bytes, ticket: str, digest: str, now_ms: int) -> str:
    """Return the node a ticket for `digest` was made for. Raises TrustError when it is forged, altered, for another
    artifact, or expired. Whether the node is still part of the fleet is the caller's to check at use (C5, C8)."""
    parts = ticket.split(".") if len(ticket) <= _TICKET_BYTES_MAX else []
    try:
        node, expires, mac = parts
        expires_ms = int(expires)
        genuine = hmac.compare_digest(_unb64(mac), _ticket_mac(secret, ids.node_id(node), digest, expires_ms))
    except (ValueError, BadId) as error:
        raise TrustError("not an artifact ticket") from error
    if not genuine:
        raise TrustError("the ticket is not for this artifact, or it was altered: ask for a new one over the link")
    if now_ms >= expires_ms:
        raise TrustError("the ticket has expired: ask for a new one over the link")
    return node


def _ticket_mac(secret: bytes, node: str, digest: str, expires_ms: int) -> bytes:
    covered = msgspec.json.encode(["skerry/1/ticket", node, digest, expires_ms])
    return hmac.new(secret, covered, hashlib.sha256).digest()


def _raw(key: ed25519.Ed25519PublicKey) -> bytes:
    return key.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)


def _is_hash(text: str) -> bool:
    return len(text) == 64 and all(letter in "0123456789abcdef" for letter in text)


def _b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _unb64(text: str) -> bytes:
    raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    if _b64(raw) != text:  # one text for one value
        raise ValueError("not canonical base64")
    return raw
