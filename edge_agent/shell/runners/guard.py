"""Starts the guard (guard.sh), which keeps log files bounded while no agent lives. It costs a sleeping shell."""

from __future__ import annotations

import fcntl
import os
import signal
from pathlib import Path

from edge_agent.shell.runners import script
from protocol import limits

_GUARD = str(Path(__file__).with_name("guard.sh"))
_LOW_FDS = 10


def start(data: Path) -> int:
    """Start it; return the descriptor whose end (by close, or by our death) wakes it. Raises OSError."""
    read, write = os.pipe()
    high = fcntl.fcntl(read, fcntl.F_DUPFD_CLOEXEC, _LOW_FDS)
    os.close(read)
    dup = os.POSIX_SPAWN_DUP2
    try:
        os.posix_spawn(
            "/bin/sh",
            ["/bin/sh", _GUARD, str(data), str(limits.LOG_BYTES_MAX // limits.KIB)],
            {"PATH": script.PATH_DEFAULT},
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDWR, 0),
                (dup, 0, 1),
                (dup, 0, 2),
                (dup, high, 3),
            ],
            setsid=True,
            setsigdef=[signal.SIGPIPE],
            setsigmask=[],
        )
    finally:
        os.close(high)
    return write
