"""What is asked of the shell itself, and comes line by line: a service's output, this device's entries.

Who follows is followed: when the other end has hung up, so does this one, though nothing new comes to tell it by; and
who may look no longer is shown out.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from pathlib import Path

import msgspec

from edge_agent.core import inputs
from edge_agent.shell import entries, logs
from protocol import limits
from protocol.errors import SkerryError


class Logs(inputs.LocalCommand, frozen=True, kw_only=True, tag="logs"):
    """The last lines of a service's output; with `follow`, all that come."""

    service: str
    tail: int = 100
    follow: bool = False


class Events(inputs.LocalCommand, frozen=True, kw_only=True, tag="events"):
    """The newest entries of this device's journal; with `follow`, all that come. `kind` is a prefix."""

    limit: int = 50
    follow: bool = False
    kind: str = ""


async def write(writer: asyncio.StreamWriter, answer: object) -> None:
    """Send one line of JSON. Raises OSError."""
    writer.write(msgspec.json.encode(answer) + b"\n")
    await writer.drain()


async def tell(data: Path, request: Logs | Events, writer: asyncio.StreamWriter) -> None:
    """Answer; with `follow` without end. Raises SkerryError, OSError."""
    async for one in _answers(data, request):
        await write(writer, one)
    await write(writer, {"ok": None})


async def attended(
    telling: Coroutine[None, None, None], reader: asyncio.StreamReader, look: Callable[[], Awaitable[object]]
) -> None:
    """Let `telling` go on until the other end hangs up or says anything; `look` now and then.

    Raises what they raise.
    """
    ends: list[asyncio.Task[object]] = [asyncio.create_task(telling), asyncio.create_task(reader.read(1))]
    try:
        while not (done := await asyncio.wait(ends, timeout=limits.CONTROL_LOOK_S, return_when="FIRST_COMPLETED"))[0]:
            await look()
        for one in done[0]:
            one.result()
    finally:
        for one in ends:
            one.cancel()
        await asyncio.gather(*ends, return_exceptions=True)


async def _answers(data: Path, request: Logs | Events) -> AsyncIterator[object]:
    if isinstance(request, Logs):
        async for line in _lines(data, request):
            yield {"line": line}
        return
    reading = entries.Reading(data, request.kind)
    for entry in await reading.newest(request.limit):
        yield entry
    while request.follow:
        await asyncio.sleep(limits.FOLLOW_LOOK_S)
        for entry in await reading.since():
            yield entry


async def _lines(data: Path, request: Logs) -> AsyncIterator[str]:
    path = logs.service_log(data, request.service)
    if not path.exists():
        text = f"{request.service} has written nothing here yet, or is no service of this device"
        raise SkerryError(f"{text}: see skerry-agent services")
    follower = logs.Follower(path)
    for line in logs.tail(path, request.tail):
        yield line
    while request.follow:
        await asyncio.sleep(limits.FOLLOW_LOOK_S)
        for line in follower.lines():
            yield line
