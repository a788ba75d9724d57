"""The device's own allow-list: the table `work` of agent.toml. It only narrows, and it is looked at before each start.

    [work]
    user = "skerry-work"          who runs what names no user
    users = []                    whom a document may name besides; root only by its name
    groups = []                   groups that a service may have besides its user's own
    runners = ["process"]         how anything may run
    documents = ["service", "workflow", "task"]    what a hub may ask this device to run at all
    paths = ["/"]                 what is started lies beneath one of these, as it is named and with all links followed
    environment = []              variables that change how programs are loaded (LD_*, ...), let through by name
    new_privileges = false        a service may declare that it gains rights (sudo, ping)

A file that cannot be understood, or that others than root may change, lets nothing run (C9).
"""

from __future__ import annotations

import os
from dataclasses import dataclass, fields
from pathlib import Path
from typing import cast

from edge_agent.launcher.request import Request

TABLES = ("people", "link", "work")
FILE = "/etc/skerry/agent.toml"
DOCUMENTS = {"s": "service", "r": "workflow", "t": "task", "p": "service"}
_LOADERS = frozenset(
    ("BASH_ENV", "ENV", "GCONV_PATH", "GETCONF_DIR", "GLIBC_TUNABLES", "LOCPATH", "MALLOC_TRACE", "NLSPATH")
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowed:
    """See above."""

    user: str = "skerry-work"
    users: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    runners: tuple[str, ...] = ("process",)
    documents: tuple[str, ...] = ("service", "workflow", "task")
    paths: tuple[str, ...] = ("/",)
    environment: tuple[str, ...] = ()
    new_privileges: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Who:
    """An account of this device, as the system knows it."""

    name: str
    uid: int
    gid: int


def read(path: Path) -> Allowed:
    """Return what the owner allows now; without a file what holds without one. Raises ValueError, OSError."""
    import tomllib

    try:
        for place in dict.fromkeys((path.parent, path.resolve().parent, path)):
            about = place.stat()
            if about.st_uid != 0:
                raise ValueError(f"{place} belongs to uid {about.st_uid}, not to root: chown root {place}")
            if about.st_mode & 0o022:
                raise ValueError(f"{place} can be written by others than root: chmod go-w {place}")
        return parse(tomllib.loads(path.read_text()))
    except FileNotFoundError:
        return Allowed()


def parse(file: dict[str, object]) -> Allowed:
    """Return what the table `work` of the owner's file says. Raises ValueError: who wrote it meant something else."""
    strangers = [name for name in file if name not in TABLES]
    if strangers:
        raise ValueError(f"it has no table {strangers[0]!r}: {', '.join(TABLES)}")
    table = file.get("work", {})
    if not isinstance(table, dict):
        raise ValueError("[work] is no table")
    known = {each.name: each.default for each in fields(Allowed)}
    found: dict[str, object] = {}
    for name, value in cast("dict[str, object]", table).items():
        if name not in known:
            raise ValueError(f"[work] has no word {name!r}: {', '.join(known)}")
        if isinstance(known[name], tuple):
            if not isinstance(value, list) or not all(isinstance(one, str) for one in cast("list[object]", value)):
                raise ValueError(f'{name} of [work] is a list of texts: {name} = ["..."]')
            found[name] = tuple(cast("list[str]", value))
        elif type(value) is not type(known[name]):
            raise ValueError(f"{name} of [work] is not {type(known[name]).__name__}")
        else:
            found[name] = value
    for path in cast("tuple[str, ...]", found.get("paths", ())):
        if path[:1] != "/" or path[:2] == "//" or os.path.normpath(path) != (path.rstrip("/") or "/"):
            raise ValueError(
                f"{path!r} among `paths` of [work] is no absolute path: write it from / on, without . and .."
            )
    return Allowed(**found)  # pyright: ignore[reportArgumentType] - each was looked at


def refusal(asked: Request, who: Who, real: str, allowed: Allowed, agent_uid: int) -> str:
    """Return why `asked` may not be started here, in one sentence; empty: it may.

    `who` is the account that it would run as, `real` its program with all links followed, `agent_uid` the caller's.
    """
    checks = (
        _runner(asked, allowed),
        user_refusal(asked, who, allowed, agent_uid),
        *(f"the group {name!r} is not among `groups`" for name in asked.groups if name not in allowed.groups),
        *(_path(path, allowed) for path in (asked.command[0], real)),
        *(_variable(name, allowed) for name in asked.env),
        "`new_privileges` is not set" if asked.new_privileges and not allowed.new_privileges else "",
    )
    found = next((why for why in checks if why), "")
    return found and f"this device's owner does not allow it: {found} ([work] in {FILE})"


def _runner(asked: Request, allowed: Allowed) -> str:
    if asked.runner not in allowed.runners or asked.runner != "process":
        return f"the runner {asked.runner[:40]!r} is not among `runners`"
    kind = DOCUMENTS.get(asked.instance.partition("-")[0], "")
    if kind not in allowed.documents:
        return f"a {kind or 'thing of this kind'} of the hub is not among `documents`"
    return ""


def user_refusal(asked: Request, who: Who, allowed: Allowed, agent_uid: int) -> str:
    """Return why nothing may be done as `who`; empty: it may."""
    if who.name != asked.user and asked.user:
        return f"the user {asked.user!r} is another name of {who.name!r}"
    if who.name not in (allowed.user, *allowed.users):
        return f"the user {who.name!r} is not among `users`"
    if who.uid == 0 and "root" not in allowed.users:
        return f"the user {who.name!r} is root, whom `users` does not name"
    if who.uid == agent_uid and who.name not in allowed.users:
        return f"the user {who.name!r} is the agent's own, with its keys"
    return ""


def _path(path: str, allowed: Allowed) -> str:
    if any(path == one or path.startswith(one.rstrip("/") + "/") for one in allowed.paths):
        return ""
    return f"the program {path[:120]!r} is not beneath one of `paths`"


def _variable(name: str, allowed: Allowed) -> str:
    if (name.startswith("LD_") or name in _LOADERS) and name not in allowed.environment:
        return f"the variable {name[:60]!r} changes how programs are loaded and is not among `environment`"
    return ""
