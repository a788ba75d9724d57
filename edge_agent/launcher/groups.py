"""Control groups, one for each workload, of whichever version the device has: they bound memory, cpu and processes.

Version 2: `ROOT/BASE/INSTANCE`, BASE with the controllers handed down. Version 1: `ROOT/CONTROLLER/BASE/INSTANCE`. BASE
is the group of a unit that delegates it (skerry-agent-work.service): systemd knows whose they are and lets them be.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path

from edge_agent.launcher.request import Refused, Request

ROOT = Path("/sys/fs/cgroup")
CONTROLLERS = ("memory", "cpu", "pids")
_PERIOD_US = 100_000
_HOLDER = "unit"
"""Version 2: where the unit's own process goes, for a group that hands controllers down has none itself."""
_NAMED = ("systemd", "unified")
"""Version 1: the hierarchies by which systemd knows what belongs to which unit, and bounds nothing."""
_SHIM = 1
"""Processes of ours among those of the workload."""


class Groups:
    """`base` is relative; `root` is where control groups are mounted."""

    def __init__(self, base: str, root: Path = ROOT) -> None:
        self._base, self._root = base, root
        self._second = (root / "cgroup.controllers").exists()
        """Version 2, and only that."""

    def able(self) -> list[str]:
        """Return what can be bounded here: memory, cpu, pids."""
        if not self._second:
            return [name for name in CONTROLLERS if self._makes(self._root / name)]
        base = self._root / self._base
        with contextlib.suppress(OSError):
            (base / _HOLDER).mkdir(exist_ok=True)
            for pid in (base / "cgroup.procs").read_text().split():
                (base / _HOLDER / "cgroup.procs").write_text(pid)
        for name in CONTROLLERS:
            with contextlib.suppress(OSError):
                (base / "cgroup.subtree_control").write_text(f"+{name}")
        with contextlib.suppress(OSError):
            handed = (base / "cgroup.subtree_control").read_text().split()
            return [name for name in CONTROLLERS if name in handed]
        return []

    def why(self, name: str) -> str:
        """Return why `name` cannot be bounded here."""
        if self._second:
            return f"control groups of version 2 hand no {name} down to {self._base}"
        if not any((self._root / one).is_dir() for one in (*CONTROLLERS, *_NAMED)):
            return f"no control groups are mounted at {self._root}"
        lacks = "without" if not (self._root / name).is_dir() else "whose groups cannot be made:"
        return f"control groups of version 1 {lacks} {name}"

    def _makes(self, controller: Path) -> bool:
        if not controller.is_dir():
            return False
        with contextlib.suppress(OSError):
            (controller / self._base).mkdir(parents=True, exist_ok=True)
            return os.access(controller / self._base, os.W_OK)
        return False

    def enter(self, asked: Request) -> None:
        """Make the group of the instance, bound it, and go there. Raises Refused."""
        able = self.able()
        wanted = {"memory": asked.memory_bytes, "cpu": asked.cpu_share, "pids": asked.processes}
        for name, value in wanted.items():
            if value >= 0 and name not in able:
                raise Refused(f"this device cannot bound {name}: it hands no control group `{name}` to {self._base}")
        for name, group in self._groups(asked.instance, able):
            try:
                group.mkdir(exist_ok=True)
                for file, text in self._bounds(name, wanted):
                    (group / file).write_text(text)
                (group / "cgroup.procs").write_text(str(os.getpid()))
            except OSError as error:
                if name:
                    raise Refused(f"the control group {group} cannot be bounded: {error}") from error

    def _groups(self, instance: str, able: list[str]) -> Iterator[tuple[str, Path]]:
        """Yield (the controller, "" for all or none, its group for the instance)."""
        if self._second:
            if (self._root / self._base).is_dir():
                yield "all" if able else "", self._root / self._base / instance
            return
        for name in able:
            yield name, self._root / name / self._base / instance
        for name in _NAMED:
            if (self._root / name / self._base).is_dir():
                yield "", self._root / name / self._base / instance

    def _bounds(self, name: str, wanted: dict[str, int]) -> Iterator[tuple[str, str]]:
        memory, cpu, pids = (wanted[one] if name in (one, "all") else -1 for one in ("memory", "cpu", "pids"))
        quota = max(1_000, cpu * _PERIOD_US // 1_000)
        if memory >= 0:
            yield ("memory.max" if self._second else "memory.limit_in_bytes"), str(memory)
        if pids >= 0:
            yield "pids.max", str(pids + _SHIM)
        if cpu >= 0 and self._second:
            yield "cpu.max", f"{quota} {_PERIOD_US}"
        elif cpu >= 0:
            yield "cpu.cfs_period_us", str(_PERIOD_US)
            yield "cpu.cfs_quota_us", str(quota)

    def members(self, instance: str) -> set[int] | None:
        """Return the processes in the groups of `instance`; None when it has no group."""
        found: set[int] = set()
        has_group = False
        for place in self._places(instance):
            with contextlib.suppress(OSError):
                found.update(map(int, (place / "cgroup.procs").read_text().split()))
                has_group = True
        return found if has_group else None

    def clear(self, instance: str) -> bool:
        """End what is left in the groups of `instance`, and remove them; tell whether they are gone."""
        for pid in self.members(instance) or ():
            with contextlib.suppress(OSError):
                handle = os.pidfd_open(pid)
                if pid in (self.members(instance) or ()):  # so it is still the one that was there
                    signal.pidfd_send_signal(handle, signal.SIGKILL)
                os.close(handle)
        for place in self._places(instance):
            with contextlib.suppress(OSError):
                place.rmdir()  # the kernel removes none that is in use
        return not any(place.is_dir() for place in self._places(instance))

    def _places(self, instance: str) -> list[Path]:
        tops = [self._root] if self._second else [self._root / one for one in (*CONTROLLERS, *_NAMED)]
        return [top / self._base / instance for top in tops]
