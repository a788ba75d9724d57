"""A world of real processes for each test, cleared away afterwards."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from tests.contract.shell.world import World


@pytest_asyncio.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """One life of the shell; whatever lives a test makes after it, nothing is left running."""
    first = World(tmp_path)
    yield first
    first.end_all()
