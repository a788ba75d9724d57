"""What a service manager hears: that we are ready, and that the core turns; with a real socket, as systemd's is."""

import asyncio
import os
import socket
from collections.abc import Generator
from pathlib import Path

import pytest

from protocol.aio.upkeep import notify


class _Core:
    """Turns whenever it is nudged, unless it hangs."""

    def __init__(self) -> None:
        self.turns, self.hangs = 0, False
        self.nudged = asyncio.Event()

    def nudge(self) -> None:
        self.turns += not self.hangs
        self.nudged.set()


@pytest.fixture
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "notify"))
        listening.setblocking(False)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        yield listening


def test_each_word_is_a_line_of_one_datagram(manager: socket.socket) -> None:
    notify.tell("READY=1", "STATUS=here")
    assert manager.recv(100) == b"READY=1\nSTATUS=here"


def test_the_text_of_another_adds_no_word(manager: socket.socket) -> None:
    notify.tell("STATUS=turned away: so be it\nMAINPID=1")
    assert manager.recv(100) == b"STATUS=turned away: so be it MAINPID=1"


def test_a_socket_without_a_file_is_reached_too(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(f"\0skerry-test-{os.getpid()}")
        monkeypatch.setenv("NOTIFY_SOCKET", f"@skerry-test-{os.getpid()}")
        notify.tell("READY=1")
        assert listening.recv(100) == b"READY=1"


def test_nobody_who_listens_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    notify.tell("READY=1")
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "gone"))
    notify.tell("READY=1")


async def test_the_watchdog_is_fed_while_the_core_turns_and_not_when_it_hangs(
    manager: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", "2000")
    core, loop = _Core(), asyncio.get_running_loop()
    feeding = asyncio.create_task(notify.feed(core))
    async with asyncio.timeout(10):
        assert await loop.sock_recv(manager, 100) == b"WATCHDOG=1"
        core.hangs = True
        for _ in range(3):  # what it looked at before it hung is told at most once more
            core.nudged.clear()
            await core.nudged.wait()
    while _heard(manager):
        pass
    async with asyncio.timeout(10):
        for _ in range(3):
            core.nudged.clear()
            await core.nudged.wait()
    assert not _heard(manager)
    feeding.cancel()


@pytest.mark.parametrize("mine", [{}, {"WATCHDOG_USEC": "2000", "WATCHDOG_PID": "1"}, {"WATCHDOG_USEC": "much"}])
async def test_without_a_watchdog_of_ours_nothing_is_fed(monkeypatch: pytest.MonkeyPatch, mine: dict[str, str]) -> None:
    for name in ("WATCHDOG_USEC", "WATCHDOG_PID"):
        monkeypatch.delenv(name, raising=False)
    for name, value in mine.items():
        monkeypatch.setenv(name, value)
    async with asyncio.timeout(10):
        await notify.feed(_Core())


def _heard(manager: socket.socket) -> bytes:
    try:
        return manager.recv(100)
    except BlockingIOError:
        return b""
