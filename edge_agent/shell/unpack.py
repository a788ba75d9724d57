"""Unpacking, confined (INVARIANTS C13): an archive is a stranger's, even a verified one.

Its members become plain files, folders and inner links below one new folder, or nothing does. Refused: absolute paths,
`..`, links that lead out or that a later member would pass through, hard links, devices, doubles, and anything over
the bounds, counted as it is written and not as the archive claims.
"""

from __future__ import annotations

import os
import posixpath
import tarfile
from pathlib import Path
from typing import IO, cast

import zstandard

from protocol import limits
from protocol.aio.upkeep import synced
from protocol.errors import Refused, TooLarge

_ZSTD = b"\x28\xb5\x2f\xfd"
_GZIP = b"\x1f\x8b"
_DEB = b"!<arch>\n"


def unpack(
    archive: Path,
    into: Path,
    *,
    bytes_max: int = limits.ARTIFACT_UNPACKED_BYTES_MAX,
    files_max: int = limits.ARTIFACT_FILES_MAX,
) -> None:
    """Unpack a tar (zstd, gzip or plain) into the new folder `into`, durably, read-only.

    A package of Debian is put there as it is, as `package.deb`: who installs it wants its very bytes.

    Raises Refused or TooLarge; then what was written so far is the caller's to delete. Raises OSError.
    """
    into.mkdir(mode=0o755)
    try:
        with open(archive, "rb") as raw:
            unpacking = _Unpacking(into, bytes_max, files_max)
            if raw.peek(len(_DEB)).startswith(_DEB):
                unpacking.file(raw, into / "package.deb", 0o444)
            else:
                unpacking.all(_tar(raw))
    except (tarfile.TarError, zstandard.ZstdError, EOFError, UnicodeError) as error:
        raise Refused(f"the artifact is not a whole archive: {error}") from error
    _seal(into)


def _tar(raw: IO[bytes]) -> tarfile.TarFile:
    magic = raw.read(4)
    raw.seek(0)
    if magic == _ZSTD:
        plain = zstandard.ZstdDecompressor(max_window_size=limits.UNPACK_WINDOW_BYTES_MAX).stream_reader(raw)
        return tarfile.open(fileobj=cast("IO[bytes]", plain), mode="r|")
    return tarfile.open(fileobj=raw, mode="r|gz" if magic.startswith(_GZIP) else "r|")


class _Unpacking:
    """One unpacking: what it has made, what it may still make."""

    def __init__(self, into: Path, bytes_max: int, files_max: int) -> None:
        self._into = into
        self._bytes_left = bytes_max
        self._files_left = files_max
        self._links: set[str] = set()

    def all(self, tar: tarfile.TarFile) -> None:
        """Make all that `tar` holds."""
        with tar:
            for member in tar:
                self._files_left -= 1
                if self._files_left < 0:
                    raise TooLarge("the artifact holds too many files")
                self._one(tar, member)

    def _one(self, tar: tarfile.TarFile, member: tarfile.TarInfo) -> None:
        name = self._checked(member.name)
        if not name:
            return
        place = self._into / name
        place.parent.mkdir(parents=True, exist_ok=True)
        if member.isdir():
            place.mkdir(exist_ok=True)
        elif member.issym():
            self._link(name, member.linkname, place)
        elif member.isreg():
            source = tar.extractfile(member)
            assert source is not None, "a regular member has content"
            self.file(source, place, member.mode)
        else:
            raise Refused(f"the artifact holds {member.name!r}, which is neither file, folder nor symbolic link")

    def _checked(self, name: str) -> str:
        parts = name.rstrip("/").split("/")
        parts = parts[1:] if parts[0] == "." else parts
        bad = name.startswith("/") or any(part in ("..", "", ".") for part in parts)
        if bad or "\0" in name or len(os.fsencode(name)) > limits.UNPACK_PATH_BYTES_MAX:
            raise Refused(f"the artifact holds the path {name[:200]!r}, which climbs out or is odd: refused")
        for depth in range(1, len(parts)):
            if "/".join(parts[:depth]) in self._links:
                raise Refused(f"the artifact's path {name[:200]!r} passes through a link: refused")
        return "/".join(parts)

    def _link(self, name: str, target: str, place: Path) -> None:
        reached = posixpath.normpath(posixpath.join(posixpath.dirname(name), target))
        if not target or target.startswith("/") or reached == ".." or reached.startswith("../"):
            raise Refused(f"the artifact's link {name[:200]!r} leads out ({target[:200]!r}): refused")
        self._links.add(name)
        try:
            place.symlink_to(target)
        except FileExistsError:
            raise Refused(f"the artifact holds {name[:200]!r} twice: refused") from None

    def file(self, source: IO[bytes], place: Path, mode: int) -> None:
        """Make the file `place` of what is left of `source`."""
        try:
            handle = os.open(place, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        except FileExistsError:
            raise Refused(f"the artifact holds {place.name[:200]!r} twice: refused") from None
        with os.fdopen(handle, "wb") as target:
            while chunk := source.read(limits.UNPACK_CHUNK_BYTES):
                self._bytes_left -= len(chunk)
                if self._bytes_left < 0:
                    raise TooLarge("the artifact unpacks to more than is allowed")
                target.write(chunk)
            target.flush()
            os.fchmod(handle, 0o555 if mode & 0o100 else 0o444)
            os.fsync(handle)


def _seal(into: Path) -> None:
    """Make every folder durable and read-only, the deepest first."""
    for folder, _, _ in os.walk(into, topdown=False):
        os.chmod(folder, 0o555)  # noqa: S103 - code is no secret, and nobody writes it
        synced.sync_folder(Path(folder))
