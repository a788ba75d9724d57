"""How the agent asks the launcher (edge_agent/launcher), which starts workloads as other users, confined.

SKERRY_LAUNCHER names its socket; without it the agent starts all by itself, as its own user. A request and its open
files are one packet. Nothing here waits for an answer but `ask`, once, when the agent starts: what became of a
workload its folder tells, and why it was not started the launcher said before it let go of the pipe.
"""

from __future__ import annotations

import contextlib
import logging
import os
import pwd
import socket
from collections.abc import Sequence

import msgspec

from edge_agent.core import isolation
from edge_agent.core.isolation import Able
from edge_agent.shell.runners import confined, script
from protocol import limits
from protocol.errors import Refused

VARIABLE = "SKERRY_LAUNCHER"
_REQUEST_BYTES_MAX = 128 * limits.KIB
_ANSWER_BYTES_MAX = 4 * limits.KIB
_USER = "skerry-work"
NO_LAUNCHER = isolation.nobody(f"no launcher starts what runs here: {VARIABLE} names none")

log = logging.getLogger("skerry.launcher")


class _Answer(msgspec.Struct, frozen=True, kw_only=True):
    able: list[str] = []
    why: dict[str, str] = {}
    user: str = _USER
    error: str = ""


_decode = msgspec.json.Decoder(_Answer).decode


class Launcher:
    """The one behind the socket `path`."""

    def __init__(self, path: str) -> None:
        self._path = path
        self.able = Able()
        """What it can enforce."""
        self.user = _USER
        """Who runs what names no user."""

    @classmethod
    def of_this_device(cls) -> Launcher | None:
        """Return the one that the environment names, None without one."""
        path = os.environ.get(VARIABLE, "")
        return cls(path) if path else None

    def ask(self) -> None:
        """Find out what it can. May wait twice limits.LAUNCHER_WAIT_S; without an answer it can nothing.

        A launcher of another version says so once and makes room for the one that is installed now.
        """
        if not self._asked():
            self._asked()

    def _asked(self) -> bool:
        try:
            with self._call({"do": "able"}) as sock:
                sock.setblocking(True)
                sock.settimeout(limits.LAUNCHER_WAIT_S)
                said = _decode(sock.recv(_ANSWER_BYTES_MAX) or b"{}")
        except (OSError, Refused, msgspec.DecodeError) as error:
            log.error("skerry-agent-launch does not answer: %s; nothing can be started before it does", error)
            return False
        if said.error:
            log.error("the launcher answers: %s", said.error)
        self.able, self.user = Able(names=frozenset(said.able), why=said.why), said.user
        return not said.error

    def identity(self, user: str) -> script.Identity:
        """Return whom `user` means. Raises Refused: no such user; whether they are allowed is the launcher's to say."""
        name = user or self.user
        try:
            found = pwd.getpwnam(name)
        except KeyError:
            raise Refused(f"no such user {name!r} on this device: create it, or change `user`") from None
        return script.Identity(
            uid=found.pw_uid, gid=found.pw_gid, name=name, home=found.pw_dir, switch=True, given_later=True
        )

    def start(self, asked: confined.Asked, handles: Sequence[int]) -> socket.socket:
        """Ask for a workload; the answer comes by `answer` when it is not started. Raises OSError, Refused."""
        return self._call({"do": "launch"} | msgspec.to_builtins(asked), handles)

    def signal(self, instance: str, number: int) -> bool:
        """Signal the group of an instance; tell whether the launcher could be told."""
        try:
            self._call({"do": "signal", "instance": instance, "number": int(number)}).close()
        except (OSError, Refused):
            return False
        return True

    def guard(self, instance: str, grace_s: int, notes: int) -> None:
        """Have a warden guard its lease. Raises OSError, Refused."""
        self._call({"do": "guard", "instance": instance, "grace_s": grace_s}, [notes]).close()

    def empty(self, instance: str, user: str) -> socket.socket:
        """Delete what `user` left in the folder of an instance; the socket ends when that is done. Raises OSError."""
        return self._call({"do": "empty", "instance": instance, "user": user})

    def _call(self, asked: dict[str, object], handles: Sequence[int] = ()) -> socket.socket:
        raw = msgspec.json.encode(asked)
        if len(raw) > _REQUEST_BYTES_MAX:
            raise Refused("its command and environment are too long for the launcher: put them into a file")
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_NONBLOCK)
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2 * _REQUEST_BYTES_MAX)
            sock.connect(self._path)
            socket.send_fds(sock, [raw], list(handles))
        except OSError as error:
            sock.close()
            raise OSError(error.errno, f"skerry-agent-launch cannot be asked: {error.strerror}") from error
        return sock


def answer(sock: socket.socket) -> str:
    """Return why a workload was not started, and close: the launcher says so before it lets go of the pipe."""
    with sock, contextlib.suppress(OSError, msgspec.DecodeError):
        said = _decode(sock.recv(_ANSWER_BYTES_MAX) or b"{}")
        return said.error or "the launcher went away before it was started"
    return "the launcher said nothing"
