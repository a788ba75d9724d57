"""D: through a broker, a certificate expires and a node is revoked while the device is away: it finds out by itself
(C15, C5). The broker's TLS refuses the one and the hub never answers the other; the device asks the hub's API."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from hub.demo import broker as brokers
from hub.demo import fleet as demo
from tests.acceptance.test_clocks import LIBRARY
from tests.support import deeds
from tests.support.fleet import Fleet
from tests.support.recorded import Record

TOLD_WAIT_S = 240.0

needs_faketime = pytest.mark.skipif(not LIBRARY, reason="libfaketime is not installed (sudo apt install faketime)")
pytestmark = pytest.mark.mosquitto


def _days(days: int) -> dict[str, str]:
    return {"LD_PRELOAD": LIBRARY, "FAKETIME": f"{days:+d}d", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}


@contextlib.asynccontextmanager
async def _broker_of_another_day(it: Fleet, days: int) -> AsyncGenerator[None]:
    """Mosquitto, with the files it had, where it is `days` later."""
    folder = it.folder / "broker"
    command = [brokers.find(), "-c", str(folder / "mosquitto.conf")]
    broker = demo.Daemon("mosquitto later", command, folder / "later.log", {**it.env, **_days(days)})
    await broker.start()
    try:
        await brokers.opened(broker, it.mqtt_port)
        yield
    finally:
        await broker.stop()


@needs_faketime
@pytest.mark.parametrize("agent_days", [100, -20_000], ids=["it-knows-the-time", "it-is-in-1970"])
async def test_certificate_expired_while_away_from_a_broker_is_renewed_by_itself_and_work_goes_on(
    tmp_path: Path, record: Record, agent_days: int
) -> None:
    async with deeds.brokered(tmp_path / "f", "oslo") as (it, broker):
        await deeds.declare(it, deeds.producer("numbers", record.ledger, every_s=0.05))
        pid = await deeds.pid_of(it, "oslo", "numbers")
        before_ms = (await it.node("oslo"))["certificate_until_ms"]
        await it.agents["oslo"].daemon.stop()
        await it.hub.stop()
        await broker.stop()
        async with _broker_of_another_day(it, 100):
            await deeds.hub_again(it, env=_days(100)).start()
            await deeds.hub_answers(it)
            await deeds.again(it, "oslo", env=_days(agent_days)).start()

            async def renewed() -> bool:
                node = await it.node("oslo")
                return node["state"] == "online" and node["certificate_until_ms"] > before_ms

            await it.until(renewed, "oslo is online with a new certificate", TOLD_WAIT_S)
            assert await deeds.pid_of(it, "oslo", "numbers") == pid
            await deeds.take_away(it, "service/numbers")
            await deeds.settled(it)
            record.calm()
            assert len(await deeds.events(it, node="oslo", kind="certificate.renewed")) == 1
            (await deeds.tally(it, record.ledger, "oslo")).check()


async def test_revoked_while_away_from_a_broker_is_told_shows_it_and_stops_asking(
    tmp_path: Path, record: Record
) -> None:
    async with deeds.brokered(tmp_path / "f", "oslo", "bergen") as (it, _):
        await deeds.declare(it, deeds.service("stands", ["sleep", "600"]))
        pid = await deeds.pid_of(it, "oslo", "stands")
        agent = it.agents["oslo"]
        await agent.daemon.stop()
        await it.command("node", "revoke", "oslo", "--reason", "sold", "--yes")
        await agent.daemon.start()

        async def shown() -> bool:
            said = await deeds.at_device(it, "oslo")
            return said["link"]["state"] == "refused" and "sold" in json.dumps(said["conditions"])

        await it.until(shown, "the device shows that it was revoked, and why", TOLD_WAIT_S)
        await agent.daemon.kill()
        await agent.daemon.start()
        await it.until(shown, "it knows after a restart too")
        assert await deeds.pid_of(it, "oslo", "stands") == pid, "its work goes on"
        assert (await it.node("oslo"))["state"] == "revoked"
        assert await it.online("bergen")
