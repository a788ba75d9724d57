"""Three tiers: devices, a region, a root. What a tier more costs, and what a root of many regions takes."""

from __future__ import annotations

import asyncio
import json
import statistics
import time
from pathlib import Path
from typing import Any

from tests.bench import rollup
from tests.bench.events import LABELS, NODES, rounds
from tests.bench.producers import Producers
from tests.bench.registry import Bench, Target, figure
from tests.support.federation import Federation, federation
from tests.support.fleet import Fleet

_BATCH = 500
_APPLIES = 30
_WARM_UP = 3
_WAIT_S = 30.0
_LOOK_S = 0.001
_TWO_TIERS = "events_per_s.twenty_agents"
_REGION = "north"


@figure(
    "three_tier",
    unit="",
    targets={
        "events_per_s": Target(share=0.45, of=_TWO_TIERS),
        "share": Target(at_least=0.45),
        "apply_to_running_ms": Target(at_most=120),
        "rollup_s": Target(at_most=2),
    },
)
async def three_tier(bench: Bench) -> dict[str, float]:
    """`events_per_s`: 200-byte entries of 20 agents of one region until the last is durable at the root; median.

    `share`: of the figure of two tiers that was taken before it in the same run. `apply_to_running_ms`: from the call
    of the root's API until the first process of a new service runs on a device of a region, by the file that it makes;
    median, `apply_to_running_ms_p90` beside it; `known_ms` until the root tells that it runs. `rollup_s`, `root_rss_mb`
    and others: tests.bench.rollup.
    """
    async with federation(bench.folder / "three", {_REGION: ()}) as it:
        await it.regions[_REGION].join(NODES, wire=False, labels=LABELS)
        rates = await _events(it)
        applied = await _applies(it, bench.folder / "began")
    found = bench.so_far.get("events_per_s")
    two_tiers = found["twenty_agents"] if isinstance(found, dict) else 0.0
    share = {"share": statistics.median(rates) / two_tiers} if two_tiers else {}
    rolled = await rollup.measure(bench.folder / "many")
    return {"events_per_s": statistics.median(rates), "slowest": min(rates), **share, **applied, **rolled}


async def _events(it: Federation[Fleet]) -> list[float]:
    producers = Producers(it.regions[_REGION], at=it.root)
    await producers.begin()
    await producers.make(NODES, 1_000, _BATCH)
    await producers.arrived()
    return [root for root, _ in await rounds(producers, NODES, 10_000, _BATCH)]


async def _applies(it: Federation[Fleet], folder: Path) -> dict[str, float]:
    folder.mkdir()
    node, took, known = NODES[0], list[float](), list[float]()
    for number in range(_WARM_UP + _APPLIES):
        name, sign = f"sign-{number}", folder / str(number)
        began = time.time()
        await _apply(it.root, name, sign, node)
        took.append((await _made(sign) - began) * 1_000)
        await it.root.until(lambda name=name: _is_known(it.root, name), f"{name} is known to run", _WAIT_S)
        known.append((time.time() - began) * 1_000)
        await it.root.ask("DELETE", f"/v1/resources/service/{name}")
    took, known = sorted(took[_WARM_UP:]), sorted(known[_WARM_UP:])
    return {
        "apply_to_running_ms": statistics.median(took),
        "apply_to_running_ms_p90": took[int(len(took) * 0.9)],
        "known_ms": statistics.median(known),
    }


async def _apply(root: Fleet, name: str, sign: Path, node: str) -> None:
    process = {"command": ["sh", "-c", f": > {sign}; exec sleep 600"]}
    spec = {"process": process, "placement": {"selector": f"node={node}", "count": "all"}, "stop": {"grace": "1s"}}
    document = {"apiVersion": "skerry/v1", "kind": "Service", "metadata": {"name": name}, "spec": spec}
    await root.ask("POST", "/v1/apply", {"sources": [{"name": f"{name}.yaml", "text": json.dumps(document)}]})


async def _made(sign: Path) -> float:
    """Wait until the process has made its file; return when it did, by the clock of files (a tick of the kernel)."""
    async with asyncio.timeout(_WAIT_S):
        while not sign.exists():
            await asyncio.sleep(_LOOK_S)
    return sign.stat().st_mtime


async def _is_known(root: Fleet, name: str) -> bool:
    found: dict[str, Any] = await root.ask("GET", f"/v1/services/{name}")
    return found["running"] == 1
