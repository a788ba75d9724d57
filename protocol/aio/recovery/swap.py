"""A damaged store makes way for the recovered one, and is kept: `journal.db.damaged-20261122T071500Z`.

    journal.db.making                 being filled; a crash leaves it, and it is begun anew
    journal.db.recovered-STAMP        whole and durable: from here on the change is only finished, after a crash too
    journal.db.damaged-STAMP          the old file, with its -wal and -shm

The write-ahead log goes first: beside the new file it would be taken for its own.
"""

from __future__ import annotations

import os
import re
import time
from pathlib import Path

from protocol import limits
from protocol.aio.upkeep import synced

_STAMP = re.compile(r"\d{8}T\d{6}Z(-\d+)?", re.ASCII)
_MAIN_LAST = ("-wal", "-shm", "")


def exists(path: Path) -> bool:
    """Tell whether there is a store at `path`, or one about to be put there."""
    return path.exists() or _recovered(path) is not None


def damaged(path: Path) -> list[Path]:
    """Return the files that were set aside beside `path`, without their -wal and -shm, oldest first."""
    before = f"{path.name}.damaged-"
    found = [one for one in path.parent.glob(f"{before}*") if _STAMP.fullmatch(one.name.removeprefix(before))]
    return sorted(found)


def making(path: Path) -> Path:
    """Return where the new file is made; what a crash left of it is gone."""
    new = path.with_name(f"{path.name}.making")
    _remove(new)
    return new


def stamp(path: Path, wall_s: float) -> str:
    """Return a stamp, of now, that no file beside `path` has."""
    text = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(wall_s))
    taken = {one.name for one in path.parent.iterdir()}
    number = 0
    while any(f"{path.name}.{kind}-{_numbered(text, number)}" in taken for kind in ("damaged", "recovered")):
        number += 1
    return _numbered(text, number)


def _numbered(text: str, number: int) -> str:
    return f"{text}-{number}" if number else text


def aside_name(path: Path, stamp: str) -> str:
    """Return the name that the damaged file gets."""
    return f"{path.name}.damaged-{stamp}"


def commit(path: Path, stamp: str) -> None:
    """The new file is whole: from here on it is the store."""
    new = path.with_name(f"{path.name}.making")
    descriptor = os.open(new, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    new.rename(path.with_name(f"{path.name}.recovered-{stamp}"))
    synced.sync_folder(path.parent)
    finish(path)


def finish(path: Path) -> None:
    """End a change that a crash interrupted; harmless when there is none."""
    new = _recovered(path)
    if new is None:
        return
    put_aside(path, new.name.removeprefix(f"{path.name}.recovered-"))
    new.rename(path)
    synced.sync_folder(path.parent)


def put_aside(path: Path, stamp: str) -> None:
    """Give the files of the store at `path` their new names; of older ones only limits.DAMAGED_FILES_KEPT stay."""
    aside = path.with_name(aside_name(path, stamp))
    for end in _MAIN_LAST:
        old = path.with_name(path.name + end)
        if old.exists():
            old.rename(aside.with_name(aside.name + end))
    synced.sync_folder(path.parent)
    for old in damaged(path)[: -limits.DAMAGED_FILES_KEPT]:
        _remove(old)


def _recovered(path: Path) -> Path | None:
    return next(iter(sorted(path.parent.glob(f"{path.name}.recovered-*"))), None)


def _remove(path: Path) -> None:
    for end in ("", "-wal", "-shm", "-journal"):
        path.with_name(path.name + end).unlink(missing_ok=True)
