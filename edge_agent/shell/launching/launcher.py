"""How the agent asks the launcher (edge_agent/launcher), which starts workloads as other users, confined.

SKERRY_LAUNCHER names its socket; without it the agent starts all by itself, as its own user. Nothing here waits
for an answer but `ask`, once, when the agent starts: what became of a workload its folder tells, and why it was not
started the launcher said before it let go of the pipe.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import pwd
import socket
from collections.abc import Callable, Sequence

import msgspec

from edge_agent.core import isolation
from edge_agent.core.isolation import Able
from edge_agent.shell.launching import confined, packets
from edge_agent.shell.runners import script
from protocol import limits
from protocol.errors import Refused

VARIABLE = "SKERRY_LAUNCHER"
NO_LAUNCHER = isolation.nobody(f"no launcher starts what runs here: {VARIABLE} names none")

log = logging.getLogger("skerry.launcher")


def _nobody() -> None:
    """Nobody wants to know."""


class Launcher:
    """The one behind the socket `path`."""

    def __init__(self, path: str) -> None:
        self._path = path
        self.able = Able()
        """What it can enforce."""
        self.on_unheard: Callable[[], None] = _nobody
        """Called when nothing can be started any more."""
        self.user = packets.WORK_USER
        """Who runs what names no user."""

    @classmethod
    def of_this_device(cls) -> Launcher | None:
        """Return the one that the environment names, None without one."""
        path = os.environ.get(VARIABLE, "")
        return cls(path) if path else None

    def ask(self) -> None:
        """Find out what it can. May wait limits.LAUNCHER_WAIT_S; without an answer nothing is started."""
        with contextlib.suppress(packets.Unheard), self._call({"do": "able"}) as sock:
            sock.setblocking(True)
            sock.settimeout(limits.LAUNCHER_WAIT_S)
            try:
                self._take(packets.read(sock.recv(limits.LAUNCHER_ANSWER_BYTES_MAX)))
            except OSError as error:
                self.unheard(error.strerror or str(error))

    async def ask_again(self) -> None:
        """Find out what it can, however long it takes; what it `waits` for then tells whether it could be found out."""
        with contextlib.suppress(packets.Unheard), self._call({"do": "able"}) as sock:
            try:
                loop = asyncio.get_running_loop()
                self._take(packets.read(await loop.sock_recv(sock, limits.LAUNCHER_ANSWER_BYTES_MAX)))
            except OSError as error:
                self.unheard(error.strerror or str(error))

    def _take(self, said: packets.Answer) -> None:
        if said.error:
            self._wait(f"nothing can be started here: the launcher says: {said.error}")
        else:
            self.able, self.user = Able(names=frozenset(said.able), why=said.why), said.user

    def unheard(self, why: str) -> None:
        """It does not answer: nothing can be started until it does."""
        self._wait(f"nothing can be started here: the launcher (skerry-agent-launch) does not answer: {why}")

    def _wait(self, text: str) -> None:
        if text != self.able.waits:
            log.error("%s", text)
        self.able = msgspec.structs.replace(self.able, waits=text)
        self.on_unheard()

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
        try:
            return packets.send(self._path, asked, handles)
        except packets.Unheard as error:
            self.unheard(error.strerror or str(error))
            raise
