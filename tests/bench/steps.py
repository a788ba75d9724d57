"""Workflow steps: started, done, kept and told, one after another and side by side."""

from __future__ import annotations

import asyncio
import json
import statistics
import time
from pathlib import Path
from typing import Any

from tests.bench.registry import Bench, Target, figure
from tests.support.fleet import READY_WAIT_S, Fleet, fleet

_CHAIN = 100
_FANOUT = 1_000
_NODE = "oslo"
_FLOW = """
apiVersion: skerry/v1
kind: Workflow
metadata: {{name: {name}}}
spec:
  placement: {{selector: site=bench, count: all}}
  params: {{start: "0"}}
  steps:
{steps}
"""


def _chain_of_sets() -> str:
    first = '  - {name: s0, set: {x: "${params.start}"}}'
    more = [
        f'  - {{name: s{n}, needs: [s{n - 1}], set: {{x: "${{steps.s{n - 1}.outputs.x}}"}}}}' for n in range(1, _CHAIN)
    ]
    return "\n".join([first, *more])


def _chain_of_processes() -> str:
    return "\n".join(f"  - {{name: s{n}, run: ['true']{f', needs: [s{n - 1}]' if n else ''}}}" for n in range(_CHAIN))


def _side_by_side() -> str:
    return "\n".join(f'  - {{name: s{n}, set: {{x: "${{params.start}}"}}}}' for n in range(_FANOUT))


@figure(
    "steps_per_s",
    unit="/s",
    targets={
        "scheduling": Target(at_least=1_500, share=0.4, of="floor_commits_per_s"),
        "process": Target(at_least=120),
        "fanout": Target(at_least=3_000),
    },
)
async def steps_per_s(bench: Bench) -> dict[str, float]:
    """Durable steps of runs that are started at the device one after another, over mutual TLS to a hub that hears all.

    `scheduling`, `fanout`: at the agent's control socket, from the request to start until the run is told ended, which
    is after the commit of its last step (and contains the requests). `process`: by `started_ms` and `ended_ms` of the
    run's own report, because asking often would slow it down. Medians of runs.
    """
    async with fleet(bench.folder, agents=[_NODE], wire=False, labels={"site": "bench"}) as it:
        flows = {"scheduling": _chain_of_sets(), "process": _chain_of_processes(), "fanout": _side_by_side()}
        await _apply(it, flows)
        async with asyncio.timeout(READY_WAIT_S):
            agent = await _Agent.at(it.agents[_NODE].data)
            await agent.knows(list(flows))
        scheduling = statistics.median([await agent.run("scheduling") for _ in range(25)])
        fanout = statistics.median([await agent.run("fanout") for _ in range(9)])
        for _ in range(5):
            await agent.run("process", look_s=0.1)
        runs = await agent.ask(do="runs", workflow="process")
        process = statistics.median((one["ended_ms"] - one["started_ms"]) / 1_000 for one in runs)
        agent.close()
    return {"scheduling": _CHAIN / scheduling, "process": _CHAIN / process, "fanout": _FANOUT / fanout}


async def _apply(it: Fleet, flows: dict[str, str]) -> None:
    sources = [{"name": f"{name}.yaml", "text": _FLOW.format(name=name, steps=text)} for name, text in flows.items()]
    await it.ask("POST", "/v1/apply", {"sources": sources})


class _Agent:
    """A person at the device with one open connection to its control socket."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    @classmethod
    async def at(cls, data: Path) -> _Agent:
        """Connect to the agent whose data directory is `data`."""
        return cls(*await asyncio.open_unix_connection(str(data / "control.sock"), limit=1 << 22))

    async def ask(self, **request: object) -> Any:
        """Return what the agent answers."""
        self._writer.write(json.dumps(request).encode() + b"\n")
        answer = json.loads(await self._reader.readline())
        assert "ok" in answer, answer
        return answer["ok"]

    async def knows(self, names: list[str]) -> None:
        """Wait until the agent holds all these workflows. Under a timeout of the caller."""
        while not set(names) <= set((await self.ask(do="status"))["workflows"]):
            await asyncio.sleep(0.02)

    async def run(self, workflow: str, look_s: float = 0.0) -> float:
        """Start a run, wait until it has ended well (looking every `look_s`), and return the seconds in between."""
        began = time.perf_counter()
        await self.ask(do="workflow-start", workflow=workflow)
        while (flow := (await self.ask(do="status"))["workflows"][workflow]).get("running"):
            await asyncio.sleep(look_s)
        took = time.perf_counter() - began
        assert flow["last"]["state"] == "ok", flow
        return took

    def close(self) -> None:
        """Hang up."""
        self._writer.close()
