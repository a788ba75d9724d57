"""From a Launch to the `start` script that becomes the workload: looked up, checked and quoted before anything runs.

Everything of the document passes shlex.quote; the shim's own environment is ours alone, so that nothing of a
document acts before the workload has its user.
"""

from __future__ import annotations

import os
import pwd
import re
import shlex
import sys
from dataclasses import dataclass, field
from pathlib import Path

from edge_agent.shell.runners import tree
from protocol import documents
from protocol.errors import Refused

PATH_DEFAULT = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_PASSED_ON = ("LANG", "LC_ALL", "TZ")
_KIB = 1024
_SHEBANG_BYTES_MAX = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """The few programs the shim needs, by absolute path; `setpriv` only where users are switched."""

    sync: str
    setsid: str
    setpriv: str = ""
    open_files: int = 0
    """The soft limit workloads get when their document says nothing; 0 leaves the agent's."""

    @classmethod
    def find(cls, open_files: int = 0) -> Tools:
        """Look them up. Raises Refused when the device lacks one."""
        found = {name: tree.find_program(name, PATH_DEFAULT) for name in ("sync", "setsid", "setpriv")}
        for name in ("sync", "setsid"):
            if not found[name]:
                raise Refused(f"this device has no `{name}`: install coreutils and util-linux (or busybox)")
        return cls(**found, open_files=open_files)


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Whom a workload runs as. `switch` tells that the agent is somebody else.

    `given_later`: the launcher gives them their folder and becomes them; the agent may not.
    """

    uid: int
    gid: int
    name: str
    home: str
    switch: bool
    given_later: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """Where and as whom a workload runs."""

    cwd: Path
    env: dict[str, str]
    identity: Identity
    tools: Tools
    limits: documents.Limits = field(default_factory=documents.Limits)


def identity(user: str) -> Identity:
    """Return whom `user` ("" is the agent's own) means. Raises Refused: no such user, or we may not become them."""
    own = os.geteuid()
    try:
        entry = pwd.getpwnam(user) if user else pwd.getpwuid(own)
    except KeyError:
        if user:
            raise Refused(f"no such user {user!r} on this device: create it, or change `user`") from None
        return Identity(uid=own, gid=os.getegid(), name=str(own), home="/", switch=False)
    if entry.pw_uid != own and own != 0:
        raise Refused(f"cannot run as {user!r}: this agent runs as uid {own}; run the agent as root, or drop `user`")
    return Identity(
        uid=entry.pw_uid, gid=entry.pw_gid, name=entry.pw_name, home=entry.pw_dir, switch=entry.pw_uid != own
    )


def environment(own: dict[str, str], instance: str, key: str, node: str, who: Identity) -> dict[str, str]:
    """Return the whole environment of a workload (but SKERRY_SOCKET). Raises Refused on a name no shell can hold."""
    env = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    # Last, so that `skerry-agent emit` is found and the device's own programs still win.
    env["PATH"] = f"{PATH_DEFAULT}:{os.path.dirname(sys.executable)}"
    env |= {"HOME": who.home, "USER": who.name, "LOGNAME": who.name}
    env |= own
    env |= {"SKERRY_NODE": node, **_purpose(instance, key)}
    for name, value in env.items():
        if _ENV_NAME.fullmatch(name) is None:
            raise Refused(f"{name[:80]!r} is no name for an environment variable: use letters, digits and _")
        _no_nul(value, f"the environment variable {name}")
    return env


def _purpose(instance: str, key: str) -> dict[str, str]:
    if instance.startswith("s-"):
        return {"SKERRY_SERVICE": key}
    if instance.startswith("r-"):
        return {"SKERRY_RUN": key, "SKERRY_STEP": instance.removeprefix(f"r-{key}-").rpartition("-")[0]}
    return {"SKERRY_TASK": key}


def script(words: list[str], setting: Setting) -> str:
    """Return the `start` script. Raises Refused when the command cannot run here."""
    program = command(words, setting.cwd, setting.env["PATH"])
    line = shlex.join([setting.tools.setsid, *as_user(setting.identity, setting.tools), *program])
    lines = [
        "umask 022",
        f"cd {shlex.quote(str(setting.cwd))} || exit 126",
        *_limits(setting),
        *(f"export {name}={shlex.quote(value)}" for name, value in setting.env.items()),
        f"exec {line} 3>&- 4>&-",
    ]
    return "\n".join(lines) + "\n"


def bounded(words: list[str], setting: Setting) -> list[str]:
    """Return what runs `words` beside a workload as that runs: its user and bounds. Raises Refused as `script` does."""
    program = [*as_user(setting.identity, setting.tools), *command(words, setting.cwd, setting.env["PATH"])]
    return ["/bin/sh", "-c", "\n".join([*_limits(setting), f"exec {shlex.join(program)}"])]


def command(words: list[str], cwd: Path, path: str) -> list[str]:
    """Return what to execute. Raises Refused when it is absent, cannot be executed, or is no command."""
    if not words:
        raise Refused("the command is empty")
    for word in words:
        _no_nul(word, "the command")
    return [look_up(words[0], cwd, path), *words[1:]]


def look_up(program: str, cwd: Path, path: str) -> str:
    """Return what to execute for `command[0]`. Raises Refused when it is absent or cannot be executed."""
    if "/" in program:
        place = os.path.join(cwd, program)
        if not os.path.isfile(place):
            raise Refused(f"no such command {program!r} on this device (looked in {cwd})")
        if not os.access(place, os.X_OK):
            raise Refused(f"{program!r} is not executable: chmod +x it before it is packed")
    else:
        place = tree.find_program(program, path)
        if not place:
            raise Refused(f"no such command {program!r} on this device (looked in {path})")
        program = place
    _check_interpreter(program, place)
    return program


def _check_interpreter(program: str, place: str) -> None:
    try:
        with open(place, "rb") as file:
            head = file.read(_SHEBANG_BYTES_MAX)
    except OSError:
        return
    words = head.partition(b"\n")[0][2:].split()
    if head.startswith(b"#!") and words and not os.path.exists(words[0]):
        raise Refused(f"{program!r} needs {os.fsdecode(words[0])!r}, which is not on this device")


def as_user(who: Identity, tools: Tools) -> list[str]:
    """Return the words that make a command run as `who`. Raises Refused."""
    if not who.switch:
        return []
    if not tools.setpriv:
        raise Refused(f"cannot run as {who.name!r}: this device has no `setpriv`; install util-linux")
    return [tools.setpriv, f"--reuid={who.uid}", f"--regid={who.gid}", "--init-groups", "--"]


def _limits(setting: Setting) -> list[str]:
    wanted = setting.limits
    lines: list[str] = []
    if wanted.memory_bytes is not None:
        lines.append(f"ulimit -v {max(1, wanted.memory_bytes // _KIB)} || exit 126")
    if wanted.open_files is not None:
        lines.append(f"ulimit -n {wanted.open_files} || exit 126")
    elif setting.tools.open_files:
        lines.append(f"ulimit -S -n {setting.tools.open_files}")
    if wanted.processes is not None:
        # dash and busybox say -p, bash and ksh -u
        lines.append(f"ulimit -p {wanted.processes} 2>/dev/null || ulimit -u {wanted.processes} || exit 126")
    return lines


def _no_nul(text: str, what: str) -> None:
    try:
        broken = b"\0" in text.encode()
    except UnicodeEncodeError:
        broken = True
    if broken:
        raise Refused(f"{what} holds a character that no program can be given")
