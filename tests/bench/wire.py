"""What a device costs its network and its flash card when nothing happens: IP bytes both ways, as a provider counts
them, and what its kernel is told to write.

A hub and two agents, each on a host of its own (a network namespace), frames of 1,500 bytes at most, 40 ms each way.
Both agents keep three services running; one has the standard profile, the other the metered one with the shortest
contact interval there is. A contact costs the same whether an hour or a minute lies before it, and keep alives come at
a fixed share of the interval: so what some contacts cost is measured, and multiplied by how many a month has. The time
is that in which all that comes again and again has come: the vitals' entries are the rarest.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from protocol import limits
from tests.bench import producers
from tests.bench.registry import Bench, Target, figure
from tests.support.net.lands import Lands

_STANDARD, _METERED = "standard", "metered"
_SERVICES = 3
_DELAY_S = 0.04
_SETTLE_S = limits.CONTACT_OPEN_S + 15.0  # after a greeting: what is new goes at once, acks of it come
_TURN_S = limits.VITALS_EVERY_S * limits.VITALS_TOGETHER
_DAY_S = 86_400.0
_MONTH_CONTACTS = 30 * _DAY_S / limits.CONTACT_S_METERED


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """One run: bytes on the wire, and on the card by profile."""

    standard_day: float
    disk_day: dict[str, float]
    contact: float
    connect: float


_found: dict[str, Found] = {}
"""The one run that all figures of this module are taken from."""


@figure("wire_idle_bytes_per_day", unit="B")
async def wire_idle_bytes_per_day(bench: Bench) -> float:
    """The standard profile: a status a minute, the vitals' entry and its ack, keep alives."""
    return (await _measured(bench)).standard_day


@figure(
    "wire_idle_bytes_per_month_metered",
    unit="B",
    targets={"month": Target(at_most=1_000_000)},
    beside="balena about 1 MB a month at its floor, 196 MB with all features",
)
async def wire_idle_bytes_per_month_metered(bench: Bench) -> dict[str, float]:
    """`month`: 720 contacts, an hour apart, on a connection that holds; `contact`: one of them; `connect`: what a
    connection costs from SYN to the first status confirmed, each time the network lets one go."""
    found = await _measured(bench)
    return {"month": found.contact * _MONTH_CONTACTS, "contact": found.contact, "connect": found.connect}


@figure(
    "disk_idle_bytes_per_day",
    unit="B",
    targets=dict.fromkeys((_STANDARD, _METERED), Target(at_most=20_000_000)),
    beside="nobody publishes it",
)
async def disk_idle_bytes_per_day(bench: Bench) -> dict[str, float]:
    """write_bytes of /proc/PID/io, in the same run: whole pages, as the kernel writes them."""
    return (await _measured(bench)).disk_day


async def _measured(bench: Bench) -> Found:
    if "" not in _found:
        async with _apart(bench) as it:
            _found[""] = await _run(it)
    return _found[""]


@asynccontextmanager
async def _apart(bench: Bench) -> AsyncGenerator[Lands]:
    toml = bench.folder / "agent.toml"
    toml.write_text(f'[link]\nprofile = "metered"\ncontact_s = {limits.CONTACT_S_MIN}\n')
    it = Lands(bench.folder, seed=1)
    try:
        await it.begin()
        await it.join([_STANDARD], labels={"site": "bench"})
        it.env["SKERRY_AGENT_TOML"] = str(toml)
        await it.join([_METERED], labels={"site": "bench"})
        for name in (_STANDARD, _METERED):
            for way in it.ways(name):
                way.delay_s = _DELAY_S
        for number in range(_SERVICES):
            await producers.run_service(it, f"idle-{number}", ["sleep", "infinity"], it.folder)
        yield it
    finally:
        await it.close()


async def _run(it: Lands) -> Found:
    await asyncio.sleep(_SETTLE_S)  # the clock is what is measured
    both = (_STANDARD, _METERED)
    carried, written = [{name: spent(it, name) for name in both} for spent in (_spent, _written)]
    began = time.monotonic()
    await asyncio.sleep(_TURN_S)
    seconds = time.monotonic() - began
    return Found(
        standard_day=(_spent(it, _STANDARD) - carried[_STANDARD]) / seconds * _DAY_S,
        disk_day={name: (_written(it, name) - written[name]) / seconds * _DAY_S for name in both},
        contact=(_spent(it, _METERED) - carried[_METERED]) / (seconds / limits.CONTACT_S_MIN),
        connect=await _connect(it),
    )


async def _connect(it: Lands) -> float:
    """The agent is killed with its connection, and comes back."""
    daemon, before = it.agents[_METERED].daemon, (await it.node(_METERED))["as_of_ms"]
    await daemon.kill()
    at = _spent(it, _METERED)
    await daemon.start()

    async def told() -> bool:
        return (await it.node(_METERED))["as_of_ms"] > before

    await it.until(told, "it told its status")
    await asyncio.sleep(1.0)  # acks of acks
    return _spent(it, _METERED) - at


def _spent(it: Lands, name: str) -> int:
    return sum(way.ip_bytes for way in it.ways(name))


def _written(it: Lands, name: str) -> int:
    lines = Path(f"/proc/{it.agents[name].daemon.pid}/io").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("write_bytes:"))
