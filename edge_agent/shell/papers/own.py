"""The device's key and certificate: made, read and stored. Not imported by the daemon (X.509 costs it 4 MB)."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable
from pathlib import Path

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from edge_agent.shell import identity
from edge_agent.shell.papers import notes
from protocol.aio.upkeep import synced
from protocol.bundle import head
from protocol.errors import TrustError
from protocol.trust import certificates, chains, gaps, signing


def key_of(data: Path) -> bytes:
    """Return the device's private key (PEM), made now if there is none."""
    path = data / "key.pem"
    if not path.exists():
        synced.write(path, signing.key_pem(signing.make_key()))
    return path.read_bytes()


def make_csr(data: Path, node: str) -> str:
    """Return a certificate request (PEM) for the device's key."""
    return signing.make_csr(signing.load_key(key_of(data)), node).decode()


def certificate(data: Path) -> certificates.Identity:
    """Return what the stored certificate says. Raises TrustError."""
    return signing.identify((data / "cert.pem").read_bytes())


def note_certificate(data: Path, root_pin: str) -> notes.Certificate:
    """Read the stored certificate and note what it says. Raises TrustError, OSError."""
    raw = (data / "cert.pem").read_bytes()
    said = signing.identify(raw)
    noted = notes.Certificate(
        file=hashlib.sha256(raw).hexdigest(), id=said.id, from_ms=said.from_ms, until_ms=said.until_ms
    )
    _note(data, notes.Notes(certificate=noted, proofs=notes.read(data, root_pin).proofs))
    return noted


def store_certificate(data: Path, file: identity.AgentFile, chain: str) -> notes.Certificate:
    """Check a renewed certificate with its intermediates (ours, in our hub's scope, under our root, on our key) and
    store it. Raises TrustError, OSError."""
    chains.check_issued(chain + (data / "root.pem").read_text(), "node", file.node, file.root_pin, file.scope)
    if signing.identify(chain).key != signing.spki_hash(_public_of(data)):
        raise TrustError("the new certificate is for another key than this device's: refused")
    synced.write(data / "cert.pem", chain.encode())
    return note_certificate(data, file.root_pin)


def prove_signer(data: Path, file: identity.AgentFile, chain: str) -> signing.Proof:
    """Check the parent's signing chain against the pinned root, and note the proof. Raises TrustError, OSError."""
    proof = signing.prove_signer(chain, file.parent, file.root_pin, file.scope)
    known = notes.read(data, file.root_pin)
    others = [one for one in known.proofs if (one.parent, one.chain) != (proof.parent, proof.chain)]
    _note(data, notes.Notes(certificate=known.certificate, proofs=[*others, proof]))
    return proof


def signer(data: Path) -> Callable[[bytes], bytes]:
    """Return what signs with the device's key: ECDSA with SHA-256, DER."""
    key = signing.load_key(key_of(data))
    return lambda covered: key.sign(covered, ec.ECDSA(hashes.SHA256()))


def sign_bundle(data: Path, hub: str, node: str, hashed: str) -> head.Proof:
    """Sign the bundle of `node` for `hub` whose head has this hash, with the device's key."""
    signer = gaps.GapSigner(key_of(data))
    return head.Proof(key=signer.key, signature=signer.signature(head.covered("up", hub, node, hashed, signer.key)))


def _note(data: Path, found: notes.Notes) -> None:
    with contextlib.suppress(OSError):  # a full disk: it is found out again in the next life
        notes.write(data, found)


def _public_of(data: Path) -> bytes:
    public = signing.load_key(key_of(data)).public_key()
    return public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
