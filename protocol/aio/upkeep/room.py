"""Room on the disk, asked for before it is filled."""

from __future__ import annotations

import os
from pathlib import Path

from protocol import limits
from protocol.errors import StoreStuck


def of(store: Path) -> int:
    """Return how many bytes the store at `store` takes, with its write-ahead log. Raises OSError."""
    files = (store, store.with_name(store.name + "-wal"))
    return sum(file.stat().st_size for file in files if file.exists())


def require(store: Path, size: int) -> None:
    """Raise StoreStuck when the disk has no `size` bytes to recover `store`, and a little more. Raises OSError."""
    disk = os.statvfs(store.parent)
    free, need = disk.f_bavail * disk.f_frsize, size + limits.RECOVERY_ROOM_BYTES
    if free < need:
        raise StoreStuck(
            f"{store} is damaged, and recovering it needs {_mib(need)} MiB on its disk, where {_mib(free)} are free: "
            f"free {_mib(need - free)} more; it goes on by itself, and nothing is lost meanwhile"
        )


def _mib(size: int) -> int:
    return -(-size // limits.MIB)
