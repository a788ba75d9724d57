"""The separate way to a certificate: what a device signs when its link cannot be had (INVARIANTS C15).

The question carries a certificate request on the key that the device was enrolled with, and is signed with that key for
one device, one hub and one moment of the hub's own clock, which the device has asked for first: its own may stand in
1970. A replay within RENEW_APART_FRESH_S gives who replays it a certificate on a key that he does not hold, or a word
that he cannot use; it costs the hub one signature, within the rates. Later it gives nothing.
"""

from __future__ import annotations

import base64
import binascii

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from protocol import limits
from protocol.errors import TooLarge, TrustError
from protocol.trust import certificates


class Renewal(msgspec.Struct, frozen=True, kw_only=True):
    """What a device asks. `time_ms`: the hub's time; `until_ms`: the end of the certificate it has."""

    node: str
    hub: str
    time_ms: int
    until_ms: int
    csr: str
    signature: str = ""


def renewal_bytes(asked: Renewal) -> bytes:
    """Return what the signature covers."""
    return msgspec.json.encode(["skerry/1/renew", asked.node, asked.hub, asked.time_ms, asked.until_ms, asked.csr])


def sign(asked: Renewal, key_pem: bytes) -> Renewal:
    """Return `asked`, signed with the device's key. Raises TrustError when it holds no such key."""
    key = certificates.load_key(key_pem)
    signature = key.sign(renewal_bytes(asked), ec.ECDSA(hashes.SHA256()))
    return msgspec.structs.replace(asked, signature=base64.b64encode(signature).decode())


def check(asked: Renewal, hub: str, now_ms: int) -> str:
    """Return the SHA-256 (hex) of the key that signed `asked`, which is the key of its certificate request.

    Raises TrustError when it is for another hub, stale, or not signed by that key; TooLarge before anything is parsed.
    Whose key it is, is the caller's to check (C5).
    """
    if asked.hub != hub:
        raise TrustError(f"this is hub {hub}: the question is for another one")
    if abs(now_ms - asked.time_ms) > limits.RENEW_APART_FRESH_S * 1000:
        raise TrustError("the question is of another time than this hub's: ask for /v1/info first, and sign its time")
    if len(asked.signature) > limits.SIGNATURE_CHARS_MAX:
        raise TooLarge(f"a signature of {len(asked.signature)} characters is over {limits.SIGNATURE_CHARS_MAX}")
    key = certificates.check_csr(asked.csr)
    try:
        signature = base64.b64decode(asked.signature, validate=True)
        key.verify(signature, renewal_bytes(asked), ec.ECDSA(hashes.SHA256()))
    except (InvalidSignature, binascii.Error, ValueError) as error:
        raise TrustError("the question is not signed by the key of its certificate request") from error
    return certificates.spki_hash(asked.csr)
