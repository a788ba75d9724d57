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
from edge_agent.shell.runners import folder, proc, process, script
from protocol import documents

T = TypeVar("T", bound=inputs.Input)
PATIENCE_S = 20.0


async def until(condition: Callable[[], object]) -> None:
    """Wait until `condition` holds; fail when it never does."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        await asyncio.sleep(0.005)


class World:
    """One life of the shell over a data directory; `again` gives the next one."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.seen: list[inputs.Input] = []
        self.sockets = emit.EmitSockets(emit.short_folder(data), self.seen.append)
        self.runner = process.ProcessRunner(
            data, node="oslo-1", tools=script.Tools.find(), sockets=self.sockets, report=self.seen.append
        )
        self.found = self.runner.discover()
        self.runner.watch()

    def again(self) -> World:
        """The agent dies without a word and a new one starts."""
        self.close()
        return World(self.data)

    def close(self) -> None:
        self.runner.close()
        self.sockets.close()

    def launch(self, instance: str, *command: str, **more: object) -> None:
        fields = {
            name: more.pop(name) for name in ("env", "files", "cwd", "user", "artifact", "limits") if name in more
        }
        key = str(more.pop("key", "svc"))
        capture = bool(more.pop("capture", True))
        self.runner.launch(
            inputs.Launch(
                instance=instance,
                process=documents.Process(command=list(command), **fields),  # pyright: ignore[reportArgumentType]
                key=key,
                capture=capture,
                **more,  # pyright: ignore[reportArgumentType]
            )
        )

    def shell(self, instance: str, text: str, **more: object) -> None:
        self.launch(instance, "/bin/sh", "-c", text, **more)

    def all(self, kind: type[T], instance: str = "") -> list[T]:
        return [one for one in self.seen if isinstance(one, kind) and instance in ("", getattr(one, "instance", ""))]

    async def one(self, kind: type[T], instance: str = "") -> T:
        await until(lambda: self.all(kind, instance))
        return self.all(kind, instance)[0]

    def end_all(self) -> None:
        """Nothing may be left running when a test is over."""
        self.close()
        for path in (self.data / "w").iterdir():
            known = folder.process_of(path)
            if known is not None:
                proc.signal_group(known.pid, known.start, signal.SIGKILL)
