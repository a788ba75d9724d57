"""D: thousands reconnect at once: the rate is held, all return, memory is bounded. The figures are `make bench`'s.

Not recorded: the crowd are no daemons but cores of this process, whose stores are in memory; the hub's disk is counted.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

import psutil

from protocol import limits
from protocol.aio import sqlite
from tests.support import enrolled
from tests.support.crowd import Crowd
from tests.support.crowd_member import Member
from tests.support.fleet import Fleet

CHILDREN, ENTRIES = 400, 20
WAIT_S = 120.0
CHILD_BYTES = 128 * limits.KIB  # of a hub, for each that is connected: TLS, buffers, its state


async def test_thousands_reconnect_at_once(tmp_path: Path) -> None:
    it = Fleet(tmp_path / "f")
    it.folder.mkdir()
    try:
        await it.init()
        papers = await enrolled.enroll(it.folder / "hub", [f"n{one}" for one in range(CHILDREN)], tmp_path / "papers")
        await it.begin_made()
        empty = psutil.Process(it.hub.pid).memory_info().rss
        crowd = Crowd(papers, it.mqtt_port, (it.folder / "hub" / "root.pem").read_bytes())
        try:
            crowd.start()
            await crowd.all(lambda one: one.child.live, "live", WAIT_S)
            await it.hub.kill()
            await crowd.all(lambda one: not one.child.live, "away", WAIT_S)
            for member in crowd.members:
                member.append(ENTRIES)
            await it.hub.start()
            await crowd.all(lambda one: one.child.live, "back", WAIT_S)
            await crowd.all(Member.drained, "drained", WAIT_S)
        finally:
            crowd.close()
        peak = max(_peak_bytes(it.hub.pid) - empty, 0)
        assert peak < CHILDREN * CHILD_BYTES + limits.DOOR_INFLIGHT_BYTES_MAX, f"the hub took {peak} bytes more"
        assert _stored(it.folder / "hub" / "hub.db") == (CHILDREN * ENTRIES, CHILDREN)
    finally:
        await it.close()


def _peak_bytes(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) * limits.KIB


def _stored(database: Path) -> tuple[int, int]:
    """How many entries there are, doubled ones included, and of how many nodes."""
    query = "SELECT count(*), count(DISTINCT node) FROM entry JOIN channel ON channel.id = channel WHERE kind = ?"
    with contextlib.closing(sqlite.read_only(database)) as db:
        return db.execute(query, ("app.bench",)).fetchone()
