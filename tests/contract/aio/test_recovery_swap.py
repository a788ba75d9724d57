"""What is set aside stays, what is not decided changes nothing, and what fails for want of room leaves the room."""

import asyncio
import itertools
import os
import shutil
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from functools import partial
from pathlib import Path
from typing import cast

import pytest

from protocol import effects, limits
from protocol.aio.journal import Journal, Kept
from protocol.aio.recovery import swap
from protocol.aio.sqlite import SqliteFile
from protocol.aio.upkeep import aside, room
from protocol.errors import StoreDamaged, StoreError, StoreLocked, StoreLost, StoreStuck
from tests.contract.aio.parts import minted, rows

RUBBISH = b"rubbish" * 2_000
STEPS = ("rename", "replace", "unlink", "fsync")


class Died(BaseException):
    """The process, at a call."""


async def opened(path: Path, first: int) -> Journal:
    return await Journal.open(path, node="oslo", streams=["audit"], mint=minted(first))


async def made(path: Path, value: bytes) -> None:
    journal = await opened(path, 1)
    await journal.commit([effects.Put("a", "k", value)])
    await journal.close()


async def value_of(path: Path, first: int) -> bytes | None:
    journal = await opened(path, first)
    value = journal.snapshot().spaces.get("a", {}).get("k")
    await journal.close()
    return value


def test_what_was_just_set_aside_stays_whatever_the_clock_says(tmp_path: Path) -> None:
    store = tmp_path / "hub.db"
    for number, wall in enumerate((1.8e9, 1.8e9 + 100, 5.0, 4.0e11, 5.0)):
        store.write_text(str(number))
        swap.put_aside(store, aside.stamp(store, wall))
        assert [int(one.read_text()) for one in aside.damaged(store)] == [*range(number + 1)][
            -limits.DAMAGED_FILES_KEPT :
        ]


async def test_a_store_that_was_lost_is_not_pushed_out_by_bad_backups(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    for number in range(limits.DAMAGED_FILES_KEPT + 2):
        path.write_bytes(bytes([number]) + RUBBISH)
        with pytest.raises(StoreLost, match=r"it is kept as journal\.db\.damaged-.*-lost; put a backup"):
            await Journal.open(path, node="oslo", streams=["audit"], mint=minted(1), judge=_gone)
    path.unlink(missing_ok=True)
    for number in range(limits.DAMAGED_FILES_KEPT + 1):
        path.write_bytes(RUBBISH)
        await (await opened(path, 100 * number + 1)).close()
    lost = [one for one in aside.damaged(path) if one.name.endswith("-lost")]
    assert [one.read_bytes()[0] for one in lost] == [*range(limits.DAMAGED_FILES_KEPT + 2)]
    assert len(aside.damaged(path)) == len(lost) + limits.DAMAGED_FILES_KEPT


@pytest.mark.parametrize("name", ["recovered-by-hand", "recovered-20261122T071500Z-1", "making", "change"])
async def test_a_file_that_nobody_decided_on_never_takes_the_stores_place(tmp_path: Path, name: str) -> None:
    path = tmp_path / "journal.db"
    await made(path, b"old")
    shutil.copy(path, tmp_path / f"journal.db.{name}")
    await made(path, b"new")
    assert await value_of(path, 300) == b"new"
    assert not aside.damaged(path)


async def test_a_store_that_a_person_put_in_the_middle_of_a_change_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, backup = tmp_path / "journal.db", tmp_path / "backup.db"
    await made(path, b"backup")
    shutil.copy(path, backup)
    path.write_bytes(RUBBISH)
    monkeypatch.setattr(swap, "_move", _fails)
    with pytest.raises(StoreError, match="Input/output error"):
        await opened(path, 300)
    monkeypatch.undo()
    path.unlink()
    shutil.copy(backup, path)
    assert await value_of(path, 500) == b"backup"
    assert not list(tmp_path.glob("journal.db.making*"))


def _fails(*_: object) -> None:
    raise OSError(5, "Input/output error")


def _gone(_: object) -> str:
    return "all is lost"


def _call(counter: Iterator[int], after: int, real: Callable[..., object], *args: object, **more: object) -> object:
    if os.path.exists(cast("str | int", args[0])) and next(counter) >= after:  # what is not there is not a step
        raise Died
    return real(*args, **more)


def _dying(patch: pytest.MonkeyPatch, counter: Iterator[int], after: int) -> None:
    """Let the process die at its call number `after` of STEPS, and at all that follow."""
    for name in STEPS:
        patch.setattr(os, name, partial(_call, counter, after, getattr(os, name)))


@pytest.mark.parametrize("is_lost", [False, True])
async def test_a_process_that_dies_at_any_step_of_the_change_only_delays_it(tmp_path: Path, is_lost: bool) -> None:
    steps = 0
    while True:
        folder = tmp_path / str(steps)
        folder.mkdir()
        path = folder / "journal.db"
        await made(path, b"value")
        raw = bytearray(path.read_bytes())
        raw[:100] = bytes(100)
        path.write_bytes(raw)
        path.with_name("journal.db-wal").write_bytes(b"its log")
        count = itertools.count()
        with pytest.MonkeyPatch.context() as patch, suppress(Died, StoreLost):
            _dying(patch, count, steps)
            await (
                await Journal.open(
                    path, node="oslo", streams=["audit"], mint=minted(300), judge=_gone if is_lost else None
                )
            ).close()
        if not is_lost:
            assert swap.exists(path)
            assert await value_of(path, 500) == b"value"
        else:
            swap.finish(path)
        if not is_lost or aside.damaged(path):
            assert [one.read_bytes() == raw for one in aside.damaged(path)] == [True]
        else:
            assert path.read_bytes() == raw, "nothing was decided"
        assert not [one.name for one in folder.iterdir() if "making" in one.name or "change" in one.name]
        if next(count) <= steps:
            break
        steps += 1
    assert steps > 8


@pytest.mark.parametrize("name", ["making", "making-copy", "change"])
async def test_a_name_that_cannot_be_used_is_said(tmp_path: Path, name: str) -> None:
    path = tmp_path / "journal.db"
    path.write_bytes(RUBBISH)
    blocked = tmp_path / f"journal.db.{name}"
    blocked.mkdir()
    with pytest.raises(StoreError, match=f"cannot use .*/{blocked.name}: Is a directory; check the folder"):
        await opened(path, 1)
    assert path.read_bytes() == RUBBISH
    blocked.rmdir()
    await (await opened(path, 300)).close()


async def stuck(*_: object, **__: object) -> SqliteFile:
    raise StoreStuck("the disk failed")


async def failing_after_a_recovery(path: Path, tries: int) -> Journal:
    """Let the disk fail each time that the recovered store is to be opened."""
    await made(path, b"value")
    journal = await opened(path, 300)
    assert not aside.damaged(path)
    journal._parts[0].damaged = True  # pyright: ignore[reportPrivateUsage]  # as a failed read does
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SqliteFile, "open", stuck)
        for _ in range(tries):
            with pytest.raises(StoreStuck):
                await journal.reload()
    return journal


async def test_a_recovered_store_that_cannot_be_opened_yet_is_not_recovered_again(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    journal = await failing_after_a_recovery(path, limits.DAMAGED_FILES_KEPT + 1)
    assert (await journal.reload()).spaces["a"]["k"] == b"value"
    assert [one.name[-2:] for one in aside.damaged(path)] == ["-1"], "the damaged one would be pushed out"
    await journal.close()


async def test_while_a_store_is_closed_who_comes_is_told_and_it_ends_in_order(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    journal = await failing_after_a_recovery(path, 1)
    with pytest.raises(StoreError, match=r"journal\.db is closed: it ends, or is being recovered"):
        await journal.retire(now_ms=0, mono_ms=0, kept=Kept(age_ms=1, rows=1, bytes=1))
    await journal.close()
    assert await value_of(path, 500) == b"value"


async def test_a_store_that_ends_before_its_damage_is_recovered_is_looked_at_when_it_is_opened(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    await made(path, b"value")
    journal = await opened(path, 300)
    await journal.commit([effects.Rows("audit", f"{1:016x}", rows("audit", "", 1, 3).rows)])
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("UPDATE own_audit SET raw = x'5b5d' WHERE seq = 2")
    with pytest.raises(StoreDamaged):
        await journal._parts[0].run(_damaged)  # pyright: ignore[reportPrivateUsage]
    await journal.close()
    await (await opened(path, 500)).close()
    assert len(aside.damaged(path)) == 1


def _damaged(_: sqlite3.Connection) -> None:
    raise StoreDamaged("a read met damage")


async def test_of_two_that_find_the_store_damaged_one_recovers_it(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    await made(path, b"value")
    with path.open("r+b") as file:
        file.write(bytes(100))
    both = await asyncio.gather(opened(path, 300), opened(path, 600), return_exceptions=True)
    journal = next(one for one in both if isinstance(one, Journal))
    error = next(one for one in both if isinstance(one, StoreLocked))
    assert str(error) == f"{path} is in use by another process: stop that one first, or choose another folder"
    assert journal.snapshot().spaces["a"]["k"] == b"value"
    await journal.close()
    assert len(aside.damaged(path)) == 1


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A disk of its own, of 12 MiB."""
    folder = tmp_path / "small"
    folder.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", folder], check=False, capture_output=True)
    if done.returncode:
        pytest.skip("no disk can be mounted here")
    yield folder
    subprocess.run(["umount", folder], check=True)


async def test_a_recovery_without_room_says_how_much_it_needs_and_takes_none(small: Path) -> None:
    path = small / "journal.db"
    await made(path, b"value")
    with path.open("r+b") as file:
        file.write(b"\xa5" * 100)
    filler = small / "filler"
    filler.write_bytes(bytes(10 * limits.MIB))
    for name in ("", "-template", "-copy"):
        path.with_name(f"journal.db.making{name}").write_bytes(b"half of it")
    before = room.of(path)
    for _ in range(2):
        disk = os.statvfs(small)
        with filler.open("ab") as more:
            more.write(bytes(max(0, disk.f_bavail * disk.f_frsize - before)))
        with pytest.raises(StoreStuck, match="recovering it needs 2 MiB on its disk, where 1 are free: free"):
            await opened(path, 300)
        assert sorted(one.name for one in small.iterdir()) == ["filler", "journal.db", "journal.db.lock"]
    filler.unlink()
    assert await value_of(path, 300) == b"value"
