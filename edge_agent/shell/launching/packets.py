"""What crosses between the agent and its launcher: a request with its open files is one packet, so is its answer."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Sequence

import msgspec

from protocol import limits
from protocol.errors import Refused

WORK_USER = "skerry-work"
_GONE = "the launcher went away before it was started"


class Unheard(OSError):
    """The launcher could not be asked, or does not answer: it is no fault of what it was asked for."""


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What the launcher says (edge_agent/launcher/serve.py)."""

    able: list[str] = []
    why: dict[str, str] = {}
    user: str = WORK_USER
    error: str = ""


_decoder = msgspec.json.Decoder(Answer)


def send(path: str, asked: dict[str, object], handles: Sequence[int] = ()) -> socket.socket:
    """Ask the launcher behind the socket `path`; the answer comes by what is returned. Raises Unheard, Refused."""
    raw = msgspec.json.encode(asked)
    if len(raw) > limits.LAUNCHER_REQUEST_BYTES_MAX:
        raise Refused("its command and environment are too long for the launcher: put them into a file")
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_NONBLOCK)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2 * limits.LAUNCHER_REQUEST_BYTES_MAX)
        sock.connect(path)
        socket.send_fds(sock, [raw], list(handles))
    except OSError as error:
        sock.close()
        raise Unheard(error.errno, f"skerry-agent-launch cannot be asked: {error.strerror}") from error
    return sock


def read(raw: bytes) -> Answer:
    """Return what an answer says. Raises Unheard: nothing, or nothing that can be understood."""
    try:
        return _decoder.decode(raw)
    except msgspec.DecodeError:
        raise Unheard("it says what nobody understands" if raw else "it hung up") from None


def refusal(sock: socket.socket) -> str:
    """Return why a workload was not started, and close: the launcher says so before it lets go of the pipe."""
    with sock, contextlib.suppress(OSError):
        return read(sock.recv(limits.LAUNCHER_ANSWER_BYTES_MAX)).error or _GONE
    return _GONE
