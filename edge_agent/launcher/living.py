"""What the launcher does about what it started, and nothing else: signals, wardens of leases, what is left over."""

from __future__ import annotations

import contextlib
import fcntl
import os
from pathlib import Path

from edge_agent.launcher.house import PATH, House, arrange, is_held, lives, process_of
from edge_agent.launcher.policy import Who
from edge_agent.launcher.request import Refused, Request
from edge_agent.shell.runners import tree

_WARDEN = str(Path(__file__).parent.parent / "shell" / "runners" / "lease.sh")
_FOLDER = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def send_signal(house: House, asked: Request) -> None:
    """Signal the group of an instance that this launcher started; harmless when it is gone."""
    record = house.state / asked.instance
    found = process_of(record)
    if found is None or not lives(house, asked.instance):
        return
    try:
        os.killpg(found[0], asked.number)
    except ProcessLookupError:  # before its setsid it leads no group yet, and has no children
        with contextlib.suppress(ProcessLookupError):
            os.kill(found[0], asked.number)


def become_warden(house: House, asked: Request, notes: int) -> None:
    """Turn into the warden of an instance's lease: the agent's user, with the one right to stop what it guards."""
    setpriv = tree.find_program("setpriv", PATH)
    null = os.open(os.devnull, os.O_RDWR)
    arrange([null, null, null, null, null, null, notes])
    for number in (3, 4, 5):
        os.close(number)
    words = [setpriv, f"--reuid={house.agent.uid}", f"--regid={house.agent.gid}", "--clear-groups", "--no-new-privs"]
    words += ["--inh-caps=-all,+kill", "--ambient-caps=-all,+kill", "--bounding-set=-all,+kill", "--"]
    words += ["/bin/sh", _WARDEN, f"{house.data}/w/{asked.instance}", str(asked.grace_s)]
    os.execve(setpriv, [*words, str(house.state / asked.instance)], {"PATH": PATH})  # noqa: S606


def sweep_up(house: House, asked: Request, who: Who) -> None:
    """Delete what an instance left in its own folder, with its user's rights and no others; then end."""
    os.setgroups([])
    os.setresgid(who.gid, who.gid, who.gid)
    os.setresuid(who.uid, who.uid, who.uid)
    folder = os.open(house.data, _FOLDER)
    for name in ("w", asked.instance):  # a link would have it delete elsewhere
        folder = os.open(name, _FOLDER, dir_fd=folder)
    tree.remove(Path(f"/proc/self/fd/{folder}/dir"))
    os._exit(0)


def note(house: House, instance: str) -> int:
    """Return its record, new and empty, under the lock that its shim inherits. Raises Refused, OSError."""
    record = house.state / instance
    if lives(house, instance) or is_held(record):
        raise Refused(f"{instance} runs already")
    record.unlink(missing_ok=True)
    handle = os.open(record, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o644)
    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return handle


def forget_the_dead(house: House) -> None:
    """End what outlived its shim and its group (in a session of its own), and drop the records of what has ended."""
    for record in house.state.iterdir():
        if not is_held(record) and not lives(house, record.name) and house.groups.clear(record.name):
            record.unlink(missing_ok=True)
