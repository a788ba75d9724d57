"""A package of another version: what it says of itself, whether it fits this machine, and root's own copy of it."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import subprocess
from pathlib import Path

from protocol import limits
from protocol.aio.upgrade import places
from protocol.aio.upgrade.places import Places
from protocol.aio.upkeep import synced
from protocol.errors import Refused
from protocol.upgrade import words

_VERSION = re.compile(r"[0-9][0-9A-Za-z.~]{0,60}\+deb[0-9]{1,3}", re.ASCII)
_CHUNK_BYTES = 256 * limits.KIB


def here() -> tuple[str, str]:
    """Return which Debian this is, and on what. Raises Refused."""
    return places.release(), _told("dpkg", "--print-architecture")


def check(at: Places, deb: Path, full: str) -> None:
    """Raise Refused unless `deb` is `at.name` in version `full`, for this machine, and there is room for it."""
    name, version, arch, size = fields(deb)
    if (name, version) != (at.name, full):
        raise Refused(f"the package is {name} {version} {arch}, not {at.name} {full}")
    if _VERSION.fullmatch(full) is None:
        raise Refused(f"{full[:80]!r} is no version")
    release, machine = here()
    if (full.rpartition("+deb")[2], arch) != (release, machine):
        its = f"Debian {full.rpartition('+deb')[2]} on {arch}"
        raise Refused(f"it is for {its}; this machine has Debian {release} on {machine}")
    room(at.lib, size)


def fields(deb: Path) -> tuple[str, str, str, int]:
    """Return what a package says of itself: name, version, machine, and the bytes it takes. Raises Refused."""
    about = _told("dpkg-deb", "--field", str(deb), "Package", "Version", "Architecture", "Installed-Size")
    field = dict(line.split(": ", 1) for line in about.splitlines() if ": " in line)
    size = field.get("Installed-Size", "")
    if not size.isdecimal():
        raise Refused("the package does not say how much room it takes")
    return field.get("Package", "?"), field.get("Version", "?"), field.get("Architecture", "?"), int(size) * 1024


def room(folder: Path, size: int) -> None:
    """Raise Refused unless `size` more bytes fit beside what must stay free."""
    disk = os.statvfs(folder)
    free, needed = disk.f_bavail * disk.f_frsize, size + limits.UPGRADE_SPARE_BYTES
    if free < needed:
        raise Refused(f"{needed / 1e6:.0f} MB are needed in {folder}, {free / 1e6:.0f} are free: make room there")


def copy(source: Path, target: Path, sha256: str) -> None:
    """Copy a plain file, which may be a stranger's, durably; `sha256` (hex) is what it must have.

    Raises Refused, OSError; then `target` is as it was.
    """
    part = target.with_name(".package.part")
    part.unlink(missing_ok=True)
    with os.fdopen(places.opened(source), "rb") as file:
        size = os.fstat(file.fileno()).st_size
        if size > limits.ARTIFACT_BYTES_MAX:
            raise Refused(f"the package is over {limits.ARTIFACT_BYTES_MAX} bytes")
        room(target.parent, size)
        total, left = hashlib.sha256(), size
        with part.open("xb") as made:
            while left > 0 and (chunk := file.read(min(left, _CHUNK_BYTES))):
                total.update(chunk)
                made.write(chunk)
                left -= len(chunk)
            made.flush()
            os.fsync(made.fileno())
    if total.hexdigest() != sha256:
        part.unlink()
        raise Refused("the package is not the one that was asked for")
    part.replace(target)
    synced.sync_folder(target.parent)


def store(at: Places, kept: words.Kept) -> None:
    """Store what root's part keeps; on a full disk in the room of root's copy of the package: it is unpacked by then.

    A version on trial may be what fills the disk: it is gone back from all the same. Raises OSError.
    """
    try:
        places.write(at.kept, kept)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        os.truncate(at.package, 0)  # that it is there says that there is something to do
        places.write(at.kept, kept)


def _told(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Refused(f"{command[0]} says: {done.stderr.strip()[-200:]}")
    return done.stdout.strip()
