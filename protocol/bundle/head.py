"""What a bundle says of itself, and who says it: pure functions over bytes.

A bundle is a folder: `bundle.json`, and parts that are named by the SHA-256 (hex) of their bytes. The first line of
`bundle.json` is a head, the second the proof that it is of a hub or of a device, bound to both and to the direction
(INVARIANTS C3). The head names every part with its size, so that what is not whole, or is not what was signed, shows
before anything of it counts. It belongs to no session: what it brings meets the ordinary rules for cursors and
generations (A4, A10), twice, late, or in another order.
"""

from __future__ import annotations

import hashlib
import re
from typing import Annotated, TypeVar

import msgspec

from protocol import ids, limits
from protocol.errors import BadId, RemoteProtocolError, TooLarge
from protocol.messages import Count, Cursor, Desired, Hello, Moment, Status, Word

_PART = re.compile(r"[0-9a-f]{64}", re.ASCII)
_Parts = Annotated[dict[Word, Count], msgspec.Meta(max_length=limits.BUNDLE_PARTS_MAX)]


class Head(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="way"):
    """The base of heads. `parts`: the size of each part by its name; `time_ms`: of whose clock made it, for people."""

    hub: Word
    node: Word
    time_ms: Moment
    parts: _Parts = {}


class Down(Head, frozen=True, kw_only=True, omit_defaults=True, tag="down"):
    """From a hub to a device. `desired`: the whole of what is asked, its bodies are parts; None: nothing ever was.

    `cursors`: what the hub has committed of each stream. `session`: the newest of the device's that it knows; `seen`:
    session and count of the Status of the newest bundle that it took. `chain`: its signing chain (PEM). Parts that
    `desired` does not name are the artifacts that its documents name.
    """

    session: Count = 0
    seen: tuple[Count, Count] = (0, 0)
    cursors: Annotated[dict[Word, Cursor], msgspec.Meta(max_length=limits.LINK_STREAMS_MAX)] = {}
    desired: Desired | None = None
    chain: str = ""

    def documents(self) -> set[str]:
        """Return the names of the parts that are documents."""
        return set() if self.desired is None else {name_of(one) for one in self.desired.put.values()}


class Join(msgspec.Struct, frozen=True, kw_only=True):
    """What a device asks that was invited by a stick and has met no hub: its token, a request for a certificate (PEM),
    and what it says of itself."""

    token: Annotated[str, msgspec.Meta(max_length=512)]
    csr: Annotated[str, msgspec.Meta(max_length=limits.CSR_BYTES_MAX)]
    facts: Annotated[dict[Word, Word], msgspec.Meta(max_length=limits.FACTS_MAX)] = {}


class Up(Head, frozen=True, kw_only=True, omit_defaults=True, tag="up"):
    """From a device to its hub. `hello`: the streams and what is held; `status`: the state at that time.

    `rows`: parts that are each one Entries, in the order in which they are to be taken.
    """

    hello: Hello
    status: Status
    rows: Annotated[list[Word], msgspec.Meta(max_length=limits.BUNDLE_PARTS_MAX)] = []
    join: Join | None = None


class Proof(msgspec.Struct, frozen=True, kw_only=True):
    """Who signed a head: the id of a hub's signing key, or a device's SubjectPublicKeyInfo (DER, base64)."""

    key: Annotated[str, msgspec.Meta(max_length=256)]
    signature: Annotated[str, msgspec.Meta(max_length=256)]


_H = TypeVar("_H", Down, Up)
_proofs = msgspec.json.Decoder(Proof)


def hash_of(body: bytes) -> str:
    """Return the hash (hex) by which a proof covers a first line."""
    return hashlib.sha256(body).hexdigest()


def covered(way: str, hub: str, node: str, hashed: str, key: str) -> bytes:
    """Return what a proof covers. `way`: `down` or `up`; `hashed`: of the first line."""
    return msgspec.json.encode([f"skerry/1/bundle/{way}", hub, node, hashed, key])


def encode(head: Down | Up) -> bytes:
    """Return the first line."""
    return msgspec.json.encode(head)


def join(body: bytes, proof: Proof) -> bytes:
    """Return the file."""
    return body + b"\n" + msgspec.json.encode(proof) + b"\n"


def read(raw: bytes, kind: type[_H]) -> tuple[_H, bytes, Proof]:
    """Return a head of this kind, its line, and its proof, which is not checked yet.

    Raises TooLarge or RemoteProtocolError, which say what to do with the bundle.
    """
    if len(raw) > limits.BUNDLE_HEAD_BYTES_MAX:
        raise TooLarge(f"the head of the bundle has {len(raw)} bytes, over {limits.BUNDLE_HEAD_BYTES_MAX}: refused")
    body, _, rest = raw.partition(b"\n")
    try:
        head, proof = msgspec.json.decode(body, type=kind), _proofs.decode(rest)
        ids.node_id(head.hub)
        ids.node_id(head.node)
    except (msgspec.DecodeError, ValueError, RecursionError, BadId) as error:
        other = {Down: "a hub exported", Up: "a device exported"}[kind]
        raise RemoteProtocolError(
            f"bundle.json is not the head of a bundle that {other} ({error}): copy it again, whole"
        ) from error
    if not all(_PART.fullmatch(one) for one in head.parts):
        raise RemoteProtocolError("bundle.json names a part that no bundle has: refused")
    lacking = head.documents() if isinstance(head, Down) else set(head.rows)
    if not lacking <= head.parts.keys():
        raise RemoteProtocolError("bundle.json names content that is not among its parts: refused")
    return head, body, proof


def name_of(digest: str) -> str:
    """Return the name of the part that holds the bytes with `digest` (`sha256:HEX`)."""
    return digest.removeprefix("sha256:")


def digest_of(name: str) -> str:
    """Return the digest of the part `name`."""
    return f"sha256:{name}"
