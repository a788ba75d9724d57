"""Every test of this folder that takes `world` runs over both transports."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.contract import world as worlds

TRANSPORTS = ["embedded", pytest.param("external", marks=pytest.mark.mosquitto)]


@pytest.fixture(params=TRANSPORTS)
async def world(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[worlds.World]:
    make = worlds.embedded if request.param == "embedded" else worlds.external
    async with make(tmp_path) as made:
        yield made


@pytest.fixture
async def door(tmp_path: Path) -> AsyncIterator[worlds.World]:
    async with worlds.embedded(tmp_path) as made:
        yield made


@pytest.fixture
async def brokered(tmp_path: Path) -> AsyncIterator[worlds.World]:
    async with worlds.external(tmp_path) as made:
        yield made
