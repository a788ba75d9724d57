"""D: kill -9 at random and at every named failpoint, of the agent and of the hub: no acked loss, no double effect."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from protocol.aio import failpoints
from tests.support import deeds
from tests.support.fleet import Fleet

AT_RANDOM = 6
MORE = 30


async def _more(it: Fleet, ledger: Path, node: str, count: int) -> None:
    before = deeds.kept(ledger, node)

    async def grown() -> bool:
        return deeds.kept(ledger, node) >= before + count

    await it.until(grown, f"the producer on {node} made {count} more")


async def _counted(it: Fleet, ledger: Path, *names: str) -> None:
    await deeds.take_away(it, "service/numbers")
    await deeds.settled(it)
    for name in names:
        (await deeds.tally(it, ledger, name)).check()


@pytest.mark.parametrize("place", failpoints.PLACES)
async def test_kill_9_of_an_agent_at_a_named_place_loses_and_doubles_nothing(tmp_path: Path, place: str) -> None:
    ledger = tmp_path / "ledger"
    async with deeds.site(tmp_path / "f", "oslo") as it:
        await deeds.declare(it, deeds.producer("numbers", ledger))
        pid = await deeds.pid_of(it, "oslo", "numbers")
        for passes in (1, 7, 40):
            await _more(it, ledger, "oslo", MORE)
            await it.agents["oslo"].daemon.kill()
            doomed = deeds.again(it, "oslo", env={"SKERRY_FAILPOINT": f"{place}:{passes}"})
            await doomed.start()
            assert await doomed.ended() == -9, f"{place}:{passes} was not reached"
            await deeds.again(it, "oslo").start()
            await it.until(lambda: it.online("oslo"), "oslo is back")
        assert await deeds.pid_of(it, "oslo", "numbers") == pid
        await _counted(it, ledger, "oslo")


async def test_kill_9_of_an_agent_at_random_loses_and_doubles_nothing(tmp_path: Path) -> None:
    ledger, dice = tmp_path / "ledger", random.Random(20)
    async with deeds.site(tmp_path / "f", "oslo", "bergen") as it:
        await deeds.declare(it, deeds.producer("numbers", ledger))
        pids = {name: await deeds.pid_of(it, name, "numbers") for name in it.agents}
        for _ in range(AT_RANDOM):
            victim = dice.choice(sorted(it.agents))
            await _more(it, ledger, victim, dice.randint(1, 60))
            await it.agents[victim].daemon.kill()
            await it.agents[victim].daemon.start()
        for name, pid in pids.items():
            await it.until(lambda name=name: it.online(name), f"{name} is back")
            assert await deeds.pid_of(it, name, "numbers") == pid
        await _counted(it, ledger, *it.agents)


@pytest.mark.parametrize("place", failpoints.PLACES)
async def test_kill_9_of_the_hub_at_a_named_place_loses_and_doubles_nothing(tmp_path: Path, place: str) -> None:
    ledger = tmp_path / "ledger"
    async with deeds.site(tmp_path / "f", "oslo") as it:
        await deeds.declare(it, deeds.producer("numbers", ledger))
        pid = await deeds.pid_of(it, "oslo", "numbers")
        for passes in (1, 5, 30):
            await _more(it, ledger, "oslo", MORE)
            await it.hub.kill()
            doomed = deeds.hub_again(it, env={"SKERRY_FAILPOINT": f"{place}:{passes}"})
            await doomed.start()
            assert await doomed.ended() == -9, f"{place}:{passes} was not reached"
            await deeds.hub_again(it).start()
            await deeds.hub_answers(it)
            await it.until(lambda: it.online("oslo"), "oslo is back")
        assert await deeds.pid_of(it, "oslo", "numbers") == pid, "healthy work was restarted"
        await _counted(it, ledger, "oslo")


async def test_kill_9_of_the_hub_at_random_loses_doubles_and_restarts_nothing(tmp_path: Path) -> None:
    ledger, dice = tmp_path / "ledger", random.Random(21)
    async with deeds.site(tmp_path / "f", "oslo", "bergen") as it:
        await deeds.declare(it, deeds.producer("numbers", ledger))
        pids = {name: await deeds.pid_of(it, name, "numbers") for name in it.agents}
        for _ in range(AT_RANDOM):
            await _more(it, ledger, "oslo", dice.randint(1, 60))
            await it.hub.kill()
            await it.hub.start()
            await deeds.hub_answers(it)
            if dice.random() < 0.5:
                await it.until(lambda: it.online("bergen"), "bergen is back")
        for name, pid in pids.items():
            await it.until(lambda name=name: it.online(name), f"{name} is back")
            assert await deeds.pid_of(it, name, "numbers") == pid, "healthy work was restarted"
        await _counted(it, ledger, *it.agents)
