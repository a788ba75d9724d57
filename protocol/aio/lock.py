"""One process for one store: an flock on `<path>.lock`, held as long as the journal is open.

The file's text is `PID LIFE`: who holds it (for the error), and the store's highest count of openings, by which a store
that was put back from a backup is noticed (protocol.aio.life). PID is 0 when its holder has let go of it.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from pathlib import Path

from protocol.aio.sqlite import explain
from protocol.errors import StoreLocked

_NOBODY = "0"


class Lock:
    """A held lock. `life` is the count of openings that the lock file remembers; 0 when it remembers none.

    `was_left`: who held it last never let go of it, and died.
    """

    def __init__(self, descriptor: int, life: int, *, was_left: bool = False) -> None:
        self._descriptor = descriptor
        self.life = life
        self.was_left = was_left
        self._is_used = False

    @classmethod
    def take(cls, store: Path) -> Lock:
        """Take the lock of `store`. Raises StoreLocked, naming the holder's pid; StoreError when there is no folder."""
        path = store.with_name(store.name + ".lock")
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise explain(error, path) from error
        words = os.pread(descriptor, 64, 0).decode("ascii", "replace").split()
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(descriptor)
            holder = f"process {words[0]}" if words and words[0] != _NOBODY else "another process"  # that only begins
            raise StoreLocked(
                f"{store} is in use by {holder}: stop that one first, or choose another folder"
            ) from error
        life = int(words[1]) if len(words) == 2 and words[1].isdecimal() else 0
        return cls(descriptor, life, was_left=bool(words) and words[0] != _NOBODY)

    def note(self, life: int) -> None:
        """Write who holds the store and its count of openings. No fsync: a lost count only proves less.

        Raises OSError.
        """
        self.life, self._is_used = life, True
        self._write(str(os.getpid()))

    def release(self) -> None:
        """Let go. The file stays: it remembers the count, and that nobody holds it."""
        with suppress(OSError):  # then it looks like a crash, which proves nothing false
            if self._is_used:
                self._write(_NOBODY)
        os.close(self._descriptor)

    def _write(self, holder: str) -> None:
        text = f"{holder} {self.life}\n".encode()
        os.pwrite(self._descriptor, text, 0)
        os.ftruncate(self._descriptor, len(text))
