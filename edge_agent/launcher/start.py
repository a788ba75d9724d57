"""How a fork of the launcher becomes the shim of a workload (shim.sh), confined as it was asked.

What goes wrong is told before the agent's pipe closes, so that the agent never guesses.
"""

from __future__ import annotations

import grp
import os
import resource
import shlex
import stat
import sys
from pathlib import Path

from edge_agent.launcher import give, kernel
from edge_agent.launcher.house import PATH, House, arrange, shim_of
from edge_agent.launcher.policy import Who
from edge_agent.launcher.request import Refused, Request
from edge_agent.shell.runners import tree

_HERE = Path(__file__).parent
_SHIM, _LANDLOCK = _HERE / "shim.sh", str(_HERE / "landlock.py")
_SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/etc", "/proc", "/sys/devices/system/cpu")
_DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty", "/dev/pts")
HANDLES = 6  # the pipe, then the files `start`, out, err, `run`, `exit`


# ------------------------------------------------------------------------------------------------ a workload


def check_handles(house: House, asked: Request, handles: list[int]) -> None:
    """Raises Refused unless the agent handed over what it has to: its own regular files of this instance, and a pipe.
    A probe has pipes alone.

    Root will write into some of them. Whoever could open them has shown their right; that they are what they should be
    is for the launcher to see.
    """
    if len(handles) != HANDLES:
        raise Refused(f"a launch comes with {HANDLES} open files, not {len(handles)}")
    pipes = handles if asked.beside else handles[:1]
    if not all(stat.S_ISFIFO(os.fstat(handle).st_mode) for handle in pipes):
        raise Refused("the first open file of a launch is a pipe, and all are that a probe has")
    if asked.beside:
        return
    folder = f"{house.data}/w/{asked.instance}"
    places = [(f"{folder}/start",), (f"{house.data}/logs/", f"{folder}/out"), (f"{house.data}/logs/", f"{folder}/err"),
              (f"{folder}/run",), (f"{folder}/exit",)]  # fmt: skip
    for handle, allowed in zip(handles[1:], places, strict=True):
        found = os.readlink(f"/proc/self/fd/{handle}")
        if not stat.S_ISREG(os.fstat(handle).st_mode) or not any(
            found == one or (one.endswith("/") and found.startswith(one)) for one in allowed
        ):
            raise Refused(f"the open file {found[:120]!r} is not one of this instance's")


def become_workload(house: House, asked: Request, who: Who, handles: list[int], record: int) -> None:
    """Turn this process into the shim of a workload, which notes it in `record`. Raises Refused, OSError."""
    script = os.memfd_create("start")
    os.write(script, _script(asked).encode())
    null, shim = os.open(os.devnull, os.O_RDWR), _SHIM.read_text()  # read before a private /tmp may cover it
    if asked.owned:
        give.give(asked, who, house.agent)
    house.groups.enter(asked)
    _part(house, asked)
    _bound(asked)
    pipe, lock, out, err, run, end = handles
    arrange([end, null, null, pipe, lock, out, err, script, record, run])
    os.chdir("/")
    sync = tree.find_program("sync", PATH)
    os.execve("/bin/sh", ["/bin/sh", "-c", shim, "shim", sync, *_words(asked, who)], {"PATH": PATH})  # noqa: S606


def _part(house: House, asked: Request) -> None:
    """Go into the namespaces of what it runs beside, or make those that are asked for. Raises Refused, OSError."""
    if asked.beside:
        # Its shim's, not its own: in those of its own making what root executes next may be its own, too.
        shim = shim_of(house.state / asked.beside)
        handles = kernel.spaces(shim) if shim is not None else []
        if not handles or shim_of(house.state / asked.beside) != shim:
            raise Refused(f"{asked.beside} does not run")
        kernel.join(handles)
        return
    if asked.no_network:
        kernel.no_network()
    elif house.network:
        kernel.join_network(house.network)
    if asked.read_only or asked.private_tmp:
        kernel.own_mounts()
    for path in asked.read_only:
        kernel.make_read_only(path)
    if asked.private_tmp:
        kernel.private_tmp()


def _script(asked: Request) -> str:
    """Return what the workload's own user executes: nothing of a document acts before it has its user."""
    lines = [
        "umask 022",
        f"cd {shlex.quote(asked.cwd)} || exit 126",
        *(f"export {name}={shlex.quote(value)}" for name, value in asked.env.items()),
        f"exec {shlex.join(asked.command)} 3>&- 4>&- 7<&-",
    ]
    return "\n".join(lines) + "\n"


def _words(asked: Request, who: Who) -> list[str]:
    """Return the words that become the workload: its session, its user, its paths, then its script."""
    tools = [tree.find_program(name, PATH) for name in ("setsid", "setpriv")]
    if not all(tools):
        raise Refused("this device has no `setsid` or no `setpriv`: install util-linux")
    try:
        more = [grp.getgrnam(name).gr_gid for name in asked.groups]
    except KeyError as error:
        raise Refused(f"no such group on this device: {error}") from None
    groups = sorted({*os.getgrouplist(who.name, who.gid), *more})
    words = [*tools, f"--reuid={who.uid}", f"--regid={who.gid}", f"--groups={','.join(map(str, groups))}"]
    words += ["--inh-caps=-all", "--ambient-caps=-all"]
    if not asked.new_privileges:
        words.append("--no-new-privs")
        if who.uid:
            words.append("--bounding-set=-all")
    words.append("--")
    if asked.reads or asked.writes:
        rules = [f"r{path}" for path in (*_SYSTEM, *asked.reads, *asked.command[:1])]
        rules += [f"w{path}" for path in (*_DEVICES, *asked.writes, asked.owned or asked.cwd)]
        words += [sys.executable, "-I", "-S", _LANDLOCK, *rules, "--"]
    return [*words, "/bin/sh", "-c", ". /proc/self/fd/7"]


def _bound(asked: Request) -> None:
    for name, value in asked.rlimits.items():
        number = getattr(resource, f"RLIMIT_{name.upper()}", None)
        if number is None:
            raise Refused(f"there is no limit {name[:40]!r} on this device")
        most = resource.getrlimit(number)[1]
        if most != resource.RLIM_INFINITY and not 0 <= value <= most:
            raise Refused(f"the limit {name} is {most} on this device, {value} is more")
        resource.setrlimit(number, (value, value))
