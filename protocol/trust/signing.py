"""What is signed and how it is checked: manifests, revocations, enrollment tokens, artifact tickets.

Pure functions over bytes: keys are arguments, nothing draws randomness (that is certificates.make_*). What a
signature covers is one JSON array whose first element names the purpose, so that no signature serves for another
purpose, and every field is bound: the parent, the child it is for, and the key (INVARIANTS C3).
"""

from __future__ import annotations

import base64
import hashlib
import hmac

import msgspec
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519

from protocol import ids, limits, messages
from protocol.bundle.head import Proof as BundleProof
from protocol.errors import BadId, TrustError
from protocol.link.anchor import Proof, ProvenAnchor, chain_hash, key_id, manifest_bytes, revoked_bytes
from protocol.trust import chains, gaps
from protocol.trust.certificates import (
    check_csr,
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

__all__ = [
    "Anchor",
    "Proof",
    "ProvenAnchor",
    "Signer",
    "Token",
    "check_csr",
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
    "prove_signer",
    "revoked_bytes",
    "same",
    "secret_hash",
    "spki_hash",
    "ticket_check",
    "ticket_make",
    "token_make",
    "token_parse",
]


# ------------------------------------------------------------------------------------------------ what is signed


class Signer:
    """A hub's signing key at work. `chain` (PEM) travels in Welcome, so that a child can check what it signs."""

    def __init__(self, key: ed25519.Ed25519PrivateKey, node: str, chain_pem: str | bytes) -> None:
        self._key = key
        self.node = node
        self.chain = chain_pem.decode() if isinstance(chain_pem, bytes) else chain_pem
        self.key = key_id(_raw(key.public_key()))
        self._gaps = gaps.GapSigner(key)

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

    def sign_gap(self, node: str, epoch: str, stream: str, body: messages.GapBody) -> messages.GapBody:
        """Sign a GAP of this hub's own."""
        return self._gaps.sign(node, epoch, stream, body)

    def check_gap(self, node: str, key: str, epoch: str, stream: str, body: messages.GapBody) -> None:
        """Raise TrustError unless `body` is signed for (node, epoch, stream) by the key with SHA-256 `key` (hex)."""
        gaps.check(node, key, epoch, stream, body)

    def check_node(self, node: str, key: str, covered: bytes, proof: BundleProof) -> None:
        """Raise TrustError unless `proof` over `covered` is by `node`, whose key has the SHA-256 `key` (hex)."""
        gaps.check_signed(node, key, covered, proof.key, proof.signature, bound="hub or node")

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


class Anchor(ProvenAnchor):
    """A ProvenAnchor that proves what it learns: for a child that may load X.509, a simulated or a sealed one."""

    def __init__(self, root: str | bytes, scope: str = "") -> None:
        """`root` is the SHA-256 of the root's SubjectPublicKeyInfo (64 hex digits) or the root's PEM.

        `scope`: that of the parent, so that a hub of its id elsewhere in the tree does not pass for it; empty: any.
        """
        self._scope = scope
        text = root.decode() if isinstance(root, bytes) else root
        super().__init__(text if _is_hash(text) else spki_hash(text))

    def learn(self, chain_pem: str | bytes, parent: str) -> str:
        """Take the signing key of `parent` from its chain (signer first, root last); return its key's id.

        Raises TrustError when the chain does not hold, and then learns nothing.
        """
        if self.knows(chain_pem, parent):
            return super().learn(chain_pem, parent)
        return self.take(prove_signer(chain_pem, parent, self.root_pin, self._scope))


def prove_signer(chain_pem: str | bytes, parent: str, root_pin: str, scope: str = "") -> Proof:
    """Check that `chain_pem` (signer first, root last) leads from a signing key of `parent` to the pinned root.

    `scope`: that of the parent; empty: any. Raises TrustError or TooLarge. Dates are not judged: a device may believe
    in 1970.
    """
    leaf = chains.check_issued(chain_pem, "signer", parent, root_pin, scope)
    key = leaf.public_key()
    if not isinstance(key, ed25519.Ed25519PublicKey):
        raise TrustError(f"the signing certificate of {parent} has no Ed25519 key")
    return Proof(root=root_pin, parent=parent, chain=chain_hash(chain_pem), key=_raw(key).hex())


# ------------------------------------------------------------------------------------------------ tokens


class Token(msgspec.Struct, frozen=True, kw_only=True):
    """An enrollment token: `pin` is the SHA-256 (hex) of the root's SubjectPublicKeyInfo (INVARIANTS C12), `scope` that
    of the hub that made it: under that root nobody else gets it."""

    id: str
    secret: str
    pin: str
    scope: str


def token_make(id: str, secret: bytes, root_spki: str, scope: str) -> str:  # noqa: A002 - the wire's word
    """Return the token's text, `sk1.ID.SECRET.PIN.SCOPE`. `secret` is 16 or more random bytes, `root_spki` hex."""
    assert len(secret) >= 16
    return f"sk1.{ids.name(id)}.{_b64(secret)}.{_b64(bytes.fromhex(root_spki))}.{ids.scope(scope)}"


def token_parse(text: str) -> Token:
    """Return the parts of a token. Raises TrustError; the message never repeats the token."""
    parts = text.strip().split(".", 4) if len(text) <= limits.TOKEN_BYTES_MAX else []
    try:
        prefix, id_, secret, pin, scope = parts
        if prefix != "sk1" or len(_unb64(secret)) < 16 or len(_unb64(pin)) != 32:
            raise ValueError("odd parts")
        return Token(id=ids.name(id_), secret=secret, pin=_unb64(pin).hex(), scope=ids.scope(scope))
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
    parts = ticket.split(".") if len(ticket) <= limits.TOKEN_BYTES_MAX else []
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
