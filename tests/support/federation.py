"""Hubs below a hub, as real processes: each of them a Fleet of its own, and what can be asked of all tiers together.

async with federation.federation(folder, {"north": ["oslo", "bergen"], "south": ["roma"]}) as it:
    it.regions["north"].cut()
    await it.region_of("oslo").agents["oslo"].daemon.kill()
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Generic, TypeVar

import msgspec

from protocol.aio import sqlite
from protocol.link import parent_entries
from tests.support import deeds
from tests.support.fleet import Fleet
from tests.support.recorded import Record

F = TypeVar("F", bound=Fleet)
_MORE = 30
Head = dict[str, tuple[str, int]]
"""Of each stream its epoch and its last seq."""


class Federation(Generic[F]):
    """A root and its regions. `make` makes a fleet in a folder of its own, under a name and a number."""

    def __init__(self, folder: Path, make: Callable[[Path, str, int], F]) -> None:
        self.folder, self._make = folder, make
        self.root = make(folder / "cloud", "cloud", 0)
        self.regions: dict[str, F] = {}

    def __iter__(self) -> Iterator[F]:
        """All hubs, the root first."""
        yield self.root
        yield from self.regions.values()

    @property
    def nodes(self) -> list[str]:
        """The names of all agents."""
        return [name for fleet in self for name in fleet.agents]

    def region_of(self, node: str) -> F:
        """The fleet of which an agent is."""
        return next(fleet for fleet in self if node in fleet.agents)

    async def add(self, name: str, agents: Sequence[str], *, wire: bool = False) -> F:
        """Make a region below the root with agents of its own, all online; labels are `region` and `site=oslo`."""
        region = self.regions[name] = self._make(self.folder / name, name, len(self.regions) + 1)
        await region.begin_below(self.root, {"region": name})
        if agents:
            await region.join(agents, wire=wire, labels={"site": "oslo"})
        return region

    async def close(self) -> None:
        """End everything."""
        async with contextlib.AsyncExitStack() as stack:
            for fleet in self:
                stack.push_async_callback(fleet.close)

    # ---------------------------------------------------------------------------------------- all tiers

    async def settled(self) -> None:
        """Wait until each tier holds, and has acked, all that the tier below it has now."""
        for region in self.regions.values():
            await deeds.settled(region)
            await self.risen(region)

    async def nothing_runs(self) -> None:
        """Wait until no device is asked anything any more, and all say that they do nothing."""

        async def nothing() -> bool:
            nodes = [await fleet.node(name) for fleet in self for name in fleet.agents]
            return all(
                node["observed_generation"] == node["desired_generation"]
                and not node["placed"]
                and not node["services"]
                for node in nodes
            )

        await self.root.until(nothing, "nothing runs any more")

    async def risen(self, region: F) -> None:
        """Wait until the root has stored all that is in the streams of `region` now."""
        wanted = heads(region.data / "hub.db")

        async def there() -> bool:
            held = cursors(self.root.data / "hub.db", region.name)
            return all(
                held.get(name, ("", 0))[0] == epoch and held[name][1] >= last for name, (epoch, last) in wanted.items()
            )

        await self.root.until(there, f"what {region.name} has is at the root", 120.0)


def heads(database: Path) -> Head:
    """Return the own streams of the hub whose store is `database`, served or not."""
    with contextlib.closing(sqlite.read_only(database)) as db:
        rows = db.execute("SELECT name, epoch, last FROM stream").fetchall()
        newest = {name: db.execute(f"SELECT max(seq) FROM own_{name}").fetchone()[0] or 0 for name, _, _ in rows}
    return {name: (epoch, max(last, newest[name])) for name, epoch, last in rows}


def cursors(database: Path, child: str) -> Head:
    """Return how far the hub whose store is `database` has stored the streams of a child: a view may be ahead of it."""
    query = "SELECT key, value FROM state WHERE space = ? AND key GLOB ?"
    with contextlib.closing(sqlite.read_only(database)) as db:
        rows = db.execute(query, (parent_entries.CURSOR, f"{child}/*")).fetchall()
    found = {key.rpartition("/")[2]: msgspec.json.decode(value, type=parent_entries.Record) for key, value in rows}
    return {name: (record.epoch, record.seq) for name, record in found.items()}


@asynccontextmanager
async def federation(
    folder: Path, regions: Mapping[str, Sequence[str]], *, wire: bool = False
) -> AsyncGenerator[Federation[Fleet]]:
    """A root, and regions by name with their agents, online; ended when the block ends. `wire`: as Fleet.join."""
    folder.mkdir(parents=True, exist_ok=True)
    made = Federation(folder, lambda place, name, number: Fleet(place, name))
    try:
        await made.root.begin()
        for name, agents in regions.items():
            await made.add(name, agents, wire=wire)
        yield made
    finally:
        await made.close()


# ---------------------------------------------------------------------------------------- work that is accounted for


async def producing(it: Federation[F], ledger: Path, every_s: float = 0.02) -> dict[str, int]:
    """Let every agent produce, as the root asks; return the pids."""
    await deeds.declare(it.root, deeds.producer("numbers", ledger, every_s=every_s))
    return {name: await deeds.pid_of(it.region_of(name), name, "numbers") for name in it.nodes}


async def more(it: Federation[F], ledger: Path, *names: str, count: int = _MORE) -> None:
    for name in names or it.nodes:
        before = deeds.kept(ledger, name)

        async def grown(name: str = name, before: int = before) -> bool:
            return deeds.kept(ledger, name) >= before + count

        await it.region_of(name).until(grown, f"the producer on {name} made {count} more")


async def all_online(it: Federation[F]) -> None:
    for region in it.regions.values():
        await it.root.until(lambda region=region: it.root.online(region.name), f"{region.name} is back", 90.0)
        for name in region.agents:
            await region.until(lambda name=name: region.online(name), f"{name} is back", 90.0)  # noqa: B023 - at once


async def counted(it: Federation[F], record: Record, pids: dict[str, int], *also: str) -> None:
    """All is healed: all tiers converge, nothing was restarted, and the root has each thing once."""
    await all_online(it)
    for name, pid in pids.items():
        assert await deeds.pid_of(it.region_of(name), name, "numbers") == pid, "healthy work was restarted"
    for one in ("service/numbers", *also):
        await it.root.ask("DELETE", f"/v1/resources/{one}")
    await it.nothing_runs()
    await it.settled()
    record.calm()
    for name in it.nodes:
        region = it.region_of(name)
        (await deeds.tally(region, record.ledger, name)).check()
        (await deeds.tally(it.root, record.ledger, name)).check()
        (found,) = [one for one in await it.root.ask("GET", "/v1/nodes") if one["name"] == name]
        assert found["path"] == f"cloud/{region.name}/{name}"
