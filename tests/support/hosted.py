"""A hub as its package puts it on a machine of its own: a booted Debian, its unit, its upgrades; agents on other hosts.

async with hosted.hub(folder, "bookworm-amd64", seed=61) as (it, on):
    await it.join(["oslo"], labels={"site": "oslo"})
    await on.run("skerry", "hub", "upgrade", "/media/skerry-hub_0.2.0+deb12_amd64.deb")
"""

from __future__ import annotations

import json
import shutil
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from hub.demo import daemon
from tests.support import debian
from tests.support.debian import Debian
from tests.support.net import lands
from tests.support.net.lands import Lands

STATE = "/var/lib/skerry/hub"


class Unit(daemon.Daemon):
    """The hub's unit, in place of a process of the tests' own."""

    def __init__(self, on: Debian) -> None:
        super().__init__("the hub's unit", [], on.log, {})
        self._on = on

    async def start(self) -> None:
        """Start it."""
        await self._on.run("systemctl", "start", "skerry-hub")

    async def stop(self) -> None:
        """It ends with its machine."""


class Hosted(Lands):
    """See the module."""

    def __init__(self, folder: Path, seed: int) -> None:
        super().__init__(folder, seed)
        self.on: Debian | None = None

    async def init(self, *more: str) -> None:
        """Install the package, make the hub, and bring its operator's context here."""
        assert self.on is not None
        self.hub = Unit(self.on)
        package = debian.package("skerry-hub", self.on.tree.name)
        assert package is not None
        await self.on.run("dpkg", "-i", f"/media/{package.name}")
        at = self.where.address
        places = ("--mqtt", f"{at}:{lands.MQTT_PORT}", "--api", f"{at}:{lands.API_PORT}")
        await self.on.run("skerry", "hub", "init", "--data", STATE, "--name", self.name, *places, *more)
        await self.on.run("chown", "-R", "skerry-hub:", STATE)
        known = json.loads(await self.on.run("sh", "-c", "cat ~/.config/skerry/context.json"))
        url = f"https://127.0.0.1:{await self.opened()}"
        (self.folder / "context.json").write_text(json.dumps({**known, "url": url}))

    def put(self, package: Path) -> str:
        """Bring a package onto the machine, by hand; return its path there."""
        assert self.on is not None
        shutil.copy(package, self.on.reach("/srv"))
        return f"/srv/{package.name}"


@asynccontextmanager
async def hub(folder: Path, tree: str, seed: int) -> AsyncGenerator[tuple[Hosted, Debian]]:
    """A hub that serves on a machine of `tree`, and that machine."""
    folder.mkdir(parents=True)
    made = Hosted(folder, seed)
    try:
        async with debian.booted(folder / "machine", made.where, tree) as on:
            made.on = on
            await made.begin()
            yield made, on
    except BaseException as error:
        error.add_note(f"the switch's seed was {seed}")
        raise
    finally:
        await made.close()
