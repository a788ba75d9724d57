"""A device that is away and full, on real files: within its quota all along, and what it lost is declared to the row.

The same for 30 days: tests/acceptance/test_month_away.py.
"""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

import pytest

from protocol import limits
from protocol.aio.journal import read_only
from protocol.aio.sqlite import SqliteFile
from protocol.errors import StoreError
from tests.support import month
from tests.support.absence import Absence, Items


async def test_hours_away_on_a_small_quota_lose_metrics_only_and_say_so_to_the_row(tmp_path: Path) -> None:
    async with Absence(tmp_path, limits.DEVICE_QUOTA_BYTES_MIN) as device:
        await month.go_by(device, 3 * 60)
        await device.end()
        await device.begin()
        await month.go_by(device, 60)
        await device.come_back()
        month.check(device)
        assert device.made["metrics"] > 3 * device.got["metrics"], "the quota was passed several times"


async def test_the_telemetry_file_is_a_ring(tmp_path: Path) -> None:
    async with Absence(tmp_path, limits.DEVICE_QUOTA_BYTES_MIN) as device:
        await month.go_by(device, 60)
        size = (tmp_path / "telemetry.db").stat().st_size
        await month.go_by(device, 120)
        assert (tmp_path / "telemetry.db").stat().st_size <= size * 1.02, "its pages are used again"
        with sqlite3.connect(tmp_path / "telemetry.db") as db:
            assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        db.close()


@pytest.mark.parametrize("size", [30, 700, 2_100, 4_000, 30_000])
async def test_a_flood_of_every_class_stays_within_the_quota(tmp_path: Path, size: int) -> None:
    body = b'"' + b"x" * size + b'"'
    async with Absence(tmp_path, limits.DEVICE_QUOTA_BYTES_MIN) as device:
        many: Items = [("k", "", body)] * max(1, 400_000 // size)
        few: Items = many[: len(many) // 4 + 1]
        for _ in range(60):
            await device.make({"audit": few, "state": many, "metrics": many, "logs": few})
        await device.come_back()
        assert device.bytes_most <= device.quota
        lost = device.parent.view("gw-1").lost
        assert {stream: device.got[stream] + lost[stream] for stream in device.made} == dict(device.made)


async def test_a_reader_that_stays_cannot_break_the_bound_of_the_log(tmp_path: Path) -> None:
    most = 512 * 1024
    file = await SqliteFile.open(tmp_path / "a.db", durable=True, wal_bytes=most)
    sizes: list[int] = []
    async with asyncio.timeout(60):
        await file.run(lambda db: db.execute("PRAGMA busy_timeout = 50"))
        reader = read_only(tmp_path / "a.db")
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM aside").fetchone()
        with pytest.raises(StoreError, match=r"another program reads a\.db without an end: end that one"):
            await _write(file, sizes)
        assert most // 2 <= max(sizes) <= most
        reader.close()
        await _write(file, sizes)
        assert max(sizes) <= most, "it goes on, and stays small"
    await file.close()


async def _write(file: SqliteFile, sizes: list[int]) -> None:
    """Write on, and note how large the log is."""
    for _ in range(1_000):
        await file.transact(lambda db: db.execute(_ASIDE, (b"x" * 4_000,)))
        sizes.append(file.path.with_name("a.db-wal").stat().st_size)


_ASIDE = "INSERT INTO aside (node, epoch, stream, seq, raw, reason) VALUES ('n', 'e', 's', 1, ?, '')"
