"""Records what real daemons do, and judges it by the checkers of tests.checkers.

    async with recorded(tmp_path) as record:
        async with deeds.site(tmp_path / "f", "oslo") as it:
            await deeds.declare(it, deeds.producer("numbers", record.ledger))
            ... whatever befalls them ...
            await deeds.settled(it)
            record.calm()
    assert record.judged["A4"] > 0

Whatever is started inside writes its trace. When the block ends in order, every daemon has ended, and the disks are
read and all is judged: raises tests.checkers.history.Broken, and AssertionError when there was nothing to judge.
"""

from __future__ import annotations

import heapq
import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from operator import attrgetter
from pathlib import Path

from protocol.aio.trace.file import VARIABLE
from tests.checkers import all as checkers
from tests.checkers import history, real


class Record:
    """One recording. `ledger` is where producers account for what they say."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "traces"
        self.ledger = folder / "ledger"
        self.folder.mkdir(parents=True)
        self.ledger.mkdir(exist_ok=True)
        self.began = real.clock()
        self.judged: dict[str, int] = {}
        """Rule -> how much it has judged; filled when the recording is over."""
        self._notes: list[history.AnyFact] = []
        self._calm_at: float | None = None
        self._over: list[tuple[str, str]] = []
        """(node, service) of which no process ran at Calm."""

    def fault(self, kind: str, node: str, note: str = "") -> None:
        """Say what was done to a node; its disk: `restore`, `clone`, `corrupt`, `lost`; or `power`."""
        self._notes.append(history.Fault(at=real.clock(), node=node, kind=kind, note=note))

    def calm(self) -> None:
        """Say that the last fault is over and all has settled: from here the ends must meet (A19)."""
        self._calm_at = real.clock()
        self._over = real.free(self.ledger)
        self._notes.append(history.Calm(at=self._calm_at))

    def facts(self) -> list[history.AnyFact]:
        """Return the whole history, once every daemon has ended."""
        machines, ended = real.Machines(), real.clock()
        traced = real.read(self.folder, machines)
        ran = real.ran(self.ledger, traced, self._calm_at, self._over)
        told = heapq.merge(traced, ran, self._notes, key=attrgetter("at"))
        produced = list(real.produced(self.ledger, self.began, ended))
        tried = [fact for fact in produced if isinstance(fact, history.Tried)]
        kept = [fact for fact in produced if isinstance(fact, history.Kept)]
        return [*tried, *told, *kept, *real.disks(machines, ended)]


@asynccontextmanager
async def recorded(folder: Path) -> AsyncGenerator[Record]:
    """See the module."""
    record, before = Record(folder), os.environ.get(VARIABLE)
    os.environ[VARIABLE] = str(record.folder)
    try:
        yield record
    finally:
        if before is None:
            del os.environ[VARIABLE]
        else:
            os.environ[VARIABLE] = before
    record.judged = checkers.check(record.facts())
    assert any(record.judged.values()), "no daemon has told what it did: nothing was judged"
