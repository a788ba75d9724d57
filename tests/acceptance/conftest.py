"""Every scenario that asks for `record` is recorded, and its history judged by the checkers of the simulator."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from tests.support.recorded import Record, recorded


@pytest.fixture
async def record(tmp_path: Path) -> AsyncGenerator[Record]:
    """What daemons do from here on; judged when the test, and its fleet, are over. Raises tests.checkers.Broken."""
    async with recorded(tmp_path) as made:
        yield made
