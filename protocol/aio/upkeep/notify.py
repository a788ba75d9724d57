"""Telling the service manager how we are: sd_notify(3), one datagram to $NOTIFY_SOCKET. Without it nothing is told.

    READY=1        what the unit waits for (Type=notify)
    STOPPING=1     only where the process ends: a manager kills what said so and has not ended in time
    WATCHDOG=1     only while the core turns: a loop that hangs, or a commit that never returns, ends in a restart

No library: the protocol is a line of text to a unix socket, and a daemon's memory is a feature.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from typing import Protocol


class Turning(Protocol):
    """A core's engine (protocol.aio.driver): `nudge` has it turn once more, `turns` counts."""

    turns: int

    def nudge(self) -> None:
        """Have it look at its inbox, even at an empty one."""
        ...


def tell(*words: str) -> None:
    """Tell `words`, each NAME=VALUE and one line. Nobody who does not listen, or is gone, stops us."""
    place = os.environ.get("NOTIFY_SOCKET", "")
    if not place:
        return
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as door:
        door.setblocking(False)
        lines = [" ".join(word.split("\n")) for word in words]
        door.sendto("\n".join(lines).encode(errors="replace"), f"\0{place[1:]}" if place.startswith("@") else place)


def every_s() -> float:
    """Return how often the watchdog is to be fed: twice in the time that the unit allows. 0: there is none for us."""
    allowed, whose = os.environ.get("WATCHDOG_USEC", ""), os.environ.get("WATCHDOG_PID", "")
    if not allowed.isdecimal() or whose not in ("", str(os.getpid())):
        return 0.0
    return int(allowed) / 2_000_000


async def feed(core: Turning) -> None:
    """Feed the watchdog while `core` turns; end at once where there is none."""
    every = every_s()
    while every:
        before = core.turns
        core.nudge()
        await asyncio.sleep(every)
        if core.turns != before:
            tell("WATCHDOG=1")
