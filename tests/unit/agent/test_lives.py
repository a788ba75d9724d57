"""How long a decision holds, as a person says it."""

from __future__ import annotations

import datetime

import pytest
import typer

from edge_agent.cli.person import lives

NOON = datetime.datetime(2026, 11, 22, 12, 0).astimezone()
NOW = int(NOON.timestamp() * 1000)
HOUR_MS = 3_600_000


def test_a_span_begins_now_and_a_clock_s_time_is_the_next_one() -> None:
    assert lives.of("", "", NOW) == {}
    assert lives.of("90m", "", NOW) == {"until_ms": NOW + 3 * HOUR_MS // 2}
    assert lives.of("1h30m", "", NOW) == lives.of("90m", "", NOW)
    assert lives.of("", "14:30", NOW) == {"until_ms": NOW + 5 * HOUR_MS // 2}
    assert lives.of("", "12:00", NOW) == {"until_ms": NOW + 24 * HOUR_MS}
    assert lives.of("", "2026-11-22 13:00", NOW) == {"until_ms": NOW + HOUR_MS}
    assert lives.of("", "released", NOW) == {"until_ms": 0}


@pytest.mark.parametrize(
    ("life", "until", "said"),
    [
        ("2h", "14:30", "give one"),
        ("2", "", "write 30m, 2h or 1d"),
        ("xh", "", "write 30m, 2h or 1d"),
        ("1e99d", "", "write 30m, 2h or 1d"),
        ("0s", "", "write 30m, 2h or 1d"),
        ("999999d", "", "write 30m, 2h or 1d"),
        ("", "noon", "write 14:30"),
        ("", "25:00", "write 14:30"),
        ("", "2026-13-01 00:00", "write 14:30"),
    ],
)
def test_what_is_no_time_is_said_to_be_none(life: str, until: str, said: str) -> None:
    with pytest.raises(typer.BadParameter, match=said):
        lives.of(life, until, NOW)
