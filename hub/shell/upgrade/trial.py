"""The daemon's part: a hub on trial looks whether all is well, and says so, or what is not; then how it went."""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from hub.core import inputs
from hub.core.hub import HubCore
from hub.core.upgrade import trial
from protocol import limits
from protocol.aio.upgrade import places
from protocol.aio.upgrade.places import Places
from protocol.aio.upkeep import notify
from protocol.errors import StoreError
from protocol.upgrade.words import Kept, Outcome, Said, Stage

log = logging.getLogger("skerry.hub")


class Trial:
    """One life's. `core`: before its first input."""

    def __init__(self, at: Places, folder: Path, core: HubCore) -> None:
        kept = places.kept(at)
        self._is_here = folder == at.data
        is_mine = self._is_here and kept.is_trial_of(places.own_version(at))
        self._at, self._number = at, kept.number if is_mine else 0
        self._patience_s = kept.patience_s(limits.UPGRADE_RETURN_S)
        self._before = trial.before(core) if is_mine else None

    async def run(
        self, core: Callable[[], HubCore], settled: Callable[[], Coroutine[Any, Any, None]], where: list[str]
    ) -> None:
        """Judge until there is a verdict, and say it; end at once when this version is not on trial.

        `settled`: as Driver.settled; `where`: the words of hub.shell.upgrade.answering, its folder first.
        """
        if self._before is None:
            return
        began, answers, verdict = time.monotonic(), False, None
        while verdict is None:
            fault = await _turns(settled) or ("" if answers else await _asked(where))
            answers = not fault
            since_s = time.monotonic() - began
            now = trial.look(core(), self._before, since_s=since_s, patience_s=self._patience_s, fault=fault)
            verdict = trial.judge(now)
            notify.tell(f"STATUS=on trial: {verdict or trial.said(now)}")
            if verdict is None:
                await asyncio.sleep(limits.UPGRADE_LOOK_S)
        try:
            self._at.said.parent.mkdir(mode=0o700, exist_ok=True)
            places.write(self._at.said, Said(number=self._number, fault=verdict), 0o600)
        except OSError as error:  # nothing was said, so it is gone back from; what it serves meanwhile goes on
            log.error("on trial, and cannot say how it is in %s: %s", self._at.said, error.strerror or error)

    async def told(self) -> inputs.Upgraded | None:
        """Return what became of the last version that was asked for, when root's part is at rest; None: of none."""
        while self._is_here:
            kept = places.kept(self._at)
            if kept.stage is Stage.IDLE:
                return _told(kept) if kept.outcome is not Outcome.NONE else None
            await asyncio.sleep(limits.UPGRADE_LOOK_S)
        return None


def _told(kept: Kept) -> inputs.Upgraded:
    return inputs.Upgraded(number=kept.number, version=kept.version, outcome=kept.outcome, reason=kept.reason)


async def _turns(settled: Callable[[], Coroutine[Any, Any, None]]) -> str:
    """Return why its core or its store does not turn; empty: they do."""
    try:
        async with asyncio.timeout(limits.UPGRADE_ANSWER_S):
            await settled()
    except TimeoutError:
        return f"its core did not turn in {limits.UPGRADE_ANSWER_S:g} s"
    except StoreError as error:
        return f"its store fails: {error}"
    return ""


async def _asked(where: list[str]) -> str:
    words = (sys.executable, "-m", "hub.shell.upgrade.answering", *where)
    asking = await asyncio.create_subprocess_exec(*words, stdout=asyncio.subprocess.PIPE)
    try:
        async with asyncio.timeout(limits.UPGRADE_ANSWER_S):
            out, _ = await asking.communicate()
    except TimeoutError:
        asking.kill()
        await asking.wait()
        return f"it did not answer in {limits.UPGRADE_ANSWER_S:g} s"
    return out.decode(errors="replace").strip() if asking.returncode == 0 else "it could not be asked"
