"""D: EIO and ENOSPC in the journals: no ack, workloads run, it heals. By strace, and on a small tmpfs of its own."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Generator
from pathlib import Path

import psutil
import pytest

from tests.support import deeds
from tests.support.fleet import Fleet
from tests.support.recorded import Record, recorded

SIZE = "24m"
FAILING = "20..24"  # of the syncs of each thread; then the disk is well again
EIO = ("strace", "-D", "-f", "-qq", "-o", "/dev/null", "-e", "trace=fdatasync", "-e")

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk needs root")


@contextlib.contextmanager
def _small_disk(place: Path) -> Generator[Path]:
    place.mkdir(parents=True)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(place)], check=False, capture_output=True
    )
    if mounted.returncode:
        pytest.skip(f"this machine mounts no tmpfs: {mounted.stderr.decode().strip()}")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def _fill(disk: Path) -> Path:
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4_096))
    return ballast


async def _cannot_store(it: Fleet) -> None:

    async def said() -> bool:
        return "nothing is acknowledged" in it.agents["oslo"].daemon.log.read_text()

    await it.until(said, "the agent says that it cannot store")


async def test_enospc_at_the_device_acks_nothing_stops_nothing_and_heals(tmp_path: Path) -> None:
    with _small_disk(tmp_path / "f" / "oslo") as disk:
        async with recorded(tmp_path) as record, deeds.site(tmp_path / "f", "oslo") as it:
            ledger = record.ledger
            await deeds.declare(it, deeds.producer("numbers", ledger))
            pid = await deeds.pid_of(it, "oslo", "numbers")
            await deeds.settled(it)
            agent = it.agents["oslo"].daemon.pid
            ballast = _fill(disk)
            await _cannot_store(it)
            assert psutil.Process(pid).is_running(), "workloads run on"
            assert psutil.Process(agent).is_running(), "the agent stays up"
            ballast.unlink()
            made = deeds.kept(ledger, "oslo")

            async def grown() -> bool:
                return deeds.kept(ledger, "oslo") >= made + 50

            await it.until(grown, "it heals when there is room again")
            assert await deeds.pid_of(it, "oslo", "numbers") == pid
            assert it.agents["oslo"].daemon.pid == agent
            await deeds.take_away(it, "service/numbers")
            await deeds.settled(it)
            record.calm()
            (await deeds.tally(it, ledger, "oslo")).check()


async def test_enospc_when_an_agent_starts_is_said_and_its_work_goes_on(tmp_path: Path) -> None:
    with _small_disk(tmp_path / "f" / "oslo") as disk:
        async with recorded(tmp_path) as record, deeds.site(tmp_path / "f", "oslo") as it:
            await deeds.declare(it, deeds.service("stands", ["sleep", "600"]))
            pid = await deeds.pid_of(it, "oslo", "stands")
            await it.agents["oslo"].daemon.kill()
            ballast = _fill(disk)
            await it.agents["oslo"].daemon.start()

            async def said() -> bool:
                text = (it.folder / "oslo.log").read_text()
                assert "Traceback" not in text, text
                return "full" in text or "No space" in text

            await it.until(said, "it says that the disk is full")
            assert psutil.Process(pid).is_running()
            ballast.unlink()
            assert await deeds.pid_of(it, "oslo", "stands") == pid, "it waited for room, and took its work up again"
            await it.until(lambda: it.online("oslo"), "oslo is back")
            await deeds.settled(it)
            record.calm()


async def test_enospc_when_a_hub_starts_is_said_and_it_goes_on_when_there_is_room(tmp_path: Path) -> None:
    with _small_disk(tmp_path / "f" / "hub") as disk:
        async with recorded(tmp_path) as record, deeds.site(tmp_path / "f", "oslo") as it:
            await it.hub.kill()
            ballast = _fill(disk)
            await it.hub.start()

            async def said() -> bool:
                text = it.hub.log.read_text()
                assert "Traceback" not in text, text
                return "the disk is full" in text

            await it.until(said, "the hub says that the disk is full")
            ballast.unlink()
            await deeds.hub_answers(it)
            await it.until(lambda: it.online("oslo"), "oslo is back")
            await deeds.settled(it)
            record.calm()


async def test_enospc_at_the_hub_acks_nothing_and_heals(tmp_path: Path) -> None:
    with _small_disk(tmp_path / "f" / "hub") as disk:
        async with recorded(tmp_path) as record, deeds.site(tmp_path / "f", "oslo") as it:
            ledger = record.ledger
            await deeds.declare(it, deeds.producer("numbers", ledger))
            pid = await deeds.pid_of(it, "oslo", "numbers")
            await it.until(lambda: it.online("oslo"), "oslo is online")
            ballast = _fill(disk)

            async def full() -> bool:
                return "nothing is acknowledged" in it.hub.log.read_text()

            await it.until(full, "the hub says that it cannot store")
            code, text = await it.command("node", "label", "oslo", "a=b", check=False)
            assert code == 1, text
            assert "store" in text
            made = deeds.kept(ledger, "oslo")

            async def grown() -> bool:
                return deeds.kept(ledger, "oslo") >= made + 50

            await it.until(grown, "the device works on")
            ballast.unlink()

            async def healed() -> bool:
                return "the store is well again" in it.hub.log.read_text()

            await it.until(healed, "the hub says that it can store again")
            await deeds.take_away(it, "service/numbers")
            await deeds.settled(it)
            record.calm()
            await deeds.gone(pid)
            (await deeds.tally(it, ledger, "oslo")).check()


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed here (sudo apt install strace)")
@pytest.mark.parametrize("where", ["device", "hub"])
async def test_eio_acks_nothing_stops_nothing_and_heals(tmp_path: Path, record: Record, where: str) -> None:
    ledger = record.ledger
    failing = (*EIO, f"inject=fdatasync:error=EIO:when={FAILING}")
    async with deeds.site(tmp_path / "f", "oslo") as it:
        await deeds.declare(it, deeds.producer("numbers", ledger))
        pid = await deeds.pid_of(it, "oslo", "numbers")
        if where == "device":
            await it.agents["oslo"].daemon.kill()
            doomed = deeds.again(it, "oslo", prefix=failing)
        else:
            await it.hub.kill()
            doomed = deeds.hub_again(it, prefix=failing)
        await doomed.start()

        async def failed() -> bool:
            return "nothing is acknowledged" in doomed.log.read_text()

        await it.until(failed, f"the disk of the {where} fails, and it says so")
        before = deeds.kept(ledger, "oslo")

        async def healed() -> bool:
            return deeds.kept(ledger, "oslo") >= before + 50 and await it.answers() and await it.online("oslo")

        await it.until(healed, "all goes on")
        assert await deeds.pid_of(it, "oslo", "numbers") == pid, "healthy work was restarted"
        await deeds.take_away(it, "service/numbers")
        await deeds.settled(it)
        record.calm()
        (await deeds.tally(it, ledger, "oslo")).check()
