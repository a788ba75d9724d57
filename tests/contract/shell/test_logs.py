"""What people read of a service's output, whatever was rotated and whoever keeps the bounds."""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from edge_agent.core import inputs
from edge_agent.shell import logs
from edge_agent.shell.runners import guard
from protocol import limits
from tests.contract.shell.test_runner import ROOT
from tests.contract.shell.world import World, until


def _log(data: Path) -> Path:
    path = logs.service_log(data, "svc")
    path.parent.mkdir(parents=True)
    return path


def test_the_tail_goes_over_rotated_files(tmp_path: Path) -> None:
    log = _log(tmp_path)
    log.with_name("log.1").write_text("one\ntwo\n")
    log.write_text("three\nfour\nhalf")

    assert logs.tail(log, 4) == ["two", "three", "four", "half"]
    assert logs.tail(log, 100) == ["one", "two", "three", "four", "half"]
    assert logs.tail(log, 0) == []


def test_the_tail_of_a_long_file_is_found_from_its_end(tmp_path: Path) -> None:
    log = _log(tmp_path)
    log.write_text("".join(f"{number:0100d}\n" for number in range(9_000)))

    assert logs.tail(log, 2_000) == [f"{number:0100d}" for number in range(7_000, 9_000)]


def test_a_line_without_end_and_odd_bytes_are_shown_bounded(tmp_path: Path) -> None:
    log = _log(tmp_path)
    log.write_bytes(b"\xff\xfe" + b"x" * 100_000)

    (line,) = logs.tail(log, 5)
    assert line.startswith("\ufffd\ufffdxx")
    assert len(line) == limits.LOG_LINE_BYTES_MAX


def test_a_follower_sees_what_is_added_over_a_rotation(tmp_path: Path) -> None:
    log = _log(tmp_path)
    log.write_text("old\n")
    follower = logs.Follower(log)
    with log.open("a") as file:
        file.write("new\nha")
    assert follower.lines() == ["new"]
    with log.open("a") as file:
        file.write("lf\n" + "x" * limits.LOG_BYTES_MAX + "\n")
    assert follower.lines()[0] == "half"

    logs.rotate(log)
    log.write_text("after\n")
    assert "after" in [*follower.lines(), *follower.lines()]


def test_parts_fit_into_one_answer_each() -> None:
    lines = ["é" * 1_000] * 500

    parts = list(logs.parts(lines))

    assert [line for part in parts for line in part] == lines
    assert all(sum(len(line.encode()) for line in part) < limits.ANSWER_BYTES_MAX for part in parts)
    assert list(logs.parts([])) == [[]]


async def test_an_answer_ends_with_its_last_part(tmp_path: Path) -> None:
    _log(tmp_path).write_text("a\nb\n")
    told: list[inputs.LogRead] = []

    await logs.answer(tmp_path, inputs.ReadLogs(ask="q", service="svc", tail=9, follow=False, until_ms=0), told.append)
    await logs.answer(tmp_path, inputs.ReadLogs(ask="r", service="svc", tail=1, follow=True, until_ms=0), told.append)
    await logs.answer(tmp_path, inputs.ReadLogs(ask="s", service="none", tail=1, follow=False, until_ms=0), told.append)

    assert [(one.ask, one.part, one.last, one.lines) for one in told] == [
        ("q", 0, True, ["a", "b"]),
        ("r", 0, False, ["b"]),
        ("r", 1, True, []),
        ("s", 0, True, []),
    ]


async def test_the_guard_keeps_the_bounds_while_no_agent_lives_and_leaves_when_nothing_runs(world: World) -> None:
    world.launch("s-a-1", "sh", "-c", _CHATTER, key="a", capture=False)
    await world.one(inputs.Launched)
    handle = guard.start(world.data)
    keeper = int(await world.output("guard"))
    world.close()
    os.close(handle)  # the agent dies
    log = world.data / "logs/a/log"

    await until(lambda: log.with_name("log.1").exists())
    sizes = [path.stat().st_size for path in log.parent.iterdir() if path != log]
    assert max(sizes) <= limits.LOG_BYTES_MAX

    os.killpg(world.process_of("s-a-1").pid, signal.SIGKILL)
    await until(lambda: os.waitpid(keeper, os.WNOHANG)[0])


async def test_a_new_agent_s_guard_relieves_the_old_one(world: World) -> None:
    world.launch("s-a-1", "sleep", "60", key="a", capture=False)
    await world.one(inputs.Launched)
    first = guard.start(world.data)
    keeper = int(await world.output("guard"))
    second = guard.start(world.data)
    await until(lambda: (world.data / "guard").read_text().strip() not in ("", str(keeper)))

    os.close(first)
    await until(lambda: os.waitpid(keeper, os.WNOHANG)[0])
    os.killpg(world.process_of("s-a-1").pid, signal.SIGKILL)
    os.close(second)
    last = int((world.data / "guard").read_text())
    await until(lambda: os.waitpid(last, os.WNOHANG)[0])


async def test_a_log_that_cannot_be_read_is_an_answer_and_not_the_agent_s_end(tmp_path: Path) -> None:
    _log(tmp_path).mkdir()  # whoever may read everything cannot read a folder
    told: list[inputs.LogRead] = []
    await logs.answer(tmp_path, inputs.ReadLogs(ask="q", service="svc", tail=9, follow=True, until_ms=0), told.append)
    assert (told[-1].last, "cannot be read" in told[-1].lines[0]) == (True, True)


async def test_a_follower_s_time_is_over_whatever_the_wall_clock_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[inputs.LogRead] = []
    real, calls = time.time, itertools.count()
    monkeypatch.setattr(time, "time", lambda: real() - (400 * 86_400 if next(calls) else 0))
    until_ms = int((real() + 0.3) * 1000)
    ask = inputs.ReadLogs(ask="q", service="svc", tail=9, follow=True, until_ms=until_ms)
    async with asyncio.timeout(20):
        await logs.answer(tmp_path, ask, told.append)
    assert told[-1].last


_CHATTER = "while :; do head -c 400000 /dev/zero | tr '\\0' 'x'; echo; sleep 0.01; done"


def test_a_shell_of_busybox_and_dash_reads_the_shim_alike() -> None:
    for script in ("shim.sh", "guard.sh"):
        path = ROOT / "edge_agent/shell/runners" / script
        assert subprocess.run(["/bin/sh", "-n", str(path)], check=False).returncode == 0
    assert sys.platform == "linux"
