"""From a Launch to what the launcher is asked for. What the device cannot do the core has left out of it."""

from __future__ import annotations

import math
import os
from pathlib import Path

import msgspec

from edge_agent.core import inputs
from edge_agent.core.isolation import Able
from edge_agent.shell.runners import script
from protocol import documents, limits


class Asked(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A launch as the launcher reads it (edge_agent/launcher/request.py)."""

    instance: str
    user: str
    command: list[str]
    env: dict[str, str]
    cwd: str
    grace_s: int
    lease: bool
    beside: str = ""
    owned: str = ""
    files: list[str] = []
    groups: list[str] = []
    new_privileges: bool = False
    read_only: list[str] = []
    private_tmp: bool = False
    no_network: bool = False
    reads: list[str] = []
    writes: list[str] = []
    memory_bytes: int = -1
    cpu_share: int = -1
    processes: int = -1
    rlimits: dict[str, int] = {}


def asked(action: inputs.Launch, setting: script.Setting, owned: Path | None, able: Able) -> Asked:
    """Return what to ask for. Raises Refused when the command cannot run here. `owned`: the folder of its user."""
    process, wanted = action.process, action.process.isolation
    program, *arguments = script.command(process.command, setting.cwd, setting.env["PATH"])
    return Asked(
        instance=action.instance,
        user=setting.identity.name,
        command=[os.path.normpath(setting.cwd / program), *arguments],
        env=setting.env,
        cwd=str(setting.cwd),
        grace_s=grace(action.stop_grace_s),
        lease=action.lease_until > 0.0,
        owned=str(owned) if owned is not None else "",
        files=[file.path for file in process.files] if owned is not None else [],
        groups=wanted.groups,
        new_privileges=wanted.new_privileges,
        read_only=wanted.read_only,
        private_tmp=wanted.private_tmp,
        no_network=wanted.no_network,
        reads=wanted.reads,
        writes=wanted.writes,
        memory_bytes=_or_none(process.limits.memory_bytes, "memory" in able.names),
        cpu_share=_or_none(process.limits.cpu and round(process.limits.cpu * 1_000), "cpu" in able.names),
        processes=_or_none(process.limits.processes, "pids" in able.names),
        rlimits=wanted.rlimits | _of_each_process(process.limits, able),
    )


def beside(action: inputs.RunProbe, setting: script.Setting, folder: Path, able: Able) -> Asked:
    """Return what to ask for to run a probe beside its service, whose `folder` it may touch. Raises as `asked` does."""
    process = msgspec.structs.replace(action.process, command=action.probe.exec)
    launch = inputs.Launch(instance=action.instance, process=process, key=action.service)
    found = asked(launch, setting, None, able)
    writes = [*found.writes, str(folder)] if found.reads or found.writes else []
    return msgspec.structs.replace(found, beside=action.instance, writes=writes)


def grace(seconds: float) -> int:
    """Return a grace in whole seconds, as shells count."""
    return math.ceil(max(0.0, min(seconds, limits.STOP_GRACE_S_MAX)))


def _or_none(value: int | float | None, is_asked: bool) -> int:
    return int(value) if value is not None and is_asked else -1


def _of_each_process(wanted: documents.Limits, able: Able) -> dict[str, int]:
    """Return what stands in for the bounds of all its processes where there is none, and what never was one of all."""
    found = {
        "as": None if "memory" in able.names else wanted.memory_bytes,
        "nproc": None if "pids" in able.names else wanted.processes,
        "nofile": wanted.open_files,
    }
    return {name: value for name, value in found.items() if value is not None}
