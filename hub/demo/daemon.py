"""One real process of the demo, ended by its own pid, and what it leaves behind."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections.abc import Mapping
from pathlib import Path

from protocol.errors import SkerryError

BIN = Path(sys.executable).parent
READY_WAIT_S = 30.0
STOP_WAIT_S = 15.0


class DemoFailed(SkerryError):
    """Something that the demo started did not do what it should; the text says where its log is."""


class Daemon:
    """One process of the demo, started again and again under one name, its output in one log file."""

    def __init__(self, name: str, command: list[str], log: Path, env: Mapping[str, str]) -> None:
        self.name = name
        self.log = log
        self._command = command
        self._env = dict(env)
        self._process: asyncio.subprocess.Process | None = None
        self._is_meant = False
        """Its end was asked for."""

    @property
    def pid(self) -> int:
        """The pid of its present or last life."""
        assert self._process is not None
        return self._process.pid

    async def start(self) -> None:
        """Start it; its output is appended to its log."""
        self._is_meant = False
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *self._command, env=self._env, stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log
            )

    async def kill(self) -> None:
        """kill -9, and wait until it is gone."""
        await self._end(signal.SIGKILL)

    async def stop(self) -> None:
        """Ask it to end, and insist after STOP_WAIT_S."""
        await self._end(signal.SIGTERM)

    async def ended(self) -> int:
        """Wait until it ends by itself, and return its exit code, -N for signal N. Raises DemoFailed."""
        assert self._process is not None
        self._is_meant = True
        try:
            return await asyncio.wait_for(self._process.wait(), READY_WAIT_S)
        except TimeoutError as error:
            raise DemoFailed(f"{self.name} still runs after {READY_WAIT_S:.0f} s; its log is {self.log}") from error

    def check(self) -> None:
        """Raise DemoFailed when it has ended by itself."""
        if self._process is not None and self._process.returncode is not None and not self._is_meant:
            tail = self.log.read_text(errors="replace")[-600:]
            raise DemoFailed(f"{self.name} ended with {self._process.returncode}; its log {self.log} ends:\n{tail}")

    async def _end(self, how: signal.Signals) -> None:
        process, self._is_meant = self._process, True
        if process is None or process.returncode is not None:
            return
        process.send_signal(how)
        try:
            await asyncio.wait_for(process.wait(), STOP_WAIT_S)
        except TimeoutError:
            process.kill()
            await process.wait()


def end_workloads(data: Path) -> None:
    """End what an agent ran: it outlives its agent, but not the demo. By the pid that its shim wrote down."""
    for place in (data / "w").glob("*"):
        with contextlib.suppress(OSError, ValueError):
            if not (place / "exit").read_text().strip().endswith("end"):
                os.killpg(int((place / "run").read_text().split()[0]), signal.SIGKILL)


def free_ports(count: int) -> list[int]:
    """Return `count` loopback TCP ports that nobody listens on."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in sockets]
