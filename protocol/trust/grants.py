"""Who may turn to another hub: the word of a hub above both, signed, that a node proves against its pinned root.

A hub can only speak of what is below it: the scope that its signing certificate stands in must hold the hub that the
node leaves and the one that it is to turn to. Dates are not judged: a device may believe in 1970; which word is the
newest its number tells.
"""

from __future__ import annotations

import base64
import binascii

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ed25519

from protocol import documents
from protocol.errors import TrustError
from protocol.link.events import Signer
from protocol.trust import certificates, chains


def covered(move: documents.Move) -> bytes:
    """Return what the signature covers: all of `move` but the signature and its chain."""
    bare = msgspec.structs.replace(move, chain="", signature="")
    return msgspec.json.encode(["skerry/1/move", documents.encode(bare).decode()])


def sign(move: documents.Move, signer: Signer) -> documents.Move:
    """Return `move` with the signature and the chain of `signer`, the hub `move.by`."""
    return msgspec.structs.replace(move, chain=signer.chain, signature=signer.sign(covered(move)))


def check(move: documents.Move, root_pin: str, scope: str) -> None:
    """Raise TrustError or TooLarge unless `move` is by a hub above `scope` and above the hub that it names.

    `scope` is the domain that the node's own certificate stands in.
    """
    leaf = chains.check_issued(move.chain, "signer", move.by, root_pin)
    above, key = certificates.dns_names(leaf)[0], leaf.public_key()
    for one in (scope, move.to.scope):
        if one != above and not one.endswith(f".{above}"):
            raise TrustError(f"hub {move.by} is not above {one}: it cannot say who moves there")
    if not isinstance(key, ed25519.Ed25519PublicKey):
        raise TrustError(f"the signing certificate of {move.by} has no Ed25519 key")
    try:
        key.verify(base64.b64decode(move.signature, validate=True), covered(move))
    except (InvalidSignature, binascii.Error, ValueError) as error:
        raise TrustError(f"the signature of {move.by} under the move of {move.node} is wrong") from error
