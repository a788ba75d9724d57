"""An epoch belongs to one database file (INVARIANTS A6); one process to one store."""

import resource
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from protocol.aio import sqlite
from protocol.aio.journal import Journal
from protocol.effects import Acked, Put
from protocol.errors import StoreError, StoreLocked, StoreNewer, StoreStuck
from protocol.snapshot import StreamState, doubt
from tests.contract.aio.parts import bytes_of, opened, raw, rows, tip


async def lived(folder: Path, count: int = 5, acked: int = 2) -> StreamState:
    """Make a store whose `state` stream has `count` rows; return the stream as it is then."""
    journal = await opened(folder, telemetry=True)
    streams = journal.snapshot().streams
    await journal.commit(
        [rows("state", streams["state"].epoch, 1, count), rows("metrics", streams["metrics"].epoch, 1, 3)]
    )
    await journal.commit([Acked("state", streams["state"].epoch, acked)])
    state = (await journal.reload()).streams["state"]
    await journal.close()
    return state


async def abandon(journal: Journal) -> None:
    """Let go of the store as a crash does: nothing is marked."""
    await journal._drop()  # pyright: ignore[reportPrivateUsage]


async def test_a_store_that_is_in_use_names_who_holds_it(tmp_path: Path) -> None:
    journal = await opened(tmp_path)
    with pytest.raises(StoreLocked, match=r"journal\.db is in use by process \d+: stop that one first"):
        await opened(tmp_path)
    await journal.close()
    await (await opened(tmp_path)).close()


async def test_a_store_of_a_newer_skerry_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    await lived(tmp_path)
    with sqlite3.connect(tmp_path / "journal.db") as other:
        other.execute("PRAGMA user_version = 9")
        other.execute("PRAGMA application_id = 2")
    other.close()
    before = (tmp_path / "journal.db").read_bytes()
    with pytest.raises(StoreNewer, match=r"made by a newer Skerry .store version 9, this one knows 1.: install"):
        await opened(tmp_path)
    assert (tmp_path / "journal.db").read_bytes() == before


async def test_a_store_of_another_node_is_refused(tmp_path: Path) -> None:
    await lived(tmp_path)
    with pytest.raises(StoreError, match="belongs to node oslo, not to bergen"):
        await opened(tmp_path, node="bergen")


async def test_a_folder_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="No such file or directory; check the folder"):
        await opened(tmp_path / "nowhere")


async def test_a_crash_of_the_process_changes_no_epoch(tmp_path: Path) -> None:
    before = await lived(tmp_path)
    journal = await opened(tmp_path, telemetry=True)
    epochs = {name: stream.epoch for name, stream in journal.snapshot().streams.items()}
    await abandon(journal)
    journal = await opened(tmp_path, telemetry=True, start=50)
    assert not journal.snapshot().clean
    assert {name: stream.epoch for name, stream in journal.snapshot().streams.items()} == epochs
    assert journal.snapshot().streams["state"] == before
    await journal.close()


async def test_a_power_cut_ends_the_epochs_of_telemetry_only(tmp_path: Path) -> None:
    before = await lived(tmp_path)
    await abandon(await opened(tmp_path, telemetry=True))
    with sqlite3.connect(tmp_path / "telemetry.db") as file:
        file.execute("UPDATE meta SET value = 'another boot' WHERE key = 'boot'")
    file.close()
    journal = await opened(tmp_path, telemetry=True, start=50)
    streams = journal.snapshot().streams
    assert streams["state"] == before
    assert streams["metrics"].epoch == f"{50:016x}"
    assert streams["metrics"].former is not None
    assert (streams["metrics"].former.seq, streams["metrics"].former.reason) == (3, "power cut")
    assert bytes_of(await journal.rows("metrics", streams["metrics"].epoch, 0, 3, 1_000)) == [raw(1), raw(2), raw(3)]
    await journal.close()


async def test_a_copied_store_takes_new_epochs_and_tells_of_the_former(tmp_path: Path) -> None:
    before = await lived(tmp_path)
    other = tmp_path / "other"
    other.mkdir()
    shutil.copy(tmp_path / "journal.db", other)
    journal = await opened(other, start=50)
    state = journal.snapshot().streams["state"]
    assert state.epoch not in (before.epoch, "")
    assert state.former is not None
    assert (state.former.epoch, state.former.seq, state.former.hash) == (before.epoch, 5, tip(5).hex())
    assert state.former.reason == "restored or copied"
    assert (state.first, state.last, state.acked, state.hash) == (1, 5, 2, tip(5))
    await journal.close()
    journal = await opened(other, start=90)
    assert journal.snapshot().streams["state"] == state
    await journal.close()


async def test_an_older_copy_put_back_in_place_takes_new_epochs(tmp_path: Path) -> None:
    before = await lived(tmp_path)
    backup = (tmp_path / "journal.db").read_bytes()
    journal = await opened(tmp_path)
    await journal.commit([rows("state", before.epoch, 6, 3)])
    await journal.close()
    (tmp_path / "journal.db").write_bytes(backup)  # the same file, older bytes: its inode tells nothing
    journal = await opened(tmp_path, start=50)
    state = journal.snapshot().streams["state"]
    assert state.former is not None
    assert (state.former.epoch, state.former.seq, state.former.reason) == (before.epoch, 5, "restored")
    await journal.close()


async def test_a_failed_opening_holds_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    await lived(tmp_path)
    monkeypatch.setattr(sqlite, "SCHEMA_VERSION", 0)
    with pytest.raises(StoreNewer):
        await opened(tmp_path)
    monkeypatch.undo()
    await (await opened(tmp_path)).close()


async def test_another_program_that_holds_the_file_is_an_error_that_passes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("protocol.limits.BUSY_WAIT_S", 0.01)
    journal = await opened(tmp_path)
    other = sqlite3.connect(tmp_path / "journal.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreError, match="another program has held it"):
        await journal.commit([Put("s", "k", b"v")])
    other.execute("ROLLBACK")
    other.close()
    await journal.reload()
    await journal.commit([Put("s", "k", b"v")])
    await journal.close()


async def _lose_the_log(folder: Path, journal: Journal, *kept: str) -> None:
    """End this life as kill -9 does, and delete the write-ahead logs, but for files that end in `kept`."""
    left = {path: path.read_bytes() for path in folder.iterdir() if path.suffix in (".db", ".lock", *kept)}
    await abandon(journal)
    for path, content in left.items():
        path.write_bytes(content)  # the same inode


async def test_a_store_whose_first_log_is_lost_is_recovered_and_known_to_be_nobody_elses(tmp_path: Path) -> None:
    journal = await opened(tmp_path)
    before = journal.snapshot().streams
    await journal.commit([rows("state", before["state"].epoch, 1, 5), Put("link", "session", b"3")])
    await _lose_the_log(tmp_path, journal)
    journal = await opened(tmp_path, start=50)
    found = doubt(journal.snapshot())
    assert found is not None
    assert found.partial
    assert found.in_place, "its counter may be behind: it jumps"
    assert journal.snapshot().streams["state"].epoch != before["state"].epoch
    await journal.close()


async def test_a_store_whose_log_is_lost_after_the_file_knew_of_this_life_takes_new_epochs(tmp_path: Path) -> None:
    before = await lived(tmp_path)
    journal = await opened(tmp_path, telemetry=True)
    former = {name: one.epoch for name, one in journal.snapshot().streams.items()}
    with closing(sqlite3.connect(tmp_path / "journal.db")) as other:
        other.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # as happens by itself now and then
    await journal.commit([rows("state", before.epoch, 6, 3), Put("link", "session", b"3")])
    await _lose_the_log(tmp_path, journal)
    journal = await opened(tmp_path, telemetry=True, start=50)
    streams = journal.snapshot().streams
    assert set(former.values()).isdisjoint(one.epoch for one in streams.values())
    assert streams["state"].last == 5
    found = doubt(journal.snapshot())
    assert found is not None
    assert (found.reason, found.in_place, found.partial) == ("restored", True, False)
    await journal.close()
    journal = await opened(tmp_path, telemetry=True, start=90)
    assert journal.snapshot().streams == streams, "once is enough"
    await journal.close()


async def test_a_log_that_a_start_on_a_full_disk_merges_is_not_taken_for_lost(tmp_path: Path) -> None:
    await lived(tmp_path)
    journal = await opened(tmp_path, telemetry=True)
    before = journal.snapshot().streams
    for _ in range(50):  # the log outgrows the file: it cannot grow on, and all of it can be merged
        await journal.commit([Put("s", "k", b"v")])
    await _lose_the_log(tmp_path, journal, ".db-wal")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, ((tmp_path / "journal.db-wal").stat().st_size, hard))
    try:
        with pytest.raises(StoreStuck):
            await opened(tmp_path, telemetry=True, start=50)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert (tmp_path / "journal.db-wal").stat().st_size == 0
    journal = await opened(tmp_path, telemetry=True, start=50)
    assert {name: one.epoch for name, one in journal.snapshot().streams.items()} == {
        name: one.epoch for name, one in before.items()
    }
    assert doubt(journal.snapshot()) is None
    assert journal.snapshot().spaces["s"] == {"k": b"v"}
    await journal.close()
