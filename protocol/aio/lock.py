"""One process for one store: an flock on `<path>.lock`, held as long as the journal is open.

The file's text is `PID LIFE`: who holds it (for the error), and the store's highest count of openings, by which a store
that was put back from a backup is noticed (protocol.aio.life).
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from protocol.aio.sqlite import explain
from protocol.errors import StoreLocked


class Lock:
    """A held lock. `life` is the count of openings that the lock file remembers; 0 when it remembers none."""

    def __init__(self, descriptor: int, life: int) -> None:
        self._descriptor = descriptor
        self.life = life

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
            holder = f"process {words[0]}" if words else "another process"
            raise StoreLocked(
                f"{store} is in use by {holder}: stop that one first, or choose another folder"
            ) from error
        return cls(descriptor, int(words[1]) if len(words) == 2 and words[1].isdecimal() else 0)

    def note(self, life: int) -> None:
        """Write who holds the store and its count of openings. No fsync: a lost count only proves less.

        Raises OSError.
        """
        self.life = life
        text = f"{os.getpid()} {life}\n".encode()
        os.pwrite(self._descriptor, text, 0)
        os.ftruncate(self._descriptor, len(text))

    def release(self) -> None:
        """Let go. The file stays: it remembers the count."""
        os.close(self._descriptor)
