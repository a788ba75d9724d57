"""How soon a device works after it booted: no network, a store that knows what should run, and the first workload.

The clock runs from the start of the agent's process until the workload itself says when it began. Between two rounds
all is killed, and the next one sees another boot of the machine.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import statistics
import sys
import sysconfig
import time
from collections.abc import Iterable
from pathlib import Path

from hub.demo.daemon import end_workloads
from tests.bench.registry import Bench, Target, figure
from tests.support import deeds
from tests.support.fleet import Fleet

_NODE = "oslo"
_ROUNDS = 11
_WAIT_S = 30.0
_LOOK_S = 0.005
_SAYS_WHEN = 'date +%s%N > "$1.part" && mv "$1.part" "$1" && exec sleep infinity'


@figure("cold_start_ms", unit="ms", targets={"p50": Target(at_most=700)}, beside="nobody publishes it")
async def cold_start_ms(bench: Bench) -> dict[str, float]:
    """`p50` and `p90` over the rounds; `uncached`: the median of as many whose programs were let go from memory before
    (what other processes have mapped stays there)."""
    async with deeds.site(bench.folder, _NODE) as it:
        began = it.folder / "began"
        await deeds.declare(it, deeds.service("first", ["/bin/sh", "-c", _SAYS_WHEN, "sh", str(began)]))
        await _until(began)
        await it.hub.stop()
        agent = it.agents[_NODE]
        programs = list(_programs())
        warm, cold = list[float](), list[float]()
        for number in range(2 * _ROUNDS):
            await agent.daemon.kill()
            end_workloads(agent.data)
            began.unlink(missing_ok=True)
            if number % 2:
                _let_go(programs)
            agent.daemon = deeds.again(it, _NODE, prefix=deeds.reboot_prefix(it.folder))
            (cold if number % 2 else warm).append(await _start(it, began))
    deciles = statistics.quantiles(warm, n=10)
    return {"p50": statistics.median(warm), "p90": deciles[8], "uncached": statistics.median(cold)}


async def _start(it: Fleet, began: Path) -> float:
    at = time.time_ns()
    await it.agents[_NODE].daemon.start()
    await _until(began)
    return (int(began.read_text()) - at) / 1e6


async def _until(path: Path) -> None:
    async with asyncio.timeout(_WAIT_S):
        while not path.exists():
            await asyncio.sleep(_LOOK_S)


def _programs() -> Iterable[Path]:
    for folder in {Path(sys.prefix), Path(sysconfig.get_path("stdlib")), Path(__file__).parents[2] / "protocol"}:
        yield from (path for path in folder.rglob("*") if path.suffix in (".py", ".pyc", ".so") and path.is_file())
    yield Path(sys.executable).resolve()


def _let_go(programs: Iterable[Path]) -> None:
    for path in programs:
        with contextlib.suppress(OSError):
            handle = os.open(path, os.O_RDONLY)
            os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(handle)
