"""A region and a root over real stores: what came, what came late, and what a restored or killed hub makes of it."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from hub.shell.init import mint_epoch
from protocol import messages
from protocol.aio.journal import Journal, Kept
from protocol.effects import Effects, Now, Put
from protocol.link import cursor, events
from protocol.link.own_stream import OwnStream
from protocol.link.parent_entries import Incoming
from protocol.link.relay import runs, unwrap, wrap
from protocol.link.relay.origins import Origins
from tests.unit.relay.parts import SIGNER, Origin, doubt

NOW = Now(1.0, 1_700_000_000.0)
STANDS = "SELECT seq, raw, kind, at FROM entry JOIN channel ON channel.id = entry.channel ORDER BY seq"


class Region:
    """A hub that wraps what it takes, in one transaction."""

    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self.relay = OwnStream("oslo", "relay_state", journal.snapshot(), SIGNER)

    async def hears(self, event: events.ChildEntries) -> None:
        fx = Effects()
        items = [wrap.run_item(event.node, event.epoch, event.stream, piece) for piece in wrap.pieces(event)]
        self.relay.append(items, NOW, fx)
        await self.journal.commit(fx.store)

    async def sends(self, after: int) -> messages.Entries:
        found = await self.journal.rows("relay_state", self.relay.epoch, after, self.relay.last, 1 << 20)
        raws = [msgspec.Raw(raw) for _, raw, _ in found]
        tip = found[-1][2].hex()
        return messages.Entries(
            session=1, stream="relay_state", epoch=self.relay.epoch, prev=after, rows=raws, hash=tip
        )


class Root:
    """A hub that takes what a region relays: its cursor and all that was wrapped, in one transaction."""

    def __init__(self, path: Path, journal: Journal) -> None:
        self.path, self.journal = path, journal
        self.load()

    def load(self) -> None:
        snapshot = self.journal.snapshot()
        self.incoming = Incoming("oslo", lambda node, epoch, stream, body: "")
        for key, value in snapshot.spaces.get("cursor", {}).items():
            self.incoming.load(key.partition("/")[2], value)
        self.origins = Origins(snapshot, doubt, lambda node: "", lambda node, epoch, stream: None, lambda node: "")

    async def takes(self, message: messages.Entries, head: messages.StreamHead) -> int:
        fx = Effects()
        self.incoming.greet({"relay_state": head}, fx)
        ack, told = self.incoming.take(message, fx)
        for event in told:
            assert isinstance(event, events.ChildEntries)
            for _, raw, _, _, kind, _ in event.rows:
                run = unwrap.decode(kind, raw)
                assert isinstance(run, runs.Run)
                self.origins.run("oslo", run, fx)
        await self.journal.commit(fx.store)
        assert ack is not None
        return ack.seq

    def stands(self) -> list[tuple[int, bytes, str, str]]:
        with closing(sqlite3.connect(self.path)) as db:
            return db.execute(STANDS).fetchall()


@pytest.fixture
async def root(tmp_path: Path):
    path = tmp_path / "root.db"
    journal = await Journal.open(path, node="cloud", streams=("audit",), mint=mint_epoch)
    made = Root(path, journal)
    yield made
    await made.journal.close()


@pytest.fixture
async def region(tmp_path: Path):
    made = Region(await Journal.open(tmp_path / "region.db", node="oslo", streams=("relay_state",), mint=mint_epoch))
    yield made
    await made.journal.close()


async def test_cursor_and_rows_of_all_that_was_wrapped_are_one_transaction(root: Root, region: Region) -> None:
    gw = Origin().say(500)
    for prev in range(0, 500, 50):
        await region.hears(gw.event(prev, prev + 50))
    message = await region.sends(0)
    assert await root.takes(message, region.relay.head()) == 10
    await root.journal.reload()
    root.load()
    assert root.incoming.cursors["relay_state"].seq == 10
    assert await root.takes(message, region.relay.head()) == 10
    assert [(seq, raw) for seq, raw, *_ in root.stands()] == [(seq, raw) for seq, raw, _ in gw.rows]
    assert {at for *_, at in root.stands()} == {"oslo/gw-7"}
    [(_, record)] = root.origins.records.all()
    assert (record.seq, record.hash) == (500, gw.tip.hex())


async def test_what_was_declared_lost_and_comes_stands_in_the_place_of_its_gap(root: Root, region: Region) -> None:
    gw = Origin().say(9)
    await region.hears(gw.event(0, 9, (3, 6)))
    await root.takes(await region.sends(0), region.relay.head())
    kept = Kept(age_ms=10**12, rows=1_000, bytes=10**9)
    while await root.journal.retire(now_ms=1, mono_ms=1, kept=kept):
        pass
    assert [(seq, kind) for seq, _, kind, _ in root.stands() if kind == cursor.GAP] == [(6, cursor.GAP)]
    await region.hears(gw.event(2, 7))
    await root.takes(await region.sends(1), region.relay.head())
    assert [(seq, raw) for seq, raw, *_ in root.stands()] == [(seq, raw) for seq, raw, _ in gw.rows]
    while await root.journal.retire(now_ms=1, mono_ms=2, kept=kept):
        pass
    with closing(sqlite3.connect(root.path)) as db:
        assert db.execute("SELECT rows FROM tally WHERE channel > 0").fetchall() == [(9,)]
        places = dict(db.execute("SELECT seq, id FROM entry").fetchall())
    assert places[6] > places[9], "who reads on from a place sees it"


async def test_a_region_that_was_restored_relays_again_and_nothing_stands_twice(
    root: Root, region: Region, tmp_path: Path
) -> None:
    gw = Origin().say(9)
    await region.hears(gw.event(0, 4))
    await region.journal.close()
    shutil.copy(tmp_path / "region.db", tmp_path / "backup.db")
    journal = await Journal.open(tmp_path / "region.db", node="oslo", streams=("relay_state",), mint=mint_epoch)
    lived = Region(journal)
    await lived.hears(gw.event(4, 9))
    await root.takes(await lived.sends(0), lived.relay.head())
    await journal.close()
    region.journal = await Journal.open(tmp_path / "backup.db", node="oslo", streams=("relay_state",), mint=mint_epoch)
    restored = Region(region.journal)
    assert restored.relay.epoch != lived.relay.epoch
    await restored.hears(gw.event(2, 7))
    await restored.hears(gw.event(7, 9))
    root.incoming.greet({"relay_state": restored.relay.head()}, Effects())
    seq = root.incoming.cursors["relay_state"].seq
    await root.takes(await restored.sends(seq), restored.relay.head())
    assert [row[0] for row in root.stands()] == list(range(1, 10))
    [(_, record)] = root.origins.records.all()
    assert (record.missing, record.forked) == ([], "")


async def test_what_a_damaged_store_lost_of_an_origin_is_a_hole_and_no_child_is_invented(
    root: Root, region: Region
) -> None:
    gw = Origin().say(400)
    await region.hears(gw.event(0, 100))
    await region.hears(gw.event(200, 300))
    await region.hears(gw.event(100, 150))
    await root.takes(await region.sends(0), region.relay.head())
    await root.journal.commit([Put("other", "value", b"1")])
    await root.journal.close()
    with closing(sqlite3.connect(root.path)) as db:
        db.execute("UPDATE state SET sum = sum + 1 WHERE space = 'other'")
        db.execute("UPDATE entry SET raw = substr(raw, 1, 20) || x'7f' || substr(raw, 22) WHERE seq IN (230, 250)")
        db.commit()
    root.journal = await Journal.open(root.path, node="cloud", streams=("audit",), mint=mint_epoch)
    root.load()
    assert list(root.incoming.cursors) == ["relay_state"], "an origin is no child"
    [(_, record)] = root.origins.records.all()
    assert (record.seq, record.hash) == (229, gw.hash(229).hex())
    assert [(one.first, one.last) for one in record.missing] == [(151, 200)]
    await region.hears(gw.event(300, 400))
    await root.takes(await region.sends(3), region.relay.head())
    [(_, record)] = root.origins.records.all()
    assert [(one.first, one.last) for one in record.missing] == [(151, 200), (230, 300)]
    await region.hears(gw.event(100, 300))
    await root.takes(await region.sends(4), region.relay.head())
    assert [(seq, raw) for seq, raw, *_ in root.stands()] == [(seq, raw) for seq, raw, _ in gw.rows]
