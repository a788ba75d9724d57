"""Another version of the agent, asked for at the hub: a booted Debian puts it in place by itself, or goes back.

Needs what `make packages` makes, as test_install does; the other versions are made of it, but for 0.2.0 where that was
built, too, and later (make packages VERSION=0.2.0).
"""

from __future__ import annotations

import json
import shutil
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support import debian, deeds, installed, versions
from tests.support.debian import Debian
from tests.support.net.lands import Lands

TREE = "bookworm-amd64"
_NUMBER = 91
_LIB = "/usr/lib/skerry-agent"
_WAIT_S = 180.0
_STICK = "/mnt"
_VERSION = """
import sqlite3
print(sqlite3.connect("/var/lib/skerry/agent/journal.db").execute("PRAGMA user_version").fetchone())
"""


@asynccontextmanager
async def _device(folder: Path) -> AsyncGenerator[tuple[Lands, Debian, Path, int]]:
    """A hub, and a device that was installed from it and runs a service; the package, and the service's pid."""
    lack = debian.missing(TREE)
    package = None if lack else debian.package("skerry-agent", TREE)
    if package is None or not versions.is_side_by_side(package):
        pytest.skip(lack or f"{package} was built before versions lay side by side (make packages)")
    async with (
        installed.hub(folder / "f", TREE) as it,
        debian.booted(folder / "oslo", it.land("oslo", _NUMBER), TREE) as on,
    ):
        await on.run(*installed.line(it, await installed.token(it), "--name", "oslo"))
        await it.until(lambda: it.online("oslo"), "the device is online")
        await deeds.declare(it, deeds.service("works", ["sh", "-c", "exec sleep 100000"]))
        yield it, on, package, await installed.pid(it, on, "works")


def _second(package: Path, folder: Path) -> Path:
    """Return a version that was built, else one that is made of `package`."""
    built = debian.package("skerry-agent", TREE, "0.2.0")
    if built is None or built.stat().st_mtime < package.stat().st_mtime:
        return versions.another(package, "0.2.0", folder)
    return Path(shutil.copy(built, folder))


async def _apply(it: Lands, folder: Path, made: Path, confirm: str = "30s") -> None:
    """Declare a version, as an operator does: a file beside the package."""
    version, _, _ = made.name.split("_")[1].partition("+deb")
    spec = {"packages": [made.name], "version": version, "confirm": confirm}
    wished = {"apiVersion": "skerry/v1", "kind": "Upgrade", "metadata": {"name": "agents"}}
    (folder / "agents.yaml").write_text(
        json.dumps({**wished, "spec": {**spec, "placement": {"selector": "site=oslo"}}})
    )
    await it.command("apply", "-f", str(folder / "agents.yaml"))


async def _came_to(it: Lands, *states: str) -> dict[str, Any]:
    """Wait until the hub shows the device in one of these states; return what it shows."""

    async def there() -> dict[str, Any] | None:
        (node,) = (await it.ask("GET", "/v1/upgrades/agents"))["on"]
        return node if node["state"] in states else None

    return await deeds.eventually(it, f"the upgrade is {' or '.join(states)}", there, _WAIT_S)


async def _slots(on: Debian) -> tuple[str, str, list[str]]:
    """Return which version runs, which one is good, and which are there."""
    links = [(await on.run("readlink", f"{_LIB}/{link}")).strip() for link in ("current", "good")]
    return links[0], links[1], (await on.run("ls", f"{_LIB}/versions")).split()


async def test_a_version_comes_in_place_of_another_and_one_that_is_broken_goes_back(tmp_path: Path) -> None:
    async with _device(tmp_path) as (it, on, package, pid):
        await on.run("skerry-agent", "hold", "--reason", "night shift")
        await _apply(it, tmp_path, _second(package, tmp_path))
        assert "night shift" in (await _came_to(it, "held"))["reason"]
        assert (await installed.status(on))["version"] == "0.1.0"
        await on.run("skerry-agent", "unhold")
        await _came_to(it, "running")
        assert (await installed.status(on))["version"] == "0.2.0"
        assert await installed.pid(it, on, "works") == pid, "its work went on"
        two = "versions/0.2.0+deb12"
        assert await _slots(on) == (two, two, ["0.1.0+deb12", "0.2.0+deb12"])
        (listed,) = await it.json("get", "upgrades", "-o", "json")
        assert (listed["state"], listed["counts"]["running"]) == ("done", 1)

        faults = (*versions.MIGRATING, versions.UNWELL)
        for way in it.ways("oslo"):
            way.cut = True
        await it.until(lambda: _is_away(it), "it is cut off", _WAIT_S)
        await _apply(it, tmp_path, versions.another(package, "0.2.5", tmp_path, *faults))
        await it.command("bundle", "export", "oslo", "--to", str(on.reach(_STICK)))
        await on.run("skerry-agent", "import", _STICK)
        await it.until(lambda: _has_gone_back(on), "it went back with no network", _WAIT_S)
        for way in it.ways("oslo"):
            way.cut = False
        assert (await _came_to(it, "back"))["reason"] == "it is not well"
        assert await on.run(f"{_LIB}/good/bin/python", "-c", _VERSION) == "(2,)\n", "the store is of the newer version"
        await it.until(lambda: it.online("oslo"), "the former one goes on with it")
        assert await installed.pid(it, on, "works") == pid, "its work went on"

        await _apply(it, tmp_path, versions.another(package, "0.3.0", tmp_path, versions.BROKEN))
        back = await _came_to(it, "back")
        assert (back["version"], back["reason"]) == ("0.2.0", "it ended 3 times by itself")
        await it.until(lambda: _is_stopped(it), "the hub has stopped it")
        assert "oslo went back" in (await it.command("get", "upgrades"))[1]
        assert "0.2.0: went back: it ended 3 times by itself" in (await it.command("describe", "upgrade", "agents"))[1]
        assert await installed.pid(it, on, "works") == pid, "its work went on"
        assert await _slots(on) == (two, two, ["0.1.0+deb12", "0.2.0+deb12"])
        told = [one["kind"] for one in await deeds.events(it, node="oslo", kind="upgrade.*")]
        assert told == ["upgrade.asked", "upgrade.done", *2 * ["upgrade.asked", "upgrade.back"]]


async def test_power_cuts_in_a_trial_leave_an_agent_that_works_and_end_it(tmp_path: Path) -> None:
    async with _device(tmp_path) as (it, on, package, _):
        await _apply(it, tmp_path, versions.another(package, "0.2.0", tmp_path, versions.SPEECHLESS), confirm="10m")
        for time in (1, 2):
            await it.until(lambda time=time: _is_tried(on, time), "it is tried", _WAIT_S)
            await on.run("systemctl", "disable", "skerry-agent-upgrade.path")
            await on.lose_power()
            await on.boot()
        assert (await installed.status(on))["version"] == "0.1.0", "before root's part saw anything of it"
        await on.run("systemctl", "enable", "--now", "skerry-agent-upgrade.path")
        assert (await _came_to(it, "back"))["reason"] == "the machine stopped in each of 2 trials"
        assert (await installed.status(on))["version"] == "0.1.0"
        await installed.pid(it, on, "works")
        assert await _slots(on) == ("versions/0.1.0+deb12", "versions/0.1.0+deb12", ["0.1.0+deb12"])

        await on.run("sh", "-c", f"echo {64 * '0'} >/var/lib/skerry/upgrade/root.pin")
        await _apply(it, tmp_path, versions.another(package, "0.3.0", tmp_path))
        refused = await _came_to(it, "refused")
        assert "what installs here did nothing" in refused["reason"]
        assert "not believed" in await on.run("journalctl", "-u", "skerry-agent-upgrade")
        assert await _slots(on) == ("versions/0.1.0+deb12", "versions/0.1.0+deb12", ["0.1.0+deb12"])


async def _is_away(it: Lands) -> bool:
    return not await it.online("oslo")


async def _has_gone_back(on: Debian) -> bool:
    code, said = await on.tried("skerry-agent", "status", "-o", "json")
    return code == 0 and json.loads(said)["upgrade"]["state"] == "back"


async def _is_stopped(it: Lands) -> bool:
    return (await it.ask("GET", "/v1/upgrades/agents"))["state"] == "stopped"


async def _is_tried(on: Debian, times: int) -> bool:
    """Tell whether the new version runs in its trial number `times`."""
    code, said = await on.tried("skerry-agent", "status", "-o", "json")
    _, kept = await on.tried("cat", "/var/lib/skerry/upgrade/state.json")
    return code == 0 and '"version":"0.2.0"' in said and f'"tries":{times}' in kept
