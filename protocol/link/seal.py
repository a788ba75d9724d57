"""Messages that pass through a broker which is not trusted (INVARIANTS C3): each carries its proof in a last line.

    payload = body LF proof          body: codec's bytes; proof: one line of JSON, never compressed

    child                                                   parent
    Hello    signed by the device's P-256 key   ────────>   checks the chain up to the root, and the signature
    session key  <────────────   Welcome signed by the hub's Ed25519 key; both ephemeral X25519 keys are covered
    n=1, 2, ...  MAC under the key "up"         ────────>   n must rise: what is replayed, swapped or late is refused
    n must rise  <────────────   n=1, 2, ...  MAC under the key "down"
    will: a Bye signed by the device's key, fixed when it connects; bound to session and nonce, so that a broker can at
          most tell early what the child said for the case that it is lost. A Bye before a Welcome is the same.
    Look, Revoked to a child with no session, or with an old one: signed by the hub's key, with its chain

A signature covers one JSON array that begins with its purpose and binds hub, node and the body's hash. One session key
serves one (session, nonce); a restart of either end forgets all keys, and the next Hello makes new ones. Bodies are
authenticated, not hidden, from the broker; TLS hides them from everybody else.

Pure: the 32 random bytes of an ephemeral key are arguments.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, x25519
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from protocol import codec, limits, messages
from protocol.errors import LocalProtocolError, RemoteProtocolError, TrustError
from protocol.trust import certificates, chains, signing


class Proof(msgspec.Struct, frozen=True, kw_only=True, tag_field="by"):
    """The base of the last lines."""


class ByDevice(Proof, frozen=True, kw_only=True, tag="device"):
    """Of a Hello: the device's certificate chain without the root (PEM), its ephemeral key, its ECDSA signature."""

    chain: str
    ephemeral: bytes
    signature: bytes


class ByHub(Proof, frozen=True, kw_only=True, tag="hub"):
    """Of a Welcome: the hub's ephemeral key and its signature (base64). The chain is in the Welcome itself."""

    ephemeral: bytes
    signature: str


class BySession(Proof, frozen=True, kw_only=True, tag="session"):
    """Of all that follows: the `n`th of its direction, and the MAC under the direction's key."""

    n: int
    mac: bytes


class ByWill(Proof, frozen=True, kw_only=True, tag="will"):
    """Of a Bye that was fixed when the child connected: the device's ECDSA signature."""

    signature: bytes


class ByWord(Proof, frozen=True, kw_only=True, tag="word"):
    """Of a Look or Revoked without a session: the hub's signature (base64) with its chain (PEM)."""

    chain: str
    signature: str


_proofs: msgspec.json.Decoder[ByDevice | ByHub | BySession | ByWill | ByWord] = msgspec.json.Decoder(
    ByDevice | ByHub | BySession | ByWill | ByWord
)


def _join(body: bytes, proof: Proof) -> bytes:
    return body + b"\n" + msgspec.json.encode(proof)


def _split(payload: bytes) -> tuple[bytes, ByDevice | ByHub | BySession | ByWill | ByWord]:
    body, line_feed, proof = payload.rpartition(b"\n")
    if not line_feed or len(proof) > limits.SEAL_PROOF_BYTES_MAX:
        raise TrustError("a message without a proof of who sent it came through the broker")
    try:
        return body, _proofs.decode(proof)
    except (msgspec.DecodeError, ValueError) as error:
        raise TrustError(f"the proof of a message cannot be read: {error}") from error


def _covered(purpose: str, hub: str, node: str, *parts: bytes) -> bytes:
    return msgspec.json.encode([f"skerry/1/seal/{purpose}", hub, node, *(part.hex() for part in parts)])


def _hash(body: bytes) -> bytes:
    return hashlib.sha256(body).digest()


def _public(secret: x25519.X25519PrivateKey) -> bytes:
    return secret.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)


class _Keys:
    """The keys of one session at one end, and how far each direction has counted."""

    def __init__(self, secret: x25519.X25519PrivateKey, other: bytes, bound: bytes, *, is_child: bool) -> None:
        try:
            shared = secret.exchange(x25519.X25519PublicKey.from_public_bytes(other))
        except ValueError as error:
            raise TrustError(f"the other end's ephemeral key is no key: {error}") from error
        both = HKDF(algorithm=hashes.SHA256(), length=64, salt=None, info=bound).derive(shared)
        up, down = both[:32], both[32:]
        self._ours, self._theirs = (up, down) if is_child else (down, up)
        self._sent = self._heard = 0

    def seal(self, body: bytes) -> bytes:
        self._sent += 1
        return _join(body, BySession(n=self._sent, mac=_mac(self._ours, self._sent, body)))

    def check(self, body: bytes, proof: BySession) -> None:
        if proof.n < 0 or proof.n >= 1 << 63 or not hmac.compare_digest(_mac(self._theirs, proof.n, body), proof.mac):
            raise TrustError("a message was altered on its way, or is not of this session")
        if proof.n <= self._heard:
            raise TrustError(f"message {proof.n} came again after {self._heard}")
        self._heard = proof.n


def _mac(key: bytes, n: int, body: bytes) -> bytes:
    return hmac.digest(key, n.to_bytes(8, "big") + body, "sha256")


# ------------------------------------------------------------------------------------------------ the child's end


class ChildSeal:
    """The proofs of one session, seen from the child; make a new one for each session."""

    def __init__(
        self,
        *,
        node: str,
        parent: str,
        session: int,
        nonce: str,
        chain: str,
        sign: Callable[[bytes], bytes],
        anchor: signing.ProvenAnchor,
        secret: bytes,
    ) -> None:
        """`chain`: the device's certificate (PEM, without the root). `sign`: ECDSA with SHA-256 by the device's key,
        DER. `secret`: 32 random bytes, used once."""
        self._node, self._parent, self._session, self._nonce = node, parent, session, nonce
        self._chain, self._sign, self._anchor = chain, sign, anchor
        self._secret = x25519.X25519PrivateKey.from_private_bytes(secret)
        self._ephemeral = _public(self._secret)
        self._hello = b""
        self._keys: _Keys | None = None

    def seal(self, message: messages.AnyMessage) -> bytes:
        """Return the payload of `message`. Raises LocalProtocolError for what may not be sent before the Welcome."""
        if isinstance(message, messages.Hello):
            return self._seal_hello(message)
        if self._keys is not None:
            return self._keys.seal(codec.encode(message))
        if isinstance(message, messages.Bye):
            return self.seal_will(message)
        raise LocalProtocolError(f"{type(message).__name__} before the Welcome of session {self._session}")

    def seal_will(self, bye: messages.Bye) -> bytes:
        """Return the payload of the will."""
        body = codec.encode(bye)
        signature = self._sign(_covered("will", self._parent, self._node, _hash(body)))
        return _join(body, ByWill(signature=signature))

    def unseal(self, payload: bytes) -> messages.AnyMessage:
        """Return the message that the parent sealed for this session. Raises TrustError, or as codec.decode."""
        body, proof = _split(payload)
        if isinstance(proof, BySession):
            if self._keys is None:
                raise TrustError("a message of another session came before the Welcome")
            self._keys.check(body, proof)
            return codec.decode(body, codec.DOWN)
        message = codec.decode(body, codec.DOWN)
        if isinstance(proof, ByHub) and isinstance(message, messages.Welcome):
            self._open_welcome(body, proof, message)
        elif isinstance(proof, ByWord) and isinstance(message, messages.Look | messages.Revoked):
            self._check_hub("word", proof.chain, proof.signature, _hash(body))
        else:
            raise TrustError(f"{type(message).__name__} came with a proof of another kind")
        return message

    def _seal_hello(self, hello: messages.Hello) -> bytes:
        body = codec.encode(hello)
        self._hello = _hash(body)
        signature = self._sign(_covered("hello", self._parent, self._node, self._ephemeral, self._hello))
        return _join(body, ByDevice(chain=self._chain, ephemeral=self._ephemeral, signature=signature))

    def _open_welcome(self, body: bytes, proof: ByHub, welcome: messages.Welcome) -> None:
        if self._keys is not None or (welcome.session, welcome.nonce) != (self._session, self._nonce):
            raise TrustError("a Welcome came again, or for another session")
        parts = (self._hello, self._ephemeral, proof.ephemeral, _hash(body))
        self._check_hub("welcome", welcome.chain, proof.signature, *parts)
        bound = _covered("keys", self._parent, self._node, *parts[:3])
        self._keys = _Keys(self._secret, proof.ephemeral, bound, is_child=True)

    def _check_hub(self, purpose: str, chain: str, signature: str, *parts: bytes) -> None:
        key = self._anchor.learn(chain, self._parent)
        self._anchor.check(_covered(purpose, self._parent, self._node, *parts), signature, key, self._parent)


# ------------------------------------------------------------------------------------------------ the parent's end


class NotOpen(TrustError):
    """It belongs to a session that is not open here: late, as after this hub started anew, or replayed. No effect."""


class Stray(NotOpen):
    """It was said in a session: who says it is there, and may not know that the session is over."""


class Unsealed(msgspec.Struct, frozen=True, kw_only=True):
    """A message whose sender is proven. `identity` comes with a Hello; `will`: a Bye that the broker may have sent."""

    message: messages.AnyMessage
    identity: certificates.Identity | None = None
    will: bool = False


class _Greeting:
    """A Hello whose signature holds: what a Welcome, and a will of its session, are checked against."""

    def __init__(self, hello: messages.Hello, digest: bytes, ephemeral: bytes, key: ec.EllipticCurvePublicKey) -> None:
        self.session, self.nonce, self.digest, self.ephemeral, self.key = (
            hello.session,
            hello.nonce,
            digest,
            ephemeral,
            key,
        )


class ParentSeal:
    """The proofs of all children of one hub. It remembers nothing on disk: after a restart each child greets anew."""

    def __init__(
        self, *, hub: str, signer: signing.Signer, root: str, admits: Callable[[certificates.Identity], bool]
    ) -> None:
        """`root`: the root certificate (PEM), the only one under which a device's certificate counts.

        `admits` is asked at each Hello whether this node with this key is part of the fleet, now (INVARIANTS C8).
        """
        self._hub, self._signer, self._root, self._admits = hub, signer, root, admits
        self._pin = certificates.spki_hash(root)
        self._greetings: dict[str, _Greeting] = {}
        self._keys: dict[str, _Keys] = {}

    def forget(self, node: str) -> None:
        """End the session of `node`: nothing it sends under its keys counts any more, nothing more goes to it."""
        self._greetings.pop(node, None)
        self._keys.pop(node, None)

    def unseal(self, node: str, payload: bytes) -> Unsealed:
        """Return what came on a topic of `node`, once it is proven to be of `node`, now.

        Raises TrustError, or as codec.decode.
        """
        body, proof = _split(payload)
        if isinstance(proof, BySession):
            keys = self._keys.get(node)
            if keys is None:
                raise Stray(f"a message of {node} came for a session that is not open here")
            keys.check(body, proof)
            return Unsealed(message=codec.decode(body, codec.UP))
        message = codec.decode(body, codec.UP)
        if isinstance(proof, ByDevice) and isinstance(message, messages.Hello):
            return Unsealed(message=message, identity=self._open_hello(node, body, proof, message))
        if isinstance(proof, ByWill) and isinstance(message, messages.Bye):
            self._check_will(node, body, proof, message)
            return Unsealed(message=message, will=True)
        raise TrustError(f"{type(message).__name__} of {node} came with a proof of another kind")

    def seal(self, node: str, message: messages.AnyMessage, secret: bytes) -> bytes | None:
        """Return the payload of `message` for `node`, or None when it has no session in which to say it.

        `secret`: 32 random bytes, used when `message` is a Welcome.
        """
        body = codec.encode(message)
        if isinstance(message, messages.Welcome):
            return self._seal_welcome(node, body, message, secret)
        behind = isinstance(message, messages.Look) and message.session > 0  # to who knows no key of this session
        if node in self._keys and not behind:
            return self._keys[node].seal(body)
        if isinstance(message, messages.Look | messages.Revoked):
            signature = self._signer.sign(_covered("word", self._hub, node, _hash(body)))
            return _join(body, ByWord(chain=self._signer.chain, signature=signature))
        return None

    def _open_hello(self, node: str, body: bytes, proof: ByDevice, hello: messages.Hello) -> certificates.Identity:
        former = self._greetings.get(node)
        if hello.node != node:
            raise RemoteProtocolError(f"a Hello of {hello.node} came from {node}")
        if former is not None and _hash(body) == former.digest:
            raise TrustError(f"a Hello of {node} for session {hello.session} came again")
        identity = certificates.identify(proof.chain)
        role = "hub" if identity.role == "hub" else "node"
        leaf = chains.check_issued(proof.chain + self._root, role, node, self._pin)
        key, digest = leaf.public_key(), _hash(body)
        if not isinstance(key, ec.EllipticCurvePublicKey):
            raise TrustError(f"the certificate of {node} has no elliptic curve key")
        _check_device(key, proof.signature, _covered("hello", self._hub, node, proof.ephemeral, digest), node)
        if not self._admits(identity):
            raise TrustError(f"{node} is not, or no longer, part of the fleet with this key")
        if former is None or hello.session >= former.session:  # one below is heard, so that it can mint above (A17)
            self._greetings[node] = _Greeting(hello, digest, proof.ephemeral, key)
        return identity

    def _seal_welcome(self, node: str, body: bytes, welcome: messages.Welcome, secret: bytes) -> bytes | None:
        greeting = self._greetings.get(node)
        if greeting is None or (greeting.session, greeting.nonce) != (welcome.session, welcome.nonce):
            return None
        ours = x25519.X25519PrivateKey.from_private_bytes(secret)
        parts = (greeting.digest, greeting.ephemeral, _public(ours))
        bound = _covered("keys", self._hub, node, *parts)
        self._keys[node] = _Keys(ours, greeting.ephemeral, bound, is_child=False)
        signature = self._signer.sign(_covered("welcome", self._hub, node, *parts, _hash(body)))
        return _join(body, ByHub(ephemeral=parts[2], signature=signature))

    def _check_will(self, node: str, body: bytes, proof: ByWill, bye: messages.Bye) -> None:
        greeting = self._greetings.get(node)
        if greeting is None or (greeting.session, greeting.nonce) != (bye.session, bye.nonce):
            raise NotOpen(f"a will of {node} came for a session that is not open here")
        _check_device(greeting.key, proof.signature, _covered("will", self._hub, node, _hash(body)), node)


def _check_device(key: ec.EllipticCurvePublicKey, signature: bytes, covered: bytes, node: str) -> None:
    try:
        key.verify(signature, covered, ec.ECDSA(hashes.SHA256()))
    except InvalidSignature as error:
        raise TrustError(f"the signature of {node} is wrong: the bytes were altered or signed by another") from error
