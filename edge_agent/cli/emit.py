"""`skerry-agent emit`: say something from inside a workload, and return once it is committed. Standard library only:
it starts in the time of a bare Python."""

from __future__ import annotations

import argparse
import json
import os
import socket
import sys
import time
from collections.abc import Iterator

_DONE, _REFUSED, _USAGE, _UNREACHABLE = 0, 1, 2, 3
_RETRY_S = 0.1
_WINDOW = 4_000
"""Items on their way: the agent is never sent more than it is willing to read."""


class _Away(Exception):
    """The agent does not answer."""


def main(words: list[str]) -> int:
    """Emit one item, or one for each line of stdin; return the exit code."""
    parser = argparse.ArgumentParser(prog="skerry-agent emit", add_help=False)
    parser.add_argument("--kind", default="")
    parser.add_argument("--body", default=None)
    parser.add_argument("--key", default="")
    parser.add_argument("--to", default="", choices=["", "state", "audit", "metrics", "logs", "outputs"])
    parser.add_argument("--wait", type=float, default=10.0)
    parser.add_argument("--socket", default=os.environ.get("SKERRY_SOCKET", ""))
    options = parser.parse_args(words)
    if not options.socket:
        return _say("SKERRY_SOCKET is not set: emit works inside a service, a step or a task that Skerry runs", _USAGE)
    try:
        return _Emitting(options.socket, options.wait).send(_items(options))
    except ValueError as error:
        return _say(str(error), _USAGE)
    except _Away as error:
        return _say(f"the agent does not answer at {options.socket} ({error}): is it running?", _UNREACHABLE)


def _items(options: argparse.Namespace) -> Iterator[bytes]:
    common = {name: value for name, value in (("key", options.key), ("to", options.to)) if value}
    if options.body is not None or (options.kind and sys.stdin.isatty()):
        yield _item({"kind": options.kind or "event", "body": _json(options.body or "null", "--body")} | common)
        return
    for number, line in enumerate(sys.stdin, 1):
        if not line.strip():
            continue
        value = _json(line, f"line {number}")
        if options.kind:
            yield _item({"kind": options.kind, "body": value} | common)
        elif isinstance(value, dict):
            yield _item({**value, **common})
        else:
            raise ValueError(f'line {number} is no item: write {{"kind": ..., "body": ...}}, or name the --kind')


def _item(item: dict[str, object]) -> bytes:
    return json.dumps(item, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"


def _json(text: str, where: str) -> object:
    try:
        return json.loads(text)
    except ValueError as error:
        raise ValueError(f"{where} is not JSON ({error}); a text needs its own quotes: --body '\"text\"'") from error


class _Emitting:
    """One connection. An agent that restarts is waited for; what it had not committed is sent again."""

    def __init__(self, path: str, wait_s: float) -> None:
        self._path = path
        self._wait_s = wait_s
        self._sent: list[bytes] = []
        self._acked = 0
        self._error = ""
        self._rest = b""
        self._socket = self._connect()

    def send(self, items: Iterator[bytes]) -> int:
        """Send all; return the exit code once all is committed or something is refused."""
        for item in items:
            self._sent.append(item)
            self._write(item)
            while len(self._sent) >= _WINDOW and not self._error:
                self._read()
            if self._error:
                break
        while self._sent and not self._error:
            self._read()
        return _say(self._error, _REFUSED) if self._error else _DONE

    def _connect(self) -> socket.socket:
        until = time.monotonic() + self._wait_s
        while True:
            sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                sock.connect(self._path)
            except OSError as error:
                sock.close()
                if time.monotonic() > until:
                    raise _Away(error.strerror) from error
                time.sleep(_RETRY_S)
            else:
                return sock

    def _write(self, item: bytes) -> None:
        try:
            self._socket.sendall(item)
        except OSError:
            self._again()

    def _again(self) -> None:
        self._socket.close()
        self._socket = self._connect()
        self._acked, self._rest = 0, b""
        self._write(b"".join(self._sent))

    def _read(self) -> None:
        try:
            data = self._socket.recv(65_536)
        except OSError:
            data = b""
        if not data:
            self._again()
            return
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            reply = json.loads(line)
            if "error" in reply:
                self._error = reply["error"]
                return
            count = int(reply["acked"])
            del self._sent[: count - self._acked]
            self._acked = count


def _say(text: str, code: int) -> int:
    print(f"skerry-agent emit: {text}", file=sys.stderr)
    return code
