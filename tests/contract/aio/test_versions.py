"""A store of the version after this one: used and left as it is, when it says that this one may (decision 0056)."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from protocol.aio import sqlite
from protocol.aio.checkup import stores
from protocol.aio.journal import Kept
from protocol.effects import Acked, Delete, Gap, NewEpoch, Put, Received, SetAside, Trim
from protocol.errors import StoreNewer
from protocol.messages import FormerEpoch
from tests.contract.aio.parts import opened, raw, rows, tip
from tests.contract.aio.test_life import abandon, lived
from tests.contract.aio.test_recovery import made, recovered, smash

LATER = sqlite.SCHEMA_VERSION + 1
"""The version after this one, which adds a column to each table, a table, a stream, and state of a space of its own."""


def _migrate(path: Path, *, version: int = LATER, oldest: int = sqlite.SCHEMA_VERSION) -> None:
    with closing(sqlite3.connect(path)) as db, db:
        tables = [name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for table in tables:
            db.execute(f"ALTER TABLE {table} ADD COLUMN later TEXT NOT NULL DEFAULT 'as before'")
        db.execute("UPDATE meta SET later = 'kept' WHERE key = 'node'")
        db.execute("CREATE TABLE later (id INTEGER PRIMARY KEY, text TEXT NOT NULL)")
        db.execute("INSERT INTO later VALUES (1, 'of the next version')")
        head = ("plans", "e", 0, b"", 0, None)
        into = "INSERT INTO stream (name, epoch, last, hash, acked, former, sum) VALUES (?, ?, ?, ?, ?, ?, ?)"
        db.execute(into, (*head, sqlite.checksum(*head)))
        value = ("plans", "k", b"{}")
        db.execute("INSERT INTO state VALUES (?, ?, ?, ?, 'kept')", (*value, sqlite.checksum(*value)))
        db.execute(f"PRAGMA user_version = {version}")
        db.execute(f"PRAGMA application_id = {oldest}")


def _of_later(path: Path) -> list[tuple[str, ...]]:
    """Return what the next version wrote and this one does not know."""
    with closing(sqlite3.connect(path)) as db:
        query = """
            SELECT text FROM later UNION ALL SELECT epoch FROM stream WHERE name = 'plans'
            UNION ALL SELECT later FROM state WHERE space = 'plans'
        """
        return [*db.execute(query), *db.execute("PRAGMA user_version"), *db.execute("PRAGMA application_id")]


_KEPT = [("of the next version",), ("e",), ("kept",), (LATER,), (sqlite.SCHEMA_VERSION,)]


def test_a_version_can_be_gone_back_from() -> None:
    assert 1 <= sqlite.SCHEMA_OLDEST <= max(1, sqlite.SCHEMA_VERSION - 1)


async def test_a_store_of_the_next_version_is_read_written_and_opened_again(tmp_path: Path) -> None:
    before = await lived(tmp_path)
    for name in ("journal.db", "telemetry.db"):
        _migrate(tmp_path / name)
    journal = await opened(tmp_path, telemetry=True)
    assert journal.snapshot().streams["state"] == before
    assert journal.snapshot().spaces["plans"] == {"k": b"{}"}
    arrived = [(1, b"r", b"h", 5, "k", "")]
    await journal.commit(
        [rows("state", before.epoch, 6, 3), Put("s", "k", b"1"), Received("gw-1", "e", "state", arrived)]
    )
    await journal.commit([Acked("state", before.epoch, 4), Trim("state", before.epoch, 2), Put("s", "k", b"2")])
    await journal.commit([Gap("state", before.epoch, 3, 4, raw(4), tip(4)), Delete("s", "none")])
    await journal.commit([SetAside("gw-1", "e", "state", 9, b"x", "no entry")])
    while await journal.retire(now_ms=9, mono_ms=9, kept=Kept(age_ms=10**15, rows=10, bytes=10**9)):
        pass
    await abandon(journal)

    journal = await opened(tmp_path, telemetry=True, start=50)
    state = journal.snapshot().streams["state"]
    assert (state.epoch, state.first, state.last, state.acked) == (before.epoch, 4, 8, 4)
    assert journal.snapshot().spaces["s"] == {"k": b"2"}
    await journal.commit([NewEpoch("state", "f" * 16, former=FormerEpoch(epoch=before.epoch, seq=8), base=4)])
    await journal.close()
    assert _of_later(tmp_path / "journal.db") == _of_later(tmp_path / "telemetry.db") == _KEPT
    seen = stores.store(tmp_path / "journal.db")
    assert (seen.version, seen.oldest, seen.damage, seen.node, seen.clean) == (LATER, 1, "", "oslo", True)


async def test_a_store_that_needs_a_newer_one_is_left_as_it_is(tmp_path: Path) -> None:
    await lived(tmp_path)
    _migrate(tmp_path / "journal.db", version=LATER + 1, oldest=LATER)
    before = (tmp_path / "journal.db").read_bytes()
    with pytest.raises(StoreNewer, match=r"made by a newer Skerry .store version 3, this one knows 1.: install"):
        await opened(tmp_path)
    assert (tmp_path / "journal.db").read_bytes() == before
    assert stores.store(tmp_path / "journal.db").oldest == LATER


async def test_a_store_that_says_nothing_is_for_its_own_version(tmp_path: Path) -> None:
    await lived(tmp_path)
    _migrate(tmp_path / "journal.db", oldest=0)
    with pytest.raises(StoreNewer):
        await opened(tmp_path)


async def test_of_a_damaged_store_of_the_next_version_is_recovered_what_this_one_knows(tmp_path: Path) -> None:
    truth = await made(tmp_path, clean=False)
    _migrate(tmp_path / "journal.db")
    with closing(sqlite3.connect(tmp_path / "journal.db")) as db:
        (page,) = db.execute("SELECT rootpage FROM sqlite_master WHERE name = 'later'").fetchone()
    smash(tmp_path / "journal.db", page - 1)
    assert not any((await recovered(tmp_path, truth)).values()), "no row is lost"
    with closing(sqlite3.connect(tmp_path / "journal.db")) as db:
        assert sqlite.versions(db) == (sqlite.SCHEMA_VERSION, sqlite.SCHEMA_OLDEST)
