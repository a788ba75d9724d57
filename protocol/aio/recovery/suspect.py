"""A store in which a reader met damage that its writer has not noticed: suspected until it was read as a whole.

journal.db.suspect     an empty file, as long as that has not been done: at once (Journal.suspect), or at opening
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from protocol import limits
from protocol.aio.recovery import check
from protocol.aio.sqlite import explain
from protocol.aio.upkeep import synced
from protocol.errors import StoreDamaged, StoreError

log = logging.getLogger("skerry.store")


def mark(path: Path) -> None:
    """Suspect the store at `path`, durably. Raises OSError."""
    _mark(path).touch()
    synced.sync_folder(path.parent)


def is_marked(path: Path) -> bool:
    """Tell whether it is suspected."""
    return _mark(path).exists()


def clear(path: Path) -> None:
    """It was read as a whole, or made anew."""
    with suppress(OSError):  # then it is read once more
        _mark(path).unlink()


def look(db: sqlite3.Connection, path: Path, streams: Sequence[str]) -> None:
    """Read the whole of the open, suspected store `db`. Raises StoreDamaged when it is not whole; then it stays so."""
    size = path.stat().st_size // limits.MIB
    log.warning("%s: a reader met damage in it, all of it (%d MiB) is checked now: this may take a while", path, size)
    check.quickly(db, path, streams, whole=True)
    log.warning("%s is whole: what the reader met was not on the disk", path)
    clear(path)


def explain_reading(error: Exception, path: Path) -> StoreError:
    """Return what a reader says of `error`: what, where, what comes next."""
    if isinstance(error, sqlite3.Error):
        said = explain(error, path)
        if not isinstance(said, StoreDamaged):
            return said
    return StoreDamaged(
        f"{path} cannot be read here ({error}): all of it is checked now, and when that finds damage it is set aside "
        "and what can be read is recovered; ask again in a minute, the log says what was found"
    )


def _mark(path: Path) -> Path:
    return path.with_name(f"{path.name}.suspect")
