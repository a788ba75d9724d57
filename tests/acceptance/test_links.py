"""D: links that are cut, one way or both, that flap, lose, delay, reorder, double and crawl. Real frames, real TCP."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import pytest

from hub.demo import fleet as demo
from tests.support import deeds
from tests.support.net import host, lands
from tests.support.net.lands import Lands
from tests.support.net.switch import Way
from tests.support.recorded import Record

SLOW_BYTES_S = 8_000.0
BULK_ROWS, BULK_BYTES = 200, 200 * 1_640  # base64 of 1.2 KiB shrinks to no less
BULK = f"""
import base64, json, os
for _ in range({BULK_ROWS}):
    print(json.dumps([base64.b64encode(os.urandom(1230)).decode()]))
"""

pytestmark = pytest.mark.skipif(bool(host.missing()), reason=host.missing() or "all is here")


async def _producing(it: Lands, ledger: Path, every_s: float) -> dict[str, int]:
    """Let every agent produce; return the pids."""
    await deeds.declare(it, deeds.producer("numbers", ledger, every_s=every_s))
    return {name: await deeds.pid_of(it, name, "numbers") for name in it.agents}


async def _counted(it: Lands, record: Record, pids: dict[str, int], wait_s: float = 90.0) -> None:
    """All is healed: everyone converges, nothing was restarted, lost or doubled."""
    for name, pid in pids.items():
        await it.until(lambda name=name: it.online(name), f"{name} is back", wait_s)
        assert await deeds.pid_of(it, name, "numbers") == pid, "healthy work was restarted"
    await deeds.take_away(it, "service/numbers")
    await deeds.settled(it)
    record.calm()
    for name in pids:
        (await deeds.tally(it, record.ledger, name)).check()
        node = await it.node(name)
        assert node["alarms"] == []
        assert node["observed_generation"] == node["desired_generation"]


async def _grown(it: Lands, ledger: Path, count: int, *names: str) -> None:
    for name in names:
        before = deeds.kept(ledger, name)

        async def more(name: str = name, before: int = before) -> bool:
            return deeds.kept(ledger, name) >= before + count

        await it.until(more, f"the producer on {name} made {count} more")


async def test_drop_duplicate_reorder_delay(tmp_path: Path, record: Record) -> None:
    ledger = record.ledger
    async with lands.apart(tmp_path / "f", "oslo", "bergen", seed=31) as it:
        pids = await _producing(it, ledger, 0.01)
        for name in pids:
            for way in it.ways(name):
                way.loss, way.duplicate, way.reorder = 0.3, 0.1, 0.2
                way.delay_s, way.jitter_s = 0.05, 0.02
        await _grown(it, ledger, 300, *pids)
        for name in pids:
            for way in it.ways(name):
                assert way.dropped > 10
                way.loss = way.duplicate = way.reorder = way.delay_s = way.jitter_s = 0.0
        await _counted(it, record, pids)


async def test_full_one_way_flapping_partition(tmp_path: Path, record: Record) -> None:
    """All at once, for the sake of time: each agent has its own trouble, one has none. Long enough to be missed."""
    ledger, seed = record.ledger, 32
    async with lands.apart(tmp_path / "f", "full", "up", "down", "flaps", "calm", seed=seed) as it:
        pids = await _producing(it, ledger, 0.05)
        await deeds.declare(it, deeds.service("old", ["sleep", "600"]))
        for name in pids:
            await deeds.pid_of(it, name, "old")
        for way in (*it.ways("full"), it.ways("up")[0], it.ways("down")[1]):
            way.cut = True
        flapping = asyncio.create_task(_flap(it.ways("flaps"), random.Random(seed)))
        await deeds.declare(it, deeds.service("new", ["sleep", "600"]))
        await it.ask("DELETE", "/v1/resources/service/old")
        for name in ("full", "up", "down"):
            await it.until(lambda name=name: _is(it, name, "away"), f"{name} is missed")
        assert await it.online("calm"), "a neighbour's cut was felt"
        assert await deeds.pid_of(it, "calm", "new")
        await _grown(it, ledger, 20, *pids)  # nobody stops working
        assert await deeds.running_pid(it, "full", "old"), "something was deleted that nobody could have heard of"
        flapping.cancel()
        for name in pids:
            for way in it.ways(name):
                way.cut = False
        await _counted(it, record, pids)
        for name in pids:
            assert set((await it.node(name))["services"]) == {"new"}


async def _flap(ways: tuple[Way, Way], dice: random.Random) -> None:
    while True:
        for cut in (True, False):
            for way in ways:
                way.cut = cut
            await asyncio.sleep(dice.uniform(0.2, 4.0))  # paces the fault


async def _is(it: Lands, node: str, state: str) -> bool:
    return (await it.node(node))["state"] == state


async def test_slow_link_with_a_large_backlog(tmp_path: Path, record: Record) -> None:
    """64 kbit/s, rows that shrink little: what is new goes before history, no session breaks, nothing goes twice."""
    ledger, go, said = record.ledger, tmp_path / "go", tmp_path / "said"
    async with lands.apart(tmp_path / "f", "oslo", seed=33) as it:
        pids = await _producing(it, ledger, 1.0)
        wait = f"until [ -e {go} ]; do sleep 0.05; done"
        speak = f"python3 -c '{BULK}' | {demo.BIN}/skerry-agent emit --kind bulk && touch {said}; sleep 600"
        await deeds.declare(it, deeds.service("bulk", ["sh", "-c", f"{wait}; {speak}"]))
        await deeds.pid_of(it, "oslo", "bulk")
        up, down = it.ways("oslo")
        up.cut = down.cut = True
        go.touch()
        await it.until(lambda: _exists(said), "a backlog is made")
        await it.agents["oslo"].daemon.kill()
        lives = len(await deeds.events(it, kind="node.live", key="oslo"))
        for way in (up, down):
            way.rate_bytes_s, way.delay_s, way.cut, way.carried_bytes = SLOW_BYTES_S, 0.05, False, 0
        await it.agents["oslo"].daemon.start()
        await it.until(lambda: it.online("oslo"), "oslo is back")
        await deeds.declare(it, deeds.service("fresh", ["sleep", "600"]))
        await it.until(lambda: _runs(it, "oslo", "fresh"), "what runs now is known")
        assert await _behind(it, "oslo") > 0, "history went before what is new"
        await it.until(lambda: _all_there(it, "oslo"), "the history is at the hub", 150.0)
        assert len(await deeds.events(it, kind="node.live", key="oslo")) == lives + 1, "a session broke"
        assert up.carried_bytes < 1.5 * BULK_BYTES, f"{up.carried_bytes} bytes crossed: rows went twice"
        await _counted(it, record, pids)


async def _exists(path: Path) -> bool:
    return path.exists()


async def _runs(it: Lands, node: str, service: str) -> bool:
    return (await it.node(node))["services"].get(service, {}).get("state") == "running"


async def _behind(it: Lands, node: str) -> int:
    """How many rows the hub knows of and does not have."""
    return sum(one["last"] - one["seq"] for one in (await it.node(node))["cursors"].values())


async def _all_there(it: Lands, node: str) -> bool:
    return len(await deeds.events(it, node=node, kind="app.bulk")) == BULK_ROWS
