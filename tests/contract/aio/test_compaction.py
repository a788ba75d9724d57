"""Compaction equals replay (INVARIANTS A18): what a store gives back is what a plain replay of its commits gives.

The commits are made by the link's own streams under small quotas: appends, trims, GAPs, epochs; the plain model is
tests.support.memory_store. The crash is a copy of the files as they lie there, the write-ahead log cut off at any byte:
what is read then is the model after one of the commits. What was checkpointed is never cut off: it was synced.
"""

from __future__ import annotations

import asyncio
import random
import shutil
import sqlite3
import struct
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from protocol import effects, limits
from protocol.aio.journal import Journal
from protocol.effects import Effects, Now
from protocol.link.child_entries import Outbox
from protocol.messages import CHAINED
from protocol.snapshot import Snapshot
from tests.support.link_world import FakeSigner
from tests.support.memory_store import MemoryStore, OwnRows

STREAMS = ("audit", "state", "metrics", "logs")
FILES = {"journal.db": ("audit", "state"), "telemetry.db": ("metrics", "logs")}
SHARE = 12_000
WAL_BYTES = 512 * 1024

Seen = dict[str, object]
"""What a store holds: of each stream its epoch, its cursor and its rows; and the state."""


def seen_in_memory(store: MemoryStore) -> Seen:
    """Return what the plain model holds."""
    found: Seen = {name: (own.epoch, own.acked, _rows(own)) for name, own in store.streams.items()}
    return found | {space: dict(values) for space, values in store.spaces.items() if values}


def _rows(own: OwnRows) -> list[tuple[int, bytes, bytes]]:
    return [(seq, raw, tip) for seq, (raw, tip) in own.rows.items()]


def seen_on_disk(file: Path, streams: tuple[str, ...]) -> Seen:
    """Return what a file holds, read by nothing of ours; SQLite does with its log what it does after a crash."""
    db = sqlite3.connect(file)
    assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    if db.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,):
        db.close()
        return {}  # cut off before its schema was whole
    heads = {name: (epoch, acked) for name, epoch, acked in db.execute("SELECT name, epoch, acked FROM stream")}
    found: Seen = {}
    for name in streams:
        if name not in heads:
            continue
        rows = db.execute(f"SELECT seq, raw, hash FROM own_{name} ORDER BY seq").fetchall()
        found[name] = (*heads[name], rows)
    spaces: dict[str, dict[str, bytes]] = {}
    for space, key, value in db.execute("SELECT space, key, value FROM state"):
        spaces.setdefault(space, {})[key] = value
    db.close()
    return found | spaces


@dataclass
class Tale:
    """A journal, the model beside it, and what the model held after each commit."""

    folder: Path
    choose: random.Random
    model: MemoryStore = field(default_factory=lambda: MemoryStore("n"))
    history: list[Seen] = field(default_factory=list[Seen])
    minted: int = 100
    now: float = 0.0

    async def begin(self) -> None:
        self.journal = await Journal.open(
            self.folder / "journal.db",
            node="n",
            streams=STREAMS,
            telemetry=self.folder / "telemetry.db",
            mint=self.mint,
            wal_bytes=WAL_BYTES,
        )
        snapshot = self.journal.snapshot()
        if not self.model.streams:
            self.model.streams = {name: OwnRows(state.epoch) for name, state in snapshot.streams.items()}
            self.history.append(seen_in_memory(self.model))
        self.outbox = self._outbox(snapshot)
        fx = Effects()
        self.outbox.begin(fx)
        await self.commit(fx)

    def _outbox(self, snapshot: Snapshot) -> Outbox:
        return Outbox("n", "p", snapshot, FakeSigner(), self.mint, dict.fromkeys(STREAMS, SHARE))

    def mint(self) -> str:
        self.minted += 1
        return f"{self.minted:016x}"

    async def commit(self, fx: Effects) -> None:
        await self.journal.commit(fx.store)
        self.model.commit(fx.store)
        self.history.append(seen_in_memory(self.model))

    async def step(self) -> None:
        """Do one thing that a device does."""
        fx, self.now = Effects(), self.now + 1
        moment = Now(self.now, self.now)
        match self.choose.choices(["append", "ack", "fork", "restored", "put", "restart"], [60, 14, 2, 3, 10, 2])[0]:
            case "append":
                for stream in self.choose.sample(STREAMS, self.choose.randint(1, 3)):
                    body = b'"' + b"x" * self.choose.choice((3, 80, 900, 5_000)) + b'"'
                    self.outbox.append(stream, [("k", "", body)] * self.choose.randint(1, 12), moment, fx)
            case "ack":
                stream = self.outbox.streams[self.choose.choice(STREAMS)]
                stream.note_acked(self.choose.randint(stream.acked, stream.last), fx)
                stream.save_acked(fx)
            case "fork":
                name = self.choose.choice(sorted(CHAINED & set(STREAMS)))
                stream = self.outbox.streams[name]
                at = self.choose.choice((None, self.choose.randint(0, stream.last)))
                stream.begin_epoch(self.mint(), "told to", fx, forked_at=at)
            case "restored":
                stream = self.outbox.streams[self.choose.choice(STREAMS)]
                stream.refill_gap(self.choose.randint(0, stream.acked), moment, fx)
            case "put":
                fx.store.append(effects.Put("a", self.choose.choice("xyz"), b"%d" % int(self.now)))
                fx.store.append(effects.Delete("a", self.choose.choice("xyz")))
            case _:
                await self.journal.close()
                await self.begin()
                return
        if fx.store:
            await self.commit(fx)

    def crash(self, number: int) -> None:
        """Copy the files as a power cut would leave them, and check what they hold; no transaction spans both."""
        place = self.folder / f"crash-{number}"
        place.mkdir()
        for file, streams in FILES.items():
            shutil.copy(self.folder / file, place / file)
            wal = (self.folder / f"{file}-wal").read_bytes()
            cut = self.choose.choice((len(wal), self.choose.randint(_synced(self.folder / f"{file}-shm"), len(wal))))
            (place / f"{file}-wal").write_bytes(wal[:cut])
            self.check(file, seen_on_disk(place / file, streams), is_whole=cut == len(wal))
        shutil.rmtree(place)

    def check(self, file: str, found: Seen, *, is_whole: bool) -> None:
        """A file holds what the model held after one of the commits; after the last one, if nothing was cut off."""
        rest = FILES["telemetry.db"]
        is_rest = file == "telemetry.db"
        known = [{name: one[name] for name in one if (name in rest) is is_rest} for one in reversed(self.history)]
        if is_whole:
            assert found == known[0]
        else:
            assert not found.keys() & set(FILES[file]) or found in known


def _synced(shm: Path) -> int:
    """Return how many bytes of a log the file rests on: what was checkpointed was synced before (WalCkptInfo)."""
    (frames,) = struct.unpack_from("=I", shm.read_bytes(), 96)
    return 32 + frames * (24 + 4_096) if frames else 0


async def tell(folder: Path, choose: random.Random, steps: int) -> None:
    tale = Tale(folder, choose)
    await tale.begin()
    for number in range(steps):
        await tale.step()
        if choose.random() < 0.3:
            tale.crash(number)
    await tale.journal.close()
    for file, streams in FILES.items():
        tale.check(file, seen_on_disk(folder / file, streams), is_whole=True)


@pytest.mark.parametrize("seed", range(6))
def test_compaction_equals_replay(tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "SEGMENT_ROWS", 16)
    asyncio.run(tell(tmp_path, random.Random(seed), steps=90))


@settings(max_examples=8, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(choose=st.randoms(use_true_random=False), steps=st.integers(3, 40))
def test_the_shortest_tale_that_compaction_tells_otherwise(choose: random.Random, steps: int) -> None:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(limits, "SEGMENT_ROWS", 16)
        asyncio.run(tell(Path(folder), choose, steps))
