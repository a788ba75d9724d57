"""What a child trusts: the pinned root, and the signing keys that were proven to lead to it.

A signing key is proven once, by its chain of certificates (protocol.trust), and remembered by the hash of that chain:
who only checks signatures, as the agent's daemon does, loads libsodium and no X.509 (decision 0037). What a signature
covers is one JSON array whose first element names the purpose, so that no signature serves for another purpose, and
every field is bound: the parent, the child it is for, and the key (INVARIANTS C3).
"""

from __future__ import annotations

import base64
import binascii
import hashlib

import msgspec
from nacl.exceptions import BadSignatureError
from nacl.signing import VerifyKey

from protocol import limits, messages
from protocol.errors import TrustError


def manifest_bytes(parent: str, child: str, term: int, generation: int, digest: str, key: str) -> bytes:
    """Return what a manifest's signature covers; `key` is the signing key's id."""
    return msgspec.json.encode(["skerry/1/manifest", parent, child, term, generation, digest, key])


def revoked_bytes(parent: str, child: str, time_ms: int, reason: str, incarnation: str, key: str) -> bytes:
    """Return what a revocation's signature covers; `key` is the signing key's id."""
    return msgspec.json.encode(["skerry/1/revoked", parent, child, time_ms, reason, incarnation, key])


def key_id(public_raw: bytes) -> str:
    """Return the id of an Ed25519 public key (its 32 raw bytes): the first 32 hex digits of its SHA-256."""
    return hashlib.sha256(public_raw).hexdigest()[:32]


class Proof(msgspec.Struct, frozen=True, kw_only=True):
    """That `chain` (SHA-256 of its PEM) certifies `key` (Ed25519, raw) for `parent`, under the pin `root`; all hex."""

    root: str
    parent: str
    chain: str
    key: str


def chain_hash(chain_pem: str | bytes) -> str:
    """Return the SHA-256 (hex) of a chain's text: any other text must be proven anew."""
    return hashlib.sha256(chain_pem.encode() if isinstance(chain_pem, str) else chain_pem).hexdigest()


class ProvenAnchor:
    """The root's pin and at most SIGNERS_KEPT_MAX proven signing keys. It takes proofs and makes none."""

    def __init__(self, root_pin: str) -> None:
        """`root_pin` is the SHA-256 of the root's SubjectPublicKeyInfo (64 hex digits)."""
        self.root_pin = root_pin
        self._proofs: dict[tuple[str, str], Proof] = {}  # by parent and chain, the least recently learned first
        self._signers: dict[tuple[str, str], VerifyKey] = {}
        self._doubt = ""

    def proofs(self) -> list[Proof]:
        """Return what is proven, the newest last: enough to `take` it all again in the next life."""
        return list(self._proofs.values())

    def take(self, proof: Proof) -> str:
        """Believe `proof`, which the caller has made or kept himself; return the key's id.

        Raises TrustError when it is of another root or its key is none; then nothing is learned.
        """
        if proof.root != self.root_pin:
            raise TrustError(f"the proof of {proof.parent}'s signing key is of another root than the pinned one")
        try:
            raw = bytes.fromhex(proof.key)
            public = VerifyKey(raw)
        except ValueError as error:
            raise TrustError(f"the proof of {proof.parent}'s signing key holds no key") from error
        self._proofs.pop((proof.parent, proof.chain), None)
        self._proofs[proof.parent, proof.chain] = proof
        self._signers[proof.parent, key_id(raw)] = public
        while len(self._proofs) > limits.SIGNERS_KEPT_MAX:
            self._forget(self._proofs.pop(next(iter(self._proofs))))
        return key_id(raw)

    def _forget(self, old: Proof) -> None:
        if all((one.parent, one.key) != (old.parent, old.key) for one in self._proofs.values()):
            del self._signers[old.parent, key_id(bytes.fromhex(old.key))]

    def doubt(self, reason: str) -> None:
        """Note why the newest chain could not be proven, for the people who are told that it is refused."""
        self._doubt = reason

    def knows(self, chain_pem: str | bytes, parent: str) -> bool:
        """Tell whether `chain_pem` has been proven to be of `parent`."""
        return (parent, chain_hash(chain_pem)) in self._proofs

    def learn(self, chain_pem: str | bytes, parent: str) -> str:
        """Take the signing key of `parent` from a chain that is proven; return its key's id. Raises TrustError."""
        proof = self._proofs.get((parent, chain_hash(chain_pem)))
        if proof is None:
            raise TrustError(self._doubt or f"the signing certificate of {parent} is not proven: it is refused")
        return self.take(proof)

    def check_manifest(self, signed: messages.Signed, parent: str, child: str) -> None:
        """Raise TrustError unless `signed` is by `parent` for `child`, with a key that was learned."""
        _check_bound(signed.parent, signed.child, parent, child, "manifest")
        covered = manifest_bytes(parent, child, signed.term, signed.generation, signed.digest, signed.key)
        self.check(covered, signed.signature, signed.key, parent)

    def check_revoked(self, revoked: messages.Revoked, parent: str, child: str) -> None:
        """Raise TrustError unless `revoked` is by `parent` for `child`, with a key that was learned."""
        _check_bound(revoked.parent, revoked.child, parent, child, "revocation")
        covered = revoked_bytes(parent, child, revoked.time_ms, revoked.reason, revoked.incarnation, revoked.key)
        self.check(covered, revoked.signature, revoked.key, parent)

    def check(self, covered: bytes, signature: str, key: str, parent: str) -> None:
        """Raise TrustError unless `signature` (base64) over `covered` is by the key `key` of `parent`."""
        public = self._signers.get((parent, key))
        if public is None:
            raise TrustError(f"signed with key {key[:40]!r}, which {parent} has not proven to be its own")
        try:
            public.verify(covered, base64.b64decode(signature, validate=True))
        except (BadSignatureError, binascii.Error, ValueError) as error:
            raise TrustError(
                f"the signature of {parent} is wrong: the bytes were altered or signed by another"
            ) from error


def _check_bound(said_parent: str, said_child: str, parent: str, child: str, what: str) -> None:
    if (said_parent, said_child) != (parent, child):
        raise TrustError(f"a {what} by {said_parent!r} for {said_child!r} came to {child} from {parent}: refused")
