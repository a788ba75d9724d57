"""D: a broker killed, all its state lost; a hub that restarts behind it: Look, Hello, full resync, no loss."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from hub.demo import broker as brokers
from tests.support import deeds
from tests.support.fleet import Fleet

AT_RANDOM = 4

pytestmark = pytest.mark.mosquitto


async def _more(it: Fleet, ledger: Path, node: str, count: int = 20) -> None:
    before = deeds.kept(ledger, node)

    async def grown() -> bool:
        return deeds.kept(ledger, node) >= before + count

    await it.until(grown, f"the producer on {node} made {count} more")


async def _counted(it: Fleet, ledger: Path, pids: dict[str, int]) -> None:
    for name, pid in pids.items():
        await it.until(lambda name=name: it.online(name), f"{name} is back", 90.0)
        assert await deeds.pid_of(it, name, "numbers") == pid, "healthy work was restarted"
    await deeds.take_away(it, "service/numbers")
    await deeds.settled(it)
    for name in pids:
        (await deeds.tally(it, ledger, name)).check()
        assert (await it.node(name))["alarms"] == []


async def test_a_hub_killed_behind_its_broker_gets_all_that_it_missed(tmp_path: Path) -> None:
    ledger = tmp_path / "ledger"
    async with deeds.brokered(tmp_path / "f", "oslo", "bergen") as (it, _):
        await deeds.declare(it, deeds.producer("numbers", ledger))
        pids = {name: await deeds.pid_of(it, name, "numbers") for name in it.agents}
        for _ in range(3):
            await _more(it, ledger, "oslo")
            await it.hub.kill()
            await _more(it, ledger, "oslo")
            await it.hub.start()
            await deeds.hub_answers(it)
        await _counted(it, ledger, pids)


async def test_a_broker_killed_with_all_its_state_loses_nothing(tmp_path: Path) -> None:
    ledger = tmp_path / "ledger"
    async with deeds.brokered(tmp_path / "f", "oslo", "bergen") as (it, broker):
        await deeds.declare(it, deeds.producer("numbers", ledger))
        pids = {name: await deeds.pid_of(it, name, "numbers") for name in it.agents}
        for _ in range(3):
            await _more(it, ledger, "oslo")
            await broker.kill()
            for state in (it.folder / "broker").glob("*.db"):
                state.unlink()
            await _more(it, ledger, "bergen")
            await broker.start()
            await brokers.opened(broker, it.mqtt_port)
        await _counted(it, ledger, pids)


async def test_broker_hub_and_agents_killed_at_random_lose_nothing(tmp_path: Path) -> None:
    ledger, dice = tmp_path / "ledger", random.Random(22)
    async with deeds.brokered(tmp_path / "f", "oslo", "bergen") as (it, broker):
        await deeds.declare(it, deeds.producer("numbers", ledger))
        pids = {name: await deeds.pid_of(it, name, "numbers") for name in it.agents}
        for _ in range(AT_RANDOM):
            victims = dice.sample([it.hub, broker, *(one.daemon for one in it.agents.values())], k=2)
            await _more(it, ledger, "oslo", dice.randint(1, 30))
            for victim in victims:
                await victim.kill()
            for victim in victims:
                await victim.start()
        await deeds.hub_answers(it)
        await _counted(it, ledger, pids)
