"""Signed GAPs: the same bytes each time, good for one node, epoch, stream and range, and for nothing else."""

from __future__ import annotations

import subprocess
import sys

import msgspec
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from protocol.errors import TrustError
from protocol.messages import GapBody
from protocol.trust import gaps, signing

NODE, EPOCH = "gw-1", "a" * 16
BODY = GapBody(first=3, last=9, count=7, reason="the quota of the stream is full", hash="ab" * 32)
PAPERS = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
DEVICE = ec.derive_private_key(7, ec.SECP256R1()).private_bytes(*PAPERS)
HUB = ed25519.Ed25519PrivateKey.from_private_bytes(b"\1" * 32).private_bytes(*PAPERS)


def key_hash(pem: bytes) -> str:
    key = serialization.load_pem_private_key(pem, None)
    public = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    return signing.spki_hash(key.public_key().public_bytes(*public))


@pytest.mark.parametrize("pem", [DEVICE, HUB])
def test_a_gap_is_signed_the_same_each_time_and_holds(pem: bytes) -> None:
    signed = gaps.GapSigner(pem).sign(NODE, EPOCH, "audit", BODY)
    assert signed == gaps.GapSigner(pem).sign(NODE, EPOCH, "audit", BODY)
    assert msgspec.structs.replace(signed, key="", signature="") == BODY
    gaps.check(NODE, key_hash(pem), EPOCH, "audit", signed)


@pytest.mark.parametrize("pem", [DEVICE, HUB])
@pytest.mark.parametrize(
    "change",
    [
        {"first": 2},
        {"last": 10},
        {"count": 6},
        {"reason": "x"},
        {"hash": ""},
        {"signature": "AAAA"},
        {"signature": "!"},
    ],
)
def test_what_was_altered_does_not_hold(pem: bytes, change: dict[str, object]) -> None:
    signed = gaps.GapSigner(pem).sign(NODE, EPOCH, "audit", BODY)
    with pytest.raises(TrustError, match="its signature is wrong"):
        gaps.check(NODE, key_hash(pem), EPOCH, "audit", msgspec.structs.replace(signed, **change))


@pytest.mark.parametrize("place", [("gw-2", EPOCH, "audit"), (NODE, "b" * 16, "audit"), (NODE, EPOCH, "state")])
def test_a_gap_of_another_node_epoch_or_stream_does_not_hold(place: tuple[str, str, str]) -> None:
    signed = gaps.GapSigner(DEVICE).sign(NODE, EPOCH, "audit", BODY)
    node, epoch, stream = place
    with pytest.raises(TrustError, match="another node, epoch or stream"):
        gaps.check(node, key_hash(DEVICE), epoch, stream, signed)


def test_a_gap_without_a_signature_or_with_a_strangers_does_not_hold() -> None:
    with pytest.raises(TrustError, match="it is not signed"):
        gaps.check(NODE, key_hash(DEVICE), EPOCH, "audit", BODY)
    strangers = gaps.GapSigner(HUB).sign(NODE, EPOCH, "audit", BODY)
    with pytest.raises(TrustError, match="another key than the one gw-1 was enrolled with"):
        gaps.check(NODE, key_hash(DEVICE), EPOCH, "audit", strangers)
    with pytest.raises(TrustError, match="its signature is wrong"):
        gaps.check(NODE, key_hash(DEVICE), EPOCH, "audit", msgspec.structs.replace(strangers, key="A" * 300))


def test_a_key_that_skerry_never_makes_signs_nothing() -> None:
    pem = rsa.generate_private_key(65_537, 2_048).private_bytes(*PAPERS)
    for bad in (pem, b"no key"):
        with pytest.raises(TrustError, match="private key"):
            gaps.GapSigner(bad)


def test_signing_loads_no_certificates() -> None:
    code = "import sys; from protocol.trust import gaps; gaps.GapSigner(sys.stdin.buffer.read())"
    code += "; sys.exit('cryptography.x509' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], input=DEVICE, check=False).returncode == 0
