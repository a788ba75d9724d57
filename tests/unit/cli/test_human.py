"""Times and counts in the words of people."""

import pytest

from hub.cli.view import human, words

NOW_MS = 1_700_000_000_000  # 14 Nov 2023 22:13:20 UTC
DAY_MS = 86_400_000


@pytest.fixture(autouse=True)
def _utc(monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    monkeypatch.setenv("TZ", "UTC")
    time.tzset()


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-1, "0 s"),
        (0.02, "0.02 s"),
        (41, "41 s"),
        (61, "1 m 1 s"),
        (3_600, "1 h"),
        (11_520, "3 h 12 m"),
        (14 * 3_600 + 600, "14 h"),
        (6 * 86_400, "6 d"),
        (90_000, "1 d 1 h"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    assert human.duration(seconds) == text


def test_a_time_says_as_much_as_is_needed() -> None:
    assert human.clock(NOW_MS, NOW_MS) == "22:13:20"
    assert human.clock(NOW_MS - 3 * 3_600_000, NOW_MS) == "19:13"
    assert human.clock(NOW_MS - 2 * DAY_MS, NOW_MS) == "12 Nov 22:13"
    assert human.clock(NOW_MS - 400 * DAY_MS, NOW_MS) == "10 Oct 2022 22:13"
    assert human.clock(0, NOW_MS) == "never"


def test_ages() -> None:
    assert human.age(NOW_MS - 3_000, NOW_MS) == "3 s"
    assert human.age(NOW_MS - 65_000, NOW_MS) == "1 m 5 s"
    assert human.age(NOW_MS + 9_000, NOW_MS) == "0 s"
    assert human.age(0, NOW_MS) == "–"


def test_counts() -> None:
    assert (human.number(18_240), human.number(1_234_567)) == ("18,240", "1.2 M")
    assert (human.plural(1, "node"), human.plural(3, "node")) == ("1 node", "3 nodes")


def test_exact_times_for_programs_and_lists() -> None:
    assert human.iso(NOW_MS) == "2023-11-14T22:13:20.000+00:00"
    assert human.iso(0) is None
    assert human.stamp(NOW_MS) == "2023-11-14 22:13:20.000"
    assert human.stamp(None) == "–"


def test_a_hubs_sentence_with_exact_times_becomes_readable() -> None:
    text = f"x is away (since_ms {NOW_MS}, last heard {NOW_MS - DAY_MS})"
    assert human.times(text, NOW_MS) == "x is away (since 22:13:20, last heard 13 Nov 22:13)"


@pytest.mark.parametrize("ms", [10**30, -(10**30), 2**53 - 1])
def test_whatever_moment_a_device_claims_its_line_is_shown(ms: int) -> None:
    now_ms = 1_700_000_000_000
    assert human.clock(ms, now_ms)
    assert human.stamp(ms)
    assert human.iso(ms)
    assert human.age(ms, now_ms)


def test_a_clock_is_off_in_units_that_can_be_read() -> None:
    assert words.clock_off(-12) == "-12 ms off"
    assert words.clock_off(14_399_980) == "3 h 59 m ahead of this hub's"
    assert words.clock_off(-2_000) == "2 s behind this hub's"
