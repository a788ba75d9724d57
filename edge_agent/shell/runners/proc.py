"""What the kernel knows of processes. A pid alone names nobody: it counts only with its start time and the boot."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path

TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_GONE = frozenset("ZXx")


def boot_id() -> str:
    """Return the id of this boot of the kernel."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def boot_seconds() -> float:
    """Return the seconds since the boot, suspends included: the clock of start times."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def keep_descriptors() -> None:
    """What this process got open from whoever started it does not pass on to workloads (Python's own never does)."""
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            if int(name) > 2:
                os.set_inheritable(int(name), False)


def fields(stat: str) -> list[str]:
    """Return the fields of a /proc/PID/stat line from the third (state) on; empty when it is not whole."""
    return stat.rpartition(")")[2].split()


def start_of(pid: int) -> int | None:
    """Return the start time (ticks since boot) of a living process; None when it is gone or a zombie."""
    try:
        parts = fields(Path(f"/proc/{pid}/stat").read_text(errors="replace"))
    except OSError:
        return None
    return None if parts[0] in _GONE else int(parts[19])


def is_running(pid: int, start: int) -> bool:
    """Tell whether the process that got `pid` at `start` still lives."""
    return start_of(pid) == start


def has_group(pid: int, start: int) -> bool:
    """Tell whether the process group led by (`pid`, `start`) still has a living member.

    The kernel does not give a number to a new process as long as a group bears it, so another process with this pid
    proves that our group is gone. A leader that is about to become one counts too.
    """
    if is_running(pid, start):
        return True
    try:
        os.killpg(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    leader = _stat(pid)
    if leader is not None and int(leader[19]) != start:
        return False
    return any(parts[0] not in _GONE and parts[2] == str(pid) for parts in _everyone())


def signal_group(pid: int, start: int, number: signal.Signals) -> None:
    """Send a signal to what is left of the group; harmless when nothing is."""
    if not has_group(pid, start):
        return
    try:
        os.killpg(pid, number)
    except ProcessLookupError:  # between its record and setsid it leads no group yet, and has no children
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)
    except PermissionError:
        return


def _stat(pid: int) -> list[str] | None:
    try:
        return fields(Path(f"/proc/{pid}/stat").read_text(errors="replace"))
    except OSError:
        return None


def _everyone() -> list[list[str]]:
    found = (_stat(int(name)) for name in os.listdir("/proc") if name.isdigit())
    return [parts for parts in found if parts]
