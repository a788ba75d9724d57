"""A command that the launcher runs beside a workload, as its user and in its confinement: a probe.

No folder is made for it, for there are many a day: pipes take what it says and how it ended.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import signal
import socket

import msgspec

from edge_agent.shell.launching import confined, launcher, packets
from edge_agent.shell.runners import children
from protocol import limits
from protocol.errors import Refused

_numbers = itertools.count(1)


async def run(
    by: launcher.Launcher, asked: confined.Asked, *, timeout_s: float, output_bytes_max: int
) -> children.Outcome:
    """Run it beside the instance `asked.beside`, from when on it has `timeout_s`; as children.run.

    Raises Refused, OSError: it could not be started; Unheard: nobody knows whether it will be."""
    asked = msgspec.structs.replace(asked, instance=f"p{asked.beside[1:]}-{os.getpid()}-{next(_numbers)}")
    (notes, to_notes), (said, to_said) = os.pipe(), os.pipe()
    try:
        answer = by.start(asked, [to_notes, to_notes, to_said, to_said, to_notes, to_notes])
    except (OSError, Refused):
        os.close(notes)
        os.close(said)
        raise
    finally:
        os.close(to_notes)
        os.close(to_said)
    end = children.Tail(os.fdopen(notes, "rb", 0), limits.SHIM_NOTES_BYTES_MAX)
    output = children.Tail(os.fdopen(said, "rb", 0), output_bytes_max)
    try:
        await _begun(by, end)
        async with asyncio.timeout(timeout_s):
            await end.ended.wait()
        code = _code(end.data)
        output.close()
        if code is None and not end.data:
            raise Refused(packets.refusal(answer))
        return children.Outcome(code=-1 if code is None else code, output=output.data)
    except TimeoutError:
        return children.Outcome(code=None, output=output.data)
    finally:
        by.signal(asked.instance, signal.SIGKILL)  # what it left behind
        _close(answer, end, output)


async def _begun(by: launcher.Launcher, end: children.Tail) -> None:
    try:
        async with asyncio.timeout(limits.LAUNCHER_WAIT_S):
            await end.began.wait()
    except TimeoutError:
        why = f"it starts nothing within {limits.LAUNCHER_WAIT_S:g} s"
        by.unheard(why)
        raise packets.Unheard(why) from None


def _code(notes: bytes) -> int | None:
    """Return the exit code that the shim wrote last; None when it did not."""
    words = notes.rstrip().rpartition(b"\n")[2].split()
    return int(words[0]) if len(words) == 2 and words[1] == b"end" and words[0].isdigit() else None


def _close(answer: socket.socket, *tails: children.Tail) -> None:
    answer.close()
    for tail in tails:
        with contextlib.suppress(OSError):
            tail.close()
