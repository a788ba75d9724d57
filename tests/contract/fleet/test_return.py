"""A fleet comes back to a hub that was killed: real cores of the link over mutual TLS, a real hub with its file."""

from __future__ import annotations

import contextlib
from pathlib import Path

from protocol.aio import sqlite
from tests.support import enrolled
from tests.support.crowd import Crowd
from tests.support.crowd_member import Member
from tests.support.fleet import READY_WAIT_S, Fleet

CHILDREN = 36
ENTRIES = 20
BACKLOG = 20_000


async def test_all_come_back_and_who_has_a_backlog_holds_nobody_up(tmp_path: Path) -> None:
    it = Fleet(tmp_path)
    await it.init()
    names = [f"n{number}" for number in range(CHILDREN)]
    crowd = Crowd(
        await enrolled.enroll(tmp_path / "hub", names, tmp_path / "papers"),
        it.mqtt_port,
        (tmp_path / "hub" / "root.pem").read_bytes(),
    )
    far = crowd.members[0]
    try:
        await it.begin_made()
        crowd.start()
        await crowd.all(lambda one: one.child.live, "live", READY_WAIT_S)
        await it.hub.kill()
        await crowd.all(lambda one: not one.child.live, "away", READY_WAIT_S)
        for member in crowd.members:
            member.append(BACKLOG if member is far else ENTRIES)
        await it.hub.start()
        await it.until(it.answers, "the hub answers")
        await crowd.all(lambda one: one is far or one.drained(), "drained", READY_WAIT_S)
        await crowd.all(Member.drained, "drained", READY_WAIT_S)
        nodes = await it.ask("GET", "/v1/nodes")
    finally:
        crowd.close()
        await it.close()
    assert {node["name"]: node["state"] for node in nodes} == dict.fromkeys(names, "online")
    expected = dict.fromkeys(names, (ENTRIES, ENTRIES)) | {far.node: (BACKLOG, BACKLOG)}
    assert stored(tmp_path / "hub" / "hub.db") == expected, "each once"


def stored(database: Path) -> dict[str, tuple[int, int]]:
    """Return for each node how many entries the hub holds, and how many of them are distinct."""
    query = """SELECT node, count(*), count(DISTINCT epoch || '/' || seq) FROM entry
               JOIN channel ON channel.id = entry.channel WHERE kind = 'app.bench' GROUP BY node"""
    with contextlib.closing(sqlite.read_only(database)) as db:
        return {node: (count, distinct) for node, count, distinct in db.execute(query)}
