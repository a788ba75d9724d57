"""The folder of a service becomes its user's: what is the agent's own in it, and nothing else ever.

The folder's group stays the agent's, which writes the files of the next start into it. All is done by descriptors
and follows no link: whatever somebody puts in the way, nothing changes hands that was not the agent's to give.
"""

from __future__ import annotations

import contextlib
import os
import stat

from edge_agent.launcher.policy import Who
from edge_agent.launcher.request import Refused, Request

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def give(asked: Request, who: Who, agent: Who) -> None:
    """Give `asked.owned` to `who`: whole if it is the agent's, else what was written for this start. Raises Refused."""
    try:
        top = os.open(asked.owned, _FOLDER)
    except OSError as error:
        raise Refused(f"the folder {asked.owned} cannot be given to {who.name!r}: {error.strerror}") from error
    try:
        owner = os.fstat(top).st_uid
        if owner == agent.uid:
            _give_all(top, who, agent)
        elif owner != who.uid:
            raise Refused(f"{asked.owned} belongs to another user (uid {owner}): give it to {who.name!r}, or remove it")
        else:
            for path in asked.files:
                with contextlib.suppress(OSError):
                    _give_one(top, path, who, agent)
    except RecursionError as error:
        raise Refused(f"{asked.owned} nests too deep to be given to {who.name!r}: remove it on the device") from error
    finally:
        os.close(top)


def _give_all(folder: int, who: Who, agent: Who) -> None:
    """Give all in `folder`, then itself.

    Only folders are opened: what else is there may be a pipe, or a link to a device.
    """
    for name in os.listdir(folder):
        with contextlib.suppress(OSError):
            try:
                inner = os.open(name, _FOLDER, dir_fd=folder)
            except NotADirectoryError:
                _give_file(name, folder, who, agent)
                continue
            try:
                _give_all(inner, who, agent)
            finally:
                os.close(inner)
    _give_folder(folder, who, agent)


def _give_folder(folder: int, who: Who, agent: Who) -> None:
    if os.fstat(folder).st_uid == agent.uid:
        os.fchmod(folder, 0o775)
        os.fchown(folder, who.uid, agent.gid)


def _give_file(name: str, folder: int, who: Who, agent: Who) -> None:
    file = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    try:
        found = os.fstat(file)
        if stat.S_ISREG(found.st_mode) and found.st_uid == agent.uid and found.st_nlink == 1:  # more: an artifact's
            os.chown(f"/proc/self/fd/{file}", who.uid, who.gid)
    finally:
        os.close(file)


def _give_one(top: int, path: str, who: Who, agent: Who) -> None:
    """Give a file and the folders on the way to it."""
    *folders, name = path.split("/")
    opened = [os.dup(top)]
    try:
        for folder in folders:
            opened.append(os.open(folder, _FOLDER, dir_fd=opened[-1]))
            _give_folder(opened[-1], who, agent)
        _give_file(name, opened[-1], who, agent)
    finally:
        for handle in opened:
            os.close(handle)
