"""D: power loss, torn sectors; every SQLite file. A few hundred points, and the proof that such points find breaks.

The 4,000 points are in tests/acceptance/test_power.py.
"""

from __future__ import annotations

import pytest

from tests.support.power import breaks
from tests.support.power.cut import cut


@pytest.mark.parametrize("failing", [0, 30], ids=["a-good-disk", "a-disk-that-fails"])
async def test_power_loss_loses_nothing_acknowledged_and_leaves_every_file_whole(failing: int) -> None:
    report = await cut(seed=11, points=300, lives=2, commits=150, failing=failing)
    assert report.points == 300
    assert (report.failures > 0) == (failing > 0)
    assert not report.first


@pytest.mark.parametrize(
    ("broken", "failing", "found"),
    [
        (breaks.normal_for_full, 0, "lost"),
        (breaks.two_transactions, 0, "torn"),
        (breaks.trusted_log, 80, "lost"),
        (breaks.forgotten_opening, 0, "epoch"),
    ],
    ids=lambda one: getattr(one, "__name__", one),
)
async def test_power_cuts_find_a_broken_journal(
    monkeypatch: pytest.MonkeyPatch, broken: breaks.Break, failing: int, found: str
) -> None:
    broken(monkeypatch)
    report = await cut(seed=13, points=300, lives=2, commits=200, failing=failing)
    assert report.broken[found] > 0, report
