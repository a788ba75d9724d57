"""A root of 20 regions with 100 devices each: what comes up when all of them change, and what the root takes.

The regions are the real cores of hubs and real links over mutual TLS, all in this process; what is simulated are their
disks and their devices (tests.support.crowd_hub). The root is a process as it ships.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.bench.memory import peak_rss_mb
from tests.support import enrolled
from tests.support.crowd_hub import Region
from tests.support.fleet import Fleet

REGIONS, DEVICES = 20, 100
_ALL = REGIONS * DEVICES
_ROUNDS = 3
_WAIT_S = 120.0
_SERVICE = "everywhere"


async def measure(folder: Path) -> dict[str, float]:
    """`rollup_s`: every device says that it is ill, or well again; from before the first one speaks until the root
    counts all of them and shows it of each of them. `one_s`: the same for one device. `root_rss_mb`: the root's peak.
    """
    folder.mkdir()
    root = Fleet(folder / "cloud")
    regions: list[Region] = []
    try:
        await root.init()
        homes = await enrolled.found(root.data, [f"r{number}" for number in range(REGIONS)], folder / "regions")
        await root.begin_made()
        regions = [Region(home, root.mqtt_port, DEVICES) for home in homes]
        for region in regions:
            region.start()
        await root.until(lambda: _known(root, lambda node: node["state"] == "online"), "all are seen", _WAIT_S)
        await _declare(root)
        await _counted(root, "running", _ALL)
        took = [await _all_turn(root, regions, healthy=bool(turn % 2)) for turn in range(_ROUNDS)]
        one_s = await _one_turns(root, regions[-1])
        return {"rollup_s": max(took), "one_s": one_s, "nodes": _ALL, "root_rss_mb": peak_rss_mb(root.hub.pid)}
    finally:
        for region in regions:
            region.close()
        await root.close()


async def _declare(root: Fleet) -> None:
    spec = {"process": {"command": ["true"]}, "placement": {"selector": "role=simulated", "count": "all"}}
    document = {"apiVersion": "skerry/v1", "kind": "Service", "metadata": {"name": _SERVICE}, "spec": spec}
    await root.ask("POST", "/v1/apply", {"sources": [{"name": "all.yaml", "text": json.dumps(document)}]})


async def _all_turn(root: Fleet, regions: list[Region], *, healthy: bool) -> float:
    began = time.monotonic()
    for region in regions:
        for device in region.devices.values():
            device.healthy = healthy
            region.tell(device)
        await asyncio.sleep(0)  # regions are machines of their own: what one has to send goes while the next one works
    await _counted(root, "unhealthy", 0 if healthy else _ALL)
    await root.until(lambda: _known(root, lambda node: _says(node) is healthy), "each of them is shown", _WAIT_S)
    return time.monotonic() - began


async def _one_turns(root: Fleet, region: Region) -> float:
    device = next(iter(region.devices.values()))
    ill = (await root.ask("GET", f"/v1/services/{_SERVICE}"))["unhealthy"]
    device.healthy = not device.healthy
    began = time.monotonic()
    region.tell(device)
    await _counted(root, "unhealthy", ill + (-1 if device.healthy else 1))
    return time.monotonic() - began


async def _counted(root: Fleet, what: str, count: int) -> None:
    async def there() -> bool:
        found: dict[str, Any] = await root.ask("GET", f"/v1/services/{_SERVICE}")
        return found[what] == count

    await root.until(there, f"{count} are {what}", _WAIT_S)


async def _known(root: Fleet, asked: Callable[[dict[str, Any]], bool]) -> bool:
    found = [one for one in await root.nodes() if one["kind"] == "agent"]
    return len(found) == _ALL and all(map(asked, found))


def _says(node: dict[str, Any]) -> bool | None:
    return node["services"].get(_SERVICE, {}).get("healthy")
