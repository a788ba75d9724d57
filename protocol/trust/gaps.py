"""A GAP is signed by the node that lost the rows: who relays or stores it cannot make one up (INVARIANTS A4, A16).

The signature covers one JSON array whose first element names the purpose, then the node, the epoch, the stream and
every field of the GAP. The key travels with it, and counts only if its hash is the one that the node was enrolled with.
Loads no X.509, and is loaded by an agent when it first loses rows (decision 0009).
"""

from __future__ import annotations

import base64
import binascii
import hashlib

import msgspec
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from protocol import limits
from protocol.errors import TrustError
from protocol.messages import GapBody


def gap_bytes(node: str, epoch: str, stream: str, body: GapBody) -> bytes:
    """Return what a GAP's signature covers."""
    return msgspec.json.encode(
        ["skerry/1/gap", node, epoch, stream, body.first, body.last, body.count, body.reason, body.hash]
    )


class GapSigner:
    """A node's key at work: P-256 (a device's) or Ed25519 (a hub's). The same GAP gets the same signature, always."""

    def __init__(self, key: bytes | ed25519.Ed25519PrivateKey) -> None:
        """`key`: PEM, or a hub's. Raises TrustError when it holds no such private key."""
        self._key = _read(key) if isinstance(key, bytes) else key
        spki = self._key.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        self.key = base64.b64encode(spki).decode()

    def sign(self, node: str, epoch: str, stream: str, body: GapBody) -> GapBody:
        """Return `body` with signature and key."""
        return msgspec.structs.replace(
            body, key=self.key, signature=self.signature(gap_bytes(node, epoch, stream, body))
        )

    def signature(self, covered: bytes) -> str:
        """Return the signature over `covered`, base64; it must begin with a purpose of its own."""
        if isinstance(self._key, ed25519.Ed25519PrivateKey):
            raw = self._key.sign(covered)
        else:
            raw = self._key.sign(covered, ec.ECDSA(hashes.SHA256(), deterministic_signing=True))
        return base64.b64encode(raw).decode()


def _read(pem: bytes) -> ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey:
    try:
        key = serialization.load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise TrustError(f"the private key cannot be read: {error}") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey):
        raise TrustError("the private key is of no kind that Skerry makes")
    return key


def check(node: str, key_hash: str, epoch: str, stream: str, body: GapBody) -> None:
    """Raise TrustError unless `body` is signed for (node, epoch, stream) by the key with SHA-256 `key_hash` (hex)."""
    covered = gap_bytes(node, epoch, stream, body)
    check_signed(node, key_hash, covered, body.key, body.signature, bound="node, epoch or stream")


def check_signed(node: str, key_hash: str, covered: bytes, key: str, signed: str, *, bound: str) -> None:
    """Raise TrustError unless `signed` over `covered` is by `key` (both base64), whose SHA-256 is `key_hash` (hex).

    `bound` names what the signature binds, for people.
    """
    if not signed or not key:
        raise TrustError("it is not signed")
    try:
        if len(key) > limits.GAP_KEY_CHARS_MAX:
            raise ValueError("too long a key")
        spki = base64.b64decode(key, validate=True)
        signature = base64.b64decode(signed, validate=True)
        if hashlib.sha256(spki).hexdigest() != key_hash:
            raise TrustError(f"it is signed with another key than the one {node} was enrolled with")
        _verify(spki, signature, covered)
    except (InvalidSignature, UnsupportedAlgorithm, binascii.Error, ValueError) as error:
        raise TrustError(f"its signature is wrong: altered, or made for another {bound}") from error


def _verify(spki: bytes, signature: bytes, covered: bytes) -> None:
    key = serialization.load_der_public_key(spki)
    if isinstance(key, ed25519.Ed25519PublicKey):
        key.verify(signature, covered)
    elif isinstance(key, ec.EllipticCurvePublicKey):
        key.verify(signature, covered, ec.ECDSA(hashes.SHA256()))
    else:
        raise ValueError("a key of no kind that Skerry makes")
