"""D: power loss, torn sectors; every SQLite file: 0 acked rows lost, integrity ok.

Of a store alone at many points (tests/support/power), and of a device and of a hub on a disk of their own, of which
only what was fsynced is left (tests/support/loopfs.py). Producers write down elsewhere what they were told.
"""

from __future__ import annotations

import contextlib
import random
from pathlib import Path

import pytest

from protocol.aio.journal import read_only
from tests.support import deeds
from tests.support.fleet import Fleet
from tests.support.loopfs import LoopDisk, loop_disk
from tests.support.power.cut import cut
from tests.support.recorded import recorded

POINTS = 2_000  # of each
ROUNDS = 4


@pytest.mark.parametrize(("seed", "failing"), [(1, 0), (2, 20)], ids=["a-good-disk", "a-disk-that-fails"])
async def test_power_loss_loses_nothing_acknowledged_and_leaves_every_file_whole(seed: int, failing: int) -> None:
    """Not recorded: a store alone, which is judged at each point (tests.support.power.verdict)."""
    report = await cut(seed=seed, points=POINTS, lives=8, commits=200, failing=failing)
    assert report.points == POINTS
    assert not report.first


async def _more(it: Fleet, ledger: Path, count: int) -> None:
    before = deeds.kept(ledger, "oslo")

    async def grown() -> bool:
        return deeds.kept(ledger, "oslo") >= before + count

    await it.until(grown, f"the producer on oslo made {count} more")


async def test_power_loss_of_a_device_loses_nothing_that_its_workloads_were_told_is_kept(tmp_path: Path) -> None:
    dice = random.Random(30)
    with loop_disk(tmp_path / "f" / "oslo", tmp_path / "image") as disk:
        async with recorded(tmp_path) as record, deeds.site(tmp_path / "f", "oslo") as it:
            ledger = record.ledger
            await deeds.declare(it, deeds.producer("numbers", ledger))
            for _ in range(ROUNDS):
                await deeds.pid_of(it, "oslo", "numbers")
                await _more(it, ledger, dice.randint(1, 150))
                await deeds.power_cut(it, "oslo", disk.lose_power)
                record.fault("power", "oslo")
                disk.mend()
                await deeds.again(it, "oslo", prefix=deeds.reboot_prefix(tmp_path)).start()
            await it.until(lambda: it.online("oslo"), "oslo is back")
            await deeds.pid_of(it, "oslo", "numbers")
            await _more(it, ledger, 20)
            node = await it.node("oslo")
            assert not {one["what"] for one in node["alarms"]} & {"clone-seen", "child-restored", "fork"}
            await deeds.take_away(it, "service/numbers")
            await deeds.settled(it)
            record.calm()
            (await deeds.tally(it, ledger, "oslo")).check()


async def _hub_loses_power(it: Fleet, disk: LoopDisk) -> None:
    await deeds.stand_still(it.hub.pid)
    disk.lose_power()
    await it.hub.kill()
    disk.mend()


def _stored(database: Path, node: str) -> dict[str, int]:
    """The last seq of each stream of `node` that the hub's store has."""
    query = (
        "SELECT stream, max(seq) FROM entry JOIN channel ON channel.id = entry.channel WHERE node = ? GROUP BY stream"
    )
    with contextlib.closing(read_only(database)) as db:
        return dict(db.execute(query, (node,)))


async def test_power_loss_of_the_hub_loses_nothing_that_it_acknowledged(tmp_path: Path) -> None:
    dice = random.Random(31)
    with loop_disk(tmp_path / "f" / "hub", tmp_path / "image") as disk:
        async with recorded(tmp_path) as record, deeds.site(tmp_path / "f", "oslo") as it:
            ledger = record.ledger
            await deeds.declare(it, deeds.producer("numbers", ledger))
            pid = await deeds.pid_of(it, "oslo", "numbers")
            for _ in range(ROUNDS):
                await _more(it, ledger, dice.randint(20, 150))
                await _hub_loses_power(it, disk)
                record.fault("power", "cloud")
                acked = {name: one["acked"] for name, one in (await deeds.at_device(it, "oslo"))["backlog"].items()}
                found = _stored(disk.place / "hub.db", "oslo")
                lost = {name for name, seq in acked.items() if seq > found.get(name, 0)}
                assert not lost, f"acknowledged {acked}, stored {found}"
                await it.hub.start()
                await deeds.hub_answers(it)
                await it.until(lambda: it.online("oslo"), "oslo is back")
            assert (await it.node("oslo"))["alarms"] == []
            assert await deeds.pid_of(it, "oslo", "numbers") == pid, "healthy work was restarted"
            await deeds.take_away(it, "service/numbers")
            await deeds.settled(it)
            record.calm()
            (await deeds.tally(it, ledger, "oslo")).check()
