"""One device comes back with a million entries: it is current at once, it drains, and nobody else has to wait."""

from __future__ import annotations

import asyncio
import itertools

from tests.bench import dispatch, resume
from tests.bench.events import LABELS
from tests.bench.memory import peak_rss_mb
from tests.bench.producers import Producers
from tests.bench.registry import Bench, Target, figure
from tests.support.fleet import Fleet, fleet

ENTRIES = 1_000_000
_BATCH = 500
_QUOTA = "2G"
_FAR = "far"
_NEAR = ["n1", "n2", "n3", "n4"]


@figure(
    "backlog",
    unit="",
    targets={
        "current_s": Target(at_most=0.5),
        "drain_per_s": Target(share=0.7, of="events_per_s.one_agent"),
        "bystander_p99_ms": Target(at_most=500),
    },
)
async def backlog(bench: Bench) -> dict[str, float]:
    """A device makes a million entries of 200 bytes while its wire is cut; then the wire heals.

    From the TCP accept on the healed wire (the backoff before it is jitter by design): `current_s` until the hub has
    the device online with a status made since, `drain_per_s` until the last entry is at the hub. `bystander_p99_ms`: a
    task on other devices, asked one after another all the while. The device has a quota that holds them all.
    """
    async with fleet(bench.folder) as it:
        await _join_far(it)
        await it.join(_NEAR, wire=False, labels=LABELS)
        producers = Producers(it)
        await producers.begin()
        await dispatch.rehearse(it, _NEAR[0])
        await resume.cut(it, _FAR)
        await producers.make([_FAR], ENTRIES, _BATCH)
        current, accepted = await resume.heal(it, _FAR, ENTRIES)
        took_ms: list[float] = []
        bystander = asyncio.ensure_future(_run_tasks(it, took_ms))
        drained = await producers.arrived()
        bystander.cancel()
        took_ms.sort()
        peak_mb = peak_rss_mb(it.hub.pid)
    return {
        "entries": ENTRIES,
        "current_s": current - accepted,
        "drain_per_s": ENTRIES / (drained - accepted),
        "bystander_p99_ms": took_ms[int(len(took_ms) * 0.99)],
        "bystander_tasks": len(took_ms),
        "hub_peak_mb": peak_mb,
    }


async def _join_far(it: Fleet) -> None:
    made = await it.ask("POST", "/v1/tokens", {"ttl_s": 3_600, "uses": 1, "labels": LABELS})
    await it.enroll(_FAR, made["token"], "--quota", _QUOTA)
    await it.until(lambda: it.online(_FAR), f"{_FAR} is online")


async def _run_tasks(it: Fleet, took_ms: list[float]) -> None:
    """Run tasks on the other devices until cancelled; note the milliseconds that each took."""
    nodes = itertools.cycle(_NEAR)
    while True:
        took_ms.append(await dispatch.task(it, next(nodes)))
