"""From the operator to a device and back: a task, through real processes, mutual TLS and two durable stores."""

from __future__ import annotations

import json
import statistics
import time

from tests.bench.registry import Bench, Target, figure
from tests.support.fleet import Fleet, fleet

_TASKS = 200
_WARM_UP = 10


@figure("dispatch_ms", unit="ms", targets={"p50": Target(at_most=20), "p99": Target(at_most=60)})
async def dispatch_ms(bench: Bench) -> dict[str, float]:
    """A task `true` from the API call to its result at the API, over one warm connection."""
    async with fleet(bench.folder, agents=["oslo"], wire=False) as it:
        await rehearse(it, "oslo")
        took = sorted([await task(it, "oslo") for _ in range(_TASKS)])
    return {"p50": statistics.median(took), "p99": took[int(_TASKS * 0.99)]}


async def rehearse(it: Fleet, node: str) -> None:
    """Run tasks whose time does not count: connections are made, modules loaded."""
    for _ in range(_WARM_UP):
        await task(it, node)


async def task(it: Fleet, node: str) -> float:
    """Run `true` on `node`; return the milliseconds from the request until the hub tells its result."""
    body = {"nodes": [node], "command": ["true"], "timeout_s": 10, "deadline_s": 30, "wait": True, "wait_s": 30}
    took_ms = 0.0
    begin = time.perf_counter()
    async with it.stream("POST", "/v1/tasks", body) as lines:
        async for line in lines:  # to its end, or the connection is of no use to the next one
            if json.loads(line).get("state") == "ok":
                took_ms = (time.perf_counter() - begin) * 1_000
    assert took_ms, "the task did not end well"
    return took_ms
