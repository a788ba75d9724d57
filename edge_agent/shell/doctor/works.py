"""The workloads as their folders tell (w/INSTANCE), and the programs that they need."""

from __future__ import annotations

from pathlib import Path

from edge_agent.core.doctor.facts import Tools, Work
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


def _is_lost(path: Path) -> bool:
    process = folder.process_of(path)
    return process is not None and folder.exit_of(path) is None and not proc.has_group(process.pid, process.start)
