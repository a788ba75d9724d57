"""A real hub on trial: it asks itself over TLS, as others meet it, and says that all is well, or what is not."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec
import pytest

from hub.shell.home import Place
from hub.shell.upgrade import answering, here
from hub.shell.upgrade.here import HubPlaces
from protocol.aio.upgrade import places
from protocol.upgrade.words import Kept, Outcome, Said, Stage
from tests.contract.api.conftest import Served, made, serving

NEW = "0.2.0+deb12"
WAIT_S = 60.0


def _new(_: places.Places) -> str:
    return NEW


@pytest.fixture
def at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> HubPlaces:
    """Return where the hub in `tmp_path` finds that it is NEW, and on trial."""
    found = HubPlaces(name="skerry-hub", lib=tmp_path / "lib", state=tmp_path / "state", data=tmp_path / "hub")
    found.state.mkdir()
    places.write(found.kept, Kept(number=3, version=NEW, stage=Stage.TRIAL, confirm_s=60.0, tries=1))
    monkeypatch.setattr(here, "places", lambda: found)
    monkeypatch.setattr(places, "own_version", _new)
    return found


async def said(at: HubPlaces) -> Said:
    async with asyncio.timeout(WAIT_S):
        while (found := places.said(at)) is None:
            await asyncio.sleep(0.05)  # bounded poll
    return found


async def test_a_hub_on_trial_that_answers_says_that_all_is_well_and_tells_how_it_went(
    tmp_path: Path, at: HubPlaces
) -> None:
    async with serving(await made(tmp_path)) as it:
        assert await said(at) == Said(number=3)
        places.write(at.kept, Kept(number=3, version=NEW, outcome=Outcome.DONE))
        async with asyncio.timeout(WAIT_S):
            while NEW not in (await it.api.get("/v1/events?kind=upgrade.done")).text:
                await asyncio.sleep(0.05)  # bounded poll
    assert at.said.stat().st_mode & 0o777 == 0o600


async def test_a_hub_that_is_not_on_trial_says_nothing(tmp_path: Path, at: HubPlaces) -> None:
    home = await made(tmp_path)
    for kept in (Kept(number=3, version=NEW), Kept(number=3, version="0.9.0+deb12", stage=Stage.TRIAL)):
        places.write(at.kept, kept)
        async with serving(home):
            pass
        assert not at.said.exists()


def _places(it: Served) -> tuple[Place, Place]:
    return (
        Place(host="127.0.0.1", port=int(it.url.rpartition(":")[2])),
        Place(host="127.0.0.1", port=it.mqtt_port),
    )


async def test_what_does_not_answer_is_named(tmp_path: Path) -> None:
    async with serving(await made(tmp_path)) as it:
        api, mqtt = _places(it)

        async def fault(at_api: Place, at_mqtt: Place | None) -> str:
            return await asyncio.to_thread(answering.fault, it.home, at_api, at_mqtt)

        assert await fault(api, mqtt) == ""
        assert await fault(api, None) == ""
        server = await asyncio.start_server(lambda _, out: out.close(), "127.0.0.1", 0)
        async with server:
            shut = msgspec.structs.replace(api, port=server.sockets[0].getsockname()[1])
            assert (await fault(shut, mqtt)).startswith("its API at 127.0.0.1:")
            assert (await fault(api, shut)).startswith("its door at 127.0.0.1:")
        assert await fault(mqtt, mqtt) != "", "the door is no API"
