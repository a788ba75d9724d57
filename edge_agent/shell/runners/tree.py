"""Whole folders: deleted, copied by links. shutil does this too, but costs the daemon a megabyte (bz2, lzma, zip)."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path


def remove(top: Path) -> None:
    """Delete a folder and all in it, read-only folders too; what cannot be deleted stays. Follows no link."""
    for folder, folders, files in os.walk(top, topdown=False):
        with contextlib.suppress(OSError):
            os.chmod(folder, 0o700)
        for name in files:
            with contextlib.suppress(OSError):
                os.unlink(os.path.join(folder, name))
        for name in folders:
            place = os.path.join(folder, name)
            with contextlib.suppress(OSError):
                os.unlink(place) if os.path.islink(place) else os.rmdir(place)
    with contextlib.suppress(OSError):
        os.rmdir(top)


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
