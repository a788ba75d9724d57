"""The output of workloads: bounded, rotated files that people read.

Architecture Invariant: no process stands between a workload and its file. It writes by O_APPEND, so it never waits
for the agent and loses nothing when the agent dies; the price is that rotation copies and truncates, and what is
written between the two (microseconds) is lost. While the agent is down, runners/guard.sh keeps the bounds.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

import msgspec

from edge_agent.core import inputs
from protocol import ids, limits


class Tell(Protocol):
    """Passes lines on; `last`: no more follow."""

    def __call__(self, lines: list[str], *, last: bool) -> None:
        """See Tell."""
        ...


def service_log(data: Path, service: str) -> Path:
    """Return the file that holds a service's stdout and stderr. Raises BadId."""
    return data / "logs" / ids.name(service) / "log"


def open_append(path: Path) -> int:
    """Open (make) an output file for a workload to inherit. Raises OSError."""
    return os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC, 0o640)


def rotate(path: Path) -> None:
    """Move what `path` holds to `path`.1 when it is over its bound; older ones move up, the oldest goes."""
    size = _size(path)
    if size <= limits.LOG_BYTES_MAX:
        return
    for number in range(limits.LOG_FILES_MAX - 2, 0, -1):
        old = _numbered(path, number)
        if old.exists():
            old.replace(_numbered(path, number + 1))
    _copy_tail(path, size, _numbered(path, 1))
    os.truncate(path, 0)


def shorten(path: Path) -> None:
    """Bound captured output: its head stays in `path`.1, what follows is truncated whenever it is over its bound."""
    size = _size(path)
    if size <= limits.LOG_BYTES_MAX:
        return
    head = _numbered(path, 1)
    if not head.exists():
        with open(path, "rb") as source, open(head, "wb") as target:
            target.write(source.read(limits.TASK_STREAM_BYTES_MAX))
    os.truncate(path, 0)


def captured(path: Path) -> str:
    """Return captured output: head and tail when it is too long to keep whole, and says so in between."""
    head_file = _numbered(path, 1)
    size = _size(path)
    shortened = head_file.exists()
    with open(head_file if shortened else path, "rb") as file:
        head = file.read(limits.TASK_STREAM_BYTES_MAX)
    if not shortened and size <= len(head):
        return _fit(head.decode(errors="replace"), "")
    tail = _last_bytes(path, limits.TASK_STREAM_BYTES_MAX)
    return _fit(head.decode(errors="replace"), tail.decode(errors="replace"))


def _fit(head: str, tail: str) -> str:
    """Join so that the JSON stays within the bound: a quarter for the head, the rest for the tail."""
    whole = head if not tail else ""
    if not tail and _json_bytes(whole) <= limits.TASK_STREAM_BYTES_MAX:
        return whole
    tail = tail or head
    room = limits.TASK_STREAM_BYTES_MAX - 64
    head = _cut(head, room // 4, from_end=False)
    return f"{head}\n… cut: the output is longer than is kept …\n{_cut(tail, room - room // 4, from_end=True)}"


def _cut(text: str, room: int, *, from_end: bool) -> str:
    text = text[-room:] if from_end else text[:room]
    while text and _json_bytes(text) > room:
        keep = max(1, len(text) * room // _json_bytes(text) - 1) if len(text) > 1 else 0
        text = text[len(text) - keep :] if from_end else text[:keep]
    return text


def _json_bytes(text: str) -> int:
    return len(msgspec.json.encode(text))


# ------------------------------------------------------------------------------------------------ reading


def tail(path: Path, lines: int) -> list[str]:
    """Return the last `lines` lines over all rotated files, oldest first."""
    lines = min(lines, limits.TAIL_LINES_MAX)
    found: list[str] = []
    for number in range(limits.LOG_FILES_MAX):
        place = path if number == 0 else _numbered(path, number)
        if len(found) >= lines or not place.exists():
            break
        found = _tail_of(place, lines - len(found)) + found
    return found


class Follower:
    """Reads what is added to a log file, over rotations, from the end it has at construction."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = _size(path)
        self._part = b""

    def lines(self) -> list[str]:
        """Return the whole lines added since the last call, at most limits.TAIL_LINES_MAX."""
        size = _size(self._path)
        if size < self._offset:  # rotated: what was left of the last line has no end any more
            self._offset = 0
            self._part += b"\n" if self._part else b""
        if size == self._offset:
            return []
        with open(self._path, "rb") as file:
            file.seek(self._offset)
            data = file.read(limits.LOG_BYTES_MAX)
        self._offset += len(data)
        *whole, self._part = (self._part + data).split(b"\n")
        self._part = self._part[-limits.LOG_LINE_BYTES_MAX :]
        return [_shown(line) for line in whole[-limits.TAIL_LINES_MAX :]]


def parts(lines: list[str]) -> Iterator[list[str]]:
    """Split lines into parts whose JSON fits one answer; at least one part, maybe empty."""
    part: list[str] = []
    size = 0
    for line in lines:
        cost = _json_bytes(line) + 1
        if part and size + cost > limits.ANSWER_BYTES_MAX // 2:
            yield part
            part, size = [], 0
        part.append(line)
        size += cost
    yield part


def _tail_of(path: Path, lines: int) -> list[str]:
    size = _size(path)
    want = limits.LOG_TAIL_STEP_BYTES
    while True:
        found = _last_bytes(path, want).split(b"\n")
        if found and not found[-1]:
            found.pop()
        if want >= size:
            break
        if len(found) > lines:
            break
        want *= 4
    return [_shown(line) for line in found[-lines:]] if lines else []


def _shown(line: bytes) -> str:
    return line[: limits.LOG_LINE_BYTES_MAX].decode(errors="replace").rstrip("\r")


def _last_bytes(path: Path, count: int) -> bytes:
    with open(path, "rb") as file:
        file.seek(max(0, _size(path) - count))
        return file.read(count)


def _copy_tail(path: Path, size: int, to: Path) -> None:
    start = max(0, size - limits.LOG_BYTES_MAX)
    with open(path, "rb") as source, open(to, "wb") as target:
        while start < size and (count := os.sendfile(target.fileno(), source.fileno(), start, size - start)):
            start += count
    os.chmod(to, 0o640)


def _numbered(path: Path, number: int) -> Path:
    return path.with_name(f"{path.name}.{number}")


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


async def answer(data: Path, action: inputs.ReadLogs, report: Callable[[inputs.LogRead], None]) -> None:
    """Perform a ReadLogs: the tail in parts, then, if it follows, what comes until its time is over."""
    number = 0

    def tell(lines: list[str], *, last: bool) -> None:
        nonlocal number
        report(inputs.LogRead(ask=action.ask, part=number, last=last, lines=lines))
        number += 1

    try:
        await _read(service_log(data, action.service), action, tell)
    except OSError as error:
        tell([f"skerry-agent: its output cannot be read here: {error.strerror or error}"], last=True)


async def _read(path: Path, action: inputs.ReadLogs, tell: Tell) -> None:
    follower = Follower(path)
    first = list(parts(tail(path, action.tail)))
    for part in first[:-1]:
        tell(part, last=False)
    tell(first[-1], last=not action.follow)
    clock = asyncio.get_running_loop().time  # the wall clock may jump, and then a follower would stay for ever
    until = clock() + min(action.until_ms / 1000 - time.time(), limits.LOG_FOLLOW_S)
    while action.follow and clock() < until:
        await asyncio.sleep(limits.FOLLOW_LOOK_S)
        for part in parts(follower.lines()):
            if part:
                tell(part, last=False)
    if action.follow:
        tell([], last=True)
