"""D: a certificate that expired while away recovers by itself (C15); clocks 400 days off change no order (A15)."""

from __future__ import annotations

import asyncio
import glob
from pathlib import Path

import msgspec
import pytest

from edge_agent.shell import identity
from edge_agent.shell.papers import own
from protocol import messages
from protocol.aio.mqtt import MqttLink
from tests.support import deeds
from tests.support.fleet import Fleet
from tests.support.recorded import Record

LIBRARY = next(iter(glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1")), "")
DAY_MS = 86_400_000
WAIT_S = 15.0
JUMPS = (
    *(("agent", 400), ("hub", 400), ("agent", -400), ("hub", -400)),
    *(("agent", -20_000), ("agent", 0)),
)

pytestmark = pytest.mark.skipif(not LIBRARY, reason="libfaketime is not installed here (sudo apt install faketime)")


def _days(days: int) -> dict[str, str]:
    """Words for the environment of a process whose wall clock is `days` off, and whose other clocks are right."""
    return {"LD_PRELOAD": LIBRARY, "FAKETIME": f"{days:+d}d", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}


async def _lets_go(it: Fleet) -> int:
    """Stop the hub and the agent; return until when the certificate was good."""
    until_ms = (await it.node("oslo"))["certificate_until_ms"]
    await it.agents["oslo"].daemon.stop()
    await it.hub.stop()
    return until_ms


async def _renewed(it: Fleet, before_ms: int) -> None:
    async def longer() -> bool:
        node = await it.node("oslo")
        return node["state"] == "online" and node["certificate_until_ms"] > before_ms

    await it.until(longer, "oslo is online with a new certificate")


@pytest.mark.parametrize("agent_days", [100, 0, -20_000], ids=["both-know-the-time", "agent-slow", "agent-in-1970"])
async def test_certificate_expired_while_away_is_renewed_by_itself_and_work_goes_on(
    tmp_path: Path, record: Record, agent_days: int
) -> None:
    ledger = record.ledger
    async with deeds.site(tmp_path / "f", "oslo") as it:
        await deeds.declare(it, deeds.producer("numbers", ledger, every_s=0.01))
        pid = await deeds.pid_of(it, "oslo", "numbers")
        before_ms = await _lets_go(it)
        await deeds.hub_again(it, env=_days(100)).start()
        await deeds.hub_answers(it)
        await deeds.again(it, "oslo", env=_days(agent_days)).start()
        await _renewed(it, before_ms)
        assert await deeds.pid_of(it, "oslo", "numbers") == pid
        assert (await it.node("oslo"))["alarms"] == []
        await deeds.take_away(it, "service/numbers")
        await deeds.settled(it)
        record.calm()
        assert len(await deeds.events(it, node="oslo", kind="certificate.renewed")) == 1
        (await deeds.tally(it, ledger, "oslo")).check()


async def test_a_certificate_is_renewed_before_it_expires(tmp_path: Path) -> None:
    """Not recorded: there is no work to judge."""
    async with deeds.site(tmp_path / "f", "oslo") as it:
        before_ms = await _lets_go(it)
        await deeds.hub_again(it, env=_days(75)).start()
        await deeds.hub_answers(it)
        await deeds.again(it, "oslo", env=_days(75)).start()
        await _renewed(it, before_ms)
        assert (await it.node("oslo"))["certificate_until_ms"] > before_ms + 70 * DAY_MS


async def test_with_an_expired_certificate_nothing_but_renewal_is_served(tmp_path: Path) -> None:
    """Not recorded: this test speaks for the device, and writes no trace."""
    async with deeds.site(tmp_path / "f", "oslo") as it:
        await deeds.settled(it)
        await _lets_go(it)
        await deeds.hub_again(it, env=_days(100)).start()
        await deeds.hub_answers(it)
        before = await it.node("oslo")
        data = it.agents["oslo"].data
        heard: asyncio.Queue[messages.AnyMessage | int | str] = asyncio.Queue()
        file = identity.load(data)
        link = MqttLink(
            node="oslo",
            parent=file.parent,
            host=file.mqtt.host,
            port=file.mqtt.port,
            context=lambda: identity.link_context(data, file),
            opened=heard.put_nowait,
            closed=lambda session, reason: heard.put_nowait(f"closed {session} {reason}"),
            got=heard.put_nowait,
        )
        link.connect(1_000, "ab" * 16)
        async with asyncio.timeout(WAIT_S):
            assert await heard.get() == 1_000
            link.send("cloud", messages.Hello(session=1_000, nonce="ab" * 16, node="oslo", version="0"))
            welcome = await heard.get()
            assert isinstance(welcome, messages.Welcome)
            assert welcome.renew_only
            body = msgspec.Raw(b'{"services":{"forged":{"state":"running"}}}')
            held = messages.Held()
            link.send(
                "cloud", messages.Status(session=1_000, count=1, held=held, heads={"state": 9}, time_ms=1, body=body)
            )
            link.send("cloud", messages.Need(session=1_000, manifest=True))
            row = msgspec.Raw(b'[1,1,"forged","",{}]')
            link.send("cloud", messages.Entries(session=1_000, stream="state", epoch="ab" * 8, prev=0, rows=[row]))
            link.send("cloud", messages.Renew(session=1_000, csr=own.make_csr(data, "oslo")))
            renewed = await heard.get()
            assert isinstance(renewed, messages.Renewed)
            assert "BEGIN CERTIFICATE" in renewed.certificate
        after = await it.node("oslo")
        assert "forged" not in after["services"]
        assert after["cursors"] == before["cursors"]
        assert await deeds.events(it, kind="forged") == []
        await link.close()


def _jumping(file: Path) -> dict[str, str]:
    """Words for the environment of a process whose wall clock jumps when `file` is written."""
    file.write_text("+0d\n")
    by_file = {"FAKETIME_TIMESTAMP_FILE": str(file), "FAKETIME_NO_CACHE": "1"}
    return {"LD_PRELOAD": LIBRARY, "FAKETIME_DONT_FAKE_MONOTONIC": "1", **by_file}


async def test_wall_clock_400_days_jumping_no_rtc(tmp_path: Path, record: Record) -> None:
    """The clocks of a device and of its hub jump while both run; after each jump they must find each other anew."""
    ledger, at_agent, at_hub = record.ledger, tmp_path / "at-agent", tmp_path / "at-hub"
    async with deeds.site(tmp_path / "f", "oslo", wire=True) as it:
        await deeds.declare(it, deeds.producer("numbers", ledger, every_s=0.01))
        pid = await deeds.pid_of(it, "oslo", "numbers")
        await _lets_go(it)
        await deeds.hub_again(it, env=_jumping(at_hub)).start()
        await deeds.again(it, "oslo", env=_jumping(at_agent)).start()
        await deeds.hub_answers(it)
        for clock, days in JUMPS:
            lives = len(await deeds.events(it, kind="node.live", key="oslo"))
            clocks = {"agent": at_agent, "hub": at_hub}
            clocks[clock].write_text(f"{days:+d}d\n")
            made = deeds.kept(ledger, "oslo")
            it.agents["oslo"].wire.cut()
            it.agents["oslo"].wire.heal()

            async def again(lives: int = lives, made: int = made) -> bool:
                heard = len(await deeds.events(it, kind="node.live", key="oslo")) > lives
                return heard and deeds.kept(ledger, "oslo") >= made + 20 and await it.online("oslo")

            await it.until(again, f"all goes on with the {clock} {days} days off")
        assert await deeds.pid_of(it, "oslo", "numbers") == pid
        node = await it.node("oslo")
        assert node["alarms"] == []
        await deeds.take_away(it, "service/numbers")
        await deeds.settled(it)
        record.calm()
        (await deeds.tally(it, ledger, "oslo")).check()
        numbers = [one["body"]["n"] for one in await deeds.events(it, node="oslo", kind="app.number")]
        assert numbers == sorted(numbers), "the order is the journal's, not the clock's"


@pytest.mark.parametrize("days", [-400, 400])
async def test_wall_clock_400_days_off_loses_nothing_and_keeps_its_order(
    tmp_path: Path, record: Record, days: int
) -> None:
    ledger = record.ledger
    async with deeds.site(tmp_path / "f", "oslo") as it:
        await deeds.declare(it, deeds.producer("numbers", ledger))
        pid = await deeds.pid_of(it, "oslo", "numbers")
        for off in (days, 0):
            made = deeds.kept(ledger, "oslo")
            await it.agents["oslo"].daemon.kill()
            await deeds.again(it, "oslo", env=_days(off)).start()
            await it.until(lambda: it.online("oslo"), "oslo is back")

            async def grown(made: int = made) -> bool:
                return deeds.kept(ledger, "oslo") >= made + 20

            await it.until(grown, "it goes on")
        assert await deeds.pid_of(it, "oslo", "numbers") == pid
        await deeds.take_away(it, "service/numbers")
        await deeds.settled(it)
        record.calm()
        (await deeds.tally(it, ledger, "oslo")).check()
        numbers = [one["body"]["n"] for one in await deeds.events(it, node="oslo", kind="app.number")]
        assert numbers == sorted(numbers), "the order is the journal's, not the clock's"
