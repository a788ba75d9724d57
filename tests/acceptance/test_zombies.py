"""D: zombie sessions and late wills. What is stopped is not dead: it is missed, replaced, and comes back late (A13)."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from hub.demo import fleet as demo
from tests.support import deeds
from tests.support.fleet import Fleet
from tests.support.net import host, lands
from tests.support.recorded import Record

STOPPED_S = 4.0


@asynccontextmanager
async def _stopped(daemon: demo.Daemon) -> AsyncGenerator[None]:
    """The process stands still, its sockets open, within the block."""
    os.kill(daemon.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(daemon.pid, signal.SIGCONT)


async def _for_a_while(daemon: demo.Daemon) -> None:
    async with _stopped(daemon):
        await asyncio.sleep(STOPPED_S)  # paces the fault


async def _is_away(it: Fleet, node: str) -> bool:
    return (await it.node(node))["state"] == "away"


async def _counted(it: Fleet, record: Record, pids: dict[str, int]) -> None:
    """Everyone is back for good; healthy work was never touched, nothing was lost or doubled."""
    for name, pid in pids.items():
        await it.until(lambda name=name: it.online(name), f"{name} is back", 90.0)
        assert await deeds.pid_of(it, name, "numbers") == pid, "healthy work was restarted"
    await deeds.take_away(it, "service/numbers")
    await deeds.settled(it)
    record.calm()
    for name in pids:
        (await deeds.tally(it, record.ledger, name)).check()
        node = await it.node(name)
        assert (node["state"], node["alarms"]) == ("online", [])
        assert (await _seen(it, name))[-1] == "node.live", "an older session had the last word"


async def _seen(it: Fleet, name: str) -> Sequence[str]:
    return [one["kind"] for one in await deeds.events(it, key=name) if one["kind"] in ("node.live", "node.away")]


async def _producing(it: Fleet, ledger: Path) -> dict[str, int]:
    await deeds.declare(it, deeds.producer("numbers", ledger, every_s=0.05))
    return {name: await deeds.pid_of(it, name, "numbers") for name in it.agents}


@pytest.mark.skipif(bool(host.missing()), reason=host.missing() or "all is here")
async def test_zombie_session(tmp_path: Path, record: Record) -> None:
    """One agent stands still until it is missed, one too briefly for that; one moves to another network while its old
    connection stands half open, and the old network comes back; the hub stands still too."""
    async with lands.apart(tmp_path / "f", "stands", "dozes", "roams", seed=41) as it:
        pids = await _producing(it, record.ledger)
        async with _stopped(it.agents["stands"].daemon):
            await _for_a_while(it.agents["dozes"].daemon)
            old = it.hosts["roams"]
            for way in it.ways("roams"):
                way.cut = True
            await it.agents["roams"].daemon.kill()
            await deeds.again(it, "roams", prefix=it.land("elsewhere", 99).inside).start()
            await it.until(lambda: _lived(it, "roams", 2), "roams is heard from elsewhere")
            for way in it.switch.both(old, it.where):
                way.cut = False
            await it.until(lambda: _is_away(it, "stands"), "stands is missed", 90.0)
        await it.until(lambda: _lived(it, "stands", 2), "stands greets anew")
        await _for_a_while(it.hub)
        await _counted(it, record, pids)
        assert list(await _seen(it, "dozes")) == ["node.live"], "a short stop is no absence"


async def _lived(it: Fleet, node: str, times: int) -> bool:
    return list(await _seen(it, node)).count("node.live") >= times


@pytest.mark.mosquitto
async def test_late_will(tmp_path: Path, record: Record) -> None:
    """Through mosquitto: a will by keepalive's end, wills and greetings that a stopped hub hears all at once, and a
    broker that stands still."""
    async with deeds.brokered(tmp_path / "f", "stands", "dies") as (it, broker):
        pids = await _producing(it, record.ledger)
        async with _stopped(it.agents["stands"].daemon):
            async with _stopped(it.hub):
                for _ in range(3):
                    await it.agents["dies"].daemon.kill()
                    await it.agents["dies"].daemon.start()
                    await deeds.at_device(it, "dies")
            await it.until(lambda: it.online("dies"), "dies is back")
            await _for_a_while(broker)
            await it.until(lambda: _is_away(it, "stands"), "stands is missed", 90.0)
        await it.until(lambda: _lived(it, "stands", 2), "stands greets anew")
        await _counted(it, record, pids)
