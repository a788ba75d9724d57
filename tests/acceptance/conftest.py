"""Every scenario that asks for `record` is recorded, and its history judged by the checkers of the simulator."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from tests.support.recorded import Record, recorded

_HERE = Path(__file__).parent
_LONG = ("test_month_away.py", "test_power.py", "test_zombies.py", "test_papers.py", "test_clocks.py", "test_links.py")
"""Longest first: nobody waits at the end for one that began last."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes long."""
    items.sort(key=lambda one: _LONG.index(one.path.name) if _is_long(one.path) else len(_LONG))


def _is_long(path: Path) -> bool:
    return path.parent == _HERE and path.name in _LONG


@pytest.fixture
async def record(tmp_path: Path) -> AsyncGenerator[Record]:
    """What daemons do from here on; judged when the test, and its fleet, are over. Raises tests.checkers.Broken."""
    async with recorded(tmp_path) as made:
        yield made
