"""`make demo`: the stage is set, the story is played, and everything that was started is ended."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import signal
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from hub.demo import broker, story, work
from hub.demo.daemon import BIN, DemoFailed
from hub.demo.story import Story


async def play(*, keep: bool, through: str) -> int:
    """Play the demo; `through` is `embedded` or `mosquitto`. Return the exit code."""
    console = Console(highlight=False)
    folder = Path(tempfile.mkdtemp(prefix="skerry-demo-"))
    began, it = time.monotonic(), Story(folder, console)
    async with contextlib.AsyncExitStack() as stack:
        try:
            await _scenes(it, through, stack)
            whole = await it.settle() if not keep else await _keep(it)
        except DemoFailed as error:
            console.print(f"\n[bold red]failed:[/bold red] {escape(str(error))}")
            return 1
        finally:
            await it.close()
    if not keep:
        where = "the hubs' own front doors" if through == "embedded" else f"the regions' links through {through}"
        verdict = "Nothing lost, nothing twice." if whole else "LOST OR DOUBLED: see the table."
        took = f"{time.monotonic() - began:.0f} s"
        console.print(f"\n[bold]{verdict}[/bold] {took}, {where}, real processes, mutual TLS.", soft_wrap=True)
    if whole:
        shutil.rmtree(folder)
    return 0 if whole else 1


async def _scenes(it: Story, through: str, stack: contextlib.AsyncExitStack) -> None:
    await it.init()
    if through == "mosquitto":
        kit = broker.mosquitto(it.root.data, it.root.folder / "broker", it.root.mqtt_port)
        it.root.go_through(await stack.enter_async_context(kit))
    for scene in (it.regions, it.apply, it.cut, it.alone, it.kill, it.heal):
        await scene()


async def _keep(it: Story) -> bool:
    """Leave everything up until Ctrl-C."""
    folder, first = it.folder, story.DEVICES[story.NORTH][0]
    it.stage.tell("The federation stays up until Ctrl-C. Try, in another terminal:")
    for line in (
        f"export SKERRY_CONTEXT={folder}/cloud/context.json PATH={BIN}:$PATH",
        "skerry get nodes -w",
        "skerry events -f",
        f"skerry describe service {work.SIGN}",
        f"skerry logs {work.SIGN} -f",
        f"SKERRY_CONTEXT={folder}/{story.NORTH}/context.json skerry get services      # as the region's operator",
        f'skerry-agent stop {work.SERVICE} --reason "trying it" --data {folder}/{story.NORTH}/{first}',
    ):
        it.stage.console.print(f"  {escape(line)}", highlight=False, soft_wrap=True)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    await stop.wait()
    it.stage.console.print(f"Ending all that was started, and removing {folder}.", highlight=False, soft_wrap=True)
    return True
