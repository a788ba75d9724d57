"""A disk in memory. `log` tells all that was asked of it, in order; from it a crash at any moment is rebuilt."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field

SECTOR = 512


@dataclass(frozen=True, slots=True)
class Made:
    """A new, empty file got a name."""

    name: str
    file: int


@dataclass(frozen=True, slots=True)
class Removed:
    """A name is gone."""

    name: str


@dataclass(frozen=True, slots=True)
class Wrote:
    """Bytes were written at an offset."""

    file: int
    at: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Cut:
    """A file has another size."""

    file: int
    size: int


@dataclass(frozen=True, slots=True)
class Synced:
    """All that was written to a file before is durable; not so when it failed, then or ever."""

    file: int
    failed: bool = False


@dataclass(frozen=True, slots=True)
class NamesSynced:
    """All that happened to names is durable."""


Event = Made | Removed | Wrote | Cut | Synced | NamesSynced


class DiskFull(Exception):
    """No room for these bytes; some of them may be there."""


class DiskFailed(Exception):
    """A sync failed, or the process that asked is dead."""


@dataclass(slots=True)
class Disk:
    """Files by number, and their names. Of 1,000 syncs `failing` fail; of 1,000 writes `full` find no room.

    While `dead`, nothing changes any more: whoever asks was killed.
    """

    dice: random.Random
    failing: int = 0
    full: int = 0
    dead: bool = False
    log: list[Event] = field(default_factory=list[Event])
    names: dict[str, int] = field(default_factory=dict[str, int])
    files: dict[int, bytearray] = field(default_factory=dict[int, bytearray])

    def hold(self, image: Mapping[str, bytes]) -> None:
        """Begin with what a crash left: durable, all of it."""
        for name, data in image.items():
            file = self.make(name)
            if data:
                self.files[file] += data
                self.log.append(Wrote(file, 0, data))
            self.log.append(Synced(file))
        self.log.append(NamesSynced())

    def make(self, name: str) -> int:
        """Make an empty file; return its number."""
        file = len(self.files)
        self.files[file] = bytearray()
        self.names[name] = file
        self.log.append(Made(name, file))
        return file

    def remove(self, name: str) -> None:
        """Take a name away. Raises DiskFailed."""
        self._alive()
        del self.names[name]
        self.log.append(Removed(name))

    def write(self, file: int, at: int, data: bytes) -> None:
        """Write. Raises DiskFull, with a part of it written; DiskFailed."""
        self._alive()
        full = self.full > 0 and self.dice.randrange(1_000) < self.full
        if full:
            data = data[: self.dice.randrange(len(data) + 1)]
        patch(self.files[file], at, data)
        self.log.append(Wrote(file, at, data))
        if full:
            raise DiskFull

    def cut(self, file: int, size: int) -> None:
        """Give a file another size. Raises DiskFailed."""
        self._alive()
        resize(self.files[file], size)
        self.log.append(Cut(file, size))

    def sync(self, file: int) -> None:
        """Make durable what was written to a file. Raises DiskFailed."""
        self._alive()
        failed = self.failing > 0 and self.dice.randrange(1_000) < self.failing
        self.log.append(Synced(file, failed))
        if failed:
            raise DiskFailed

    def sync_names(self) -> None:
        """Make durable what happened to names."""
        self.log.append(NamesSynced())

    def _alive(self) -> None:
        if self.dead:
            raise DiskFailed


def patch(data: bytearray, at: int, more: bytes) -> None:
    """Write `more` into `data`; what is between its end and `at` becomes zero."""
    if at > len(data):
        data += bytes(at - len(data))
    data[at : at + len(more)] = more


def resize(data: bytearray, size: int) -> None:
    """Cut or lengthen `data`, by zeros."""
    del data[size:]
    data += bytes(size - len(data))
