"""A damaged store is set aside, and what can be read of it goes on: nothing false, nothing lost in silence.

Rows are those of a real chain; a real child's end and a real parent's end take up what was recovered.
"""

import asyncio
import random
import shutil
import sqlite3
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import pytest

from protocol import effects, limits, messages
from protocol.aio.journal import Journal
from protocol.aio.upkeep import aside
from protocol.documents import digest_of
from protocol.effects import Acked, Effects, Now, Put, Received, Rows
from protocol.errors import StoreDamaged, StoreNewer
from protocol.link import child_desired, cursor
from protocol.link.child_entries import Outbox
from protocol.link.parent_entries import Incoming
from protocol.snapshot import Snapshot, doubt
from tests.contract.aio.parts import STREAMS, Add, Begin, Send, Stage, minted
from tests.contract.aio.parts import opened as opened_anyhow

NODE, HUB = "oslo", "hub"
NOW = Now(mono=1.0, wall=1_700_000_000.0)
SMALL = 240
PAGE = 4_096


class Unsigned:
    """A trust that signs nothing."""

    def learn(self, chain_pem: str, parent: str) -> object:
        return None

    def check_manifest(self, signed: messages.Signed, parent: str, child: str) -> None: ...
    def check_revoked(self, revoked: messages.Revoked, parent: str, child: str) -> None: ...
    def check(self, covered: bytes, signature: str, key: str, parent: str) -> None: ...

    def sign_gap(self, node: str, epoch: str, stream: str, body: messages.GapBody) -> messages.GapBody:
        return body


def _undoubted(node: str, epoch: str, stream: str, body: messages.GapBody) -> str:
    return ""


@dataclass
class Truth:
    """What was stored: rows by stream and seq, and the state."""

    epochs: dict[str, str]
    rows: dict[str, dict[int, tuple[bytes, bytes]]]
    state: dict[tuple[str, str], bytes]
    acked: int
    incoming: Incoming = field(default_factory=lambda: Incoming(NODE, _undoubted))


async def opened(folder: Path, start: int = 1, *, telemetry: bool = False) -> Journal:
    """Return the journal of `folder`."""
    apart = folder / "telemetry.db" if telemetry else None
    return await Journal.open(
        folder / "journal.db", node=NODE, streams=STREAMS, telemetry=apart, mint=minted(start), cache_kib=512
    )


def outbox(snapshot: Snapshot) -> Outbox:
    """Return a child's end over a store."""
    return Outbox(NODE, HUB, snapshot, Unsigned(), minted(7_000), {})


async def made(folder: Path, count: int = SMALL, acked: int = 60, *, size: int = 90, clean: bool = True) -> Truth:
    """Make a store with `count` rows in each chained stream, of which a parent has `acked`."""
    journal = await opened(folder)
    truth = Truth({name: one.epoch for name, one in journal.snapshot().streams.items()}, {}, {}, acked)
    first = Effects()
    outbox(journal.snapshot()).begin(first)
    await journal.commit(first.store)
    heads = outbox(await journal.reload()).heads()
    chained = {name: head for name, head in heads.items() if name in messages.CHAINED}
    truth.incoming.greet(chained, Effects())
    for name in chained:
        epoch = truth.epochs[name]
        items = [("k", f"key{seq}", b'{"n":%d,"x":"%s"}' % (seq, b"y" * (seq % size))) for seq in range(1, count + 1)]
        rows = cursor.encode_rows(0, cursor.genesis(NODE, epoch, name), True, 5, items)
        for start in range(0, count, 40):
            await journal.commit([Rows(name, epoch, rows[start : start + 40])])
        await journal.commit([Acked(name, epoch, acked)])
        truth.rows[name] = {seq: (raw, tip) for seq, raw, tip in rows}
        feed(truth.incoming, name, epoch, 0, rows[:acked])
    body = {digest_of(b"%d" % n * 800): b"%d" % n * 800 for n in range(12)}
    manifest = child_desired.Manifest(
        signed=messages.Signed(child=NODE, parent=HUB, term=1, generation=3, digest="d", key="k", signature="s"),
        items={f"assignment/{n}": digest for n, digest in enumerate(body)},
    )
    puts = [Put("manifest", HUB, msgspec.json.encode(manifest)), Put("link", "session", b"41")]
    puts += [Put("document", digest, raw) for digest, raw in body.items()]
    puts += [Put("service", f"svc-{n:03d}", b'{"n":%d}' % n) for n in range(60)]
    await journal.commit(puts)
    truth.state = {(one.space, one.key): one.value for one in puts}
    if clean:
        await journal.close()
    else:
        await journal._drop()  # pyright: ignore[reportPrivateUsage]
    return truth


def feed(parent: Incoming, name: str, epoch: str, prev: int, rows: list[effects.StoredRow]) -> Effects:
    """Send `rows` to the parent's end."""
    fx = Effects()
    message = messages.Entries(
        session=1,
        stream=name,
        epoch=epoch,
        prev=prev,
        hash=rows[-1][2].hex(),
        rows=[msgspec.Raw(raw) for _, raw, _ in rows],
    )
    ack, told = parent.take(message, fx)
    assert ack is not None
    assert not ack.fork, told
    return fx


async def caught_up(journal: Journal, truth: Truth) -> dict[str, int]:
    """Let the child's end and the parent's agree, send all; check each row. Return rows declared lost, by stream."""
    snapshot = await journal.reload()
    fx = Effects()
    box = outbox(snapshot)
    box.begin(fx)
    await journal.commit(fx.store)
    heads = {name: head for name, head in box.heads().items() if name in truth.rows}
    truth.incoming.greet(heads, Effects())
    lost: dict[str, int] = {}
    for name in heads:
        stream, held = box.streams[name], truth.incoming.cursors[name]
        before = held.lost
        at = held.seq
        assert held.epoch == stream.epoch
        assert at <= stream.last, "the parent stands beyond a stream whose end it was told"
        while at < stream.last:
            upto, _ = stream.chunk(at, stream.last, limits.ENTRIES_BYTES_MAX)
            rows = await journal.rows(name, stream.epoch, at, upto, limits.ENTRIES_BYTES_MAX)
            assert rows, f"{name}: nothing between {at} and {upto}"
            for op in feed(truth.incoming, name, stream.epoch, at, rows).store:
                if isinstance(op, Received):
                    for seq, raw, tip, _, kind, _ in op.rows:
                        assert tip == truth.rows[name][seq][1], f"{name}: a false hash at {seq}"
                        assert kind == cursor.GAP or raw == truth.rows[name][seq][0], f"{name}: a false row at {seq}"
            assert held.seq > at
            at = held.seq
        lost[name] = held.lost - before
    return lost


def check_state(snapshot: Snapshot, truth: Truth) -> None:
    """All state that is there is true, and a manifest has all its documents."""
    for space, values in snapshot.spaces.items():
        for key, value in values.items():
            if (space, key) in truth.state:
                assert truth.state[space, key] == value, (space, key)
    if HUB in snapshot.spaces.get("manifest", {}):
        items = msgspec.json.decode(snapshot.spaces["manifest"][HUB], type=child_desired.Manifest).items
        assert set(items.values()) <= set(snapshot.spaces["document"])


def flip(path: Path, place: int, bit: int) -> None:
    """Flip one bit of a file."""
    with path.open("r+b") as file:
        file.seek(place)
        byte = file.read(1)[0]
        file.seek(place)
        file.write(bytes([byte ^ (1 << bit)]))


def smash(path: Path, page: int) -> None:
    """Overwrite a page (0 is the first)."""
    with path.open("r+b") as file:
        file.seek(page * PAGE)
        file.write(b"\xa5" * PAGE)


async def recovered(folder: Path, truth: Truth, start: int = 500) -> dict[str, int]:
    """Open the store of `folder`, catch up, and check all; return the rows declared lost."""
    journal = await opened(folder, start)
    try:
        check_state(journal.snapshot(), truth)
        return await caught_up(journal, truth)
    finally:
        await journal.close()


@pytest.mark.parametrize("seed", range(8))
async def test_flipped_bits_anywhere_leave_no_false_row_and_no_silent_loss(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    for number in range(12):
        folder = tmp_path / str(number)
        folder.mkdir()
        truth = await made(folder, clean=False)
        _merge_wal(folder)
        path = folder / "journal.db"
        for _ in range(rng.choice([1, 1, 3, 20])):
            flip(path, rng.randrange(path.stat().st_size), rng.randrange(8))
        with suppress(StoreNewer):  # the one number that says so
            await recovered(folder, truth)
        shutil.rmtree(folder)


def _merge_wal(folder: Path) -> None:
    """Bring all that is in the write-ahead log into the main file, and leave the store marked unclean."""
    with sqlite3.connect(folder / "journal.db") as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()


@pytest.mark.parametrize("part", range(4))
async def test_each_page_in_turn_can_be_lost(tmp_path: Path, part: int) -> None:
    page, pages = part, part + 1
    while page < pages:
        folder = tmp_path / str(page)
        folder.mkdir()
        truth = await made(folder, clean=False)
        _merge_wal(folder)
        pages = (folder / "journal.db").stat().st_size // PAGE
        smash(folder / "journal.db", page)
        lost = await recovered(folder, truth)
        assert all(count <= SMALL - truth.acked for count in lost.values())
        assert len(aside.damaged(folder / "journal.db")) == 1, f"page {page} was not noticed"
        shutil.rmtree(folder)
        page += 4
    assert pages > 20


async def test_a_store_cut_off_anywhere_keeps_what_is_before_the_cut(tmp_path: Path) -> None:
    rng = random.Random(4)
    for number in range(16):
        folder = tmp_path / str(number)
        folder.mkdir()
        truth = await made(folder)
        path = folder / "journal.db"
        size = path.stat().st_size
        chosen = (0, 1, 99, 100, PAGE, PAGE - 1, size - 2 * PAGE, size - PAGE)
        at = chosen[number] if number < len(chosen) else rng.randrange(size - PAGE)
        with path.open("r+b") as file:
            file.truncate(at)
        await recovered(folder, truth)
        assert len(aside.damaged(path)) == 1, f"cut at {at} of {size}: not noticed"


async def test_a_recovered_store_takes_one_new_epoch_which_names_the_one_that_its_parent_knows(tmp_path: Path) -> None:
    truth = await made(tmp_path)
    path = tmp_path / "journal.db"
    raw = bytearray(path.read_bytes())
    middle = len(raw) // (2 * PAGE) * PAGE
    raw[middle : middle + PAGE] = bytes(PAGE)
    path.write_bytes(raw)
    journal = await opened(tmp_path, 500)
    for name, stream in journal.snapshot().streams.items():
        assert stream.epoch != truth.epochs[name]
        assert stream.former is not None
        assert stream.former.epoch == truth.epochs[name]
        assert stream.former.reason.startswith("the store was damaged")
    await journal.close()


async def test_a_file_of_rubbish_is_gone_on_from_with_nothing_and_the_parent_is_not_misled(tmp_path: Path) -> None:
    truth = await made(tmp_path)
    path = tmp_path / "journal.db"
    path.write_bytes(random.Random(1).randbytes(path.stat().st_size))
    journal = await opened(tmp_path, 500)
    found = doubt(journal.snapshot())
    assert found is not None
    assert found.partial
    assert found.aside == aside.damaged(path)[0].name
    assert await caught_up(journal, truth) == {"audit": 0, "state": 0}
    assert truth.incoming.cursors["state"].seq == 0
    assert truth.incoming.cursors["state"].former[-1].seq == truth.acked, "what it has under the former epoch stays"
    await journal.close()


async def test_what_is_lost_between_good_rows_is_declared_to_the_row(tmp_path: Path) -> None:
    truth = await made(tmp_path, count=1_200, acked=100, clean=False)
    _merge_wal(tmp_path)
    path = tmp_path / "journal.db"
    with sqlite3.connect(path) as db:
        db.execute("UPDATE own_audit SET raw = x'5b5d' WHERE seq IN (50, 300, 301, 900)")
    db.close()
    journal = await opened(tmp_path, 500)
    await journal.reload()
    journal._parts[0].damaged = True  # pyright: ignore[reportPrivateUsage]  # as a failed read does
    assert await caught_up(journal, truth) == {"audit": 3, "state": 0}
    assert truth.incoming.cursors["audit"].seq == 1_200
    await journal.close()
    journal = await opened(tmp_path, 700)
    assert await caught_up(journal, truth) == {"audit": 0, "state": 0}
    await journal.close()


async def test_damage_that_shows_while_the_store_is_open_leads_to_the_same_recovery(tmp_path: Path) -> None:
    stage = Stage(await opened_anyhow(tmp_path))
    task = asyncio.create_task(stage.driver.run(Begin))
    for _ in range(limits.TAIL_BYTES // 1_000 + 200):  # more than memory keeps: the oldest are read from the file
        stage.driver.put(Add(text=b"x" * 1_000))
    await stage.driver.settled()
    with sqlite3.connect(tmp_path / "journal.db") as other:
        other.execute("UPDATE own_state SET raw = x'00' WHERE seq = 7")
    other.close()
    stage.driver.put(Send(upto=20))
    await stage.failed.wait()
    stage.driver.put(Add(text=b"on"))
    while not stage.healed.is_set():
        await asyncio.sleep(0.01)  # bounded poll: what is put while the store fails is dropped aloud
        stage.driver.put(Add(text=b"on"))
    assert isinstance(stage.errors[0], StoreDamaged)
    assert len(aside.damaged(tmp_path / "journal.db")) == 1
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    await stage.journal.close()


@pytest.mark.parametrize("damage", ["cut off", "newest row", "far below"])
async def test_of_a_large_store_its_size_and_its_newest_rows_are_looked_at_and_the_rest_when_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: str
) -> None:
    monkeypatch.setattr(limits, "QUICK_CHECK_BYTES_MAX", 64 * limits.KIB)
    truth = await made(tmp_path, count=600, acked=100, clean=False)
    _merge_wal(tmp_path)
    path = tmp_path / "journal.db"
    assert path.stat().st_size > limits.QUICK_CHECK_BYTES_MAX
    if damage == "cut off":
        with path.open("r+b") as file:
            file.truncate(path.stat().st_size - PAGE)
    else:
        seq = 600 if damage == "newest row" else 150
        with closing(sqlite3.connect(path)) as db, db:
            db.execute("UPDATE own_audit SET raw = x'5b5d' WHERE seq = ?", (seq,))
    journal = await opened(tmp_path, 500)
    assert len(aside.damaged(path)) == (damage != "far below"), "what lies deep costs no start"
    if damage == "far below":
        epoch = journal.snapshot().streams["audit"].epoch
        with pytest.raises(StoreDamaged, match="rows of audit after 100 do not come to their hashes"):
            await journal.rows("audit", epoch, 100, 300, limits.MIB)
    lost = await caught_up(journal, truth)
    assert len(aside.damaged(path)) == 1
    assert lost["audit"] == (0 if damage == "cut off" else 1)
    await journal.close()


async def test_only_so_many_damaged_files_are_kept(tmp_path: Path) -> None:
    for start in range(limits.DAMAGED_FILES_KEPT + 2):
        await (await opened(tmp_path, start * 100 + 1)).close()
        (tmp_path / "journal.db").write_bytes(b"rubbish" * 2_000)
    await (await opened(tmp_path, 900)).close()
    assert len(aside.damaged(tmp_path / "journal.db")) == limits.DAMAGED_FILES_KEPT
