"""D: bit flip, truncation; agent, hub. Set aside, recovered, declared; what runs runs on."""

from __future__ import annotations

import re
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support import deeds
from tests.support.fleet import Fleet
from tests.support.recorded import Record

PAGE = 4_096
FAILED = 1
"""The exit code of a command that could not do what it should."""


def smash_rows(path: Path) -> None:
    """Overwrite a page in the middle of the file, and the root of the newest state."""
    with path.open("r+b") as file:
        pages = path.stat().st_size // PAGE
        for page in (pages // 2, pages - 2):
            file.seek(page * PAGE)
            file.write(b"\xa5" * PAGE)


def smash_header(path: Path) -> None:
    """Overwrite the first page."""
    with path.open("r+b") as file:
        file.write(b"\xa5" * PAGE)


def cut_off(path: Path) -> None:
    """Truncate the file to a half."""
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2)


def empty(path: Path) -> None:
    """Truncate the file to nothing."""
    with path.open("r+b") as file:
        file.truncate(0)


def _merged(path: Path) -> None:
    """Bring the write-ahead log into the file, as a checkpoint does; the life stays marked as not ended."""
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()


@pytest.mark.parametrize("damage", [smash_rows, smash_header, cut_off, empty])
async def test_bit_flip_truncation_of_a_device_is_recovered_and_its_work_runs_on(
    tmp_path: Path, record: Record, damage: Callable[[Path], None]
) -> None:
    ledger, data = record.ledger, tmp_path / "f" / "oslo"
    async with deeds.site(tmp_path / "f", "oslo") as it:
        await deeds.declare(it, deeds.producer("numbers", ledger))
        pid = await deeds.pid_of(it, "oslo", "numbers")
        await _kept_more(it, ledger, 20)
        await deeds.settled(it)
        await it.agents["oslo"].daemon.kill()
        _merged(data / "journal.db")
        damage(data / "journal.db")
        record.fault("corrupt", "oslo", damage.__name__)
        await it.agents["oslo"].daemon.start()
        await it.until(lambda: it.online("oslo"), "oslo is back")
        assert await deeds.pid_of(it, "oslo", "numbers") == pid, "what ran was stopped"
        assert list(data.glob("journal.db.damaged-*")), "the damaged file is kept"
        await _kept_more(it, ledger, 20)
        kinds = {one["kind"] for one in await deeds.events(it, node="oslo")}
        assert "store.doubted" in kinds


@pytest.mark.parametrize("when", ["in its first life", "later"])
async def test_lost_log_of_a_device_is_noticed_and_it_is_served_at_once(
    tmp_path: Path, record: Record, when: str
) -> None:
    ledger, data = record.ledger, tmp_path / "f" / "oslo"
    async with deeds.site(tmp_path / "f", "oslo") as it:
        await deeds.declare(it, deeds.producer("numbers", ledger))
        pid = await deeds.pid_of(it, "oslo", "numbers")
        if when == "later":
            await it.agents["oslo"].daemon.stop()
            await it.agents["oslo"].daemon.start()
            await it.until(lambda: it.online("oslo"), "oslo is back")
        await _kept_more(it, ledger, 20)
        await deeds.settled(it)
        await it.agents["oslo"].daemon.kill()
        (data / "journal.db-wal").unlink()
        record.fault("lost", "oslo", "its write-ahead log")
        await it.agents["oslo"].daemon.start()
        await it.until(lambda: it.online("oslo"), "oslo is back")
        assert await deeds.pid_of(it, "oslo", "numbers") == pid, "what ran was stopped"
        assert {one["what"] for one in (await it.node("oslo"))["alarms"]} & {"child-restored", "epoch-changed"}
        await _kept_more(it, ledger, 20)
        assert "store.doubted" in {one["kind"] for one in await deeds.events(it, node="oslo")}


async def test_bit_flip_of_a_hub_is_recovered_refilled_and_waits_for_its_operator(
    tmp_path: Path, record: Record
) -> None:
    ledger, hub = record.ledger, tmp_path / "f" / "hub"
    async with deeds.site(tmp_path / "f", "oslo") as it:
        await deeds.declare(it, deeds.producer("numbers", ledger))
        pid = await deeds.pid_of(it, "oslo", "numbers")
        await _kept_more(it, ledger, 60)
        await deeds.settled(it)
        await it.hub.kill()
        _merged(hub / "hub.db")
        _smash_entries(hub / "hub.db")
        record.fault("corrupt", "cloud", "a page of entries")
        await it.hub.start()
        await deeds.hub_answers(it)
        _, shown = await it.command("get", "nodes")
        assert "skerry hub accept-restore" in " ".join(shown.split())
        assert await deeds.pid_of(it, "oslo", "numbers") == pid
        await it.command("hub", "accept-restore", "--yes")
        _, shown = await it.command("get", "nodes")
        assert "accept-restore" not in shown
        await it.until(lambda: it.online("oslo"), "oslo is back")
        await deeds.take_away(it, "service/numbers")
        await deeds.settled(it)
        record.calm()
        (await deeds.tally(it, ledger, "oslo")).check()


def flip_record(path: Path) -> None:
    """Change a byte in what the hub knows of oslo: SQLite notices nothing."""
    raw = bytearray(path.read_bytes())
    for place in _places(raw):
        raw[place + 40] ^= 1
    path.write_bytes(raw)


def smash_registry(path: Path) -> None:
    """Overwrite the pages with what the hub knows of oslo."""
    raw = bytearray(path.read_bytes())
    for place in _places(raw):
        page = place // PAGE * PAGE
        raw[page : page + PAGE] = b"\xa5" * PAGE
    path.write_bytes(raw)


def _places(raw: bytearray) -> list[int]:
    found = [one.start() for one in re.finditer(b"nodeoslo", raw)]
    assert found, "the registry is not where it was looked for"
    return found


@pytest.mark.parametrize("damage", [flip_record, smash_registry])
async def test_bit_flip_of_a_hubs_registry_ends_it_with_a_word_and_nothing_is_made_up(
    tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    ledger, hub, copy = tmp_path / "ledger", tmp_path / "f" / "hub", tmp_path / "copy"
    async with deeds.site(tmp_path / "f", "oslo", "bergen") as it:
        await deeds.declare(it, deeds.producer("numbers", ledger))
        pid = await deeds.pid_of(it, "oslo", "numbers")
        await deeds.settled(it)
        await it.hub.kill()
        _merged(hub / "hub.db")
        shutil.copytree(hub, copy)
        damage(hub / "hub.db")

        code, said = await it.command("hub", "serve", "--data", str(hub), check=False)
        said = " ".join(said.split())
        assert code == FAILED, said
        aside = [path.name for path in hub.glob("hub.db.damaged-*-lost")]
        assert len(aside) == 1
        assert re.search(
            r"hub\.db was damaged, and (the records of 1 nodes cannot|no \w+ of this hub can) be read", said
        )
        assert f"it is kept as {aside[0]}; put a backup in its place" in said
        assert not (hub / "hub.db").exists()
        code, said = await it.command("hub", "serve", "--data", str(hub), check=False)
        assert code == FAILED
        assert "hub.db is missing: put it back from a backup" in " ".join(said.split())
        assert await deeds.pid_of(it, "oslo", "numbers") == pid, "what runs runs on"

        shutil.copy(copy / "hub.db", hub)
        await it.hub.start()
        await deeds.hub_answers(it)
        await it.command("hub", "accept-restore", "--yes")
        await it.until(lambda: it.online("oslo"), "oslo is back")
        assert await deeds.pid_of(it, "oslo", "numbers") == pid


def _smash_entries(path: Path) -> None:
    """Overwrite a leaf of the table of entries."""
    with sqlite3.connect(path) as db:
        try:
            query = "SELECT pageno FROM dbstat WHERE name = 'entry' AND pagetype = 'leaf' ORDER BY pageno"
            page = db.execute(query).fetchall()[1][0]
        except sqlite3.OperationalError:
            pytest.skip("this SQLite has no dbstat")
    db.close()
    with path.open("r+b") as file:
        file.seek((page - 1) * PAGE)
        file.write(b"\xa5" * PAGE)


async def _kept_more(it: Fleet, ledger: Path, count: int, node: str = "oslo") -> None:
    before = deeds.kept(ledger, node)

    async def grown() -> bool:
        return deeds.kept(ledger, node) >= before + count

    await it.until(grown, f"the producer on {node} made {count} more")
