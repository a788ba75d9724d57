"""The demo's real processes: one hub, its agents, the commands a person would type. Each is ended by its own pid."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from hub.demo.wire import Wire
from protocol.errors import SkerryError

BIN = Path(sys.executable).parent
READY_WAIT_S = 30.0
STOP_WAIT_S = 15.0
COMMAND_WAIT_S = 60.0


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


class Agent(msgspec.Struct, kw_only=True):
    """One agent of the demo, and the wire between it and its hub."""

    name: str
    data: Path
    daemon: Daemon
    wire: Wire


class Fleet:
    """A hub and its agents under one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.mqtt_port, self.api_port = free_ports(2)
        self.env = {**os.environ, "SKERRY_CONTEXT": str(folder / "context.json"), "PYTHONUNBUFFERED": "1"}
        self.agents: dict[str, Agent] = {}
        self._serve = [str(BIN / "skerry"), "hub", "serve", "--data", str(folder / "hub")]
        self.hub = Daemon("the hub", self._serve, folder / "hub.log", self.env)

    def go_through(self, broker_url: str) -> None:
        """Let the hub meet its children at an external broker. Before `serve`."""
        self.hub = Daemon("the hub", [*self._serve, "--broker", broker_url], self.folder / "hub.log", self.env)

    async def command(self, *words: str, program: str = "skerry", check: bool = True) -> tuple[int, str]:
        """Run one command as a person would; return its exit code and what it printed. Raises DemoFailed."""
        process = await asyncio.create_subprocess_exec(
            str(BIN / program),
            *words,
            env=self.env,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        try:
            out, _ = await asyncio.wait_for(process.communicate(), COMMAND_WAIT_S)
        except TimeoutError as error:
            process.kill()
            await process.wait()
            raise DemoFailed(f"`{program} {' '.join(words)}` took over {COMMAND_WAIT_S:.0f} s") from error
        text = out.decode(errors="replace")
        if check and process.returncode != 0:
            raise DemoFailed(f"`{program} {' '.join(words)}` ended with {process.returncode}:\n{text}")
        return process.returncode or 0, text

    async def json(self, *words: str) -> Any:
        """Run one command with `-o json` and return what it says."""
        return self.parse((await self.command(*words, "-o", "json"))[1])

    @staticmethod
    def parse(text: str) -> Any:
        """Return what a command's `-o json` says. Raises DemoFailed when it is no JSON."""
        try:
            return json.loads(text)
        except ValueError as error:
            raise DemoFailed(f"not JSON: {text[:400]}") from error

    async def init(self, *more: str) -> None:
        """Make the hub's data directory."""
        await self.command(
            *("hub", "init", "--data", str(self.folder / "hub"), "--name", "cloud"),
            *("--mqtt", f"127.0.0.1:{self.mqtt_port}", "--api", f"127.0.0.1:{self.api_port}"),
            *more,
        )

    async def serve(self) -> None:
        """Start the hub and wait until its API answers."""
        await self.hub.start()
        async with asyncio.timeout(READY_WAIT_S):
            while (await self.command("get", "nodes", check=False))[0] != 0:
                self.hub.check()

    async def enroll(self, name: str, token: str, target: tuple[str, int], *options: str) -> Agent:
        """Enroll one agent behind a wire of its own, with more `options` of the command, and start it."""
        wire = Wire(*target)
        await wire.open()
        data = self.folder / name
        await self.command(
            *("enroll", "--hub", f"https://127.0.0.1:{self.api_port}", "--token", token, "--name", name),
            *("--mqtt", f"127.0.0.1:{wire.port}", "--data", str(data), *options),
            program="skerry-agent",
        )
        run = [str(BIN / "skerry-agent"), "run", "--data", str(data)]
        agent = Agent(name=name, data=data, daemon=Daemon(name, run, self.folder / f"{name}.log", self.env), wire=wire)
        self.agents[name] = agent
        await agent.daemon.start()
        return agent

    async def close(self) -> None:
        """End everything that was started."""
        for agent in self.agents.values():
            await agent.daemon.stop()
            await agent.wire.close()
            end_workloads(agent.data)
        await self.hub.stop()


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
