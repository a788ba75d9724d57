"""A fleet that comes back all at once: the hub is killed and started again, and everybody has something to say."""

from __future__ import annotations

import asyncio
import contextlib
import time
from pathlib import Path

from protocol import limits
from protocol.aio import sqlite
from tests.bench import handshakes
from tests.bench.memory import peak_rss_mb
from tests.bench.registry import Bench, Target, figure
from tests.support import enrolled
from tests.support.crowd import Crowd
from tests.support.crowd_member import Member
from tests.support.fleet import Fleet

AGENTS = 2_000
ENTRIES = 100
_WAIT_S = 120.0
_LOOK_S = 0.005


@figure("storm", unit="", targets={"over_floor": Target(at_most=2.5), "blink_over_floor": Target(at_most=2.5)})
async def storm(bench: Bench) -> dict[str, float]:
    """2,000 children with 100 entries each return to a hub that was killed, with the backoff and jitter that ship.

    From the moment that the new hub listens: `live_s` until every child is LIVE, `drained_s` until every entry is
    acknowledged; `jitter_s` until the last child knocks for the first time, as its backoff has it. `floor_s`: as many
    bare mutual-TLS handshakes with the same sockets. `over_floor` is (live_s - jitter_s) / floor_s. `slowest_s`: the
    child that waited longest from its first knock until it was LIVE. `hub_peak_mb`: the new hub's largest Rss.
    `blink_...`: the same before that, but all connections break at one moment and the hub stays.
    """
    it = Fleet(bench.folder)
    await it.init()
    papers = await enrolled.enroll(bench.folder / "hub", [f"n{one}" for one in range(AGENTS)], bench.folder / "papers")
    floor_s = await handshakes.all_at_once(papers, bench.folder / "hub")
    crowd = Crowd(papers, it.mqtt_port, (bench.folder / "hub" / "root.pem").read_bytes())
    try:
        await it.begin_made()
        crowd.start()
        await crowd.all(lambda one: one.child.live, "live", _WAIT_S)
        blink = await _return(it, crowd, await _blink(crowd), ENTRIES, floor_s)
        await asyncio.sleep(3 * limits.BACKOFF_S_MIN)  # sessions that lasted: the next waits are small again
        restart = await _return(it, crowd, await _kill(it, crowd), 2 * ENTRIES, floor_s)
        peak_mb = peak_rss_mb(it.hub.pid)
    finally:
        crowd.close()
        await it.close()
    return {
        "agents": AGENTS,
        "floor_s": floor_s,
        "hub_peak_mb": peak_mb,
        **restart,
        **{f"blink_{name}": value for name, value in blink.items()},
    }


async def _kill(it: Fleet, crowd: Crowd) -> float:
    """Kill the hub and start it; return when it listens. Every child has made its entries in between."""
    await it.hub.kill()
    await crowd.all(lambda one: not one.child.live, "away", _WAIT_S)
    _make_entries(crowd)
    await it.hub.start()
    return await _listens(it.mqtt_port)


async def _blink(crowd: Crowd) -> float:
    """Break all connections, make the entries; return when the network is whole again: at once."""
    for member in crowd.members:
        member.cut()
    await crowd.all(lambda one: not one.child.live, "away", _WAIT_S)
    _make_entries(crowd)
    return time.monotonic()


def _make_entries(crowd: Crowd) -> None:
    for member in crowd.members:
        member.append(ENTRIES)


async def _return(it: Fleet, crowd: Crowd, up: float, entries: int, floor_s: float) -> dict[str, float]:
    """Wait until all are back, each with `entries` at the hub."""
    live_s = await crowd.all(lambda one: one.child.live, "live", _WAIT_S) - up
    drained_s = await crowd.all(Member.drained, "drained", _WAIT_S) - up
    assert await asyncio.to_thread(_stored, it.folder / "hub" / "hub.db") == (AGENTS * entries, AGENTS)
    knocks = [min((at for at in one.knocked_at if at >= up), default=up) for one in crowd.members]
    jitter_s = max(knocks) - up
    return {
        "live_s": live_s,
        "jitter_s": jitter_s,
        "drained_s": drained_s,
        "slowest_s": max(one.live_at - knock for one, knock in zip(crowd.members, knocks, strict=True)),
        "over_floor": (live_s - jitter_s) / floor_s,
    }


async def _listens(port: int) -> float:
    """Wait until somebody listens at `port`; return when."""
    async with asyncio.timeout(_WAIT_S):
        while True:
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                up = time.monotonic()
                writer.transport.abort()
                return up
            await asyncio.sleep(_LOOK_S)


def _stored(database: Path) -> tuple[int, int]:
    """Return how many entries there are, each counted once, and of how many nodes."""
    query = """SELECT count(*), count(DISTINCT node) FROM
               (SELECT DISTINCT node, epoch, seq FROM entry JOIN channel ON channel.id = entry.channel
                WHERE kind = 'app.bench')"""
    with contextlib.closing(sqlite.read_only(database)) as db:
        return db.execute(query).fetchone()
