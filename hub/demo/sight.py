"""What the demo waits to see: questions to the hubs, to the devices, and to the producers' own ledgers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hub.demo import tally
from hub.demo.fleet import Agent, Fleet


async def nodes(at: Fleet) -> dict[str, Any]:
    """Return what a hub says of every node below it, by address below that hub."""
    found = await at.get("/v1/nodes")
    return {str(node["path"]).partition("/")[2]: node for node in found}


async def online(at: Fleet, addresses: Sequence[str]) -> bool:
    """Tell whether a hub sees all of them."""
    seen = await nodes(at)
    return all(address in seen and seen[address]["state"] == "online" for address in addresses)


async def missed(at: Fleet, address: str) -> bool:
    """Tell whether a hub has noticed that it does not hear a node."""
    return (await nodes(at))[address]["state"] != "online"


async def idle(fleets: Sequence[Fleet]) -> bool:
    """Tell whether nothing runs on the hubs' own devices, as they say."""
    for fleet in fleets:
        for node in (await nodes(fleet)).values():
            if node["services"] or any(flow["running"] for flow in node["workflows"].values()):
                return False
    return True


async def pid(agent: Agent, at: Fleet, service: str) -> int:
    """Return the pid of a service, as its device tells it; 0 while it does not run."""
    words = ("status", "--data", str(agent.data), "-o", "json")
    said = at.parse((await at.command(*words, program="skerry-agent"))[1])
    return int(said["services"].get(service, {}).get("pid", 0))


def samples(ledger: Path, name: str) -> int:
    """Return how many samples a device has made."""
    path = ledger / f"{name}.samples"
    return len(path.read_text().splitlines()) if path.exists() else 0


async def worked(ledger: Path, names: Sequence[str], least: int, steps: int) -> bool:
    """Tell whether each device made samples and ran steps, at least so many."""
    tallies = [tally.tally(name, ledger, []) for name in names]
    return all(one.made >= least and one.steps >= steps for one in tallies)


async def grown(ledger: Path, before: Mapping[str, int], by: int) -> bool:
    """Tell whether each device has made so many samples more."""
    return all(samples(ledger, name) >= count + by for name, count in before.items())
