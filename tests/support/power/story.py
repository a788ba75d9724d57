"""One life of a journal over a logged disk: its own code opens, commits, retires, closes; an independent model beside.

A story ends as a killed process does. What it leaves is told by `Story.moments`: what each file may hold, from which
event of the log on, and since which event it had been acknowledged.
"""

from __future__ import annotations

import asyncio
import copy
import errno
import random
import sqlite3
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import aiosqlite
import pytest

from protocol import limits
from protocol.aio import journal as journals
from protocol.aio import sqlite
from protocol.aio.journal import Journal
from protocol.aio.upkeep import synced, wal
from protocol.aio.upkeep.retention import Kept
from protocol.errors import StoreError
from tests.support.memory_store import MemoryStore, OwnRows
from tests.support.power import held
from tests.support.power.disk import Disk, DiskFailed, DiskFull
from tests.support.power.held import Held
from tests.support.power.logged import at_once, logged
from tests.support.power.plot import Plot
from tests.support.power.vfs import PowerVfs

NODE = "oslo"
DURABLE = ("audit", "state", "relay_state")
APART = ("metrics",)
STREAMS = (*DURABLE, *APART)
KEPT = Kept(age_ms=10**9, rows=60, bytes=10**9)

_WAL_BYTES = 60 * 4_096  # so that many checkpoints happen, of themselves and at the bound
_WAL_BYTES_KEPT = 16 * 4_096  # and cuts
_RETIRE_ROWS = 60
_RESTARTED_AFTER_FAILURE = 0.3


@dataclass(slots=True)
class Moment:
    """What a file may hold once event `begun` has happened, and does hold from `acked` on (None: was never acked)."""

    begun: int
    held: Held
    acked: int | None = None


@dataclass(slots=True)
class Tale:
    """The moments of one file, and the epochs that were in use."""

    names: tuple[str, ...]
    durable: bool
    moments: list[Moment] = field(default_factory=list[Moment])

    def possible(self, at: int) -> list[Held]:
        """Return what the file may hold after event `at`: what was acknowledged last, and what was tried since."""
        sure = max(index for index, one in enumerate(self.moments) if one.acked is not None and one.acked <= at)
        return [one.held for one in self.moments[sure:] if one.begun <= at]


@dataclass(slots=True)
class Story:
    """See the module. `kept` and `apart` are the tales of the journal's two files; `epochs`: all that were in use."""

    folder: Path
    disk: Disk
    plot: Plot
    dice: random.Random
    boot: str
    model: MemoryStore = field(default_factory=lambda: MemoryStore(NODE, {name: OwnRows("") for name in STREAMS}))
    kept: Tale = field(default_factory=lambda: Tale(DURABLE, durable=True))
    apart: Tale = field(default_factory=lambda: Tale(APART, durable=False))
    epochs: set[str] = field(default_factory=set[str])
    failures: int = 0
    passed_ms: int = 0

    async def tell(self, commits: int, *, begun_with: tuple[Held, Held]) -> None:
        """Live through `commits` commits, with restarts, in order and not; end killed."""
        for tale, one in zip((self.kept, self.apart), begun_with, strict=True):
            tale.moments.append(Moment(len(self.disk.log), one, len(self.disk.log)))
        with _logged(self.disk, self.boot):
            journal = await self._open()
            for _ in range(commits):
                roll = self.dice.random()
                if roll < 0.02:
                    journal = await self._again(journal)
                elif roll < 0.1:
                    journal = await self._retire(journal)
                else:
                    journal = await self._commit(journal)
            await self._kill(journal)

    # ---------------------------------------------------------------------------------------- lives

    async def _open(self) -> Journal:
        while True:
            try:
                journal = await Journal.open(
                    self.folder / "journal.db",
                    node=NODE,
                    streams=STREAMS,
                    telemetry=self.folder / "telemetry.db",
                    mint=self.plot.mint,
                    wal_bytes=_WAL_BYTES,
                )
            except StoreError:
                self.failures += 1  # as whoever starts on a disk that fails: it tries again
            else:
                break
        for part, tale in zip(journal._parts, (self.kept, self.apart), strict=True):  # pyright: ignore[reportPrivateUsage]
            await part.file.run(lambda db, tale=tale: self._find(tale, held.read(db, tale.names)))
        for name, stream in journal.snapshot().streams.items():
            own = self.model.streams[name]
            own.epoch, own.former = stream.epoch, stream.former
            self.epochs.add(stream.epoch)
        return journal

    def _find(self, tale: Tale, found: Held) -> None:
        """Go on from what the file holds: what was acknowledged last, or a commit that failed since and is there."""
        possible = tale.possible(len(self.disk.log))
        assert any(found.same(one, epochs=tale.durable) for one in possible), held.difference(possible[0], found)
        held.recall(found, self.model, tale.names, durable=tale.durable)
        tale.moments.append(Moment(len(self.disk.log), found, len(self.disk.log)))

    async def _again(self, journal: Journal) -> Journal:
        if self.dice.random() < 0.5:
            await journal.close()
        else:
            await self._kill(journal)
        return await self._open()

    async def _kill(self, journal: Journal) -> None:
        self.disk.dead = True
        await journal._drop()  # pyright: ignore[reportPrivateUsage] - it lets go of files that it cannot write
        self.disk.dead = False

    # ---------------------------------------------------------------------------------------- deeds

    async def _commit(self, journal: Journal) -> Journal:
        wanted = held.fork(self.model)
        ops = self.plot.commit(self.model)
        wanted.commit(ops)
        begun = self._begin(wanted)
        try:
            await journal.commit(ops)
        except StoreError:
            return await self._look_again(journal, wanted)
        self._acked(wanted, begun)
        return journal

    async def _retire(self, journal: Journal) -> Journal:
        self.passed_ms += 1_000
        wanted = held.fork(self.model)
        wanted.entries = await self._left_by_retention(journal)
        begun = self._begin(wanted)
        try:
            await journal.retire(now_ms=self.passed_ms, mono_ms=self.passed_ms, kept=KEPT)
        except StoreError:
            return await self._look_again(journal, wanted)
        self._acked(wanted, begun)
        return journal

    async def _left_by_retention(self, journal: Journal) -> list[held.Entry]:
        """Try the step, and take it back: whose rows go is not what this is about."""
        retention = copy.copy(journal._retention)  # pyright: ignore[reportPrivateUsage]

        def attempt(db: sqlite3.Connection) -> list[held.Entry]:
            db.execute("BEGIN IMMEDIATE")
            try:
                retention.step(db, self.passed_ms, self.passed_ms, KEPT)
                return list(held.read(db, DURABLE).entries)
            finally:
                db.execute("ROLLBACK")

        return await journal._parts[0].file.run(attempt)  # pyright: ignore[reportPrivateUsage]

    def _begin(self, wanted: MemoryStore) -> tuple[Moment, Moment]:
        moments = tuple(Moment(len(self.disk.log), self._told(tale, wanted)) for tale in (self.kept, self.apart))
        self.kept.moments.append(moments[0])
        self.apart.moments.append(moments[1])
        return moments[0], moments[1]

    def _acked(self, wanted: MemoryStore, begun: tuple[Moment, Moment]) -> None:
        self.model = wanted
        for moment in begun:
            moment.acked = len(self.disk.log)

    async def _look_again(self, journal: Journal, wanted: MemoryStore) -> Journal:
        """A commit failed: each file has it or has not, and the journal's own reading says which."""
        self.failures += 1
        await journal.reload()
        now = held.fork(self.model)
        for part, tale in zip(journal._parts, (self.kept, self.apart), strict=True):  # pyright: ignore[reportPrivateUsage]
            found = await part.file.run(lambda db, tale=tale: held.read(db, tale.names))
            if found == self._told(tale, wanted) and found != self._told(tale, self.model):
                tale.moments[-1].acked = len(self.disk.log)
                for name in tale.names:
                    now.streams[name] = wanted.streams[name]
                if tale.durable:
                    now.spaces, now.entries, now.aside = wanted.spaces, wanted.entries, wanted.aside
            else:
                assert found == self._told(tale, self.model), "a failed commit left a half of it: " + held.difference(
                    self._told(tale, self.model), found
                )
        self.model = now
        return await self._again(journal) if self.dice.random() < _RESTARTED_AFTER_FAILURE else journal

    def _told(self, tale: Tale, model: MemoryStore) -> Held:
        return held.told(model, tale.names, durable=tale.durable)


@contextmanager
def _logged(disk: Disk, boot: str) -> Generator[None]:
    vfs = PowerVfs(disk)
    with pytest.MonkeyPatch.context() as patches:
        patches.setattr(aiosqlite, "connect", logged(vfs))
        patches.setattr(wal, "_size", partial(_size, disk))
        patches.setattr(limits, "WAL_BYTES_KEPT", _WAL_BYTES_KEPT)
        patches.setattr(limits, "RETIRE_ROWS", _RETIRE_ROWS)
        patches.setattr(asyncio, "to_thread", at_once)
        patches.setattr(journals, "_boot", lambda: boot)
        patches.setattr(synced, "sync_folder", partial(_sync_folder, disk))
        patches.setattr(sqlite, "store_again", partial(_store_again, disk))
        yield
    vfs.unregister()


def _sync_folder(disk: Disk, folder: Path) -> None:
    disk.sync_names()


def _size(disk: Disk, path: Path) -> int:
    file = disk.names.get(f"{path.name}-wal")
    return 0 if file is None else len(disk.files[file])


def _store_again(disk: Disk, path: Path) -> None:
    file = disk.names.get(path.name)
    if file is None:
        return
    try:
        disk.write(file, 0, bytes(disk.files[file]))
        disk.sync(file)
    except (DiskFull, DiskFailed):
        raise OSError(errno.EIO, "the disk failed") from None
