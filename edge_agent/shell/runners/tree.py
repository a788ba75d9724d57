"""Whole folders: deleted, linked, written into. shutil does this too, but costs the daemon a megabyte (bz2, lzma)."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

_ROUNDS_MAX = 100_000  # of emptying one folder: as deep as it may nest, while somebody may still add to it
_FOLDER = os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def remove(top: Path) -> None:
    """Delete a folder and all in it, read-only folders too; what cannot be deleted stays. Follows no link.

    What a workload left is a stranger's: it may nest deeper than a stack, and somebody may still move things in it. So
    all is done by descriptors, and the folders within a folder are moved up before they are emptied in their turn.
    """
    with contextlib.suppress(OSError):
        handle = _opened(top)
        try:
            _empty(handle)
        finally:
            os.close(handle)
        os.rmdir(top)


def _empty(top: int) -> None:
    stuck: set[str] = set()
    for _ in range(_ROUNDS_MAX):
        names = [name for name in os.listdir(top) if name not in stuck]
        if not names:
            return
        stuck.update(name for name in names if not _is_taken_away(name, top))


def _is_taken_away(name: str, top: int) -> bool:
    with contextlib.suppress(OSError):
        if _is_unlinked(name, top):
            return True
        with contextlib.suppress(OSError):
            os.rmdir(name, dir_fd=top)  # an empty one may be another's, and closed to us
            return True
        inner = _opened(name, top)
        try:
            for one in os.listdir(inner):
                with contextlib.suppress(OSError):
                    if not _is_unlinked(one, inner):
                        _move_up(one, inner, top)
        finally:
            os.close(inner)
        os.rmdir(name, dir_fd=top)
        return True
    return False


def _is_unlinked(name: str, at: int) -> bool:
    try:
        os.unlink(name, dir_fd=at)
    except IsADirectoryError:
        return False
    return True


def _move_up(name: str, inner: int, top: int) -> None:
    os.close(_opened(name, inner))  # one that is read-only cannot be moved
    os.rename(name, f".{os.urandom(8).hex()}", src_dir_fd=inner, dst_dir_fd=top)


def _opened(name: Path | str, at: int | None = None) -> int:
    """Open a folder, whatever its mode is, and make it ours to empty. Raises OSError, also for a link."""
    place = os.open(name, os.O_PATH | _FOLDER, dir_fd=at)
    try:
        with contextlib.suppress(PermissionError):  # another's, who may have left it to our group
            os.chmod(f"/proc/self/fd/{place}", 0o700)
        return os.open(f"/proc/self/fd/{place}", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    finally:
        os.close(place)


def write(top: Path, parts: tuple[str, ...], data: bytes, mode: int, owner: tuple[int, int] | None) -> None:
    """Write the file `parts` within `top`; it and the folders made for it become `owner`'s (uid, gid). Raises OSError.

    The folder may be a workload's own, and it may be there: no link of its is followed (ELOOP or ENOTDIR).
    """
    handle = os.open(top, _FOLDER)
    try:
        for part in parts[:-1]:
            inner = _entered(handle, part, owner)
            os.close(handle)
            handle = inner
        unborn = f".{parts[-1]}.part"
        with contextlib.suppress(FileNotFoundError):
            os.unlink(unborn, dir_fd=handle)
        flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC
        with os.fdopen(os.open(unborn, flags, 0o600, dir_fd=handle), "wb") as target:
            target.write(data)
            if owner is not None:
                os.fchown(target.fileno(), *owner)
            os.fchmod(target.fileno(), mode & 0o777)
        os.replace(unborn, parts[-1], src_dir_fd=handle, dst_dir_fd=handle)
    finally:
        os.close(handle)


def _entered(handle: int, name: str, owner: tuple[int, int] | None) -> int:
    is_new = False
    with contextlib.suppress(FileExistsError):
        os.mkdir(name, 0o755, dir_fd=handle)
        is_new = True
    inner = os.open(name, _FOLDER, dir_fd=handle)
    if is_new and owner is not None:
        os.fchown(inner, *owner)
    return inner


def link(source: Path, target: Path) -> None:
    """Make `target` a copy of `source` whose files are hard links and whose folders are writable. Raises OSError."""
    for folder, folders, files in os.walk(source):
        made = target / os.path.relpath(folder, source)
        made.mkdir(mode=0o755)
        made.chmod(0o755)
        for name in [*folders, *files]:
            place = os.path.join(folder, name)
            if os.path.islink(place):
                os.symlink(os.readlink(place), made / name)
            elif name in files:
                os.link(place, made / name)


def find_program(name: str, path: str) -> str:
    """Return where `name` is on `path` and can be executed, else an empty text."""
    for folder in path.split(os.pathsep):
        place = os.path.join(folder or ".", name)
        if os.path.isfile(place) and os.access(place, os.X_OK):
            return place
    return ""
