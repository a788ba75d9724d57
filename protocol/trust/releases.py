"""Which version of the agent a device may be given: the word of the root hub, and of no hub below it.

What a device installs runs there as root does, so a region can only hand it on: whoever takes a region over has taken
no device (INVARIANTS C17). What is proven is proven again by the part that installs, under the root that was pinned
when the device was (see protocol.aio.upgrade). Dates are not judged; of two words the one with the higher number holds.
"""

from __future__ import annotations

import base64
import binascii
from typing import TypeVar

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ed25519

from protocol import documents
from protocol.errors import Refused, TrustError
from protocol.link.events import Signer
from protocol.trust import certificates, chains


def covered(said: documents.Upgrade) -> bytes:
    """Return what the signature covers: all of `said` but the signature and its chain."""
    unsigned = msgspec.structs.replace(said, chain="", signature="")
    return msgspec.json.encode(["skerry/1/upgrade", documents.encode(unsigned).decode()])


def sign(said: documents.Upgrade, signer: Signer) -> documents.Upgrade:
    """Return `said` with the signature and the chain of `signer`, the root hub `said.by`."""
    return msgspec.structs.replace(said, chain=signer.chain, signature=signer.sign(covered(said)))


D = TypeVar("D")


def said(declared: D, word: str) -> D | documents.Upgrade:
    """Return the Upgrade in `word`, as it was signed, where `declared` is the same, unsigned; any other as it is.

    Raises Refused when they differ: then who handed it on has altered one of them.
    """
    if not isinstance(declared, documents.Upgrade):
        return declared
    signed = documents.decode(word.encode())
    if isinstance(signed, documents.Upgrade):
        bare = msgspec.structs.replace(signed, number=0, by="", chain="", signature="")
        if bare == declared:
            return signed
    raise Refused("what is declared is not what was signed")


def check(said: documents.Upgrade, root_pin: str) -> None:
    """Raise TrustError or TooLarge unless `said` is the word of the hub whose own CA is the pinned root."""
    leaf = chains.check_issued(said.chain, "signer", said.by, root_pin)
    if len(certificates.load_chain(said.chain)) != 2:
        raise TrustError(f"hub {said.by} is not the root: agents are of the version that the root asks for")
    key = leaf.public_key()
    if not isinstance(key, ed25519.Ed25519PublicKey):
        raise TrustError(f"the signing certificate of {said.by} has no Ed25519 key")
    try:
        key.verify(base64.b64decode(said.signature, validate=True), covered(said))
    except (InvalidSignature, binascii.Error, ValueError) as error:
        raise TrustError(f"the signature of {said.by} is wrong: altered, or by another") from error
