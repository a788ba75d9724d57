"""A device that is installed from its hub, as a person would: a hub that holds its package, the line, what it says."""

from __future__ import annotations

import json
import shutil
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.support import debian, deeds
from tests.support.debian import Debian
from tests.support.net import lands
from tests.support.net.lands import Lands


@asynccontextmanager
async def hub(folder: Path, tree: str) -> AsyncGenerator[Lands]:
    """A hub on a host of its own that holds the package of `tree`."""
    folder.mkdir(parents=True)
    made = Lands(folder, seed=51)
    try:
        await made.begin()
        package = debian.package("skerry-agent", tree)
        assert package is not None
        (made.data / "packages").mkdir()
        shutil.copy(package, made.data / "packages")
        yield made
    finally:
        await made.close()


async def token(it: Lands, uses: int = 1) -> dict[str, Any]:
    """Make a token; what `skerry token create` gets."""
    return await it.ask("POST", "/v1/tokens", {"ttl_s": 3_600, "uses": uses, "labels": {"site": "oslo"}})


def line(it: Lands, made: dict[str, Any], *options: str) -> tuple[str, ...]:
    """The command that `skerry token create` prints, as root gives it."""
    fetch = f"curl -fsSk --pinnedpubkey sha256//{made['pin']} https://{it.where.address}:{lands.API_PORT}/install"
    return ("sh", "-c", f"{fetch} | sh -s -- --token {made['token']} {' '.join(options)}")


async def status(device: Debian) -> dict[str, Any]:
    """Return what the agent says of its device."""
    return json.loads(await device.run("skerry-agent", "status", "-o", "json"))


async def pid(it: Lands, device: Debian, service: str) -> int:
    """The pid of a service as the device tells it, once it runs."""

    async def running() -> int:
        code, said = await device.tried("skerry-agent", "status", "-o", "json")
        return int(json.loads(said)["services"].get(service, {}).get("pid", 0)) if code == 0 else 0

    return await deeds.eventually(it, f"{service} runs on the device", running)
