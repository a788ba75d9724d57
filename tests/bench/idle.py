"""What an agent costs that has little to do: memory and processor; and what an entry writes to the flash card."""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path

import msgspec

from hub.demo.fleet import Agent
from tests.bench import producers
from tests.bench.registry import Bench, Target, figure
from tests.support.fleet import Fleet, fleet

_NODE = "oslo"
_SERVICES = 3
_AGE_S = 70.0  # of the agent's process, when its memory is looked at
_IDLE_S = 60.0  # one whole turn of what comes once a minute: vitals, a status, two keep alives
_PER_S = 10
_EVENTS_S = 40.0
_EMITTER = f"""
import os, socket, time
sock = socket.socket(socket.AF_UNIX)
sock.connect(os.environ["SKERRY_SOCKET"])
line = b'{{"kind":"bench","body":{{"t":21.5,"pad":"' + b"x" * 180 + b'"}}}}\\n'
while True:
    sock.sendall(line)
    time.sleep({1 / _PER_S})
"""


class Spent(msgspec.Struct, frozen=True, kw_only=True):
    """What one process has used until a moment (monotonic)."""

    at: float
    cpu_s: float
    written: int


class Idle(msgspec.Struct, frozen=True, kw_only=True):
    """One run: figures by their keys."""

    memory: dict[str, float]
    cpu_pct: float
    per_event: dict[str, float]


_found: dict[str, Idle] = {}
"""The one run that all figures of this module are taken from."""


@figure(
    "agent_rss_mb",
    unit="MiB",
    targets={"rss": Target(at_most=40)},
    beside="Open Horizon 30, thin-edge 34 (with its broker), YurtHub 35-40, KubeEdge 70, Salt 77, Greengrass 96",
)
async def agent_rss_mb(bench: Bench) -> dict[str, float]:
    """Rss and Pss of /proc/PID/smaps_rollup: mutual TLS, three services, signatures checked, after 60 s."""
    return (await _measured(bench)).memory


@figure("agent_idle_cpu_pct", unit="%", targets=Target(at_most=0.3))
async def agent_idle_cpu_pct(bench: Bench) -> float:
    """Of one processor, over a minute of the same run: all threads of the agent, not its services."""
    return (await _measured(bench)).cpu_pct


@figure("sd_bytes_per_event", unit="B", targets={"written": Target(at_most=2_000)})
async def sd_bytes_per_event(bench: Bench) -> dict[str, float]:
    """write_bytes of the agent for each entry of 200 bytes, ten a second, in the same run; `per_s`: entries seen."""
    return (await _measured(bench)).per_event


async def _measured(bench: Bench) -> Idle:
    if "" not in _found:
        async with fleet(bench.folder, agents=[_NODE], labels={"site": "bench"}) as it:
            _found[""] = await _run(it)
    return _found[""]


async def _run(it: Fleet) -> Idle:
    agent = it.agents[_NODE]
    for number in range(_SERVICES):
        await producers.run_service(it, f"idle-{number}", ["sleep", "infinity"], it.folder)
    began = time.monotonic()
    await asyncio.sleep(_AGE_S - _IDLE_S)  # the clock is what is measured
    before = _spent(agent)
    await asyncio.sleep(_IDLE_S)
    after = _spent(agent)
    assert time.monotonic() - began >= _AGE_S
    memory = _memory(agent.daemon.pid)
    seconds = after.at - before.at
    return Idle(
        memory=memory,
        cpu_pct=(after.cpu_s - before.cpu_s) / seconds * 100,
        per_event=await _events(it, agent),
    )


async def _events(it: Fleet, agent: Agent) -> dict[str, float]:
    await producers.run_service(it, "emitter", [sys.executable, "-S", "-c", _EMITTER], it.folder)
    before, first = _spent(agent), await _newest(it)
    await asyncio.sleep(_EVENTS_S)
    after, last = _spent(agent), await _newest(it)
    return {
        "written": (after.written - before.written) / (last - first),
        "per_s": (last - first) / (after.at - before.at),
    }


async def _newest(it: Fleet) -> int:
    """Return the newest seq of the agent's state that is at the hub; it lags by less than a dozen entries."""
    return int((await it.node(_NODE))["cursors"]["state"]["seq"])


def _spent(agent: Agent) -> Spent:
    pid = agent.daemon.pid
    io = dict(line.split(": ") for line in Path(f"/proc/{pid}/io").read_text().splitlines())
    ran_ns = sum(int((task / "schedstat").read_text().split()[0]) for task in Path(f"/proc/{pid}/task").iterdir())
    return Spent(at=time.monotonic(), cpu_s=ran_ns / 1e9, written=int(io["write_bytes"]))


def _memory(pid: int) -> dict[str, float]:
    """Return MiB."""
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    kib = {line.split(":")[0]: int(line.split()[1]) for line in rollup}
    return {name.lower(): kib[name] / 1024 for name in ("Rss", "Pss")}
