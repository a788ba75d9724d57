"""A region whose parent is away for long, and whose devices say more than there is room to relay (INVARIANTS A16)."""

from __future__ import annotations

import pytest

from protocol import limits
from tests.support.region_away import RegionAway


def test_a_region_loses_metrics_only_and_says_so_to_the_row_of_silent_devices_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(limits, "SEGMENT_ROWS", 16)
    away = RegionAway(96 * limits.KIB)
    away.go_by(5)
    away.region.cut()
    away.go_by(15)
    away.restart()
    away.go_by(25, speaking=1)
    assert away.lost()["relay_metrics"] > 0
    away.region.heal()
    away.tree.later(300.0)
    away.check()
