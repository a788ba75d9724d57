"""Confine this process to some paths by Landlock, for good, then become another program. Standalone; needs no rights.

    python -I -S landlock.py r/usr r/etc w/srv/data -- PROGRAM ARGUMENT...      r: read and execute, w: all of it

Exit code 126 when that cannot be done: a kernel without Landlock runs nothing unconfined. What does not exist is left
out, and what is reached by a link of this user's own.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import stat
import struct
import sys

_CREATE, _ADD, _RESTRICT, _VERSION = 444, 445, 446, 1
_NO_NEW_PRIVS = 38
_LINKS_MAX = 40  # the kernel's own
_READ = 0b1101  # execute, read a file, list a folder
_OF_FILES = 0b111 | 1 << 14 | 1 << 15  # execute, write, read; truncate; ioctl
_BY_VERSION = {1: 13, 2: 14, 3: 15, 4: 15}  # how many rights each knows; from the fifth on 16

_libc = ctypes.CDLL(None, use_errno=True)


def main(words: list[str]) -> None:
    """Run as described above."""
    at = words.index("--")
    try:
        confine(words[:at])
    except OSError as error:
        print(f"skerry: cannot be confined to its paths: {error}", file=sys.stderr)
        sys.exit(126)
    os.execv(words[at + 1], words[at + 1 :])  # noqa: S606


def confine(rules: list[str]) -> None:
    """Raises OSError."""
    version = _done(_libc.syscall(_CREATE, None, 0, _VERSION))
    rights = (1 << _BY_VERSION.get(version, 16)) - 1
    handled = struct.pack("Q", rights)
    ruleset = _done(_libc.syscall(_CREATE, handled, len(handled), 0))
    for rule in rules:
        with contextlib.suppress(FileNotFoundError, PermissionError):
            place = opened(rule[1:])
            wanted = rights if rule[0] == "w" else _READ
            if not stat.S_ISDIR(os.fstat(place).st_mode):
                wanted &= _OF_FILES
            _done(_libc.syscall(_ADD, ruleset, 1, struct.pack("=Qi", wanted & rights, place), 0))
            os.close(place)
    _done(_libc.prctl(_NO_NEW_PRIVS, 1, 0, 0, 0))
    _done(_libc.syscall(_RESTRICT, ruleset, 0))
    os.close(ruleset)


def opened(path: str) -> int:
    """Return a handle on `path`. Raises OSError; PermissionError where a link on the way is this user's own.

    What a workload may write it may turn into a link: at its next start that would be a way out.
    """
    left = path.split("/")[::-1]
    place, links = os.open("/", os.O_PATH | os.O_CLOEXEC), 0
    while left:
        name = left.pop() or "."
        former, place = place, os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=place)
        about = os.fstat(place)
        if stat.S_ISLNK(about.st_mode):
            links += 1
            if links > _LINKS_MAX or about.st_uid == os.getuid() != 0:
                raise PermissionError(path)
            to = os.readlink("", dir_fd=place)
            left += to.split("/")[::-1]
            os.close(place)
            place = os.open("/" if to.startswith("/") else ".", os.O_PATH | os.O_CLOEXEC, dir_fd=former)
        os.close(former)
    return place


def _done(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


if __name__ == "__main__":
    main(sys.argv[1:])
