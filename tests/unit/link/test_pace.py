"""How much is under way: what the link carries in a few seconds, whatever link it is."""

from __future__ import annotations

from collections import deque

import pytest

from protocol import effects, limits, messages
from protocol.effects import Effects
from protocol.link import cursor
from protocol.link.flow.pace import Pace
from tests.unit.link.test_child import EPOCH, T0, after, begin, child, nonce, welcome


def _drain(pace: Pace, total: int, bytes_s: float, trip_s: float = 0.0) -> tuple[float, float]:
    """Send `total` bytes through one queue of so many bytes a second; return how long it took, and how long, at most,
    a status at the end of the queue waited once the pace was found."""
    now = free_at = worst = 0.0
    sent = acked = 0
    coming: deque[tuple[float, int]] = deque()
    while acked < total:
        while sent < total and (room := pace.room()):
            size = min(room, total - sent, 307 * limits.KIB)
            sent += size
            free_at = max(now, free_at) + size / bytes_s
            pace.sent("state", sent, size, now)
            coming.append((free_at + trip_s, sent))
            if acked > total // 2:
                worst = max(worst, free_at - now)
        now, acked = coming.popleft()
        pace.acked("state", acked, now)
    return now, worst


@pytest.mark.parametrize("bytes_s", [2_000.0, 8_000.0, 30_000.0, 1e6])
def test_a_link_of_any_speed_is_kept_busy_and_what_is_new_does_not_wait_long(bytes_s: float) -> None:
    total = int(bytes_s * 120)
    took, waits = _drain(Pace(), total, bytes_s)
    assert took < 1.2 * 120
    assert waits <= 2 * limits.PACE_SLOW_S


def test_a_fast_link_reaches_the_most_within_a_few_acks() -> None:
    pace = Pace()
    took, _ = _drain(pace, 64 * limits.MIB, 100e6, trip_s=0.01)
    assert pace.bytes == limits.PACE_BYTES_MAX
    assert took < 1.2 * 64 * limits.MIB / 100e6


def test_a_pace_has_a_least_and_a_session_begins_with_no_more_than_the_first() -> None:
    pace = Pace()
    for _ in range(20):
        pace.slower(1.0)
    assert pace.bytes == limits.PACE_BYTES_MIN
    pace.begin()
    assert pace.bytes == limits.PACE_BYTES_MIN, "the same link, most likely"
    pace.bytes = limits.PACE_BYTES_MAX
    pace.begin()
    assert pace.bytes == limits.PACE_BYTES_START, "another link, perhaps"


def test_what_is_sent_again_is_not_counted_twice() -> None:
    pace = Pace()
    pace.sent("state", 10, limits.PACE_BYTES_START, 0.0)
    assert pace.room() == 0
    pace.forget("state")
    assert pace.room() == limits.PACE_BYTES_START
    pace.acked("state", 10, 9.0)
    assert pace.bytes == limits.PACE_BYTES_START, "it tells nothing of what goes now"


def test_a_child_sends_a_large_backlog_at_the_links_pace() -> None:
    one = child()
    fx = begin(one)
    one.opened(one.session, T0, Effects())
    big = {"state": messages.Cursor(epoch=EPOCH, seq=0, credit=limits.CREDIT_ROWS["state"])}
    one.append("state", [("k", "", b'"%s"' % (b"x" * 1_000))] * 1_000, T0, Effects())
    one.got(welcome(one.session, nonce(fx), cursors=big), T0, fx := Effects())
    first = [send for send in fx.send if isinstance(send, effects.SendRows)]
    assert 48 <= first[-1].upto <= 64, "about PACE_BYTES_START"

    tip = cursor.genesis("n", EPOCH, "state").hex()
    ack = messages.EntriesAck(
        incarnation="life", session=one.session, stream="state", epoch=EPOCH, seq=first[-1].upto, hash=tip, credit=8_000
    )
    one.got(ack, after(0.1), fx := Effects())
    more = [send for send in fx.send if isinstance(send, effects.SendRows)]
    assert more[0].after == first[-1].upto
    assert more[-1].upto - more[0].after > 1.8 * first[-1].upto, "it was quick: twice as much"
