"""Damage that only a reader meets: the whole store is looked at, and recovered by the same ladder; once."""

import asyncio
import sqlite3
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, closing, suppress
from pathlib import Path

import pytest

from protocol import limits
from protocol.aio.journal import Kept
from protocol.aio.recovery import suspect
from protocol.aio.upkeep import aside
from protocol.effects import Received
from protocol.errors import StoreDamaged
from tests.contract.aio.parts import Add, Begin, Stage
from tests.contract.aio.test_recovery import PAGE, caught_up, made, opened, smash
from tests.contract.aio.test_recovery_again import left_unclean

MET = StoreDamaged("a reader met damage")
_HEALED_S = 30.0


@asynccontextmanager
async def living(folder: Path) -> AsyncGenerator[Stage]:
    """Yield a running driver over the store of `folder`, opened after an unclean end."""
    stage = Stage(await opened(folder, 500))
    task = asyncio.create_task(stage.driver.run(Begin))
    yield stage
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    await stage.journal.close()


async def healed(stage: Stage) -> None:
    """Wait until the store works again after a failure."""
    async with asyncio.timeout(_HEALED_S):
        await stage.failed.wait()
        while not stage.healed.is_set():
            stage.driver.put(Add(text=b"on"))  # what is put while the store fails is dropped aloud
            await asyncio.sleep(0.01)  # bounded poll


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every store is a large one, of which a start looks at little."""
    monkeypatch.setattr(limits, "QUICK_CHECK_BYTES_MAX", 0)


async def damaged_deep(folder: Path) -> Path:
    """Make a store with a bad page among the entries of a child, which nobody but people reads."""
    journal = await opened(folder)
    raws = [(seq, b'[%d,5,"k","far-%d",{"x":"%s"}]' % (seq, seq, b"y" * 90)) for seq in range(1, 401)]
    rows = [(seq, raw, b"h", 5, "k", f"far-{seq}") for seq, raw in raws]
    await journal.commit([Received("gw-1", "00112233445566aa", "metrics", rows)])
    await journal.close()
    left_unclean(folder)
    path = folder / "journal.db"
    smash(path, path.read_bytes().index(b'"far-200"') // PAGE)
    return path


@pytest.mark.usefixtures("large")
async def test_what_a_reader_meets_in_a_store_that_seemed_whole_is_recovered_at_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = await damaged_deep(tmp_path)
    async with living(tmp_path) as stage:
        assert not aside.damaged(path)
        stage.driver.distrust(MET)
        await healed(stage)
        assert len(aside.damaged(path)) == 1
        assert not suspect.is_marked(path)
        with closing(sqlite3.connect(path)) as db:
            assert db.execute("PRAGMA quick_check").fetchone() == ("ok",)
    assert "all of it (0 MiB) is checked now" in caplog.text
    assert "is recovered, with new epochs" in caplog.text


@pytest.mark.usefixtures("large")
async def test_a_store_that_is_suspected_when_it_is_opened_is_looked_at_as_a_whole(tmp_path: Path) -> None:
    path = await damaged_deep(tmp_path)
    await (await opened(tmp_path, 500)).close()
    assert not aside.damaged(path)
    suspect.mark(path)
    await (await opened(tmp_path, 600)).close()
    assert len(aside.damaged(path)) == 1
    assert not suspect.is_marked(path)
    await (await opened(tmp_path, 700)).close()
    assert len(aside.damaged(path)) == 1


@pytest.mark.usefixtures("large")
async def test_damage_that_retention_meets_is_recovered_also_in_a_life_that_looked_at_all(tmp_path: Path) -> None:
    path = await damaged_deep(tmp_path)
    async with living(tmp_path) as stage:
        stage.journal._parts[0].is_cleared = True  # pyright: ignore[reportPrivateUsage]  # before the page went bad
        with pytest.raises(StoreDamaged) as met:
            await stage.journal.retire(now_ms=0, mono_ms=0, kept=Kept(age_ms=1, rows=1, bytes=1))
        stage.driver.distrust(met.value)
        await healed(stage)
        assert len(aside.damaged(path)) == 1


async def test_a_reader_that_is_wrong_costs_one_look_in_a_life_and_no_recovery(tmp_path: Path) -> None:
    truth = await made(tmp_path)
    path = tmp_path / "journal.db"
    async with living(tmp_path) as stage:
        stage.driver.distrust(MET)
        await healed(stage)
        assert stage.errors == [MET]
        assert not stage.journal.suspect(), "it was looked at"
        stage.driver.distrust(MET)
        await stage.driver.settled()
        assert stage.errors == [MET]
    assert not aside.damaged(path)
    assert not suspect.is_marked(path)
    journal = await opened(tmp_path, 900)
    assert await caught_up(journal, truth) == {"audit": 0, "state": 0}
    await journal.close()


async def test_a_whole_look_holds_all_rows_against_their_hashes(tmp_path: Path) -> None:
    await made(tmp_path, count=1_200, acked=20)
    path = tmp_path / "journal.db"
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("UPDATE own_audit SET raw = x'5b5d' WHERE seq = 30")
    with (
        closing(sqlite3.connect(path)) as db,
        pytest.raises(StoreDamaged, match="rows of audit do not come to their hashes"),
    ):
        suspect.look(db, path, ("audit", "state"))
