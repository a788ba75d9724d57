"""What is asked of the shell itself, and comes line by line: a service's output, this device's entries.

Who follows is followed: when the other end has hung up, so does this one, though nothing new comes to tell it by.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from edge_agent.core import inputs
from edge_agent.shell import entries, logs
from protocol.errors import SkerryError

_LOOK_S = 0.25  # of a follower


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


async def answers(data: Path, request: Logs | Events, gone: Callable[[], bool]) -> AsyncIterator[object]:
    """Yield {"line": ...} or entries; those that come, too, until `gone`. Raises SkerryError, OSError."""
    if isinstance(request, Logs):
        async for line in _lines(data, request, gone):
            yield {"line": line}
        return
    reading = entries.Reading(data, request.kind)
    for entry in await reading.newest(request.limit):
        yield entry
    while request.follow and not gone():
        await asyncio.sleep(_LOOK_S)
        for entry in await reading.since():
            yield entry


async def _lines(data: Path, request: Logs, gone: Callable[[], bool]) -> AsyncIterator[str]:
    path = logs.service_log(data, request.service)
    if not path.exists():
        raise SkerryError(f"{request.service} has written nothing here yet: see skerry-agent services")
    follower = logs.Follower(path)
    for line in logs.tail(path, request.tail):
        yield line
    while request.follow and not gone():
        await asyncio.sleep(_LOOK_S)
        for line in follower.lines():
            yield line
