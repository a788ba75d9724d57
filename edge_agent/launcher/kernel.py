"""What Linux offers and Python has no call for: namespaces and mounts. Raises OSError with what it is about."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import os
import socket
import struct
from collections.abc import Iterable

_NEWNS, _NEWNET = 0x00020000, 0x40000000
_NOSUID, _NODEV, _REC, _SLAVE = 2, 4, 16384, 1 << 19
_OPEN_TREE, _MOVE_MOUNT, _MOUNT_SETATTR = 428, 429, 442  # the same numbers on every machine; Linux 5.12
_AT_RECURSIVE, _AT_EMPTY, _CLONE, _FROM_AND_TO_EMPTY, _ATTR_RDONLY = 0x8000, 0x1000, 1, 0x44, 1
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 1
_PRIVATE_TMP = b"mode=1777,size=25%,nr_inodes=100k"

_libc = ctypes.CDLL(None, use_errno=True)


def own_mounts() -> None:
    """Leave the shared mounts: what changes from here on is this process's and its children's alone."""
    _call(_libc.unshare(_NEWNS), "mounts")
    _call(_libc.mount(None, b"/", None, _REC | _SLAVE, None), "/")


def make_read_only(path: str) -> None:
    """Nothing at `path`, nor at what is mounted beneath it, can be written any more.

    The name is followed once: whoever changes where it leads mounts nothing of theirs over what root is about to run.
    """
    place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    copy = _call(_libc.syscall(_OPEN_TREE, place, b"", _CLONE | os.O_CLOEXEC | _AT_RECURSIVE | _AT_EMPTY), path)
    attributes = struct.pack("4Q", _ATTR_RDONLY, 0, 0, 0)
    done = _libc.syscall(_MOUNT_SETATTR, copy, b"", _AT_RECURSIVE | _AT_EMPTY, attributes, len(attributes))
    _call(done, path)
    _call(_libc.syscall(_MOVE_MOUNT, copy, b"", place, b"", _FROM_AND_TO_EMPTY), path)
    if os.readlink(f"/proc/self/fd/{place}") == "/":  # a root stays where it is when something is mounted over it
        os.fchdir(copy)
        os.chroot(".")
    os.close(copy)
    os.close(place)


def can_make_read_only() -> bool:
    """Tell whether this kernel knows how; an empty change is refused by those that do, and unknown to the others."""
    _libc.syscall(_MOUNT_SETATTR, -1, b"", 0, None, 0)
    return ctypes.get_errno() != errno.ENOSYS


def private_tmp(paths: Iterable[str] = ("/tmp", "/var/tmp")) -> None:  # noqa: S108
    """Have `paths` empty and in memory, which goes with the last process that sees it."""
    for path in {os.path.realpath(one) for one in paths if os.path.isdir(one)}:
        _call(_libc.mount(b"tmpfs", path.encode(), b"tmpfs", _NOSUID | _NODEV, _PRIVATE_TMP), path)


def join_network(path: str) -> None:
    """Go where the device's network is (`path` names its namespace), for the launcher itself is kept from it."""
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        _call(_libc.setns(handle, _NEWNET), "network")
    finally:
        os.close(handle)


def spaces(pid: int) -> list[int]:
    """Return handles on the network and the mounts of a process."""
    return [os.open(f"/proc/{pid}/ns/{kind}", os.O_RDONLY | os.O_CLOEXEC) for kind in ("net", "mnt")]


def join(handles: list[int]) -> None:
    """Go into such a network and such mounts."""
    for handle, kind in zip(handles, (_NEWNET, _NEWNS), strict=True):
        _call(_libc.setns(handle, kind), "the namespaces of what it runs beside")
        os.close(handle)


def no_network() -> None:
    """Have a loopback of one's own and nothing else; in some containers not even that."""
    _call(_libc.unshare(_NEWNET), "network")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock, contextlib.suppress(PermissionError):
        asked = struct.pack("16sh14x", b"lo", 0)
        flags = struct.unpack("16sh14x", fcntl.ioctl(sock, _SIOCGIFFLAGS, asked))[1]
        fcntl.ioctl(sock, _SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", flags | _IFF_UP))


def landlock_lacks() -> str:
    """Return why there is no Landlock, for people; empty: there is."""
    if _libc.syscall(444, None, 0, 1) > 0:
        return ""
    return (
        "has no Landlock"
        if ctypes.get_errno() == errno.ENOSYS
        else "has Landlock switched off (boot with lsm=landlock)"
    )


def _call(result: int, about: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), about)
    return result
