"""Control groups of the second version as files: what is written where (this machine may have the first one)."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from edge_agent.launcher.groups import Groups
from edge_agent.launcher.request import Refused, Request

BASE = "system.slice/work.service"


def test_a_workload_has_a_group_below_the_unit_s_and_its_bounds_before_it_is_in(tmp_path: Path) -> None:
    base = tmp_path / BASE
    base.mkdir(parents=True)
    (tmp_path / "cgroup.controllers").write_text("cpu memory pids\n")
    (base / "cgroup.procs").write_text("4711\n")
    (base / "cgroup.subtree_control").write_text("")

    class Handed(Groups):
        def able(self) -> list[str]:
            super().able()
            return ["memory", "cpu", "pids"]

    Handed(BASE, tmp_path).enter(
        Request(do="launch", instance="s-a-1", memory_bytes=1_048_576, cpu_share=500, processes=7)
    )

    mine = base / "s-a-1"
    assert (base / "unit" / "cgroup.procs").read_text() == "4711"
    assert (mine / "memory.max").read_text() == "1048576"
    assert (mine / "cpu.max").read_text() == "50000 100000"
    assert (mine / "pids.max").read_text() == "8"
    assert (mine / "cgroup.procs").read_text() == str(os.getpid())


def test_what_is_not_handed_down_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "cgroup.controllers").write_text("cpu\n")

    with pytest.raises(Refused, match="this device cannot bound memory"):
        Groups(BASE, tmp_path).enter(Request(do="launch", instance="s-a-1", memory_bytes=1))
