"""Short-lived helpers: run a command, keep the end of its output, never leave it behind.

Not for workloads (those outlive the agent): for probes and downloads, which die with it at the latest when they are
done. asyncio's own subprocesses are avoided: in Python 3.11 each of them costs a thread that waits.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
from collections.abc import Coroutine, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from protocol import limits


class Helpers:
    """The short tasks of the group (probes, downloads, log readers), so that a stop need not wait for them."""

    def __init__(self, group: asyncio.TaskGroup) -> None:
        self._group = group
        self._tasks: set[asyncio.Task[None]] = set()

    def create_task(self, work: Coroutine[None, None, None]) -> None:
        """Start `work`."""
        task = self._group.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def __iter__(self) -> Iterator[asyncio.Task[None]]:
        return iter(list(self._tasks))


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """`code` is negative for a signal; None when it was killed because its time was over."""

    code: int | None
    output: bytes


class Tail:
    """The last bytes that a pipe brought; `began` with the first, `ended` when its other end is closed, or this one."""

    def __init__(self, pipe: IO[bytes], bytes_max: int) -> None:
        self._pipe = pipe
        self._max = bytes_max
        self.data = b""
        self.began, self.ended = asyncio.Event(), asyncio.Event()
        self._open = True
        os.set_blocking(pipe.fileno(), False)
        asyncio.get_running_loop().add_reader(pipe, self.read)

    def read(self) -> bool:
        """Take what is there; False when there is nothing more for now."""
        try:
            data = os.read(self._pipe.fileno(), limits.OUTPUT_CHUNK_BYTES)
        except BlockingIOError:
            return False
        self.data = (self.data + data)[-self._max :]
        self.began.set()
        if not data:
            self._detach()
        return bool(data)

    def close(self) -> None:
        """Take the rest and close."""
        while self._open and self.read():
            pass
        self._detach()
        self._pipe.close()

    def _detach(self) -> None:
        if self._open:
            self._open = False
            self.ended.set()
            asyncio.get_running_loop().remove_reader(self._pipe)


async def run(
    command: Sequence[str],
    *,
    timeout_s: float,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    stdin: bytes = b"",
    output_bytes_max: int,
) -> Outcome:
    """Run `command` in a group of its own; kill what is left of it afterwards. Raises OSError when it cannot start.

    `stdin` must fit into a pipe (64 KiB).
    """
    child = subprocess.Popen(  # noqa: ASYNC220 - returns in a millisecond; its end is awaited
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        cwd=cwd,
        env=env,
        start_new_session=True,
    )
    assert child.stdin is not None
    assert child.stdout is not None
    tail = Tail(child.stdout, output_bytes_max)
    try:
        with contextlib.suppress(BrokenPipeError):
            child.stdin.write(stdin)
            child.stdin.close()
        async with asyncio.timeout(timeout_s):
            await _end_of(child)
        return Outcome(code=child.returncode, output=_closed(tail))
    except TimeoutError:
        return Outcome(code=None, output=_closed(tail))
    finally:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()
        tail.close()


def _closed(tail: Tail) -> bytes:
    tail.close()
    return tail.data


async def _end_of(child: subprocess.Popen[bytes]) -> None:
    try:
        handle = os.pidfd_open(child.pid)
    except OSError:  # a kernel before 5.3
        while child.poll() is None:
            await asyncio.sleep(limits.CHILD_LOOK_S)
        return
    loop = asyncio.get_running_loop()
    ended = loop.create_future()
    loop.add_reader(handle, lambda: ended.done() or ended.set_result(None))
    try:
        await ended
    finally:
        loop.remove_reader(handle)
        os.close(handle)
    child.wait()
