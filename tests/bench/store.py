"""The journal and the driver by themselves: how much of the floor is left before any core, link or transport."""

from __future__ import annotations

import asyncio
import os
import time
from contextlib import suppress

import msgspec

from protocol import effects
from protocol.aio.clock import SystemClock
from protocol.aio.driver import Driver
from protocol.aio.journal import Journal
from protocol.effects import Action, Effects, Now
from protocol.messages import AnyMessage
from protocol.snapshot import Snapshot
from tests.bench.floors import BATCH_ROWS, ROW_BYTES
from tests.bench.registry import Bench, Target, figure

EPOCH = "0" * 16


async def opened(bench: Bench) -> Journal:
    """Return a new journal with one stream."""
    return await Journal.open(bench.folder / "journal.db", node="bench", streams=["state"], mint=lambda: EPOCH)


@figure(
    "journal_rows_per_s", unit="/s", targets={name: Target(of="floor_events_per_s") for name in ("own", "children")}
)
async def journal_rows_per_s(bench: Bench) -> dict[str, float]:
    """Rows of 200 bytes and a hash, 100 a commit: a device's own, and a hub's from twenty children."""
    journal = await opened(bench)
    raw, tip, count = os.urandom(ROW_BYTES), os.urandom(32), 30_000
    begin = time.perf_counter()
    for first in range(1, count, BATCH_ROWS):
        await journal.commit([effects.Rows("state", EPOCH, [(first + n, raw, tip) for n in range(BATCH_ROWS)])])
    own = count / (time.perf_counter() - begin)
    begin = time.perf_counter()
    for first in range(1, count, BATCH_ROWS):
        rows = [(first + n, raw, tip, 1_700_000_000_000, "app.event", "vision") for n in range(BATCH_ROWS)]
        await journal.commit([effects.Received(f"node-{first // BATCH_ROWS % 20}", EPOCH, "state", rows)])
    children = count / (time.perf_counter() - begin)
    await journal.close()
    return {"own": own, "children": children}


class _Nowhere:
    def send(self, peer: str, message: AnyMessage) -> None:
        """Drop `message`: the one node here has no peers."""


class _Next(Action, frozen=True, kw_only=True):
    """Give the core its next input."""


class _Counter:
    """A core that stores one row for each input and acts on it."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.last = 0
        self._raw = os.urandom(ROW_BYTES)

    def handle(self, event: object, now: Now, /) -> Effects:
        """Store, act."""
        self.last += 1
        fx = Effects()
        fx.store.append(effects.Rows("state", EPOCH, [(self.last, self._raw, b"")]))
        fx.act.append(_Next())
        return fx


@figure("driver_inputs_per_s", unit="/s", targets=Target(share=0.4, of="floor_commits_per_s"))
async def driver_inputs_per_s(bench: Bench) -> float:
    """A chain: each input is one durable row, and its action is the next input."""
    count = 2_000
    journal = await opened(bench)
    ended = asyncio.Event()

    def perform(action: Action) -> None:
        if driver.core.last >= count:
            ended.set()
        else:
            driver.put(action)

    driver = Driver(
        make_core=_Counter,
        journal=journal,
        clock=SystemClock(),
        transport=_Nowhere(),
        perform=perform,
        tick=msgspec.UNSET,
    )
    begin = time.perf_counter()
    task = asyncio.create_task(driver.run(_Next))
    await ended.wait()
    rate = count / (time.perf_counter() - begin)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    await journal.close()
    return rate
