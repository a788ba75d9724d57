"""One hub of the demo and the agents that it let in, with the commands a person would type there.

A region is a fleet below another: it has folder, ports, log and context of its own, and two wires to its parent, one
for the link and one for the API, which are cut and healed together.
"""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path
from typing import Any

import msgspec

from hub.cli import client
from hub.demo.daemon import BIN, READY_WAIT_S, Daemon, DemoFailed, end_workloads, free_ports
from hub.demo.wire import Wire
from protocol.errors import SkerryError

COMMAND_WAIT_S = 60.0
_LOOK_S = 0.05


class Agent(msgspec.Struct, kw_only=True):
    """One agent of the demo, and the wire between it and its hub."""

    name: str
    data: Path
    daemon: Daemon
    wire: Wire


class Fleet:
    """A hub, called `name`, and its agents, all under one folder."""

    def __init__(self, folder: Path, name: str = "cloud") -> None:
        self.folder, self.name = folder, name
        self.data = folder / "hub"
        self.mqtt_port, self.api_port = free_ports(2)
        self.env = {**os.environ, "SKERRY_CONTEXT": str(folder / "context.json"), "PYTHONUNBUFFERED": "1"}
        self.agents: dict[str, Agent] = {}
        self.up: tuple[Wire, ...] = ()
        """The wires to its parent, of a region: the link's and the API's."""
        self._serve = [str(BIN / "skerry"), "hub", "serve", "--data", str(self.data)]
        self.hub = Daemon(f"the hub {name}", self._serve, folder / "hub.log", self.env)

    def go_through(self, broker_url: str) -> None:
        """Let the hub meet its children at an external broker. Before `serve`."""
        self.hub = Daemon(self.hub.name, [*self._serve, "--broker", broker_url], self.hub.log, self.env)

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

    async def get(self, path: str) -> Any:
        """Return what the hub's API answers, as the command line gets it: for waits, where nothing is shown.

        Raises SkerryError when it does not answer.
        """
        context = client.context(self.folder / "context.json")

        def ask() -> Any:
            with client.Client(context, quiet=True) as api:
                return api.get(path)

        return await asyncio.to_thread(ask)

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

    # ---------------------------------------------------------------------------------------- a hub

    async def init(self, *more: str) -> None:
        """Make the hub's data directory."""
        self.folder.mkdir(parents=True, exist_ok=True)
        await self.command(
            *("hub", "init", "--data", str(self.data), "--name", self.name),
            *("--mqtt", f"127.0.0.1:{self.mqtt_port}", "--api", f"127.0.0.1:{self.api_port}"),
            *more,
        )

    async def init_below(self, parent: Fleet, token: str) -> None:
        """Make the hub's data directory as a region of `parent`, which serves; what goes up goes by wires."""
        await self.init("--parent", f"https://127.0.0.1:{parent.api_port}", "--token", token)
        path = self.data / "hub.json"
        known = json.loads(path.read_text())
        places = known["parent"]["mqtt"], known["parent"]["api"]
        self.up = tuple(Wire(place["host"], place["port"]) for place in places)
        for place, wire in zip(places, self.up, strict=True):
            await wire.open()
            place.update(host="127.0.0.1", port=wire.port)
        path.write_text(json.dumps(known))

    async def serve(self) -> None:
        """Start the hub and wait until its API answers."""
        await self.hub.start()
        async with asyncio.timeout(READY_WAIT_S):
            while not await self._answers():
                self.hub.check()
                await asyncio.sleep(_LOOK_S)

    async def _answers(self) -> bool:
        try:
            await self.get("/v1/nodes")
        except SkerryError:
            return False
        return True

    def cut(self) -> None:
        """Part a region from its parent."""
        for wire in self.up:
            wire.cut()

    def heal(self) -> None:
        """Let a region reach its parent again."""
        for wire in self.up:
            wire.heal()

    # ---------------------------------------------------------------------------------------- its agents

    async def enroll(self, name: str, token: str, *options: str) -> Agent:
        """Enroll one agent behind a wire of its own, with more `options` of the command, and start it."""
        wire = Wire("127.0.0.1", self.mqtt_port)
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
        for wire in self.up:
            await wire.close()
