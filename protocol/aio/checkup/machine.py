"""What the machine gives: disks, and what a process may have, as facts."""

from __future__ import annotations

import os
import re
from pathlib import Path

import psutil

from protocol.aio.checkup.look import quietly
from protocol.doctor.facts import Disk, Room

_OPEN_FILES = re.compile(r"^Max open files\s+\S+\s+(\S+)", re.MULTILINE)
_UNLIMITED = 1 << 30


def disk(path: Path) -> Disk:
    """Return the filesystem under `path`. Raises OSError."""
    found = os.statvfs(path)
    return Disk(
        path=str(path),
        free=found.f_bavail * found.f_frsize,
        total=found.f_blocks * found.f_frsize,
        inodes_free=found.f_favail,
        inodes=found.f_files,
        read_only=bool(found.f_flag & os.ST_RDONLY),
    )


def room(pid: int) -> Room:
    """Return what process `pid` may have, or this one where `pid` is not above 0."""
    who = str(pid) if pid > 0 else "self"
    text = quietly(Path("/proc", who, "limits").read_text, "")
    found = _OPEN_FILES.search(text)
    hard = found[1] if found is not None else "unlimited"
    memory = psutil.virtual_memory()
    return Room(
        open_files=int(hard) if hard.isdecimal() else _UNLIMITED,
        memory_free=memory.available,
        memory_total=memory.total,
    )
