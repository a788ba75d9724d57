"""What the daemon asks root to install: proven, and found to fit this device, before anything is done.

The daemon is not trusted. Its request counts as far as the root hub signed it, its package as far as it has the digest
that stands there, and both are looked at in root's own copies.
"""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
from pathlib import Path

from edge_agent.core.upgrade import words
from edge_agent.shell.upgrade import places
from edge_agent.shell.upgrade.places import Places
from protocol import documents, ids, limits
from protocol.aio.upkeep import synced
from protocol.errors import Refused, SkerryError, TrustError
from protocol.trust import releases

_VERSION = re.compile(r"[0-9][0-9A-Za-z.~]{0,60}\+deb[0-9]{1,3}", re.ASCII)
_PIN = re.compile(r"[0-9a-f]{64}", re.ASCII)
_CHUNK_BYTES = 256 * limits.KIB


class Unproven(TrustError):
    """Nobody whom this device believes asks for it."""


def read(at: Places, kept: words.Kept) -> words.Wish | None:
    """Return what is asked for, with what speaks against it; None: nothing. Raises Unproven, OSError.

    What is new is copied to `at.package`.
    """
    try:
        raw = places.read(at.request)
    except FileNotFoundError:
        return None
    except (OSError, Refused) as error:
        raise Unproven(f"the request cannot be read: {error}") from error
    try:
        said = documents.decode(raw)
        if not isinstance(said, documents.Upgrade):
            raise Unproven("the request is none")
        releases.check(said, _pin(at))
    except SkerryError as error:
        raise Unproven(str(error)) from error
    fault = ""
    if said.number > kept.number:
        try:
            _check(at, said)
        except (SkerryError, OSError) as error:
            fault = str(error)
    confirm_s = min(max(said.confirm_s, limits.UPGRADE_CONFIRM_S_MIN), limits.UPGRADE_CONFIRM_S_MAX)
    return words.Wish(number=said.number, version=said.full, confirm_s=confirm_s, fault=fault)


def _pin(at: Places) -> str:
    try:
        text = at.pin.read_text().strip()
    except OSError as error:
        raise Unproven(f"{at.pin} cannot be read ({error.strerror}): no root hub was pinned here") from error
    if _PIN.fullmatch(text) is None:
        raise Unproven(f"{at.pin} holds no pin")
    return text


def _check(at: Places, said: documents.Upgrade) -> None:
    """Raise Refused unless the package is here, whole, and for this device. Raises OSError."""
    if _VERSION.fullmatch(said.full) is None:
        raise Refused(f"{said.full[:80]!r} is no version")
    release, arch = places.release(), _told("dpkg", "--print-architecture")
    if (said.release, said.arch) != (release, arch):
        raise Refused(f"it is for Debian {said.release} on {said.arch}; this device has Debian {release} on {arch}")
    name = ids.digest(said.artifact).removeprefix("sha256:")
    _copy(at.data / "artifacts" / name / "package.deb", at.package, name)
    about = _told("dpkg-deb", "--field", str(at.package), "Package", "Version", "Architecture", "Installed-Size")
    field = dict(line.split(": ", 1) for line in about.splitlines())
    found = (field.get("Package"), field.get("Version"), field.get("Architecture"))
    if found != ("skerry-agent", said.full, arch):
        raise Refused(f"the package is {' '.join(map(str, found))}, not skerry-agent {said.full} {arch}")
    size = field.get("Installed-Size", "")
    if not size.isdecimal():
        raise Refused("the package does not say how much room it takes")
    room(at.lib, int(size) * 1024)


def room(folder: Path, size: int) -> None:
    """Raise Refused unless `size` more bytes fit beside what must stay free."""
    disk = os.statvfs(folder)
    free, needed = disk.f_bavail * disk.f_frsize, size + limits.UPGRADE_SPARE_BYTES
    if free < needed:
        raise Refused(f"{needed / 1e6:.0f} MB are needed in {folder}, {free / 1e6:.0f} are free: make room there")


def _copy(source: Path, target: Path, sha256: str) -> None:
    part = target.with_name(".package.part")
    part.unlink(missing_ok=True)
    with os.fdopen(places.opened(source), "rb") as file:
        size = os.fstat(file.fileno()).st_size
        if size > limits.ARTIFACT_BYTES_MAX:
            raise Refused(f"the package is over {limits.ARTIFACT_BYTES_MAX} bytes")
        room(target.parent, size)
        total, left = hashlib.sha256(), size
        with part.open("xb") as copy:
            while left > 0 and (chunk := file.read(min(left, _CHUNK_BYTES))):
                total.update(chunk)
                copy.write(chunk)
                left -= len(chunk)
            copy.flush()
            os.fsync(copy.fileno())
    if total.hexdigest() != sha256:
        part.unlink()
        raise Refused("the package is not the one that the root hub named")
    part.replace(target)
    synced.sync_folder(target.parent)


def _told(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Refused(f"{command[0]} says: {done.stderr.strip()[-200:]}")
    return done.stdout.strip()
