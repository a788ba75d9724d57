"""D: kill -9 at random and at every named failpoint, of agent, hub and broker: no acked loss, no double effect."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from protocol.aio import failpoints
from tests.support import deeds
from tests.support.fleet import Fleet
from tests.support.recorded import Record
from tests.tidy import house

AT_RANDOM = 6
MORE = 30
PLACES = sorted(
    {place for path in house.modules() for place in re.findall(r'failpoints\.hit\("([^"]+)"\)', path.read_text())}
)
"""As the code has them: a new one is killed at, on both sides, or a test fails because it was not reached."""


async def _more(it: Fleet, ledger: Path, node: str, count: int) -> None:
    before = deeds.kept(ledger, node)

    async def grown() -> bool:
        return deeds.kept(ledger, node) >= before + count

    await it.until(grown, f"the producer on {node} made {count} more")


async def _counted(it: Fleet, record: Record, pids: dict[str, int]) -> None:
    for name, pid in pids.items():
        await it.until(lambda name=name: it.online(name), f"{name} is back")
        assert await deeds.pid_of(it, name, "numbers") == pid, "healthy work was restarted"
    await deeds.take_away(it, "service/numbers")
    await deeds.settled(it)
    record.calm()
    for name in pids:
        (await deeds.tally(it, record.ledger, name)).check()


async def _agent_dies_at(it: Fleet, place: str, passes: int) -> None:
    await it.agents["oslo"].daemon.kill()
    doomed = deeds.again(it, "oslo", env={"SKERRY_FAILPOINT": f"{place}:{passes}"})
    await doomed.start()
    assert await doomed.ended() == -9, f"{place}:{passes} was not reached by the agent"
    await deeds.again(it, "oslo").start()


async def _hub_dies_at(it: Fleet, place: str, passes: int) -> None:
    await it.hub.kill()
    doomed = deeds.hub_again(it, env={"SKERRY_FAILPOINT": f"{place}:{passes}"})
    await doomed.start()
    assert await doomed.ended() == -9, f"{place}:{passes} was not reached by the hub"
    await deeds.hub_again(it).start()
    await deeds.hub_answers(it)


def test_every_failpoint_in_the_code_is_known() -> None:
    assert sorted(failpoints.PLACES) == PLACES


@pytest.mark.parametrize("place", PLACES)
async def test_kill_9_of_an_agent_at_every_named_failpoint(tmp_path: Path, record: Record, place: str) -> None:
    ledger = record.ledger
    async with deeds.site(tmp_path / "f", "oslo") as it:
        await deeds.declare(it, deeds.producer("numbers", ledger))
        pids = {"oslo": await deeds.pid_of(it, "oslo", "numbers")}
        for passes in (1, 40):
            await _more(it, ledger, "oslo", MORE)
            await _agent_dies_at(it, place, passes)
            await it.until(lambda: it.online("oslo"), "oslo is back")
        await _counted(it, record, pids)


@pytest.mark.parametrize("place", PLACES)
async def test_kill_9_of_the_hub_at_every_named_failpoint(tmp_path: Path, record: Record, place: str) -> None:
    ledger = record.ledger
    async with deeds.site(tmp_path / "f", "oslo") as it:
        await deeds.declare(it, deeds.producer("numbers", ledger))
        pids = {"oslo": await deeds.pid_of(it, "oslo", "numbers")}
        for passes in (1, 30):
            await _more(it, ledger, "oslo", MORE)
            await _hub_dies_at(it, place, passes)
            await it.until(lambda: it.online("oslo"), "oslo is back")
        await _counted(it, record, pids)


@pytest.mark.mosquitto
@pytest.mark.parametrize("place", PLACES)
async def test_kill_9_of_agent_and_hub_at_every_named_failpoint_behind_a_broker(
    tmp_path: Path, record: Record, place: str
) -> None:
    ledger = record.ledger
    async with deeds.brokered(tmp_path / "f", "oslo") as (it, _):
        await deeds.declare(it, deeds.producer("numbers", ledger))
        pids = {"oslo": await deeds.pid_of(it, "oslo", "numbers")}
        await _more(it, ledger, "oslo", MORE)
        await _agent_dies_at(it, place, 7)
        await _more(it, ledger, "oslo", MORE)
        await _hub_dies_at(it, place, 5)
        await _counted(it, record, pids)


async def test_kill_9_of_an_agent_at_random(tmp_path: Path, record: Record) -> None:
    ledger = record.ledger
    with deeds.dice(20) as dice:
        async with deeds.site(tmp_path / "f", "oslo", "bergen") as it:
            await deeds.declare(it, deeds.producer("numbers", ledger))
            pids = {name: await deeds.pid_of(it, name, "numbers") for name in it.agents}
            for _ in range(AT_RANDOM):
                victim = dice.choice(sorted(it.agents))
                await _more(it, ledger, victim, dice.randint(1, 60))
                await it.agents[victim].daemon.kill()
                await it.agents[victim].daemon.start()
            await _counted(it, record, pids)


async def test_kill_9_of_the_hub_at_random(tmp_path: Path, record: Record) -> None:
    ledger = record.ledger
    with deeds.dice(21) as dice:
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
            await _counted(it, record, pids)
