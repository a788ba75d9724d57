"""Nobody stands beside a device whose launcher does not start: it never gives up, and does not burn its core either."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import socket
from collections.abc import AsyncGenerator, Generator
from pathlib import Path

import pytest

from edge_agent.core import inputs
from edge_agent.shell import probes
from edge_agent.shell.launching.launcher import Launcher
from edge_agent.shell.launching.patience import Patience
from edge_agent.shell.runners import script
from edge_agent.shell.runners.children import Helpers
from protocol import documents, limits
from tests.contract.shell.launched import Launched, launched
from tests.contract.shell.world import until

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can launch as somebody else")


@pytest.fixture
def one() -> Generator[Launched]:
    with launched() as found:
        yield found


@contextlib.asynccontextmanager
async def waiting(by: Launcher) -> AsyncGenerator[list[inputs.Enforces]]:
    """Have its agent wait for it; what the core is told."""
    told: list[inputs.Input] = []
    patience = asyncio.create_task(Patience(by, told.append).keep())
    try:
        yield told  # pyright: ignore[reportReturnType] - it says nothing else
    finally:
        patience.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await patience


async def test_one_that_ends_at_once_is_asked_ever_more_seldom_and_for_ever(
    one: Launched, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "LAUNCHER_ASK_S_MIN", 0.05)
    monkeypatch.setattr(limits, "LAUNCHER_ASK_S_MAX", 0.2)
    one.stop()
    loop, asked = asyncio.get_running_loop(), list[float]()

    def start_and_end(listener: socket.socket) -> None:
        listener.accept()[0].close()
        asked.append(loop.time())

    by = Launcher(str(one.socket))
    with one.listen() as listener:
        loop.add_reader(listener, start_and_end, listener)
        await by.ask_again()
        async with waiting(by) as told:
            await until(lambda: len(asked) >= 7)
            loop.remove_reader(listener)
            assert ["does not answer" in found.able.waits for found in told] == [True], "and says so once"
            between = [round(later - former, 2) for former, later in itertools.pairwise(asked[1:])]
            floors = [0.1, 0.2, 0.2, 0.2, 0.2]
            assert all(found >= floor for found, floor in zip(between, floors, strict=False)), between
            one.start(listener=listener)
            await until(lambda: not told[-1].able.waits)
    assert "no_network" in told[-1].able.names


async def test_what_was_asked_while_it_could_not_start_is_done_once_it_can(
    one: Launched, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "LAUNCHER_WAIT_S", 0.2)
    world = one.world()
    assert world.by is not None
    one.stop()
    with one.listen() as listener:
        async with waiting(world.by) as told:
            world.launch("t-1", "echo", "late")
            await until(lambda: told)
            assert "does not answer: it starts nothing within 0.2 s" in told[-1].able.waits
            assert "no_network" in told[-1].able.names, "what it could do it can"
            assert not world.seen
            assert await _probed(one.data, world.by) == [], "a probe says nothing of its service"

            one.start(listener=listener)

            assert (await world.one(inputs.Ended)).stdout == "late\n"
            await until(lambda: not told[-1].able.waits)


async def test_one_that_says_no_has_answered(one: Launched, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "LAUNCHER_WAIT_S", 1.0)
    world = one.world()
    assert world.by is not None
    world.launch("t-1", process=documents.Process(command=["id"], user="root"))
    await world.one(inputs.LaunchFailed)

    world.launch("t-2", "sleep", "1.2")  # for as long as one waits for it
    await world.one(inputs.Ended)

    assert not world.by.able.waits


async def _probed(data: Path, by: Launcher) -> list[inputs.Input]:
    told: list[inputs.Input] = []
    (data / "data" / "web").mkdir(parents=True, exist_ok=True)
    process = documents.Process(command=["sleep", "60"])
    async with asyncio.TaskGroup() as group:
        made = probes.Probes(
            data, node="n", tools=script.Tools.find(), report=told.append, group=Helpers(group), launcher=by
        )
        probe = documents.Probe(exec=["id"])
        made.run(inputs.RunProbe(service="web", instance="s-web-1", probe=probe, process=process))
    return told
