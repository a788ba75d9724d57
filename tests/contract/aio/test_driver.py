"""The driver performs effects in order, and nothing that is not stored."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from protocol import effects, limits
from protocol.aio.clock import SystemClock
from protocol.aio.journal import Journal, read_only
from protocol.errors import StoreError
from protocol.link import cursor
from protocol.messages import AnyMessage, Entries, Look
from protocol.snapshot import Snapshot
from tests.contract.aio.parts import Add, Begin, Done, Glance, Send, Stage, Wake, opened, rows


@asynccontextmanager
async def running(journal: Journal) -> AsyncGenerator[Stage]:
    """A stage whose driver runs."""
    stage = Stage(journal)
    task = asyncio.create_task(stage.driver.run(Begin))
    yield stage
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    await journal.close()


def stored(folder: Path) -> list[bytes]:
    """Return the rows of `state` that are on the disk, as another program sees them."""
    reader = read_only(folder / "journal.db")
    found = [row for (row,) in reader.execute("SELECT raw FROM own_state ORDER BY seq")]
    reader.close()
    return found


async def test_effects_come_in_order_stored_then_done_then_sent_then_acted(tmp_path: Path) -> None:
    async with running(await opened(tmp_path)) as stage:
        on_disk: list[list[bytes]] = []
        stage.driver.put(Add(text=b"one", send=True, act=True), lambda: on_disk.append(stored(tmp_path)))
        stage.driver.put(Add(text=b"two", send=True, act=True), lambda: stage.told.append("two done"))
        await stage.driver.settled()
        assert on_disk == [[b"one", b"two"]]
        done, first, second, *acts = stage.told
        assert done == "two done"
        assert isinstance(first, Entries)
        assert isinstance(second, Entries)
        assert (first.session, first.stream, first.prev, [bytes(r) for r in first.rows]) == (7, "state", 0, [b"one"])
        assert [bytes(r) for r in second.rows] == [b"two"]
        assert second.hash == cursor.chain(cursor.chain(b"", b"one"), b"two").hex()
        assert acts == [Done(seq=1), Done(seq=2)]


async def test_a_message_that_tells_of_a_row_finds_it_on_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(await opened(tmp_path)) as stage:
        on_disk: list[list[bytes]] = []

        def send(_stage: Stage, _peer: str, _message: AnyMessage) -> None:
            on_disk.append(stored(tmp_path))

        monkeypatch.setattr(Stage, "send", send)
        stage.driver.put(Add(text=b"one", tell=True))
        await stage.driver.settled()
        assert on_disk == [[b"one"]]


async def test_the_first_input_is_the_start_and_all_come_in_the_order_they_were_put(tmp_path: Path) -> None:
    async with running(await opened(tmp_path)) as stage:
        texts = [b"%d" % n for n in range(limits.BATCH_INPUTS_MAX * 2 + 3)]
        for text in texts:
            stage.driver.put(Add(text=text))
        await stage.driver.settled()
        assert stage.driver.core.seen == [Begin(), *(Add(text=text) for text in texts)]
        assert stored(tmp_path) == texts


async def test_inputs_that_wait_share_one_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    commit = Journal.commit

    async def counted(journal: Journal, ops: list[effects.Store]) -> None:
        sizes.append(len(ops))
        await commit(journal, ops)

    monkeypatch.setattr(Journal, "commit", counted)
    monkeypatch.setattr(limits, "BATCH_S_MAX", 60.0)
    async with running(await opened(tmp_path)) as stage:
        for n in range(100):
            stage.driver.put(Add(text=b"%d" % n))
        await stage.driver.settled()
        assert sizes == [100]


async def test_lazy_stores_wait_until_something_follows_from_them(tmp_path: Path) -> None:
    async with running(await opened(tmp_path)) as stage:
        calls: list[str] = []
        stage.driver.put(Add(text=b"lazy", lazy=True), lambda: calls.append("lazy"))
        stage.driver.put(Glance(), lambda: calls.append("nothing"))
        while len(stage.driver.core.seen) < 3:
            await asyncio.sleep(0)
        assert calls == []
        stage.driver.put(Add(text=b"now", act=True), lambda: calls.append("now"))
        await stage.driver.settled()
        assert calls == ["lazy", "nothing", "now"]
        assert stored(tmp_path) == [b"lazy", b"now"]


async def test_lazy_stores_do_not_wait_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "LAZY_COMMIT_S", 0.01)
    async with running(await opened(tmp_path)) as stage:
        done = asyncio.Event()
        stage.driver.put(Add(text=b"lazy", lazy=True), done.set)
        await done.wait()
        assert stored(tmp_path) == [b"lazy"]


async def test_an_input_that_stores_nothing_is_done_without_a_commit(tmp_path: Path) -> None:
    async with running(await opened(tmp_path)) as stage:
        done = asyncio.Event()
        stage.driver.put(Glance(), done.set)
        await done.wait()
        assert stage.journal.snapshot().streams["state"].last == 0


async def test_the_timer_becomes_a_tick_once(tmp_path: Path) -> None:
    async with running(await opened(tmp_path)) as stage:
        stage.driver.put(Wake(SystemClock().mono() + 0.01))
        await stage.sent.wait()
        assert [type(message) for message in stage.told] == [Look]


async def test_the_newest_wake_replaces_the_former(tmp_path: Path) -> None:
    async with running(await opened(tmp_path)) as stage:
        stage.driver.put(Wake(0.0))
        stage.driver.put(Wake(SystemClock().mono() + 3_600))
        await stage.driver.settled()
        assert stage.told == []


async def test_sources_wait_for_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "INBOX_INPUTS_MAX", 10)
    stage = Stage(await opened(tmp_path))
    for _ in range(11):
        stage.driver.put(Glance())
    waiting = asyncio.create_task(stage.driver.room())
    await asyncio.sleep(0)
    assert not waiting.done()
    task = asyncio.create_task(stage.driver.run(Begin))
    await waiting
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    await stage.journal.close()


async def test_a_store_that_fails_gets_no_effect_and_a_core_rebuilt_from_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "STORE_RETRY_S_MIN", 0.001)
    commit = Journal.commit
    failing = True

    async def sometimes(journal: Journal, ops: list[effects.Store]) -> None:
        if failing:
            raise StoreError("the disk is full")
        await commit(journal, ops)

    async with running(await opened(tmp_path)) as stage:
        stage.driver.put(Add(text=b"kept", send=True))
        await stage.driver.settled()
        stage.told.clear()
        monkeypatch.setattr(Journal, "commit", sometimes)
        first = stage.driver.core
        stage.driver.put(Add(text=b"lost", send=True, act=True), lambda: stage.told.append("done"))
        with pytest.raises(StoreError, match="full"):
            await stage.driver.settled()
        assert stage.told == []
        assert str(stage.errors[0]) == "the disk is full"
        async with asyncio.timeout(limits.STORE_RETRY_S_MAX * 4):
            while stage.driver.core is first or not stage.driver.core.seen:
                await asyncio.sleep(0)
        failing = False
        assert stage.driver.core.last == 1
        assert stage.driver.core.seen == [Begin()]
        stage.driver.put(Add(text=b"healed", act=True))
        await stage.healed.wait()
        await stage.driver.settled()
        assert stored(tmp_path) == [b"kept", b"healed"]
        assert stage.told == [Done(seq=2)]


async def test_what_is_put_while_the_store_fails_is_dropped_aloud(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "STORE_RETRY_S_MIN", 0.001)
    commit, reload = Journal.commit, Journal.reload

    async def full(journal: Journal, ops: list[effects.Store]) -> None:
        monkeypatch.setattr(Journal, "commit", commit)
        raise StoreError("the disk is full")

    async with running(await opened(tmp_path)) as stage:
        await stage.driver.settled()

        async def meanwhile(journal: Journal) -> Snapshot:
            assert len(stage.dropped) == 1
            stage.driver.put(Add(text=b"too early"))
            return await reload(journal)

        monkeypatch.setattr(Journal, "commit", full)
        monkeypatch.setattr(Journal, "reload", meanwhile)
        stage.driver.put(Add(text=b"lost"))
        with pytest.raises(StoreError, match="full"):
            await stage.driver.settled()
        while len(stage.dropped) == 1:
            await asyncio.sleep(0)
        await stage.driver.settled()
        assert len(stage.dropped) == 2, "who put it after the failure was told is told too"
        assert len(stage.errors) == 1
        assert stored(tmp_path) == []


async def test_shutting_down_flushes_what_is_lazy(tmp_path: Path) -> None:
    async with running(await opened(tmp_path)) as stage:
        stage.driver.put(Add(text=b"lazy", lazy=True))
        await stage.driver.settled()
        assert stored(tmp_path) == [b"lazy"]


async def test_rows_of_an_epoch_that_is_over_are_not_sent(tmp_path: Path) -> None:
    async with running(await opened(tmp_path)) as stage:
        stage.driver.put(Add(text=b"one", send=True))
        await stage.driver.settled()
        stage.told.clear()
        stage.driver.core.epoch = "f" * 16
        stage.driver.put(Send())
        await stage.driver.settled()
        assert stage.told == []


async def test_a_gap_over_more_rows_than_a_message_holds_is_sent(tmp_path: Path) -> None:
    journal = await opened(tmp_path)
    epoch, last = journal.snapshot().streams["state"].epoch, limits.ENTRIES_COUNT_MAX + 1
    gap = effects.Gap("state", epoch, 1, last, b"gap", b"h")
    await journal.commit([rows("state", epoch, 1, last, size=0), gap])
    await journal.close()
    async with running(await opened(tmp_path)) as stage:
        stage.driver.put(Send(upto=last))
        await stage.sent.wait()
        (message,) = stage.told
        assert isinstance(message, Entries)
        assert [bytes(raw) for raw in message.rows] == [b"gap"]


async def test_a_message_holds_no_more_rows_than_its_bound(tmp_path: Path) -> None:
    journal = await opened(tmp_path)
    epoch = journal.snapshot().streams["state"].epoch
    await journal.commit([rows("state", epoch, 1, limits.ENTRIES_COUNT_MAX + 1, size=0)])
    await journal.close()
    async with running(await opened(tmp_path)) as stage:
        stage.driver.put(Send(upto=limits.ENTRIES_COUNT_MAX + 1))
        await stage.sent.wait()
        (message,) = stage.told
        assert isinstance(message, Entries)
        assert len(message.rows) == limits.ENTRIES_COUNT_MAX
