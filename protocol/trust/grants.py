"""Who may turn to another hub: the word of a hub above both, signed, that a node proves against its pinned root.

A hub can only speak of what is below it: the scope that its signing certificate stands in must hold the hub that the
node leaves and the one that it is to turn to. Dates are not judged: a device may believe in 1970; which word is the
newest its number tells.
"""

from __future__ import annotations

import base64
import binascii
from typing import TypeVar

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ed25519

from protocol import documents
from protocol.errors import TrustError
from protocol.link.events import Signer
from protocol.trust import certificates, chains

Said = documents.Move | documents.Grant
"""What a hub says of nodes below it."""
S = TypeVar("S", documents.Move, documents.Grant)


def covered(said: Said) -> bytes:
    """Return what the signature covers: all of `said` but the signature and its chain."""
    bare = msgspec.structs.replace(said, chain="", signature="")
    return msgspec.json.encode(["skerry/1/move", documents.encode(bare).decode()])


def sign(said: S, signer: Signer) -> S:
    """Return `said` with the signature and the chain of `signer`, the hub `said.by`."""
    return msgspec.structs.replace(said, chain=signer.chain, signature=signer.sign(covered(said)))


def check(said: Said, root_pin: str, scope: str) -> None:
    """Raise TrustError or TooLarge unless `said` is by a hub above `scope` and above the hubs that it names.

    `scope` is the domain that the node belongs to.
    """
    leaf = chains.check_issued(said.chain, "signer", said.by, root_pin)
    above, key = certificates.dns_names(leaf)[0], leaf.public_key()
    havens = [said.to] if isinstance(said, documents.Move) else said.havens
    for one in (scope, *(haven.scope for haven in havens)):
        if one != above and not one.endswith(f".{above}"):
            raise TrustError(f"hub {said.by} is not above {one}: it cannot say who turns there")
    if not isinstance(key, ed25519.Ed25519PublicKey):
        raise TrustError(f"the signing certificate of {said.by} has no Ed25519 key")
    try:
        key.verify(base64.b64decode(said.signature, validate=True), covered(said))
    except (InvalidSignature, binascii.Error, ValueError) as error:
        raise TrustError(f"the signature of {said.by} is wrong: altered, or by another") from error
