"""A fleet that comes back all at once: the hub is killed and started again, and everybody has something to say."""

from __future__ import annotations

import asyncio
import contextlib
import time
from pathlib import Path

from protocol.aio import sqlite
from tests.bench import handshakes
from tests.bench.registry import Bench, Target, figure
from tests.support import enrolled
from tests.support.crowd import Crowd
from tests.support.crowd_member import Member
from tests.support.fleet import Fleet

AGENTS = 2_000
ENTRIES = 100
_WAIT_S = 120.0
_LOOK_S = 0.005


@figure("storm", unit="", targets={"over_floor": Target(at_most=2.5)})
async def storm(bench: Bench) -> dict[str, float]:
    """2,000 children with 100 entries each return to a hub that was killed, with the backoff and jitter that ship.

    From the moment that the new hub listens: `live_s` until every child is LIVE, `drained_s` until every entry is
    acknowledged; `jitter_s` until the last child knocks for the first time, as its backoff has it. `floor_s`: as many
    bare mutual-TLS handshakes with the same sockets. `over_floor` is (live_s - jitter_s) / floor_s. `slowest_s`: the
    child that waited longest from its first knock until it was LIVE. `hub_peak_mb`: the new hub's largest Rss.
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
        found = await _return(it, crowd)
    finally:
        crowd.close()
        await it.close()
    over = (found["live_s"] - found["jitter_s"]) / floor_s
    return {"agents": AGENTS, **found, "floor_s": floor_s, "over_floor": over}


async def _return(it: Fleet, crowd: Crowd) -> dict[str, float]:
    await it.hub.kill()
    await crowd.all(lambda one: not one.child.live, "away", _WAIT_S)
    for member in crowd.members:
        member.append(ENTRIES)
    await it.hub.start()
    up = await _listens(it.mqtt_port)
    live = await crowd.all(lambda one: one.child.live, "live", _WAIT_S)
    drained = await crowd.all(Member.drained, "drained", _WAIT_S)
    peak_mb = _peak_mb(it.hub.pid)
    assert await asyncio.to_thread(_stored, it.folder / "hub" / "hub.db") == (AGENTS * ENTRIES, AGENTS)
    knocks = [min((at for at in one.knocked_at if at >= up), default=up) for one in crowd.members]
    waited = [one.live_at - knock for one, knock in zip(crowd.members, knocks, strict=True)]
    return {
        "live_s": live - up,
        "jitter_s": max(knocks) - up,
        "drained_s": drained - up,
        "slowest_s": max(waited),
        "hub_peak_mb": peak_mb,
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


def _peak_mb(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) / 1024
