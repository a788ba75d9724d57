"""Entries that workloads write, on their way to the hub: how many a second, and how soon a link is itself again."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from tests.bench import resume
from tests.bench.floors import BATCH_ROWS
from tests.bench.producers import Producers
from tests.bench.registry import Bench, Target, figure
from tests.support.fleet import Fleet, fleet

LABELS = {"site": "bench"}
_ROUNDS = 3
_BATCH = 500
NODES = [f"n{number}" for number in range(1, 21)]
_WAITING = 100_000
_CUTS = 5
_FLOOR = "floor_events_per_s"


@figure(
    "events_per_s",
    unit="/s",
    targets={
        "one_agent": Target(at_least=25_000, share=0.12, of=_FLOOR),
        "twenty_agents": Target(at_least=40_000, share=0.2, of=_FLOOR),
    },
)
async def events_per_s(bench: Bench) -> dict[str, float]:
    """Entries of 200 bytes from the producers' first write until the last is durable at the hub; medians of rounds.

    `one_agent` and `twenty_agents` write 500 lines at a time; the others of the name 100. `device_...`: until the last
    is acknowledged to its producer. `slowest_...`: the round that was not lucky.
    """
    async with fleet(bench.folder, agents=NODES, wire=False, labels=LABELS) as it:
        producers = Producers(it)
        await producers.begin()
        await producers.make(NODES, 1_000, _BATCH)
        await producers.arrived()
        one = await rounds(producers, NODES[:1], 50_000, _BATCH)
        twenty = await rounds(producers, NODES, 10_000, _BATCH)
        one_small = await rounds(producers, NODES[:1], 50_000, BATCH_ROWS)
        twenty_small = await rounds(producers, NODES, 10_000, BATCH_ROWS)
    named = {"one_agent": one, "twenty_agents": twenty}
    small = {f"one_agent_by_{BATCH_ROWS}": one_small, f"twenty_agents_by_{BATCH_ROWS}": twenty_small}
    return {
        **{name: statistics.median(hub for hub, _ in rates) for name, rates in (named | small).items()},
        **{f"device_{name}": statistics.median(device for _, device in rates) for name, rates in named.items()},
        **{f"slowest_{name}": min(hub for hub, _ in rates) for name, rates in named.items()},
    }


async def rounds(producers: Producers, nodes: Sequence[str], count: int, batch: int) -> list[tuple[float, float]]:
    """Return for each round what came to the hub, and what became durable on the devices, in a second."""
    rates: list[tuple[float, float]] = []
    for _ in range(_ROUNDS):
        _, done = await producers.make(nodes, count, batch)
        ended = await producers.arrived()
        total, began = count * len(nodes), min(one.began for one in done)
        rates.append((total / (ended - began), total / (max(one.ended for one in done) - began)))
    return rates


@figure("link_resume_ms", unit="ms", targets={"p50": Target(at_most=150)})
async def link_resume_ms(bench: Bench) -> dict[str, float]:
    """From the TCP accept on the healed wire until the hub has the node online with a status made since.

    100,000 entries wait on the device meanwhile. The backoff before that accept is not counted: it is jitter by design.
    `drain`: from there until all that waited is at the hub.
    """
    async with fleet(bench.folder, agents=NODES[:1], labels=LABELS) as it:
        producers = Producers(it)
        await producers.begin()
        took: list[float] = []
        drained: list[float] = []
        for _ in range(_CUTS):
            live, accepted = await _cut_and_heal(it, producers)
            took.append((live - accepted) * 1_000)
            drained.append((await producers.arrived() - live) * 1_000)
    return {"p50": statistics.median(took), "max": max(took), "drain": statistics.median(drained)}


async def _cut_and_heal(it: Fleet, producers: Producers) -> tuple[float, float]:
    """Return when (monotonic) the hub's word of the node was current again, and when the wire accepted the child."""
    name = NODES[0]
    await resume.cut(it, name)
    await producers.make([name], _WAITING, _BATCH)
    return await resume.heal(it, name, producers.written[name])
