"""What each region made of what it was handed: `eu-north 2 of 2, eu-south 1 of 2 (no more of its nodes match)`."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from hub.cli.view import human, output

if TYPE_CHECKING:
    from hub.cli.client import Client

LOOK_S = 2.0  # a region that is heard answers within a fraction of it; nobody waits for one that is away
LOOK_EVERY_S = 0.1


def line(regions: list[dict[str, Any]]) -> str:
    """Return it for the regions of one resource, or nothing where there are none."""
    now_ms = int(time.time() * 1000)
    return ", ".join(one(region, now_ms) for region in regions)


def one(region: dict[str, Any], now_ms: int) -> str:
    """Return it for one region; of one that is away, since when."""
    name = region["hub"]
    if region["state"] != "online":
        return f"{name} away since {human.clock(region['since_ms'], now_ms)} (follows on return)"
    if region["refused"]:
        return f"{name} refused it ({region['refused']})"
    if not region["generation"]:
        return f"{name} has not seen it yet"
    share = region["asked"] if region["share"] is None else region["share"]
    text = f"{name} {region['placed']} of {share}"
    return f"{text} (no more of its nodes match)" if region["placed"] < share else text


def tell(hub: Client, results: list[dict[str, Any]]) -> None:
    """Look for a short time, and print for each service and workflow that went to regions how many each placed."""
    until = time.monotonic() + LOOK_S
    for result in results:
        if result.get("regions") and result["kind"] != "policy":
            path = f"/v1/{result['kind']}s/{result['name']}"
            regions = _regions(hub.get(path))
            while any(_is_open(one, result["generation"]) for one in regions) and time.monotonic() < until:
                time.sleep(LOOK_EVERY_S)
                regions = _regions(hub.get(path))
            output.say(f"  {result['kind']}/{result['name']}: {line(regions)}")


def _regions(found: dict[str, Any]) -> list[dict[str, Any]]:
    return [one for one in found["in"] if one["is_asked"]]


def _is_open(region: dict[str, Any], generation: int) -> bool:
    """Tell whether a region that is heard has not told yet what it makes of this generation."""
    return region["state"] == "online" and not region["refused"] and region["generation"] < generation
