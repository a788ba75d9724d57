"""The journal holds what it was told, in one transaction, and gives it back."""

from pathlib import Path

import pytest

from protocol import effects, limits
from protocol.aio.journal import Journal, read_only
from protocol.effects import Acked, Delete, Gap, NewEpoch, Put, Received, SetAside, Trim
from protocol.errors import StoreError
from protocol.messages import FormerEpoch
from tests.contract.aio.parts import bytes_of, opened, raw, rows, tip


async def again(journal: Journal, folder: Path) -> Journal:
    """Close `journal` and open its store anew."""
    await journal.close()
    return await opened(folder, start=900)


async def test_a_new_store_has_an_epoch_for_each_stream_and_nothing_else(tmp_path: Path) -> None:
    journal = await opened(tmp_path)
    snapshot = journal.snapshot()
    assert snapshot.node == "oslo"
    assert snapshot.clean
    assert {name: (s.epoch, s.first, s.last, s.former) for name, s in snapshot.streams.items()} == {
        "audit": ("0000000000000001", 1, 0, None),
        "state": ("0000000000000002", 1, 0, None),
        "metrics": ("0000000000000003", 1, 0, None),
    }
    await journal.close()


async def test_what_is_committed_is_there_after_reopening_with_the_same_epoch(tmp_path: Path) -> None:
    journal = await opened(tmp_path)
    epoch = journal.snapshot().streams["state"].epoch
    await journal.commit([rows("state", epoch, 1, 3), Put("link", "session", b"7"), Acked("state", epoch, 2)])
    journal = await again(journal, tmp_path)
    state = journal.snapshot().streams["state"]
    assert (state.epoch, state.first, state.last, state.hash, state.acked) == (epoch, 1, 3, tip(3), 2)
    assert journal.snapshot().spaces == {"link": {"session": b"7"}}
    assert bytes_of(await journal.rows("state", epoch, 0, 3, 1_000)) == [raw(1), raw(2), raw(3)]
    await journal.close()


async def test_of_a_key_the_last_value_of_a_commit_counts(tmp_path: Path) -> None:
    journal = await opened(tmp_path)
    await journal.commit([Put("s", "a", b"1"), Put("s", "b", b"1"), Put("s", "a", b"2"), Delete("s", "b")])
    await journal.commit([Delete("s", "never there"), Delete("s", "c"), Put("s", "c", b"3")])
    journal = await again(journal, tmp_path)
    assert journal.snapshot().spaces == {"s": {"a": b"2", "c": b"3"}}
    await journal.close()


async def test_a_stream_whose_rows_are_all_trimmed_goes_on_counting(tmp_path: Path) -> None:
    journal = await opened(tmp_path)
    epoch = journal.snapshot().streams["state"].epoch
    await journal.commit([rows("state", epoch, 1, 3)])
    await journal.commit([Acked("state", epoch, 3), Trim("state", epoch, 3)])
    journal = await again(journal, tmp_path)
    state = journal.snapshot().streams["state"]
    assert (state.first, state.last, state.hash, state.acked, state.segments) == (4, 3, tip(3), 3, [])
    await journal.commit([rows("state", epoch, 4, 1)])
    assert bytes_of(await journal.rows("state", epoch, 3, 4, 1_000)) == [raw(4)]
    await journal.close()


async def test_a_gap_takes_the_place_of_its_rows(tmp_path: Path) -> None:
    journal = await opened(tmp_path)
    epoch = journal.snapshot().streams["audit"].epoch
    await journal.commit([rows("audit", epoch, 1, 5)])
    await journal.commit([Gap("audit", epoch, 1, 3, b"gap to 3", tip(3))])
    assert bytes_of(await journal.rows("audit", epoch, 0, 5, 1_000)) == [b"gap to 3", raw(4), raw(5)]
    journal = await again(journal, tmp_path)
    assert journal.snapshot().streams["audit"].first == 3
    assert journal.snapshot().streams["audit"].last == 5
    await journal.close()


async def test_segments_sum_the_stored_bytes_in_grains(tmp_path: Path) -> None:
    journal = await opened(tmp_path)
    epoch = journal.snapshot().streams["state"].epoch
    count = limits.SEGMENT_ROWS + 10
    added = rows("state", epoch, 1, count)
    await journal.commit([added])
    journal = await again(journal, tmp_path)
    segments = journal.snapshot().streams["state"].segments
    assert [(first, last) for first, last, _ in segments] == [
        (1, limits.SEGMENT_ROWS),
        (limits.SEGMENT_ROWS + 1, count),
    ]
    assert sum(size for _, _, size in segments) == sum(len(r) + len(h) for _, r, h in added.rows)
    await journal.close()


async def test_a_new_epoch_inside_the_file_keeps_the_rows_above_its_base(tmp_path: Path) -> None:
    journal = await opened(tmp_path)
    old = journal.snapshot().streams["state"].epoch
    former = FormerEpoch(epoch=old, seq=5, hash="aa", reason="hub restored")
    await journal.commit([rows("state", old, 1, 5)])
    await journal.commit([NewEpoch("state", "f" * 16, former, 3), rows("state", "f" * 16, 6, 1)])
    assert await journal.rows("state", old, 0, 6, 1_000) == []
    assert bytes_of(await journal.rows("state", "f" * 16, 3, 6, 1_000)) == [raw(4), raw(5), raw(6)]
    journal = await again(journal, tmp_path)
    state = journal.snapshot().streams["state"]
    assert (state.epoch, state.first, state.last, state.acked, state.former) == ("f" * 16, 4, 6, 3, former)
    await journal.close()


async def test_rows_stop_at_the_bytes_asked_for_but_give_one_at_least(tmp_path: Path) -> None:
    journal = await opened(tmp_path)
    epoch = journal.snapshot().streams["state"].epoch
    await journal.commit([rows("state", epoch, 1, 50, size=99)])
    for _ in ("from memory", "from the file"):
        assert len(await journal.rows("state", epoch, 0, 50, 1_001)) == 10
        assert bytes_of(await journal.rows("state", epoch, 9, 50, 1)) == [raw(10, 99)]
        assert await journal.rows("state", epoch, 50, 50, 1_000) == []
        await journal.reload()
    await journal.close()


async def test_rows_older_than_what_memory_keeps_come_from_the_file(tmp_path: Path) -> None:
    journal = await opened(tmp_path)
    epoch = journal.snapshot().streams["state"].epoch
    size = limits.TAIL_BYTES // 100
    for first in range(1, 201, 20):
        await journal.commit([rows("state", epoch, first, 20, size)])
    for after in (0, 55, 101, 150, 199):
        assert bytes_of(await journal.rows("state", epoch, after, after + 1, 10 * size)) == [raw(after + 1, size)]
    await journal.close()


async def test_what_a_copy_of_a_child_brought_is_not_stored_a_second_time(tmp_path: Path) -> None:
    journal = await opened(tmp_path)
    its = [(seq, b"r%d" % seq, tip(seq), 10, "k", "x") for seq in range(1, 7)]
    other = (3, b"other", tip(33), 10, "k", "x")
    await journal.commit([Received("a", "e1", "state", its[:4]), Received("b", "e1", "state", its[4:])])
    await journal.commit([Received("a", "e2", "state", [its[1], other, its[3], *its[4:]], 4)])
    found = read_only(tmp_path / "journal.db").execute(
        "SELECT e.seq, e.raw FROM entry e JOIN channel c ON c.id = e.channel WHERE c.epoch = 'e2' ORDER BY e.id"
    )
    assert found.fetchall() == [(3, b"other"), (5, b"r5"), (6, b"r6")]
    await journal.close()


async def test_a_hub_keeps_what_its_children_sent_in_the_order_it_arrived(tmp_path: Path) -> None:
    journal = await opened(tmp_path)
    first = Received("a", "e1", "state", [(1, b"r1", tip(1), 10, "k", "x"), (2, b"r2", tip(2), 20, "k", "y")])
    await journal.commit([first, Received("b", "e2", "audit", [(1, b"s1", b"", 5, "j", "")])])
    await journal.commit([Received("a", "e1", "state", [(3, b"r3", tip(3), 30, "k", "x")])])
    await journal.commit([SetAside("a", "e1", "state", 3, b"other", "fork")])
    reader = read_only(tmp_path / "journal.db")
    found = reader.execute(
        "SELECT e.id, c.node, c.stream, e.seq, e.time_ms, e.kind, e.key, e.raw FROM entry e"
        " JOIN channel c ON c.id = e.channel ORDER BY e.id"
    ).fetchall()
    assert found == [
        (1, "a", "state", 1, 10, "k", "x", b"r1"),
        (2, "a", "state", 2, 20, "k", "y", b"r2"),
        (3, "b", "audit", 1, 5, "j", "", b"s1"),
        (4, "a", "state", 3, 30, "k", "x", b"r3"),
    ]
    assert reader.execute("SELECT node, seq, raw, reason FROM aside").fetchall() == [("a", 3, b"other", "fork")]
    reader.close()
    await journal.close()


async def test_a_reader_cannot_write(tmp_path: Path) -> None:
    journal = await opened(tmp_path)
    reader = read_only(tmp_path / "journal.db")
    with pytest.raises(Exception, match="readonly"):
        reader.execute("DELETE FROM meta")
    reader.close()
    await journal.close()
    with pytest.raises(StoreError, match="cannot be opened"):
        read_only(tmp_path / "absent.db").execute("SELECT 1")


async def test_telemetry_lives_in_a_file_of_its_own(tmp_path: Path) -> None:
    journal = await opened(tmp_path, telemetry=True)
    epochs = {name: stream.epoch for name, stream in journal.snapshot().streams.items()}
    await journal.commit([rows("metrics", epochs["metrics"], 1, 2), rows("state", epochs["state"], 1, 1)])
    await journal.commit([Acked("metrics", epochs["metrics"], 1), Trim("metrics", epochs["metrics"], 1)])
    assert bytes_of(await journal.rows("metrics", epochs["metrics"], 1, 2, 100)) == [raw(2)]
    await journal.close()
    apart = read_only(tmp_path / "telemetry.db")
    assert apart.execute("SELECT seq FROM own_metrics").fetchall() == [(2,)]
    apart.close()
    journal = await opened(tmp_path, telemetry=True)
    assert {name: stream.epoch for name, stream in journal.snapshot().streams.items()} == epochs
    assert journal.snapshot().streams["metrics"].first == 2
    await journal.close()


async def test_rows_that_do_not_follow_on_are_a_defect_and_change_nothing(tmp_path: Path) -> None:
    journal = await opened(tmp_path)
    epoch = journal.snapshot().streams["state"].epoch
    for wrong in (rows("state", epoch, 2, 1), rows("state", "0" * 16, 1, 1)):
        with pytest.raises(AssertionError):
            await journal.commit([Put("s", "k", b"v"), wrong])
        assert (await journal.reload()).spaces == {}
    await journal.close()


async def test_the_same_entry_of_a_child_is_never_stored_twice_and_fails_nobody_elses_commit(tmp_path: Path) -> None:
    journal = await opened(tmp_path)
    await journal.commit([Received("a", "e", "state", [(1, b"first", b"", 0, "k", "")])])
    again = Received("a", "e", "state", [(1, b"other", b"", 0, "k", ""), (2, b"second", b"", 0, "k", "")])
    await journal.commit([effects.Put("s", "k", b"v"), again])
    assert (await journal.reload()).spaces == {"s": {"k": b"v"}}
    await journal.close()
    db = read_only(tmp_path / "journal.db")
    assert db.execute("SELECT seq, raw FROM entry ORDER BY id").fetchall() == [(1, b"first"), (2, b"second")]
    db.close()


async def test_however_many_streams_come_few_of_their_places_are_kept_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "CHANNELS_KNOWN_MAX", 3)
    journal = await opened(tmp_path)
    for first in (1, 2):
        rows_of = [(first, b"raw", b"h", 0, "k", "")]
        await journal.commit([Received(f"x-{one}", "e", "state", rows_of, at=f"evil/x-{one}") for one in range(10)])
    await journal.close()
    db = read_only(tmp_path / "journal.db")
    query = "SELECT node, group_concat(seq) FROM entry JOIN channel ON channel.id = channel GROUP BY node"
    assert db.execute(query).fetchall() == [(f"x-{one}", "1,2") for one in range(10)]
    assert db.execute("SELECT count(*) FROM channel").fetchone() == (10,)
    db.close()


async def test_no_node_pushes_out_what_was_set_aside_of_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "ASIDE_KEPT_ROWS", 7)
    monkeypatch.setattr(limits, "ASIDE_KEPT_OF_NODE_ROWS", 5)
    journal = await opened(tmp_path)
    await journal.commit([SetAside("b", "e", "state", seq, b"poison", "odd") for seq in (1, 2)])
    for start in (1, 11):
        some = [SetAside("a", "e", "state", seq, b"poison", "odd") for seq in range(start, start + 10)]
        await journal.commit(some)
    await journal.commit([SetAside("c", "e", "state", 1, b"poison", "odd")])
    await journal.close()
    db = read_only(tmp_path / "journal.db")
    kept = db.execute("SELECT node, seq FROM aside ORDER BY node, seq").fetchall()
    assert kept == [("a", 17), ("a", 18), ("a", 19), ("a", 20), ("b", 1), ("b", 2), ("c", 1)]
    db.close()


async def test_only_the_newest_of_what_was_set_aside_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "ASIDE_KEPT_ROWS", 3)
    journal = await opened(tmp_path)
    await journal.commit([SetAside("a", "e", "state", seq, b"poison", "odd") for seq in range(1, 9)])
    await journal.close()
    db = read_only(tmp_path / "journal.db")
    assert [seq for (seq,) in db.execute("SELECT seq FROM aside ORDER BY id")] == [6, 7, 8]
    db.close()


async def test_the_journal_outlives_a_power_cut_and_telemetry_a_crash(tmp_path: Path) -> None:
    journal = await opened(tmp_path, telemetry=True)
    parts = journal._parts  # pyright: ignore[reportPrivateUsage]
    modes = [await part.file.run(lambda db: db.execute("PRAGMA synchronous").fetchone()[0]) for part in parts]
    assert modes == [2, 1]
    await journal.close()
