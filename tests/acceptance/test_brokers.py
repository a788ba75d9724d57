"""D: a broker killed, all its state lost; a hub that restarts behind it: Look, Hello, full resync, no loss."""

from __future__ import annotations

from pathlib import Path

import pytest

from hub.demo import broker as brokers
from hub.demo import fleet as demo
from tests.support import deeds
from tests.support.fleet import Fleet
from tests.support.recorded import Record

AT_RANDOM = 4
AUTOSAVE = "persistence true\npersistence_location {folder}/\n"

pytestmark = pytest.mark.mosquitto


async def _more(it: Fleet, ledger: Path, node: str, count: int = 20) -> None:
    before = deeds.kept(ledger, node)

    async def grown() -> bool:
        return deeds.kept(ledger, node) >= before + count

    await it.until(grown, f"the producer on {node} made {count} more")


async def _counted(it: Fleet, record: Record, pids: dict[str, int]) -> None:
    for name, pid in pids.items():
        await it.until(lambda name=name: it.online(name), f"{name} is back", 90.0)
        assert await deeds.pid_of(it, name, "numbers") == pid, "healthy work was restarted"
    await deeds.take_away(it, "service/numbers")
    await deeds.settled(it)
    record.calm()
    for name in pids:
        (await deeds.tally(it, record.ledger, name)).check()
        assert (await it.node(name))["alarms"] == []


async def test_hub_restarts_behind_its_broker(tmp_path: Path, record: Record) -> None:
    ledger = record.ledger
    async with deeds.brokered(tmp_path / "f", "oslo", "bergen") as (it, _):
        await deeds.declare(it, deeds.producer("numbers", ledger))
        pids = {name: await deeds.pid_of(it, name, "numbers") for name in it.agents}
        for _ in range(3):
            await _more(it, ledger, "oslo")
            await it.hub.kill()
            await _more(it, ledger, "oslo")
            await it.hub.start()
            await deeds.hub_answers(it)
        await _counted(it, record, pids)


@pytest.mark.parametrize("conf", ["", AUTOSAVE], ids=["nothing kept", "default autosave"])
async def test_broker_killed_all_its_state_lost(tmp_path: Path, record: Record, conf: str) -> None:
    """As we ship it, it keeps nothing; with its default autosave it would write what it has every half hour."""
    ledger = record.ledger
    async with deeds.brokered(tmp_path / "f", "oslo", "bergen", conf=conf.format(folder=tmp_path)) as (it, broker):
        await _again(it, broker)
        await deeds.declare(it, deeds.producer("numbers", ledger))
        pids = {name: await deeds.pid_of(it, name, "numbers") for name in it.agents}
        for _ in range(2):
            await _more(it, ledger, "oslo")
            await broker.kill()
            await _more(it, ledger, "bergen")
            await broker.start()
            await brokers.opened(broker, it.mqtt_port)
        assert not list(tmp_path.glob("*.db")), "it saved what it had, which a power cut would not let it"
        await _counted(it, record, pids)


async def _again(it: Fleet, broker: demo.Daemon) -> None:
    """Let the broker begin a life with the configuration that it has now."""
    await broker.kill()
    await broker.start()
    await brokers.opened(broker, it.mqtt_port)


async def test_kill_9_of_broker_hub_and_agents_at_random(tmp_path: Path, record: Record) -> None:
    ledger = record.ledger
    with deeds.dice(22) as dice:
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
            await _counted(it, record, pids)
