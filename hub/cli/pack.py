"""Folders as artifacts: a reproducible tar.zst, named by the digest of its bytes.

Reproducible: sorted names, no owners, no times, modes 0644 or 0755; the same files give the same digest on any machine
with the same zstd. Refused: what is neither file, folder nor inner link, links that lead out, too much. A file that
changes while it is read is noticed, and then nothing is made. Left out: `.git` and `__pycache__`.
"""

from __future__ import annotations

import hashlib
import os
import posixpath
import stat
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

import zstandard

from hub.shell.install import deb
from protocol import limits
from protocol.errors import SpecError
from protocol.spec.fleet import upgrade

LEVEL = 10
LEFT_OUT = frozenset({".git", "__pycache__"})


class PackError(SpecError):
    """The folder cannot become an artifact."""


@dataclass(frozen=True)
class Packed:
    """One artifact in a file of its own. `size` in bytes, packed; `unpacked` the bytes of its files."""

    digest: str
    path: Path
    size: int
    unpacked: int
    files: int
    written: str = ""
    """How a document names it when it is read; empty: by its digest."""


@dataclass(frozen=True)
class _Item:
    name: str
    path: Path
    seen: tuple[int, ...]
    mode: int
    size: int
    link: str = ""


def locate(base: Path, written: str) -> Path:
    """Return the folder (or file) that `written` in a document beside `base` means. Raises PackError."""
    parts = written.split("/")
    if written.startswith("/") or ".." in parts or "\0" in written:
        raise PackError(f'the artifact "{written}" climbs out of {base}: put it next to the file that names it')
    path = base / written
    if not path.exists():
        raise PackError(f'the artifact "{written}" is not there ({path}): write its path relative to the file')
    if base.resolve() not in (path.resolve(), *path.resolve().parents):
        raise PackError(f'the artifact "{written}" is a link out of {base}: put the files themselves there')
    return path


def pack(folder: Path, target: Path) -> Packed:
    """Write the artifact of `folder` (or of one file) to `target`. Raises PackError; then `target` is of no use."""
    items = _survey(folder)
    try:
        with target.open("wb") as raw:
            tee = _Hashing(raw)
            with zstandard.ZstdCompressor(level=LEVEL).stream_writer(cast("IO[bytes]", tee), closefd=False) as packed:
                _write(items, cast("IO[bytes]", packed))
    except OSError as error:
        raise PackError(f"cannot pack {error.filename or folder}: {error.strerror or error}") from error
    if _survey(folder) != items:
        raise PackError(f"{folder} changed while it was packed: try again when it is at rest")
    files = [item for item in items if stat.S_ISREG(item.mode)]
    return Packed(
        digest=f"sha256:{tee.hash.hexdigest()}",
        path=target,
        size=tee.size,
        unpacked=sum(item.size for item in files),
        files=len(files),
    )


def package(path: Path, wished: upgrade.UpgradeSpec) -> Packed:
    """Return a package of Debian as the artifact that it is; what it is for stands in it.

    Raises PackError unless it is the agent's, in the version that is wished.
    """
    try:
        its = deb.fields(path)
    except ValueError as error:
        raise PackError(f"{path} is no package ({error})") from error
    version, _, release = its.get("Version", "").partition("+deb")
    arch = its.get("Architecture", "")
    if its.get("Package") != "skerry-agent" or not release:
        raise PackError(f"{path} holds {its.get('Package', 'nothing')} {its.get('Version', '')}: give skerry-agent's")
    if version != wished.version:
        raise PackError(f"{path} is of version {version}, not {wished.version}: give that one, or write its version")
    try:
        with path.open("rb") as file:
            digest, size = hashlib.file_digest(file, "sha256").hexdigest(), file.tell()
    except OSError as error:
        raise PackError(f"cannot read {path}: {error.strerror}") from error
    digest = f"sha256:{digest}"
    written = upgrade.placed(release, arch, digest)
    return Packed(digest=digest, path=path, size=size, unpacked=size, files=1, written=written)


class _Hashing:
    """Passes bytes on to a file; counts and hashes them on the way."""

    def __init__(self, raw: IO[bytes]) -> None:
        self.hash = hashlib.sha256()
        self.size = 0
        self._raw = raw

    def write(self, data: bytes) -> int:
        """Write `data`. Raises PackError beyond limits.ARTIFACT_BYTES_MAX."""
        self.size += len(data)
        if self.size > limits.ARTIFACT_BYTES_MAX:
            raise PackError(f"packed it is over {limits.ARTIFACT_BYTES_MAX >> 20} MiB, the most an artifact may be")
        self.hash.update(data)
        return self._raw.write(data)

    def flush(self) -> None:
        """Flush the file."""
        self._raw.flush()


def _survey(root: Path) -> list[_Item]:
    """Return all that is to be packed, sorted by name. Raises PackError."""
    items: list[_Item] = []
    total = 0
    for name, path in [(root.name, root)] if root.is_file() else _walk(root):
        item = _look(root, name, path)
        total += item.size
        items.append(item)
        if len(items) > limits.ARTIFACT_FILES_MAX:
            raise PackError(f"{root} holds more than {limits.ARTIFACT_FILES_MAX} files: leave out what is not needed")
        if total > limits.ARTIFACT_UNPACKED_BYTES_MAX:
            most = limits.ARTIFACT_UNPACKED_BYTES_MAX >> 20
            raise PackError(f"{root} holds more than {most} MiB: leave out what is not needed")
    return sorted(items, key=lambda item: item.name)


def _walk(root: Path) -> Iterator[tuple[str, Path]]:
    def fail(error: OSError) -> None:
        raise PackError(f"cannot read {error.filename}: {error.strerror}") from error

    for folder, folders, files in os.walk(root, onerror=fail):
        folders[:] = [name for name in folders if name not in LEFT_OUT]
        for name in (*folders, *(name for name in files if name not in LEFT_OUT)):
            path = Path(folder, name)
            yield path.relative_to(root).as_posix(), path


def _look(root: Path, name: str, path: Path) -> _Item:
    try:
        name.encode()
        found = path.lstat()
        link = os.readlink(path) if stat.S_ISLNK(found.st_mode) else ""
    except UnicodeEncodeError as error:
        raise PackError(f"{root} holds a file whose name is no UTF-8 ({name!r}): rename it") from error
    except OSError as error:
        raise PackError(f"cannot read {path}: {error.strerror}") from error
    if not any(check(found.st_mode) for check in (stat.S_ISREG, stat.S_ISDIR, stat.S_ISLNK)):
        raise PackError(f"{path} is a device, a socket or a pipe: an artifact holds files, folders and links")
    inside = posixpath.normpath(posixpath.join(posixpath.dirname(name), link))
    if link and (link.startswith("/") or inside == ".." or inside.startswith("../")):
        raise PackError(f"{path} is a link out of the artifact (to {link}): put the file itself there")
    is_file = stat.S_ISREG(found.st_mode)
    seen = (found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns) if is_file else (found.st_ino,)
    return _Item(name, path, seen, found.st_mode, found.st_size if is_file else 0, link)


def _write(items: list[_Item], out: IO[bytes]) -> None:
    with tarfile.open(fileobj=out, mode="w|", format=tarfile.PAX_FORMAT) as archive:
        for item in items:
            entry = tarfile.TarInfo(item.name)
            if item.link:
                entry.type, entry.linkname, entry.mode = tarfile.SYMTYPE, item.link, 0o777
                archive.addfile(entry)
            elif stat.S_ISDIR(item.mode):
                entry.type, entry.mode = tarfile.DIRTYPE, 0o755
                archive.addfile(entry)
            else:
                entry.size, entry.mode = item.size, 0o755 if item.mode & 0o111 else 0o644
                with item.path.open("rb") as file:
                    archive.addfile(entry, _Exact(file, item))


class _Exact:
    """Reads exactly as many bytes as the survey saw."""

    def __init__(self, file: IO[bytes], item: _Item) -> None:
        self._file = file
        self._item = item

    def read(self, count: int = -1) -> bytes:
        """Read `count` bytes. Raises PackError when the file has become shorter."""
        data = self._file.read(count)
        if len(data) < count:
            raise PackError(f"{self._item.path} changed while it was packed: try again when it is at rest")
        return data
