"""A damaged store makes way for the recovered one, and is kept: `journal.db.damaged-20261122T071500Z-1`.

    journal.db.making              being filled; what is left of it after a failure or a crash is removed
    journal.db.change              the change is decided and durable: from here on it is finished, after a crash too
    journal.db.damaged-STAMP-N     the old file, with its -wal and -shm; N counts up, for a clock may go back
    journal.db.damaged-STAMP-N-lost    the same, when nothing took its place: only a person removes it

The write-ahead log goes first: beside the new file it would be taken for its own. Only `journal.db.change` says that
something is to be changed: other files are nobody's business, whatever they are called.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from protocol.aio.upkeep import aside, synced

_CHANGE = re.compile(rf"({aside.STAMP}) ([0-9.]+|none)\n", re.ASCII)
_NONE = "none"
_MAIN_LAST = ("-wal", "-shm", "")
_MADE = ("", "-template", "-copy")


@dataclass(frozen=True, slots=True)
class _Change:
    """What is decided: the file that `_mark` tells so goes aside as `stamp`."""

    stamp: str
    mark: str


def exists(path: Path) -> bool:
    """Tell whether there is a store at `path`, or one about to be put there."""
    return path.exists() or (_decided(path) is not None and _new(path).exists())


def making(path: Path) -> Path:
    """Return where the new file is made; what a crash left of it is gone."""
    clear(path)
    return _new(path)


def clear(path: Path) -> None:
    """Remove what was being made, unless it is decided that it takes the store's place."""
    if _decided(path) is not None:
        return
    for end in _MADE:
        new = _new(path)
        aside.remove(new.with_name(new.name + end))
    for half in path.parent.glob(f".{_note(path).name}.*"):
        half.unlink()


def commit(path: Path, stamp: str) -> None:
    """The new file is whole: from here on it is the store."""
    descriptor = os.open(_new(path), os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    _decide(path, stamp)


def put_aside(path: Path, stamp: str) -> None:
    """Set the store at `path` aside, and put nothing in its place."""
    clear(path)
    _decide(path, stamp)


def finish(path: Path) -> bool:
    """End a change that was decided, and tell whether there was one; remove what was being made and came to nothing.

    A file that somebody has put at `path` since then stays.
    """
    change = _decided(path)
    if change is not None and _mark(path) in (change.mark, _NONE):
        _move(path, aside.name(path, change.stamp))
        if _new(path).exists():
            _new(path).rename(path)
            synced.sync_folder(path.parent)
        if not change.stamp.endswith(aside.LOST):
            aside.prune(path)
    if change is not None:
        _note(path).unlink()
        synced.sync_folder(path.parent)
    clear(path)
    return change is not None


def _decide(path: Path, stamp: str) -> None:
    synced.write(_note(path), f"{stamp} {_mark(path)}\n".encode())
    finish(path)


def _decided(path: Path) -> _Change | None:
    try:
        found = _CHANGE.fullmatch(_note(path).read_text("ascii", "replace"))
    except FileNotFoundError:
        return None
    return None if found is None else _Change(stamp=found[1], mark=found[4])


def _mark(path: Path) -> str:
    """Return what tells the file at `path` from one that is put there later: inodes are used again."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return _NONE
    return f"{found.st_ino}.{found.st_size}.{found.st_mtime_ns}"


def _move(path: Path, to: Path) -> None:
    for end in _MAIN_LAST:
        old = path.with_name(path.name + end)
        if old.exists():
            old.rename(to.with_name(to.name + end))
    synced.sync_folder(path.parent)


def _new(path: Path) -> Path:
    return path.with_name(f"{path.name}.making")


def _note(path: Path) -> Path:
    return path.with_name(f"{path.name}.change")
