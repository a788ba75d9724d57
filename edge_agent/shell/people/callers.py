"""Who calls: what the kernel says of the other end of a unix socket, never what the caller says."""

from __future__ import annotations

import contextlib
import errno
import grp
import os
import pwd
import socket
import struct
from asyncio.trsock import TransportSocket
from pathlib import Path

import msgspec

from edge_agent.shell.people.rights import People, Rights
from protocol import limits

_CREDENTIALS = struct.Struct("3i")
_SO_PEERGROUPS = 59  # linux/socket.h; Python has no name for it
_ASKED_BYTES = 1_024  # as much as Python's getsockopt gives
_NO_LOGIN = 4_294_967_295


class Peer(msgspec.Struct, frozen=True, kw_only=True):
    """The process at the other end, as it was when it connected.

    `login`: with which uid the person behind root logged in; 0: it was root, or is not known.
    """

    uid: int
    groups: frozenset[int]
    login: int

    @property
    def is_root(self) -> bool:
        """Whether it is root, or the user that the agent runs as."""
        return self.uid in (0, os.geteuid())


class Caller(msgspec.Struct, frozen=True, kw_only=True):
    """`user` is for people: the account, and who is behind root (`ada as root`) if the kernel noted the login."""

    user: str
    uid: int
    rights: Rights
    people: People
    error: str
    """What is wrong with the owner's file, if that is why they may little."""


def peer(sock: socket.socket | TransportSocket) -> Peer:
    """Return who has just connected. Raises OSError when they are gone."""
    pid, uid, gid = _credentials(sock)
    return Peer(uid=uid, groups=frozenset({gid, *_groups(sock)}), login=_login(pid) if uid == 0 else 0)


def uid_of(sock: socket.socket) -> int:
    """Return the uid of who is at the other end of `sock`."""
    return _credentials(sock)[1]


def _credentials(sock: socket.socket | TransportSocket) -> tuple[int, int, int]:
    return _CREDENTIALS.unpack(sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))


def of(peer: Peer, people: People, error: str) -> Caller:
    """Return what `peer` may by the owner's table; `error`: what is wrong with it.

    Asks the system for names, and those who keep them may be far away: nothing for an event loop.
    """
    rights = Rights.ACT if peer.is_root else _rights(peer.groups, people)
    user = f"{_name(peer.login)} as root" if peer.login else _name(peer.uid)
    return Caller(user=user, uid=peer.uid, rights=rights, people=people, error=error)


def _rights(groups: frozenset[int], people: People) -> Rights:
    if gid(people.act) in groups:
        return Rights.ACT
    return Rights.READ if gid(people.read) in groups else Rights.NOTHING


def gid(group: str) -> int:
    """Return the number of a group, -1 (which nobody has) when there is no such group."""
    try:
        return grp.getgrnam(group).gr_gid if group else -1
    except KeyError:
        return -1


def _groups(sock: socket.socket | TransportSocket) -> tuple[int, ...]:
    """Return the groups of the calling process; none where the kernel does not tell (before Linux 4.13)."""
    try:
        raw = sock.getsockopt(socket.SOL_SOCKET, _SO_PEERGROUPS, _ASKED_BYTES)
    except OSError as error:
        raw = _all_groups(sock.fileno()) if error.errno == errno.ERANGE else b""
    return struct.unpack(f"{len(raw) // 4}I", raw)


def _all_groups(fd: int) -> bytes:
    """Ask again with more room than Python's call has: somebody is in more than 256 groups."""
    import ctypes  # only where there is somebody like that

    room = ctypes.create_string_buffer(limits.CONTROL_GROUPS_BYTES_MAX)
    size = ctypes.c_uint32(len(room))
    failed = ctypes.CDLL(None).getsockopt(fd, socket.SOL_SOCKET, _SO_PEERGROUPS, room, ctypes.byref(size))
    return b"" if failed else room.raw[: size.value]


def _login(pid: int) -> int:
    """Return the uid with which the person behind a process logged in, 0 when nobody did or it was root."""
    with contextlib.suppress(OSError, ValueError):
        found = int(Path(f"/proc/{pid}/loginuid").read_text())
        return 0 if found == _NO_LOGIN else found
    return 0


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"
