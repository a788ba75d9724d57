"""Retention of children's entries: by age that no clock can jump, by size, and by who holds most."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest

from protocol import limits
from protocol.aio.journal import Journal, Kept, read_only
from protocol.effects import Received
from tests.contract.aio.parts import opened

DAY = 86_400_000
MUCH = 10**15


def kept(*, days: int = 90, rows: int = MUCH, size: int = MUCH) -> Kept:
    return Kept(age_ms=days * DAY, rows=rows, bytes=size)


async def receive(
    journal: Journal, node: str, first: int, count: int, stream: str = "state", epoch: str = "e", at: str = ""
) -> None:
    rows = [(n, b"r" * 50, b"h" * 32, 10**15 * (n % 3 - 1), "k", "") for n in range(first, first + count)]
    await journal.commit([Received(node, epoch, stream, rows, at=at)])


async def retire(journal: Journal, now_ms: int, mono_ms: int, bounds: Kept) -> None:
    for _ in range(1_000):
        if not await journal.retire(now_ms=now_ms, mono_ms=mono_ms, kept=bounds):
            return
    raise AssertionError("retention never ends")


def held(folder: Path) -> dict[tuple[str, str], list[int]]:
    """Return the seqs that are kept, by node and stream; and hold the counts to them."""
    db = read_only(folder / "journal.db")
    found: dict[tuple[str, str], list[int]] = {}
    query = "SELECT node, stream, seq FROM entry JOIN channel ON channel.id = channel ORDER BY entry.id"
    for node, stream, seq in db.execute(query):
        found.setdefault((node, stream), []).append(seq)
    tally = db.execute("SELECT channel, rows FROM tally WHERE channel > 0 AND rows != 0 ORDER BY 1").fetchall()
    assert tally == db.execute("SELECT channel, count(*) FROM entry GROUP BY channel ORDER BY 1").fetchall()
    assert db.execute("SELECT count(*) FROM channel").fetchone()[0] == len(tally), "empty channels are gone"
    db.close()
    return found


async def test_what_arrived_long_ago_goes_whatever_the_devices_clocks_say(tmp_path: Path) -> None:
    journal = await opened(tmp_path)
    for day in range(1, 101):
        await receive(journal, "a", day, 1)
        await retire(journal, day * DAY, day * DAY, kept(days=30))
    assert held(tmp_path) == {("a", "state"): list(range(71, 101))}
    await journal.close()


@pytest.mark.parametrize("jump", [400, -400, 100_000])
async def test_a_wall_clock_that_jumps_ages_nothing(tmp_path: Path, jump: int) -> None:
    journal = await opened(tmp_path)
    for day in range(1, 21):
        await receive(journal, "a", day, 1)
        await retire(journal, day * DAY, day * DAY, kept(days=30))
    await retire(journal, (20 + jump) * DAY, 20 * DAY + 1, kept(days=30))
    assert len(held(tmp_path)["a", "state"]) == 20
    await retire(journal, 21 * DAY, 21 * DAY, kept(days=30))
    assert len(held(tmp_path)["a", "state"]) == 20, "and back"
    await retire(journal, (41 + jump) * DAY, 41 * DAY, kept(days=30))
    assert held(tmp_path)["a", "state"][0] == 12, "it ages as time goes by"
    await journal.close()


@pytest.mark.parametrize(("pause", "oldest"), [(5, 2), (12, 4), (400, 4), (-400, 1)])
async def test_over_a_pause_history_ages_by_a_week_at_most(tmp_path: Path, pause: int, oldest: int) -> None:
    journal = await opened(tmp_path)
    for day in range(1, 27):
        await receive(journal, "a", day, 1)
        await retire(journal, day * DAY, day * DAY, kept(days=30))
    await journal.close()
    journal = await opened(tmp_path, start=9)
    await retire(journal, (26 + pause) * DAY, 5, kept(days=30))
    assert held(tmp_path)["a", "state"][0] == oldest
    await journal.close()


async def test_who_holds_most_gives_way_and_its_lowest_class_first(tmp_path: Path) -> None:
    journal = await opened(tmp_path)
    for name in ("a", "b", "c"):
        await receive(journal, name, 1, 20)
    await receive(journal, "loud", 1, 300, "metrics")
    await receive(journal, "loud", 1, 30, "audit")
    await receive(journal, "c", 21, 1)
    await retire(journal, 0, 0, kept(rows=150))
    found = held(tmp_path)
    assert [len(found[name, "state"]) for name in ("a", "b", "c")] == [20, 20, 21]
    assert found["loud", "audit"] == list(range(1, 31))
    assert found["loud", "metrics"] == list(range(242, 301)), "the oldest"
    await retire(journal, 0, 0, kept(rows=60))
    assert {who: len(seqs) for who, seqs in held(tmp_path).items()} == {
        ("a", "state"): 15,
        ("b", "state"): 15,
        ("c", "state"): 15,
        ("loud", "audit"): 15,
    }
    await journal.close()


async def test_a_region_that_invents_devices_pays_with_those_at_any_depth(tmp_path: Path) -> None:
    journal = await opened(tmp_path)
    for at in ("gw-1", "oslo/gw-2", "oslo", "eu/bergen/gw-3"):
        await receive(journal, at.rpartition("/")[2], 1, 20, at="" if at in ("gw-1", "oslo") else at)
    for number in range(40):
        await receive(journal, f"x-{number}", 1, 10, at=f"eu/evil/x-{number}")
    for number in range(40):
        await receive(journal, f"y-{number}", 1, 10, at=f"evil/{number}/y-{number}")
    await receive(journal, "gw-1", 21, 1)
    await retire(journal, 0, 0, kept(rows=240))
    found = held(tmp_path)
    assert {one: len(found[one, "state"]) for one in ("gw-1", "gw-2", "oslo", "gw-3")} == {
        "gw-1": 21,
        "gw-2": 20,
        "oslo": 20,
        "gw-3": 20,
    }
    assert sum(len(seqs) for seqs in found.values()) == 240
    await journal.close()


async def test_bytes_are_a_bound_too_and_the_file_follows(tmp_path: Path) -> None:
    journal = await opened(tmp_path)
    for number in range(40):
        await receive(journal, "a", number * 100 + 1, 100)
        await retire(journal, 0, 0, kept(size=200_000))
        assert len(held(tmp_path)["a", "state"]) <= 200_000 // 82
    db = read_only(tmp_path / "journal.db")
    pages = db.execute("PRAGMA page_count").fetchone()[0]
    db.close()
    assert pages * 4_096 < 500_000, "pages are used again"
    await journal.close()


async def test_a_dead_epochs_channel_goes_when_it_is_empty_and_may_come_back(tmp_path: Path) -> None:
    journal = await opened(tmp_path)
    await receive(journal, "a", 1, 5, epoch="old")
    await receive(journal, "a", 1, 5, epoch="new")
    await retire(journal, 0, 0, kept(rows=4))
    assert held(tmp_path) == {("a", "state"): [2, 3, 4, 5]}
    await receive(journal, "a", 6, 1, epoch="old")
    await retire(journal, 0, 0, kept(rows=9))
    db = read_only(tmp_path / "journal.db")
    query = "SELECT epoch, seq FROM entry JOIN channel ON channel.id = channel ORDER BY entry.id"
    assert db.execute(query).fetchall()[-2:] == [("new", 5), ("old", 6)]
    db.close()
    await journal.close()


async def test_the_newest_stays_and_its_id_never_comes_again(tmp_path: Path) -> None:
    journal = await opened(tmp_path)
    await retire(journal, 0, 0, kept(rows=0))
    await receive(journal, "a", 1, 10)
    await retire(journal, 0, 0, kept(rows=0))
    await receive(journal, "a", 11, 1)
    db = read_only(tmp_path / "journal.db")
    assert db.execute("SELECT id, seq FROM entry ORDER BY id").fetchall() == [(10, 10), (11, 11)]
    db.close()
    await journal.close()


async def test_it_goes_in_steps_and_a_store_without_counts_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "RETIRE_ROWS", 4)
    journal = await opened(tmp_path)
    await receive(journal, "a", 1, 10)
    steps = [await journal.retire(now_ms=0, mono_ms=0, kept=kept(rows=3)) for _ in range(6)]
    assert steps == [4, 4, 2, 4, 3, 0], "counted, then deleted"
    assert held(tmp_path) == {("a", "state"): [8, 9, 10]}
    await journal.close()


async def test_rows_that_come_while_the_last_ones_of_their_channel_go_have_a_channel(tmp_path: Path) -> None:
    journal = await opened(tmp_path)
    await receive(journal, "a", 1, 5)
    await receive(journal, "b", 1, 1)
    await journal.retire(now_ms=0, mono_ms=0, kept=kept())
    await receive(journal, "a", 5, 1)  # it came before: nothing is stored, nothing will be counted
    begun, done = threading.Event(), threading.Event()
    thread = journal._parts[0].run  # pyright: ignore[reportPrivateUsage]
    tasks = [
        asyncio.ensure_future(thread(lambda _: begun.wait())),
        asyncio.ensure_future(journal.retire(now_ms=0, mono_ms=0, kept=kept(rows=1))),
        asyncio.ensure_future(receive(journal, "a", 6, 1)),
        asyncio.ensure_future(thread(lambda _: done.set())),
    ]
    await asyncio.sleep(0)  # each is in the thread's queue
    begun.set()
    assert done.wait(10), "the loop is held: the thread goes from one to the next without it"
    for task in tasks:
        await task
    await retire(journal, 0, 0, kept())
    assert held(tmp_path)["a", "state"] == [6]
    await journal.close()
