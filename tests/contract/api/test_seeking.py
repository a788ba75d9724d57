"""What a region keeps of a look for its parent: where that proved to be, beside what it learned meanwhile."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec
import pytest

from hub.shell.finding import seeking
from hub.shell.home import Home, Parent, Place
from tests.contract.api.conftest import Served
from tests.contract.api.test_regions import below

NOBODY = "127.0.0.3"
HERE = "127.0.0.1"


def write(home: Home, parent: Parent) -> Parent:
    home.file.write_bytes(msgspec.json.encode(msgspec.structs.replace(home.load(), parent=parent)))
    return parent


@pytest.fixture
async def home(hub: Served, tmp_path: Path) -> Home:
    """A region whose parent is not where hub.json says, but where its certificate said that it may be."""
    made = await below(hub, tmp_path / "eu", "eu")
    known = made.load().parent
    assert known is not None
    mqtt = msgspec.structs.replace(known.mqtt, host=NOBODY, port=hub.mqtt_port)
    api = Place(host=NOBODY, port=int(hub.url.rpartition(":")[2]))
    write(made, msgspec.structs.replace(known, mqtt=mqtt, api=api, names=[HERE]))
    return made


async def test_what_was_learned_during_a_look_is_kept(home: Home) -> None:
    before = home.load().parent
    assert before is not None
    looking = asyncio.create_task(seeking.seek(home, before))
    await asyncio.sleep(0)  # it looks now
    seeking.note_names(home, before, [HERE, "cloud.example"])
    found, sought = await looking
    assert found is not None
    assert (found.mqtt.host, found.api.host, found.names) == (HERE, HERE, [HERE, "cloud.example"])
    assert (home.load().parent, sought.place) == (found, f"{HERE}:{before.mqtt.port}")


async def test_who_was_given_another_parent_meanwhile_keeps_that(home: Home) -> None:
    before = home.load().parent
    assert before is not None
    looking = asyncio.create_task(seeking.seek(home, before))
    await asyncio.sleep(0)  # it looks now
    other = write(home, msgspec.structs.replace(before, id="other"))
    found, sought = await looking
    assert (found, home.load().parent, sought.place) == (None, other, "")
    assert "does not name cloud as the hub above any more" in sought.reason


async def test_a_look_that_finds_nobody_changes_nothing(home: Home) -> None:
    before = home.load().parent
    assert before is not None
    nowhere = write(home, msgspec.structs.replace(before, names=[]))
    found, sought = await seeking.seek(home, nowhere)
    assert (found, sought.place, home.load().parent) == (None, "", nowhere)
