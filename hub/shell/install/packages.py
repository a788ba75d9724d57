"""The packages of the agent that a hub holds: what an operator copied into the folder `packages` of its directory.

A name says what is in a package, and its sum is taken here, so that a device can tell whether it got what the hub has.
One that is half copied, or bears another name, is not offered.
"""

from __future__ import annotations

import functools
import hashlib
import logging
import re
from pathlib import Path

import msgspec

from hub.shell.install import deb
from protocol import limits

log = logging.getLogger("skerry.hub")

_NAME = re.compile(
    r"skerry-agent_(?P<version>[0-9][0-9A-Za-z.~]{0,60}\+deb(?P<release>\d{1,3}))_(?P<arch>[a-z0-9]{1,20})\.deb"
)


class Package(msgspec.Struct, frozen=True, kw_only=True):
    """One package: of `version`, for Debian `release` on `arch` (as dpkg calls it); `sha256` in hex."""

    path: Path
    version: str
    release: str
    arch: str
    sha256: str
    size: int


def held(folder: Path) -> list[Package]:
    """Return the package that came last for each release and arch, in order. Reads them: not for the loop."""
    try:
        named_so = [path for path in folder.iterdir() if _NAME.fullmatch(path.name)]
    except OSError:
        return []
    latest = sorted((changed, path) for path in named_so if (changed := _changed_ns(path)) is not None)
    found = {(one.release, one.arch): one for _, path in latest[-limits.PACKAGES_MAX :] if (one := _package(path))}
    return [found[key] for key in sorted(found)]


def named(folder: Path, name: str) -> Path | None:
    """Return where the package `name` lies; None when it is none of ours (C6). Reads it: not for the loop."""
    path = folder / name
    return path if _NAME.fullmatch(name) and _changed_ns(path) is not None and _is_whole(path) else None


def _changed_ns(path: Path) -> int | None:
    """Return when the file changed; None for a link that leads nowhere, and what is no file or cannot be read."""
    try:
        return path.stat().st_mtime_ns if path.is_file() else None
    except OSError:
        return None


def _package(path: Path) -> Package | None:
    found = _NAME.fullmatch(path.name)
    if found is None or not _is_whole(path):
        log.warning("%s is no whole package: copy it again", path)
        return None
    try:
        about = path.stat()
        total = _sum(path, about.st_size, about.st_mtime_ns)
    except OSError as error:
        log.warning("%s cannot be read: %s", path, error.strerror or error)
        return None
    return Package(path=path, sha256=total, size=about.st_size, **found.groupdict())


@functools.lru_cache(maxsize=limits.PACKAGES_MAX)
def _sum(path: Path, size: int, changed_ns: int) -> str:
    """Return the SHA-256 (hex) of the file as it was then."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _is_whole(path: Path) -> bool:
    """Tell whether the file ends where a package does: a copy may still go on."""
    try:
        with path.open("rb") as file:
            return bool(deb.members(file, path.stat().st_size))
    except (OSError, ValueError):
        return False
