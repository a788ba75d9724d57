"""How the demo tells its story: short sentences, the commands as they are typed, and how long each wait took."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from hub.demo.daemon import DemoFailed
from hub.demo.fleet import Fleet

SCENE_WAIT_S = 30.0
POLL_S = 0.1
_TOKEN = re.compile(r"\bsk1\.\S+")


class Stage:
    """The console, for what happens under `folder`."""

    def __init__(self, console: Console, folder: Path) -> None:
        self.console, self.folder = console, folder

    def tell(self, text: str) -> None:
        """Begin a scene."""
        self.console.print(f"\n[bold]{escape(text)}[/bold]", soft_wrap=True)

    def say(self, text: str) -> None:
        """Say something, as short as it may be shown: the folder is `demo`, tokens are cut."""
        shown = _TOKEN.sub("sk1.…", text.replace(str(self.folder), "demo"))
        self.console.print(escape(shown), highlight=False, soft_wrap=True)

    async def show(self, at: Fleet, *words: str, program: str = "skerry", check: bool = True, until: str = "") -> None:
        """Run a command at a hub, and show it as the person who typed it would see it, up to the line `until`."""
        self.say(f"{at.name}$ {program} {' '.join(_typed(word) for word in words)}")
        _, text = await at.command(*words, program=program, check=check)
        lines = text.rstrip().splitlines()
        self.say("\n".join(lines[: lines.index(until)] if until in lines else lines))

    async def until(self, what: str, seen: Callable[[], Awaitable[bool]]) -> None:
        """Wait until `seen()` and say how long it took. Raises DemoFailed after SCENE_WAIT_S."""
        began = time.monotonic()
        while not await seen():
            if time.monotonic() - began > SCENE_WAIT_S:
                raise DemoFailed(f"waited {SCENE_WAIT_S:.0f} s in vain until {what}; logs are in {self.folder}")
            await asyncio.sleep(POLL_S)
        self.say(f"   {what} ({time.monotonic() - began:.1f} s)")


def _typed(word: str) -> str:
    return f'"{word}"' if " " in word else word
