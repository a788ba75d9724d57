"""A hub's inbox and a front door around it, as real as the sockets below; the core is the test."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

from hub.core import inputs

WAIT_S = 15.0
I = TypeVar("I", bound=inputs.Input)  # noqa: E741


class Inbox:
    """Keeps what came. Commits at once, or only on `commit()` when `hold` is set."""

    def __init__(self, *, hold: bool = False) -> None:
        self.hold = hold
        self.all: list[inputs.Input] = []
        self._undone: list[Callable[[], None]] = []
        self._came = asyncio.Event()

    def put(self, event: inputs.Input, done: Callable[[], None] | None = None, /) -> None:
        """Take one input."""
        self.all.append(event)
        self._came.set()
        if done is not None:
            self._undone.append(done)
        if not self.hold:
            asyncio.get_running_loop().call_soon(self.commit)

    def commit(self) -> None:
        """Call all that wait for their commit."""
        undone, self._undone = self._undone, []
        for done in undone:
            done()

    def of(self, kind: type[I], node: str = "") -> list[I]:
        """What came of one kind."""
        return [item for item in self.all if isinstance(item, kind) and node in ("", getattr(item, "node", ""))]

    async def wait(self, kind: type[I], count: int = 1, node: str = "") -> I:
        """Wait until `count` inputs of a kind are there; return the last of them."""
        async with asyncio.timeout(WAIT_S):
            while len(self.of(kind, node)) < count:
                self._came.clear()
                await self._came.wait()
        return self.of(kind, node)[count - 1]

    async def until(self, true: Callable[[], bool]) -> None:
        """Wait until something that inputs bring about is true."""
        async with asyncio.timeout(WAIT_S):
            while not true():
                self._came.clear()
                await self._came.wait()
