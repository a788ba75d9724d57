"""Asks the running agent over its control socket."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import msgspec

from edge_agent.shell import identity
from protocol import limits
from protocol.errors import Refused, SkerryError

_WAIT_S = limits.ASK_WAIT_S + 5.0
_CHUNK_BYTES = 65_536


class Away(SkerryError):
    """The agent does not run here."""


def ask(data: Path | None, request: dict[str, object], wait_s: float = _WAIT_S) -> Any:
    """Return the answer's data. Raises Refused with the agent's sentence, or Away."""
    return list(stream(data, request, wait_s=wait_s))[-1]


def stream(data: Path | None, request: dict[str, object], wait_s: float | None = None) -> Iterator[Any]:
    """Yield what the agent answers, line by line: {"line": ...}, entries, and the final data. Raises as `ask`."""
    with contextlib.suppress(ConnectionError), _connect(data or identity.default_data()) as sock:
        sock.settimeout(wait_s)
        sock.sendall(msgspec.json.encode(request) + b"\n")
        for line in _lines(sock):
            reply = cast("dict[str, Any]", msgspec.json.decode(line))
            if "error" in reply:
                raise Refused(str(reply["error"]))
            if "ok" in reply:
                yield reply["ok"]
                return
            yield reply
    raise Away("the agent stopped before it answered: see skerry-agent doctor")


def _lines(sock: socket.socket) -> Iterator[bytes]:
    rest = b""
    while True:
        try:
            data = sock.recv(_CHUNK_BYTES)
        except TimeoutError:
            raise Away("the agent does not answer: see its log (journalctl -u skerry-agent)") from None
        if not data:
            return
        *whole, rest = (rest + data).split(b"\n")
        yield from whole


def _connect(data: Path) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        folder = os.open(data, os.O_PATH | os.O_DIRECTORY)
        try:
            # by way of the folder, because a socket's path holds no more than 107 bytes
            sock.connect(f"/proc/self/fd/{folder}/control.sock")
        finally:
            os.close(folder)
    except PermissionError as error:
        sock.close()
        raise Refused(
            f"the folder {data} is closed to you: its mode should be 711 (sudo skerry-agent doctor)"
        ) from error
    except OSError as error:
        sock.close()
        raise Away(_why_away(data)) from error
    return sock


def _why_away(data: Path) -> str:
    if not data.is_dir():
        return f"there is no agent in {data}: name its directory with --data, or enroll this device first"
    if (data / "agent.json").exists():
        option = "" if data == identity.default_data() else f" --data {data}"
        return f"the agent in {data} does not run: start it (systemctl start skerry-agent, or skerry-agent run{option})"
    return f"this device is not enrolled (no agent.json in {data}): skerry-agent enroll --hub URL --token TOKEN"
