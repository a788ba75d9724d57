"""Files, keys and certificates, as facts."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from protocol import limits
from protocol.doctor.facts import File, Key, Paper
from protocol.errors import TooLarge, TrustError
from protocol.trust import certificates, chains


def read(path: Path) -> bytes:
    """Return what an ordinary file holds. Raises OSError, ValueError, TooLarge."""
    with _ordinary(path) as opened:
        raw = opened.read(limits.DOCTOR_FILE_BYTES_MAX + 1)
    if len(raw) > limits.DOCTOR_FILE_BYTES_MAX:
        raise TooLarge(
            f"{path} is over {limits.DOCTOR_FILE_BYTES_MAX} bytes: it is no key, certificate or configuration"
        )
    return raw


def check(path: Path) -> None:
    """Raise OSError or ValueError unless `path` is an ordinary file that may be read."""
    _ordinary(path).close()


def _ordinary(path: Path) -> BinaryIO:
    """Open a file: no pipe, which would never answer, and no device, which may never end or take notice of it."""
    real = os.path.realpath(path)
    if not stat.S_ISREG(os.lstat(real).st_mode):
        raise ValueError(f"{path} is no ordinary file")
    return open(os.open(real, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb")


def file(path: Path) -> File:
    """Return a file or folder as it is, links followed. Raises OSError."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return File(path=str(path), present=False)
    return File(path=str(path), present=True, mode=stat.S_IMODE(found.st_mode), owner=found.st_uid)


def key(path: Path, public: Callable[[bytes], str]) -> Key:
    """Return a private key's file, and what `public` makes of it (or why not). Raises OSError."""
    seen = file(path)
    if not seen.present:
        return Key(file=seen)
    try:
        return Key(file=seen, public=public(read(path)))
    except (TrustError, TooLarge) as error:
        return Key(file=seen, flaw=str(error))


def public_of_tls(pem: bytes) -> str:
    """Return the SHA-256 of the public part of a P-256 key. Raises TrustError."""
    return certificates.spki_hash(certificates.make_csr(certificates.load_key(pem), "doctor"))


def public_of_signer(pem: bytes) -> str:
    """Check an Ed25519 key. Raises TrustError. Its chain is not compared with it: the hub does so as it signs."""
    certificates.load_signing_key(pem)
    return ""


def public_of_root(pem: str) -> str:
    """Return the SHA-256 of a certificate's key. Raises TrustError."""
    return certificates.spki_hash(pem)


def paper(path: Path, root: Path, pin: str = "") -> Paper:
    """Return a certificate, checked to be issued by the root in `root` (whose key is `pin`, if that is known).

    Raises OSError, but for a file that is not there: that is a flaw.
    """
    try:
        raw = read(path)
        said = certificates.identify(raw)
        issuer = read(root)
        whole = raw if issuer.strip() in raw else raw + issuer
        chains.check_issued(whole, said.role, said.id, pin or certificates.spki_hash(issuer))
    except FileNotFoundError as error:
        return Paper(path=str(path), flaw="it is missing" if error.filename == str(path) else f"{root} is missing")
    except (TrustError, TooLarge) as error:
        return Paper(path=str(path), flaw=str(error))
    return Paper(
        path=str(path), role=said.role, id=said.id, public=said.key, from_ms=said.from_ms, until_ms=said.until_ms
    )


def root(path: Path) -> Paper:
    """Return the root certificate. Raises OSError, but for a file that is not there: that is a flaw."""
    try:
        raw = read(path)
        found = certificates.load_chain(raw)[0]
        public = certificates.spki_hash(raw)
    except FileNotFoundError:
        return Paper(path=str(path), flaw="it is missing")
    except (TrustError, TooLarge) as error:
        return Paper(path=str(path), flaw=str(error))
    return Paper(
        path=str(path),
        public=public,
        from_ms=int(found.not_valid_before_utc.timestamp() * 1000),
        until_ms=int(found.not_valid_after_utc.timestamp() * 1000),
    )


def set_aside(store: Path) -> list[str]:
    """Return the files that a recovery has put aside for a store (protocol.aio.recovery). Raises OSError."""
    return sorted(path.name for path in store.parent.iterdir() if path.name.startswith(f"{store.name}.damaged-"))
