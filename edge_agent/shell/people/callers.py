"""Who calls: what the kernel says of the other end of a unix socket, never what the caller says."""

from __future__ import annotations

import contextlib
import grp
import os
import pwd
import socket
import struct
from pathlib import Path

import msgspec

from edge_agent.shell.people.rights import Owner, People, Rights

_CREDENTIALS = struct.Struct("3i")
_SO_PEERGROUPS = 59  # linux/socket.h; Python has no name for it
_GROUPS_BYTES_MAX = 1_024
_NO_LOGIN = 4_294_967_295


class Caller(msgspec.Struct, frozen=True, kw_only=True):
    """`user` is for people: the account, or who became root by `sudo` (the kernel's own note of the login)."""

    user: str
    uid: int
    rights: Rights
    people: People
    error: str
    """What is wrong with the owner's file, if that is why they may little."""


def of(sock: socket.socket, owner: Owner) -> Caller:
    """Return who is at the other end of `sock`, and what they may."""
    pid, uid, gid = _CREDENTIALS.unpack(sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))
    people, error = owner.people()
    rights = Rights.ACT if uid in (0, os.geteuid()) else _rights({gid, *_groups(sock)}, people)
    login = _login(pid) if uid == 0 else 0
    user = f"{_name(login)} (sudo)" if login else _name(uid)
    return Caller(user=user, uid=login or uid, rights=rights, people=people, error=error)


def _rights(groups: set[int], people: People) -> Rights:
    if gid(people.act) in groups:
        return Rights.ACT
    return Rights.READ if gid(people.read) in groups else Rights.NOTHING


def gid(group: str) -> int:
    """Return the number of a group, -1 (which nobody has) when there is no such group."""
    try:
        return grp.getgrnam(group).gr_gid if group else -1
    except KeyError:
        return -1


def _groups(sock: socket.socket) -> list[int]:
    """Return the groups of the calling process; none where the kernel does not tell (before Linux 4.13)."""
    with contextlib.suppress(OSError):
        raw = sock.getsockopt(socket.SOL_SOCKET, _SO_PEERGROUPS, _GROUPS_BYTES_MAX)
        return list(struct.unpack(f"{len(raw) // 4}I", raw))
    return []


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
