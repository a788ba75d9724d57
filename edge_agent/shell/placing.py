"""An artifact comes into its place: unpacked beside it, and named when it is whole and on the disk."""

from __future__ import annotations

from pathlib import Path

from edge_agent.shell import unpack
from edge_agent.shell.runners import tree
from protocol.aio.upkeep import synced


def place(archive: Path, folder: Path, name: str) -> None:
    """Unpack `archive`, which is verified, as `folder`/`name`; one that is not to be unpacked is deleted.

    Raises SkerryError, OSError.
    """
    unborn = folder / f".new-{name}"
    tree.remove(unborn)
    try:
        unpack.unpack(archive, unborn)
    except BaseException:
        tree.remove(unborn)
        archive.unlink(missing_ok=True)
        raise
    unborn.rename(folder / name)
    synced.sync_folder(folder)
