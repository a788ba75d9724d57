"""Asks a launcher that did not answer until it does, ever more seldom. It never gives up: nobody may stand beside.

The core starts nothing meanwhile, for nobody knows what could be enforced; then it learns what can be.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from edge_agent.core import inputs
from edge_agent.shell.launching.launcher import Launcher
from protocol import limits


class Patience:
    """Waits for `launcher`, and tells the core by `report` what becomes of that. Use: `keep` as a task."""

    def __init__(self, launcher: Launcher, report: Callable[[inputs.Input], None]) -> None:
        self._launcher, self._report = launcher, report
        self._lost = asyncio.Event()
        launcher.on_unheard = self._lost.set
        if launcher.able.waits:
            self._lost.set()

    async def keep(self) -> None:
        """Ask, whenever it was not heard, until it is."""
        while True:
            await self._lost.wait()
            self._tell()
            wait_s = limits.LAUNCHER_ASK_S_MIN
            while self._launcher.able.waits:
                await asyncio.sleep(wait_s)
                wait_s = min(2 * wait_s, limits.LAUNCHER_ASK_S_MAX)
                before = self._launcher.able
                await self._launcher.ask_again()
                if self._launcher.able != before:
                    self._tell()
            self._lost.clear()

    def _tell(self) -> None:
        self._report(inputs.Enforces(able=self._launcher.able))
