"""A store that is damaged again, and again: what can be read and is borne out stays, each time."""

import random
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from protocol.aio import life
from protocol.aio.life import Opening
from protocol.aio.recovery import ladder
from protocol.aio.upkeep import aside
from protocol.snapshot import doubt
from tests.contract.aio.parts import STREAMS, minted
from tests.contract.aio.test_recovery import NODE, PAGE, Truth, caught_up, check_state, made, opened, smash

TIMES = 3
LEAF = 0x0D

Pages = list[int]


def leaves(path: Path) -> Pages:
    """Return the pages that hold rows, the first page aside."""
    raw = path.read_bytes()
    return [page for page in range(1, len(raw) // PAGE) if raw[page * PAGE] == LEAF]


def smash_first(path: Path, _: random.Random) -> None:
    smash(path, 0)


def smash_some(path: Path, rng: random.Random) -> None:
    for page in rng.sample(leaves(path), 2):
        smash(path, page)


def smash_first_and_one(path: Path, rng: random.Random) -> None:
    smash(path, rng.choice(leaves(path)))
    smash(path, 0)


def cut(path: Path, rng: random.Random) -> None:
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size - rng.randint(1, 3) * PAGE)


def turn_root(path: Path, _: random.Random) -> None:
    """The schema says that the rows of a stream begin at a page which is another table's."""
    raw = bytearray(path.read_bytes())
    place = raw.index(b"tableown_stateown_state") + len(b"tableown_stateown_state")
    raw[place] -= 1
    path.write_bytes(raw)


DAMAGES: list[Callable[[Path, random.Random], None]] = [smash_first, smash_some, smash_first_and_one, cut, turn_root]


def kept(path: Path, truth: Truth) -> set[tuple[str, int]]:
    """Return which true rows the store has."""
    with closing(sqlite3.connect(path)) as db:
        return {
            (name, seq)
            for name in truth.rows
            for seq, raw in db.execute(f"SELECT seq, raw FROM own_{name}")
            if truth.rows[name].get(seq, (b"",))[0] == raw
        }


def owed(path: Path, truth: Truth, had: set[tuple[str, int]]) -> set[tuple[str, int]]:
    """Return the rows whose bytes are still in the damaged file, and those before each, which bear it out."""
    raw = path.read_bytes()
    there = {(name, seq) for name, seq in had if b"".join(truth.rows[name][seq]) in raw}
    return {(name, seq) for name, seq in there if (name, seq - 1) in there}


async def merged_and_dropped(folder: Path, truth: Truth, start: int) -> None:
    """Live once over the store, catch up with the parent, and die."""
    journal = await opened(folder, start)
    check_state(journal.snapshot(), truth)
    await caught_up(journal, truth)
    await journal._drop()  # pyright: ignore[reportPrivateUsage]
    left_unclean(folder)


def left_unclean(folder: Path) -> None:
    with closing(sqlite3.connect(folder / "journal.db")) as db, db:
        db.execute("UPDATE meta SET value = '0' WHERE key = 'clean'")
    with closing(sqlite3.connect(folder / "journal.db")) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")


@pytest.mark.parametrize("seed", range(12))
async def test_a_store_damaged_several_times_in_a_row_keeps_each_time_what_is_borne_out(
    tmp_path: Path, seed: int
) -> None:
    rng, path = random.Random(seed), tmp_path / "journal.db"
    truth = await made(tmp_path, count=600, acked=20, clean=False)
    left_unclean(tmp_path)
    for time in range(TIMES):
        had = kept(path, truth)
        rng.choice(DAMAGES)(path, rng)
        expected = owed(path, truth, had)
        await merged_and_dropped(tmp_path, truth, 500 * (time + 1))
        assert aside.damaged(path), "it was not noticed"
        assert expected <= kept(path, truth), sorted(expected - kept(path, truth))[:5]


@pytest.mark.parametrize("how", ["as it was made", "recovered", "vacuumed"])
async def test_without_its_first_page_a_store_is_read_as_well_however_it_was_made(tmp_path: Path, how: str) -> None:
    truth = await made(tmp_path)
    path = tmp_path / "journal.db"
    if how == "recovered":
        recover(path)
    if how == "vacuumed":
        with closing(sqlite3.connect(path)) as db:
            db.execute("VACUUM")
    before = kept(path, truth)
    smash(path, 0)
    recover(path)
    assert kept(path, truth) == before


async def test_two_recoveries_before_anybody_has_declared_the_first_ones_holes_lose_no_more_than_one(
    tmp_path: Path,
) -> None:
    truth = await made(tmp_path, count=600, acked=20)
    path = tmp_path / "journal.db"
    middle = leaves(path)[len(leaves(path)) // 2]
    smash(path, middle)
    first = recover(path)
    once = kept(path, truth)
    smash(path, 0)
    second = recover(path)
    assert kept(path, truth) == once
    assert sum(first.values()) > 0
    assert second == {}, "the same rows are counted as lost twice"


async def test_rows_beyond_what_the_head_names_are_counted_when_they_are_lost(tmp_path: Path) -> None:
    truth = await made(tmp_path, count=300, acked=20)
    path = tmp_path / "journal.db"
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("DELETE FROM own_state WHERE seq BETWEEN 291 AND 299")
        life.write_head(db, "state", life.Head("e", 200, truth.rows["state"][200][1]))
    lost = recover(path)
    assert ("state", 290) in kept(path, truth)
    assert ("state", 300) not in kept(path, truth), "nothing bears it out"
    assert lost == {"state": 10}


async def test_where_nobody_can_know_how_much_is_lost_that_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    truth = await made(tmp_path, clean=False)
    left_unclean(tmp_path)
    path = tmp_path / "journal.db"
    with closing(sqlite3.connect(path)) as db:
        root = db.execute("SELECT rootpage FROM sqlite_master WHERE name = 'own_state'").fetchone()[0]
    smash(path, root - 1)
    await merged_and_dropped(tmp_path, truth, 500)
    text = caplog.text
    assert "180 rows of state are lost; rows of state after 240, if there were any, are lost" in text
    assert "of audit" not in text


async def test_where_only_the_head_is_left_of_a_first_epoch_its_first_row_stays(tmp_path: Path) -> None:
    truth = await made(tmp_path)
    path = tmp_path / "journal.db"
    before = kept(path, truth)
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("UPDATE state SET sum = sum + 1 WHERE space = 'stream'")
    assert recover(path) == {}
    assert kept(path, truth) == before
    journal = await opened(tmp_path, 500)
    assert await caught_up(journal, truth) == {"audit": 0, "state": 0}
    await journal.close()


async def test_that_state_was_lost_is_known_as_long_as_nobody_has_acted_on_it(tmp_path: Path) -> None:
    await made(tmp_path)
    path = tmp_path / "journal.db"
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("UPDATE state SET sum = sum + 1 WHERE key = 'svc-003'")
    recover(path)
    smash(path, leaves(path)[-1])
    recover(path)
    journal = await opened(tmp_path, 500)
    found = doubt(journal.snapshot())
    assert found is not None
    assert found.partial
    await journal.close()


def recover(path: Path) -> dict[str, int]:
    """Recover once, without any life after it; return the rows that are known to be lost."""
    opening = Opening(path=path, inode="", node=NODE, streams=STREAMS, mint=minted(90), seen=1, boot="", durable=True)
    return ladder.recover(opening).lost
