"""The launcher's desk: who calls, what they ask, what is answered. One request at a time; what lasts is a fork's."""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import select
import signal
import socket
import struct
import sys
from collections.abc import Callable
from pathlib import Path

from edge_agent.launcher import living, policy, request, start
from edge_agent.launcher.able import able
from edge_agent.launcher.house import House, in_fork
from edge_agent.launcher.policy import Allowed, Who
from edge_agent.launcher.request import Refused, Request, Stranger
from protocol import limits

_CREDENTIALS = struct.Struct("3i")


class Launcher:
    """Serves `house`; the owner's file is `rules`."""

    def __init__(self, house: House, rules: Path) -> None:
        self._house, self._rules = house, rules
        self._outlived = False
        self._launches = 0

    def serve(self, listener: socket.socket, idle_s: float) -> None:
        """Take requests until none came for `idle_s`, or somebody speaks as another version does."""
        while not self._outlived and select.select([listener], [], [], idle_s)[0]:
            with contextlib.suppress(OSError):
                connection, _ = listener.accept()
                signal.alarm(limits.LAUNCHER_REQUEST_S)
                with connection:
                    self._hear(connection)
            signal.alarm(0)

    def _hear(self, connection: socket.socket) -> None:
        peer = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        if (uid := _CREDENTIALS.unpack(peer)[1]) != self._house.agent.uid:
            print(f"uid {uid} is not served", file=sys.stderr, flush=True)
            return
        connection.settimeout(limits.LAUNCHER_CALLER_S)
        raw, handles, _, _ = socket.recv_fds(
            connection, limits.LAUNCHER_REQUEST_BYTES_MAX + 1, limits.LAUNCHER_HANDLES_MAX
        )
        try:
            for handle in handles:
                os.set_inheritable(handle, False)
            asked = request.decode(raw)
            said = self._do(asked, handles, connection)
            if said is not None:
                _answer(connection, said)
        except Refused as error:
            self._outlived = isinstance(error, Stranger)
            print(f"refused: {error}", file=sys.stderr, flush=True)
            _answer(connection, {"error": str(error)})
        except Exception as error:  # whatever this one request brought about, the next one is served
            print(f"failed: {error!r}", file=sys.stderr, flush=True)
            _answer(connection, {"error": f"the launcher cannot do this: {type(error).__name__}"})
        finally:
            for handle in handles:
                os.close(handle)

    def _do(self, asked: Request, handles: list[int], connection: socket.socket) -> dict[str, object] | None:
        """Return the answer; None when a fork gives it. Raises Refused."""

        def tell(error: str) -> None:
            print(f"refused: {error}", file=sys.stderr, flush=True)
            _answer(connection, {"error": error})

        house = self._house
        if asked.do == "able":
            living.forget_the_dead(house)
            names, why = able(house.groups)
            return {"able": names, "why": why, "user": self._allowed().user}
        if asked.do == "signal":
            living.send_signal(house, asked)
        elif asked.do == "guard":
            if len(handles) != 1:
                raise Refused("a guard comes with one open file, for its note")
            in_fork(lambda: living.become_warden(house, asked, handles[0]), tell)
        elif asked.do == "empty":
            allowed = self._allowed()
            who = account(asked.user or allowed.user)
            if why := policy.user_refusal(asked, who, allowed, house.agent.uid):
                raise Refused(why)
            in_fork(lambda: living.sweep_up(house, asked, who), tell)
            return None  # the end of the connection tells that it is done
        else:
            self._launch(asked, handles, tell)
            return None
        return {}

    def _launch(self, asked: Request, handles: list[int], tell: Callable[[str], None]) -> None:
        allowed = self._allowed()
        who = account(asked.user or allowed.user)
        real = os.path.realpath(asked.command[0])
        why = policy.refusal(asked, who, real, allowed, self._house.agent.uid)
        if why:
            raise Refused(why)
        start.check_handles(self._house, asked, handles)
        self._launches += 1
        if self._launches % limits.LAUNCHER_FORGET_EVERY == 0:
            living.forget_the_dead(self._house)
        record = living.note(self._house, asked.instance)
        try:
            if asked.lease:
                in_fork(lambda: living.become_warden(self._house, asked, handles[3]), tell)
            in_fork(lambda: start.become_workload(self._house, asked, who, handles, record), tell)
        finally:
            os.close(record)

    def _allowed(self) -> Allowed:
        """Return what the owner allows, as of now. Raises Refused: nobody knows."""
        try:
            return policy.read(self._rules)
        except (OSError, ValueError) as error:
            raise Refused(f"{self._rules} is wrong, so nothing may run: {error}") from error


def account(name: str) -> Who:
    """Return the account `name`. Raises Refused."""
    try:
        found = pwd.getpwnam(name)
    except KeyError:
        raise Refused(f"no such user {name!r} on this device: create it, or change `user`") from None
    return Who(name=found.pw_name, uid=found.pw_uid, gid=found.pw_gid)


def _answer(connection: socket.socket, said: dict[str, object]) -> None:
    with contextlib.suppress(OSError):  # who does not listen need not know
        connection.send(json.dumps(said).encode())
