"""A lease holds whether or not an agent lives: the warden ends what nobody renewed, and nothing else."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_agent.core import inputs
from edge_agent.shell.runners import folder, proc
from tests.contract.shell.world import World, until

ROOT = Path(__file__).parents[3]
NOTE = "skerry: stopped, because its lease has run out"
LONG_S = 600.0


class Agent:
    """An agent's shell in a process of its own (host.py), for kill -9. Closing it leaves its workload alone."""

    def __init__(self, data: Path, lease_s: float, *words: str) -> None:
        self.host = subprocess.Popen(
            [sys.executable, "-m", "tests.contract.shell.host", str(data), f"s-a-1@{lease_s}", *words],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.pid = int(self._line().removeprefix("launched "))
        found = folder.process_of(data / "w/s-a-1")
        assert found is not None
        self.start = found.start
        assert found.pid == self.pid

    def extend(self, seconds: float) -> None:
        """Have it extend the lease: it has when this returns."""
        assert self.host.stdin is not None
        self.host.stdin.write(f"{seconds}\n")
        self.host.stdin.flush()
        assert self._line() == "extended"

    def kill(self) -> None:
        """kill -9."""
        self.host.kill()
        self.host.wait()
        for pipe in (self.host.stdin, self.host.stdout):
            assert pipe is not None
            pipe.close()

    def has_group(self) -> bool:
        """Tell whether anything of the workload lives."""
        return proc.has_group(self.pid, self.start)

    def _line(self) -> str:
        assert self.host.stdout is not None
        return self.host.stdout.readline().strip()


@pytest.fixture
def agents(tmp_path: Path) -> Iterator[list[Agent]]:
    """The agents of a test; none of them outlives it."""
    all_of: list[Agent] = []
    yield all_of
    for one in all_of:
        if one.host.poll() is None:
            one.kill()


def _shim_of(pid: int) -> int:
    return int(proc.fields(Path(f"/proc/{pid}/stat").read_text())[1])


def _log(world: World) -> str:
    return "".join(path.read_text() for path in world.data.glob("logs/**/*") if path.is_file())


async def test_a_killed_agent_s_workload_ends_when_its_lease_runs_out(world: World, agents: list[Agent]) -> None:
    world.close()
    agents.append(agent := Agent(world.data, 3.0, "sh", "-c", "sleep 600 & sleep 600"))
    agent.kill()
    assert agent.has_group()

    await until(lambda: not agent.has_group())

    assert proc.boot_seconds() >= folder.lease_of(world.data / "w/s-a-1")
    assert NOTE in _log(world)
    await until(lambda: not folder.is_locked(world.data / "w/s-a-1"))
    found = world.again().found["s-a-1"]
    assert found.exit is not None
    assert found.exit.signal == signal.SIGTERM


async def test_a_lease_that_was_extended_before_the_agent_was_killed_holds(world: World, agents: list[Agent]) -> None:
    world.close()
    agents.append(agent := Agent(world.data, 2.0, "sleep", "600"))
    first = folder.lease_of(world.data / "w/s-a-1")
    agent.extend(LONG_S)
    agent.kill()

    await until(lambda: proc.boot_seconds() > first + 3)

    assert agent.has_group()
    assert NOTE not in _log(world)
    assert world.again().found["s-a-1"].lease_until > first + LONG_S / 2


async def test_neither_the_shim_s_death_nor_deaf_ears_make_a_lease_longer(world: World, agents: list[Agent]) -> None:
    world.close()
    agents.append(agent := Agent(world.data, 2.0, "sh", "-c", "trap '' TERM; while :; do sleep 600; done"))
    shim = _shim_of(agent.pid)
    agent.kill()
    os.kill(shim, signal.SIGKILL)

    await until(lambda: not agent.has_group())

    assert world.again().found["s-a-1"].exit == inputs.Exit(expired=True)


async def test_what_the_leader_leaves_behind_ends_with_the_lease_too(world: World, agents: list[Agent]) -> None:
    world.close()
    agents.append(
        agent := Agent(
            world.data, 3.0, "sh", "-c", f"sleep 600 & while [ ! -e {world.data}/go ]; do sleep 0.02; done; exit 7"
        )
    )
    agent.kill()
    (world.data / "go").touch()
    await until(lambda: folder.exit_of(world.data / "w/s-a-1"))
    assert agent.has_group()

    await until(lambda: not agent.has_group())

    assert proc.boot_seconds() >= folder.lease_of(world.data / "w/s-a-1")


async def test_a_name_that_a_workload_gives_itself_hides_it_not(world: World, agents: list[Agent]) -> None:
    world.close()
    odd = "import ctypes, signal; ctypes.CDLL(None).prctl(15, b'a) S 1\\n2', 0, 0, 0); signal.pause()"
    agents.append(agent := Agent(world.data, 3.0, sys.executable, "-c", odd))
    await until(lambda: "a) S" in Path(f"/proc/{agent.pid}/comm").read_text())
    agent.kill()

    await until(lambda: not agent.has_group())


async def test_one_that_is_launched_after_its_lease_does_not_stay(world: World) -> None:
    world.launch("s-a-1", "sleep", "600", capture=False, lease_until=1.0)

    assert (await world.one(inputs.Ended)).exit.signal == signal.SIGTERM


async def test_a_running_workload_can_be_put_under_a_lease_and_out_of_it(world: World) -> None:
    world.launch("s-a-1", "sleep", "600", capture=False)
    world.launch("s-b-1", "sleep", "600", capture=False, lease_until=proc.boot_seconds() + 2)
    await world.one(inputs.Launched, "s-a-1")
    await world.one(inputs.Launched, "s-b-1")

    world.runner.extend(inputs.Extend(instance="s-a-1", until=proc.boot_seconds() + 2))
    world.runner.extend(inputs.Extend(instance="s-b-1", until=float("inf")))

    assert (await world.one(inputs.Ended, "s-a-1")).exit.signal == signal.SIGTERM
    assert world.all(inputs.Ended, "s-b-1") == []
    assert NOTE in _log(world)
    world.stop("s-b-1", 5)
    await world.one(inputs.Ended, "s-b-1")
    await until(lambda: not _wardens(world.data))


async def test_a_warden_ends_with_its_workload_and_keeps_nothing_open(world: World) -> None:
    world.launch("s-a-1", "sleep", "600", capture=False, lease_until=proc.boot_seconds() + LONG_S)
    await world.one(inputs.Launched)
    await until(lambda: _wardens(world.data))
    handles = [os.readlink(handle) for handle in Path(f"/proc/{_wardens(world.data)[0]}/fd").iterdir()]
    assert not [one for one in handles if "pipe:" in one or one.endswith("/start")]

    world.stop("s-a-1", 5)

    await world.one(inputs.Ended)
    await until(lambda: not _wardens(world.data))


def _wardens(data: Path) -> list[int]:
    found: list[int] = []
    for path in Path("/proc").iterdir():
        if path.name.isdigit():
            try:
                words = (path / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if words[1:2] and words[1].endswith(b"/lease.sh") and os.fsencode(data) in words[2]:
                found.append(int(path.name))
    return found
