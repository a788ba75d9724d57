"""A trace as a file (see the package). What cannot be written ends the daemon: a history with holes proves nothing."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from protocol.aio.trace import VARIABLE
from protocol.effects import Action, Now, Store
from protocol.errors import Refused
from protocol.messages import AnyMessage

_encode = msgspec.json.Encoder().encode


def begin(role: str, node: str, store: Path) -> TraceFile | None:
    """Return a trace when SKERRY_TRACE asks for one. `store`: the daemon's database. Raises OSError, Refused."""
    folder = os.environ.get(VARIABLE, "")
    return TraceFile(Path(folder), role, node, store) if folder else None


class TraceFile:
    """One process's file; implements protocol.aio.trace.Trace."""

    def __init__(self, folder: Path, role: str, node: str, store: Path) -> None:
        self._role, self._node, self._store = role, node, store
        self._handle = _opened(folder, f"{node}.{os.getpid()}.{time.monotonic_ns()}.trace")

    def begun(self) -> None:
        """As Trace."""
        store = {"store": str(self._store), "inode": self._store.stat().st_ino}
        self._write({"is": "born", "node": self._node, "role": self._role, **store})

    def took(self, event: object, now: Now) -> None:
        """As Trace."""
        self._write({"is": "took", "kind": type(event).__name__, "input": event, "now": (now.mono, now.wall)})

    def stored(self, ops: Sequence[Store]) -> None:
        """As Trace."""
        self._write({"is": "stored", "ops": [(type(op).__name__, op) for op in ops]})

    def sent(self, peer: str, message: AnyMessage) -> None:
        """As Trace."""
        self._write({"is": "sent", "peer": peer, "message": message})

    def acted(self, action: Action) -> None:
        """As Trace."""
        self._write({"is": "acted", "kind": type(action).__name__, "action": action})

    def ended(self, how: str) -> None:
        """As Trace."""
        self._write({"is": "died", "how": how})

    def _write(self, fact: dict[str, object]) -> None:
        fact["at"] = time.clock_gettime(time.CLOCK_MONOTONIC)
        line = _encode(fact) + b"\n"
        if os.write(self._handle, line) != len(line):
            raise OSError(f"the trace of {self._node} takes no whole line: its disk is full")


def _opened(folder: Path, name: str) -> int:
    """Make the file `name`, and nobody else's: a trace holds what keys are made of, and a daemon may be root."""
    place = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        if os.fstat(place).st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise Refused(f"{VARIABLE}={folder} may be written by others: name a folder of your own (chmod go-w)")
        flags = os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_APPEND | os.O_WRONLY | os.O_CLOEXEC
        return os.open(name, flags, 0o600, dir_fd=place)
    finally:
        os.close(place)
