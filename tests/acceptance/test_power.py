"""D: power loss, torn sectors; every SQLite file: 0 acked rows lost, integrity ok. See tests/support/power."""

from __future__ import annotations

import pytest

from tests.support.power.cut import cut

POINTS = 2_000  # of each


@pytest.mark.parametrize(("seed", "failing"), [(1, 0), (2, 20)], ids=["a-good-disk", "a-disk-that-fails"])
async def test_power_loss_loses_nothing_acknowledged_and_leaves_every_file_whole(seed: int, failing: int) -> None:
    report = await cut(seed=seed, points=POINTS, lives=8, commits=200, failing=failing)
    assert report.points == POINTS
    assert not report.first
