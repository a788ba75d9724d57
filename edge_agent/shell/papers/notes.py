"""papers.json, and what the daemon and its notary say to each other: so that the daemon needs no X.509 (DESIGN 10).

The file holds what was found when certificates were read. It is trusted as agent.json beside it, whose pin of the root
it repeats: who may write one may write the other. What is missing, damaged or about other files is found out anew.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Literal

import msgspec

from edge_agent.shell import identity
from protocol import limits
from protocol.aio.upkeep import synced
from protocol.bundle import head
from protocol.link.anchor import Proof
from protocol.messages import Revoked


class Certificate(msgspec.Struct, frozen=True, kw_only=True):
    """What the device's certificate says; `file` is the SHA-256 (hex) of the cert.pem that says so."""

    file: str
    id: str
    from_ms: int
    until_ms: int


class Notes(msgspec.Struct, frozen=True, kw_only=True):
    """papers.json; proofs with the newest last, at most SIGNERS_KEPT_MAX."""

    certificate: Certificate | None = None
    proofs: list[Proof] = []


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """`read` our certificate, make a `csr`, check and `store` the certificate or `prove` the signing chain in `pem`,
    or ask the hub's API, `apart` from the link, how we stand; or check the `move` (a document) in `pem`; or `sign`
    a bundle: its hub, its node, the hash of its head."""

    do: Literal["read", "csr", "store", "prove", "apart", "move", "sign"]
    data: str
    pem: str = ""


class Answer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One of them, or why there is none. Apart: a chain that was `renewed`, why it was `refused` (`unknown`: the hub
    knows no such node, or not by our key), or `revoked` with the proof of the key that signed it; none of these: our
    certificate is good."""

    error: str = ""
    certificate: Certificate | None = None
    csr: str = ""
    proof: Proof | None = None
    renewed: str = ""
    refused: str = ""
    unknown: bool = False
    revoked: Revoked | None = None
    signed: head.Proof | None = None


def read(data: Path, root_pin: str) -> Notes:
    """Return what is noted and holds for the cert.pem and the root of now. Raises OSError when there is no cert.pem,
    and the device is not one that has yet to enroll."""
    try:
        found = msgspec.json.decode((data / "papers.json").read_bytes(), type=Notes)
    except (OSError, msgspec.DecodeError):
        found = Notes()
    noted = found.certificate
    here = "" if identity.is_invited(data) else hashlib.sha256((data / "cert.pem").read_bytes()).hexdigest()
    return Notes(
        certificate=noted if noted is not None and noted.file == here else None,
        proofs=[proof for proof in found.proofs if proof.root == root_pin][-limits.SIGNERS_KEPT_MAX :],
    )


def write(data: Path, notes: Notes) -> None:
    """Replace papers.json, whole or not at all. Raises OSError."""
    synced.write(data / "papers.json", msgspec.json.encode(notes))
