"""A runner's world for tests: real processes, real sockets, inputs collected in the order they come."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from edge_agent.core import inputs
from edge_agent.shell import emit
from edge_agent.shell.launching import launcher
from edge_agent.shell.runners import folder, proc, process, script
from protocol import documents

T = TypeVar("T", inputs.Launched, inputs.LaunchFailed, inputs.Ended, inputs.Emitted)
PATIENCE_S = 20.0


async def until(condition: Callable[[], object]) -> None:
    """Wait until `condition` holds; fail when it never does."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        await asyncio.sleep(0.005)  # bounded poll


class World:
    """One life of the shell over a data directory; `again` gives the next one."""

    def __init__(self, data: Path, by: launcher.Launcher | None = None) -> None:
        self.data, self.by = data, by
        self.seen: list[inputs.Input] = []
        self.sockets = emit.EmitSockets(emit.short_folder(data), self.seen.append)
        self.runner = process.ProcessRunner(
            data, node="oslo-1", tools=script.Tools.find(), sockets=self.sockets, report=self.seen.append, launcher=by
        )
        self.found = {one.instance: one for one in self.runner.discover()}
        self.runner.watch()
        self.later: list[World] = []

    def again(self) -> World:
        """The agent dies without a word and a new one starts."""
        self.close()
        self.later.append(World(self.data, self.by))
        return self.later[-1]

    def close(self) -> None:
        """The agent is gone; what it started is not."""
        self.runner.close()
        self.sockets.close()

    def launch(
        self,
        instance: str,
        *command: str,
        key: str = "svc",
        capture: bool = True,
        timeout_s: float = 0.0,
        stop_grace_s: float = 5.0,
        process: documents.Process | None = None,
        lease_until: float = 0.0,
    ) -> None:
        """Launch `command`; `process` gives whatever else it needs."""
        self.runner.launch(
            inputs.Launch(
                instance=instance,
                process=process or documents.Process(command=list(command)),
                key=key,
                capture=capture,
                timeout_s=timeout_s,
                stop_grace_s=stop_grace_s,
                lease_until=lease_until,
            )
        )

    def stop(self, instance: str, grace_s: float) -> None:
        """Ask for the end of `instance`."""
        self.runner.stop(inputs.Stop(instance=instance, grace_s=grace_s))

    def all(self, kind: type[T], instance: str = "") -> list[T]:
        """Return what came of this kind, for this instance."""
        return [one for one in self.seen if isinstance(one, kind) and instance in ("", one.instance)]

    async def one(self, kind: type[T], instance: str = "") -> T:
        """Wait for the first of this kind."""
        await until(lambda: self.all(kind, instance))
        return self.all(kind, instance)[0]

    async def output(self, name: str) -> str:
        """Wait for a file below the data directory to have content; return it."""
        path = self.data / name
        await until(lambda: path.exists() and path.read_text())
        return path.read_text()

    def process_of(self, instance: str) -> folder.Process:
        """Return the recorded process of an instance."""
        found = folder.process_of(self.data / "w" / instance)
        assert found is not None
        return found

    def end_all(self) -> None:
        """Leave nothing running."""
        for life in self.later:
            life.end_all()
        self.close()
        for path in (self.data / "w").iterdir():
            known = folder.process_of(path)
            if known is not None:
                proc.signal_group(known.pid, known.start, signal.SIGKILL)
