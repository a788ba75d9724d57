"""Where the launcher works, what it knows of what it started, and how a fork of it becomes something else."""

from __future__ import annotations

import fcntl
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from edge_agent.launcher.groups import Groups
from edge_agent.launcher.policy import Who
from edge_agent.launcher.request import Refused

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_LOW_FDS = 10
_STATE, _PARENT, _GROUP, _START = 1, 2, 3, 20  # of a stat line, without the name
_GONE = (b"Z", b"X", b"x")


@dataclass(frozen=True, slots=True, kw_only=True)
class House:
    """Where the launcher works, and for whom."""

    agent: Who
    data: str
    state: Path
    """Its records: INSTANCE holds the stat line of the workload's first process. Only root writes there."""
    groups: Groups
    network: str = ""
    """The device's network namespace; empty: the launcher's own."""


def in_fork(work: Callable[[], None], tell: Callable[[str], None]) -> int:
    """Do `work`, which does not return when it succeeds, in a process of its own; `tell` says why it failed."""
    pid = os.fork()
    if pid:
        return pid
    try:
        for number in (signal.SIGCHLD, signal.SIGPIPE, signal.SIGXFSZ, signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        os.setsid()
        work()
    except Refused as error:
        tell(str(error))
    except Exception as error:
        tell(f"the launcher cannot do this: {error}")
    finally:
        os._exit(125)


def arrange(handles: list[int]) -> None:
    """Make `handles` the descriptors 0, 1, 2, ... of what is executed next; all others close by themselves."""
    high = [fcntl.fcntl(handle, fcntl.F_DUPFD_CLOEXEC, _LOW_FDS) for handle in handles]
    for number, handle in enumerate(high):
        os.dup2(handle, number)


def process_of(record: Path) -> tuple[int, int] | None:
    """Return (pid, start time) of what was recorded; None when it is not whole."""
    fields = _fields(record)
    return (int(fields[0]), int(fields[_START])) if len(fields) > _START + 1 and fields[-1] == b"end" else None


def shim_of(record: Path) -> int | None:
    """Return the shim of what was recorded, which is root's; None when the shim or its workload is gone."""
    noted = _fields(record)
    found = process_of(record)
    now = _fields(Path(f"/proc/{found[0]}/stat")) if found is not None else []
    is_same = len(now) > _START and (now[_PARENT], now[_START]) == (noted[_PARENT], noted[_START])
    return int(now[_PARENT]) if is_same and now[_STATE] not in _GONE else None


def lives(house: House, instance: str) -> bool:
    """Tell whether a process of the instance's group may live (shell/runners/proc.py says why this is enough).

    A number whose leader is gone may have come round to another group: where there are control groups, they tell.
    """
    found = process_of(house.state / instance)
    if found is None:
        return False
    if fields := _fields(Path(f"/proc/{found[0]}/stat")):
        if int(fields[_START]) != found[1]:
            return False
        if fields[_STATE] not in _GONE:
            return True
    members = house.groups.members(instance)
    if members is not None:
        return any(_group_of(pid) == found[0] for pid in members)
    try:
        os.killpg(found[0], 0)
    except ProcessLookupError:
        return False
    return True


def is_held(record: Path) -> bool:
    """Tell whether its shim lives, or what is about to become one."""
    try:
        handle = os.open(record, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False


def _group_of(pid: int) -> int:
    fields = _fields(Path(f"/proc/{pid}/stat"))
    return int(fields[_GROUP]) if len(fields) > _GROUP and fields[_STATE] not in _GONE else 0


def _fields(stat: Path) -> list[bytes]:
    """Return the fields of a stat line without the name, which its process chose; empty when there is none."""
    try:
        text = stat.read_bytes()
    except OSError:
        return []
    return [text.partition(b" ")[0], *text.rpartition(b")")[2].split()]
