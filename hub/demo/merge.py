"""After the cut: what both sides changed, merged as declared, and both versions on record."""

from __future__ import annotations

import json

from hub.demo import work
from hub.demo.daemon import DemoFailed
from hub.demo.fleet import Fleet
from hub.demo.stage import Stage

CLOUDS, STORM = "welcome, says the cloud", "closed: storm"


async def overridden(at: Stage, root: Fleet, north: Fleet, south: Fleet) -> None:
    """Wait until south shows the cloud's new sign, and north, on purpose, its own; show how the root tells of it."""
    await at.until(f"{south.name} follows the cloud", lambda: says(root, south, CLOUDS))
    await at.until(f"{north.name} keeps its override", lambda: says(root, north, STORM))
    await at.show(root, "logs", work.SIGN)
    await at.show(root, "describe", "service", work.SIGN, until="lately")
    await at.show(root, "get", "services")
    found = json.dumps([json.loads(line) for line in (await _record(root)).splitlines() if line])
    for version in (CLOUDS, STORM):
        if version not in found:
            raise DemoFailed(f"the record at the root has no version of {work.SIGN} that says {version!r}")
    at.say(f"   both versions of {work.SIGN} stand in the root's record, with who made them, when and why")


async def released(at: Stage, root: Fleet, north: Fleet) -> None:
    """End the override: the owner's document is in force."""
    at.tell(f"The storm is over: the operator of {north.name} releases the sign, and the cloud's is in force again.")
    await at.show(north, "release", f"service/{work.SIGN}")
    await at.until(f"{north.name} follows the cloud", lambda: says(root, north, CLOUDS))


async def says(root: Fleet, region: Fleet, text: str) -> bool:
    """Tell whether the sign of a region says `text`, asked at the root."""
    _, said = await root.command("logs", work.SIGN, "--tail", "1", check=False)
    return any(line.startswith(f"{root.name}/{region.name}/") and text in line for line in said.splitlines())


async def _record(root: Fleet) -> str:
    return (await root.command("events", "--key", f"service/{work.SIGN}", "--limit", "1000", "-o", "json"))[1]
