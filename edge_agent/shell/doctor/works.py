"""The workloads as their folders tell (w/INSTANCE), the programs that they need, and the people who may ask."""

from __future__ import annotations

from pathlib import Path

from edge_agent.core.doctor.facts import People, Tools, Work
from edge_agent.shell.people import callers
from edge_agent.shell.people.rights import Owner
from edge_agent.shell.runners import folder, proc, script, tree

_NEEDED = ("sh", "sync", "setsid", "setpriv")


def tools() -> Tools:
    """Return which programs this device lacks."""
    return Tools(missing=[name for name in _NEEDED if not tree.find_program(name, script.PATH_DEFAULT)])


def work(data: Path) -> Work:
    """Return the instances under `data`. Their locks are left alone: the agent tries them too. Raises OSError."""
    try:
        found = [path for path in (data / "w").iterdir() if not path.name.startswith(".")]
    except FileNotFoundError:
        found = []
    return Work(count=len(found), lost=sorted(path.name for path in found if _is_lost(path)))


def people() -> People:
    """Return what the owner lets people do here; as this process sees the file, and groups as the agent's door does."""
    owner = Owner()
    named, error = owner.people()
    missing = [name for name in (named.act, named.read) if name and callers.gid(name) < 0]
    is_said = owner.path.exists()
    return People(read=named.read, act=named.act, missing=missing, is_said=is_said, error=error)


def _is_lost(path: Path) -> bool:
    process = folder.process_of(path)
    return process is not None and folder.exit_of(path) is None and not proc.has_group(process.pid, process.start)
