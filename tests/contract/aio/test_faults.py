"""kill -9, a full disk: what was acknowledged is there, and nothing was told that is not (INVARIANTS A1, D)."""

import os
import subprocess
import sys
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from protocol.aio import failpoints
from protocol.aio.journal import read_only
from tests.contract.aio.parts import opened


@contextmanager
def writer(folder: Path, *, size: int = 200, failpoint: str = "") -> Generator[subprocess.Popen[str]]:
    """A process that writes into `folder`; killed at the end."""
    environment = os.environ | ({"SKERRY_FAILPOINT": failpoint} if failpoint else {})
    command = [sys.executable, "-m", "tests.contract.aio.writer", str(folder), str(size)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        try:
            yield process
        finally:
            process.kill()


def said(process: subprocess.Popen[str]) -> list[tuple[str, str]]:
    """Return all that the process said until its end."""
    assert process.stdout is not None
    lines = process.stdout.read().splitlines()
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in lines)]


def last_told(lines: list[tuple[str, str]]) -> int:
    """Return the highest seq that anyone outside was told of."""
    return max((int(rest) for word, rest in lines if word in ("ack", "send", "act")), default=0)


async def last_stored(folder: Path) -> int:
    """Open the store again, as a restarted process does; return its last seq. Its rows must be whole and contiguous."""
    journal = await opened(folder)
    state = journal.snapshot().streams["state"]
    await journal.close()
    reader = read_only(folder / "journal.db")
    assert [seq for (seq,) in reader.execute("SELECT seq FROM own_state ORDER BY seq")] == [*range(1, state.last + 1)]
    assert reader.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    reader.close()
    return state.last


@pytest.mark.parametrize("acks", [1, 7, 60])
async def test_after_kill_9_in_mid_commit_all_that_was_acknowledged_is_there(tmp_path: Path, acks: int) -> None:
    with writer(tmp_path) as process:
        assert process.stdout is not None
        seen = [process.stdout.readline() for _ in range(acks * 7)]
        process.kill()
        told = last_told([("ack", "0"), *((w, r) for w, _, r in (line.strip().partition(" ") for line in seen))])
        told = max(told, last_told(said(process)))
    assert told > 0
    assert await last_stored(tmp_path) >= told


@pytest.mark.parametrize("place", failpoints.PLACES)
async def test_a_crash_at_each_place_between_effects_tells_nothing_that_is_not_stored(
    tmp_path: Path, place: str
) -> None:
    with writer(tmp_path, failpoint=f"{place}:3") as process:
        lines = said(process)
        assert process.wait() == -9
    stored = await last_stored(tmp_path)
    told = last_told(lines)
    assert told <= stored
    if place in ("before-store", "in-store"):
        assert stored == told
    if place == "after-store":
        assert stored == told + 3


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MiB."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small file system to fill")
    folder = tmp_path / "small"
    folder.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)], check=False)
    if done.returncode != 0:
        pytest.skip("mount is not permitted here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


async def test_a_full_disk_stops_acknowledging_and_heals_when_space_returns(small_disk: Path) -> None:
    ballast = small_disk / "ballast"
    ballast.write_bytes(b"\0" * 500_000)
    with writer(small_disk, size=10_000) as process:
        assert process.stdout is not None
        line = next(line for line in process.stdout if line.startswith("error"))
        assert "the disk is full, free some space" in line
        ballast.unlink()
        lines = said(process)
        assert process.wait() == 0
    assert lines[-1][0] == "ack"
    assert await last_stored(small_disk) == last_told(lines)
