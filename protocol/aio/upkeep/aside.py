"""Damaged stores that were set aside: how they are called, which came first, and how many stay."""

from __future__ import annotations

import re
import time
from pathlib import Path

from protocol import limits

STAMP = r"\d{8,}T\d{6}Z-(\d+)(-lost)?"
LOST = "-lost"
_ASIDE = re.compile(STAMP, re.ASCII)


def damaged(path: Path) -> list[Path]:
    """Return the files that were set aside beside `path`, without their -wal and -shm, first one first."""
    before = f"{path.name}.damaged-"
    names = [one.name.removeprefix(before) for one in path.parent.iterdir() if one.name.startswith(before)]
    found = [(int(is_one[1]), name) for name in names if (is_one := _ASIDE.fullmatch(name)) is not None]
    return [name(path, one) for _, one in sorted(found)]


def stamp(path: Path, wall_s: float) -> str:
    """Return the stamp of what is set aside next: the time is for people, the number says what came after what."""
    number = 1
    for one in damaged(path):
        found = _ASIDE.fullmatch(one.name.removeprefix(f"{path.name}.damaged-"))
        number = max(number, int(found[1]) + 1 if found is not None else 0)
    return f"{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime(wall_s))}-{number}"


def lost(stamp: str) -> str:
    """Return `stamp` for a store in whose place nothing is put."""
    return stamp + LOST


def name(path: Path, stamp: str) -> Path:
    """Return where the damaged file goes."""
    return path.with_name(f"{path.name}.damaged-{stamp}")


def prune(path: Path) -> None:
    """Of what was set aside when something took its place, only the last limits.DAMAGED_FILES_KEPT stay."""
    for old in [one for one in damaged(path) if not one.name.endswith(LOST)][: -limits.DAMAGED_FILES_KEPT]:
        remove(old)


def remove(path: Path) -> None:
    """Remove a store's file and what SQLite keeps beside it; harmless when it is gone. Raises OSError."""
    for end in ("", "-wal", "-shm", "-journal"):
        path.with_name(path.name + end).unlink(missing_ok=True)
