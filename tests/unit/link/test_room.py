"""What rows cost a file, held against real files of SQLite; and who gives way when several share one."""

from __future__ import annotations

import random
import sqlite3

import pytest

from protocol import effects, limits, messages
from protocol.effects import Effects, Now
from protocol.link.own_stream import OwnStream
from protocol.link.relay import runs
from protocol.link.room import pool
from protocol.link.room.pages import HASH_BYTES, ROW_BYTES, Pages
from protocol.snapshot import Snapshot, StreamState
from tests.support.link_world import FakeSigner

NOW = Now(1.0, 1_700_000_000.0)
PAGE = 4_096


def sizes(kind: str, choose: random.Random) -> list[int]:
    """Return how long the bodies of some rows are."""
    match kind:
        case "metrics":
            return [choose.randint(40, 90) for _ in range(40_000)]
        case "half a page":
            return [2_050] * 600
        case "a page":
            return [choose.choice((4_000, 4_100, 8_150, 12_300)) for _ in range(500)]
        case "small and large":
            return [size for _ in range(800) for size in (90, 3_950)]
        case "large":
            return [choose.randint(10_000, 64 * 1024) for _ in range(100)]
        case _:
            return [int(choose.paretovariate(1.1) * 60) % 60_000 for _ in range(8_000)]


@pytest.mark.parametrize("kind", ["metrics", "half a page", "a page", "small and large", "large", "any"])
@pytest.mark.parametrize("hashed", [False, True])
def test_the_reckoned_cost_is_that_of_the_file(kind: str, hashed: bool) -> None:
    bodies = sizes(kind, random.Random(7))
    tip = b"h" * HASH_BYTES if hashed else b""
    with sqlite3.connect(":memory:", isolation_level=None) as db:  # the same pages
        db.execute("BEGIN")
        db.execute("CREATE TABLE own (seq INTEGER PRIMARY KEY, raw BLOB NOT NULL, hash BLOB NOT NULL)")
        db.executemany("INSERT INTO own VALUES (?, ?, ?)", [(n, b"x" * one, tip) for n, one in enumerate(bodies, 1)])
        db.execute("COMMIT")
        real = (db.execute("PRAGMA page_count").fetchone()[0] - 2) * PAGE
    db.close()
    pages, reckoned, at = Pages(), 0, 0
    while at < len(bodies):
        some = bodies[at : at + 100]
        reckoned += pages.take([one + len(tip) + ROW_BYTES for one in some])
        at += 100
    assert real - 4 * PAGE <= reckoned <= real * 1.05 + 4 * PAGE


def streams(share: int, *names: str) -> dict[str, OwnStream]:
    """Return `audit` and `state`, or what is named, sharing a file."""
    snapshot = Snapshot(node="n", streams={name: StreamState(epoch="a" * 16) for name in names or ("audit", "state")})
    found = {name: OwnStream("n", name, snapshot, FakeSigner(), share) for name in snapshot.streams}
    shared = pool.Pool(list(found.values()))
    for stream in found.values():
        stream.pool = shared
    return found


def fill(stream: OwnStream, count: int) -> list[effects.Store]:
    fx = Effects()
    for _ in range(count):
        stream.append([("k", "", b'"' + b"x" * 100 + b'"')], NOW, fx)
    return fx.store


def test_what_one_class_does_not_use_another_may(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "SEGMENT_ROWS", 16)
    both = streams(40_000)
    fill(both["state"], 350)
    assert (both["state"].lost, both["state"].bytes > 60_000) == (0, True)


def test_the_oldest_of_the_lowest_class_goes_first_down_to_its_share(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "SEGMENT_ROWS", 16)
    both = streams(40_000)
    fill(both["state"], 400)
    lost = both["state"].lost
    ops = fill(both["audit"], 150)
    assert (both["audit"].lost, both["state"].lost > lost) == (0, True)
    assert {op.stream for op in ops if isinstance(op, effects.Gap)} == {"state"}
    fill(both["audit"], 2_000)
    assert both["audit"].lost > 0
    assert both["state"].bytes > 40_000 * 14 // 16, "a flood of audit entries erases no state"
    assert sum(one.bytes for one in both.values()) <= 80_000


def test_what_the_parent_has_goes_before_what_it_has_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "SEGMENT_ROWS", 16)
    four = streams(40_000, *pool.FILES[0])
    audit, metrics = four["relay_audit"], four["relay_metrics"]
    fill(audit, 500)
    audit.note_acked(490, Effects())
    fill(metrics, 400)
    assert (audit.lost, metrics.lost, metrics.bytes > 40_000) == (0, 0, True)
    ops = fill(metrics, 100)
    assert (audit.lost, metrics.lost) == (0, 0), "acked rows of the highest class, beyond its share"
    assert {op.stream for op in ops if isinstance(op, effects.Trim)} == {"relay_audit"}
    fill(metrics, 600)
    assert metrics.lost > 0
    assert audit.bytes > 40_000 * 14 // 16, "but not of its share"
    assert sum(one.bytes for one in four.values()) <= 160_000


def test_a_hub_relays_each_class_in_a_share_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "SEGMENT_ROWS", 16)
    four = streams(40_000, *pool.FILES[0])
    fill(four["relay_metrics"], 900)
    fill(four["relay_logs"], 300)
    fill(four["relay_state"], 200)
    fill(four["relay_audit"], 200)
    assert {name for name, one in four.items() if one.lost} == {"relay_metrics", "relay_logs"}
    assert tuple(runs.carrier(name) for name in messages.CLASSES) == messages.RELAYS == pool.FILES[0]


def test_room_is_made_before_it_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "SEGMENT_ROWS", 16)
    state = streams(40_000)["state"]
    fx = Effects()
    state.append([("k", "", b'"' + b"x" * 100 + b'"')] * 3_000, NOW, fx)
    held = 0
    for op in fx.store:
        if isinstance(op, effects.Rows):
            held += sum(len(raw) for _, raw, _ in op.rows)
        elif isinstance(op, effects.Gap):
            held -= (op.last - op.first + 1) * 150 if op.first == 1 and held > 80_000 else 0
        assert state.bytes <= 80_000
    assert state.lost > 2_000


def test_a_quota_is_split_without_a_rest_to_speak_of() -> None:
    parts = pool.split(64_000_000)
    assert set(parts) == {"audit", "state", "metrics", "logs", "papers", "wal"}
    assert 64_000_000 - len(parts) < sum(parts.values()) <= 64_000_000
    assert parts["audit"] + parts["state"] > parts["metrics"] > parts["logs"]
