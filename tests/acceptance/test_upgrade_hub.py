"""Another version of a hub, put in place at its machine: it takes over, or the former one goes on; its devices' work
never notices.

Needs what `make packages` makes, as test_install does; the other versions are made of it, but for 0.2.0 where that was
built, too, and later (make packages VERSION=0.2.0).
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.support import debian, deeds, hosted, versions
from tests.support.debian import Debian
from tests.support.hosted import Hosted
from tests.support.net import lands

TREE = "bookworm-amd64"
_LIB, _KEPT = "/usr/lib/skerry-hub", "/var/lib/skerry/upgrade-hub/state.json"
_WAIT_S = 180.0
OLD, NEW = "0.1.0+deb12", "0.2.0+deb12"


@asynccontextmanager
async def _fleet(folder: Path) -> AsyncGenerator[tuple[Hosted, Debian, Path, Path, int]]:
    """A hub of a package, a device that works; the package, what the device's producer wrote down, its pid."""
    lack = debian.missing(TREE)
    package = None if lack else debian.package("skerry-hub", TREE)
    if package is None or not versions.is_side_by_side(package):
        pytest.skip(lack or f"{package} was built before versions lay side by side (make packages)")
    async with hosted.hub(folder / "f", TREE, seed=61) as (it, on):
        await it.join(["oslo"], labels={"site": "oslo"})
        ledger = folder / "ledger"
        await deeds.declare(it, deeds.producer("counts", ledger, every_s=0.05))
        yield it, on, package, ledger, await deeds.pid_of(it, "oslo", "counts")


def _second(package: Path, folder: Path) -> Path:
    """Return a version that was built, else one that is made of `package`."""
    built = debian.package("skerry-hub", TREE, "0.2.0")
    if built is None or built.stat().st_mtime < package.stat().st_mtime:
        return versions.another(package, "0.2.0", folder)
    return built


async def _slots(on: Debian) -> tuple[str, str, list[str]]:
    """Return which version runs, which one is good, and which are there."""
    links = [(await on.run("readlink", f"{_LIB}/{link}")).strip() for link in ("current", "good")]
    return links[0], links[1], (await on.run("ls", f"{_LIB}/versions")).split()


async def _runs(it: Hosted, on: Debian, version: str) -> bool:
    """Tell whether the hub answers, and is of `version`; asked anew each time, for it may go at any moment."""
    code, said = await on.tried("curl", "-fsk", f"https://{it.where.address}:{lands.API_PORT}/v1/info")
    return code == 0 and json.loads(said)["version"] == version


async def _nothing_lost(it: Hosted, ledger: Path, pid: int) -> None:
    await it.until(lambda: it.online("oslo"), "the device is back")
    assert await deeds.pid_of(it, "oslo", "counts") == pid, "its work went on"
    await deeds.take_away(it, "service/counts")
    await deeds.settled(it)
    (await deeds.tally(it, ledger, "oslo")).check()


async def test_a_version_comes_in_place_of_another_and_one_that_is_not_well_goes_back(tmp_path: Path) -> None:
    async with _fleet(tmp_path) as (it, on, package, ledger, pid):
        upgrade = ("skerry", "hub", "upgrade")
        said = await on.run(*upgrade, it.put(_second(package, tmp_path)))
        assert f"This hub runs {NEW} now, and all is well; it was {OLD}" in said
        assert await _runs(it, on, "0.2.0")
        assert await it.online("oslo"), "it was back before all was well"
        two = f"versions/{NEW}", f"versions/{NEW}", [OLD, NEW]
        assert await _slots(on) == two

        broken = versions.another(package, "0.3.0", tmp_path, versions.BROKEN_HUB)
        code, said = await on.tried(*upgrade, it.put(broken))
        assert code == 1
        assert f"0.3.0+deb12 was not well: it ended 3 times by itself. This hub went back to {NEW}" in said
        await it.until(lambda: it.online("oslo"), "the device is back")
        deaf = versions.another(package, "0.4.0", tmp_path, versions.DEAF_HUB)
        code, said = await on.tried(*upgrade, it.put(deaf), "--confirm", "20s")
        assert code == 1
        assert "1 nodes were online before, and none of them is back after 10 s" in said
        await it.until(lambda: _runs(it, on, "0.2.0"), "the former version runs")
        assert await _slots(on) == two

        told = [(one["kind"], one["body"]["version"]) for one in await deeds.events(it, kind="upgrade.*")]
        assert told == [("upgrade.done", NEW), ("upgrade.back", "0.3.0+deb12"), ("upgrade.back", "0.4.0+deb12")]

        agent = debian.package("skerry-agent", TREE)
        assert agent is not None
        code, said = await on.tried(*upgrade, f"/media/{agent.name}")
        assert (code, "not skerry-hub" in said) == (1, True), said
        code, said = await on.tried("runuser", "-u", "nobody", "--", *upgrade, f"/media/{agent.name}")
        assert (code, "root alone" in said) == (1, True), said
        assert await _slots(on) == two
        await _nothing_lost(it, ledger, pid)


async def test_power_cuts_in_a_trial_leave_a_hub_that_works_and_end_it(tmp_path: Path) -> None:
    async with _fleet(tmp_path) as (it, on, package, ledger, pid):
        mute = it.put(versions.another(package, "0.2.0", tmp_path, versions.SPEECHLESS_HUB))
        await on.run("sh", "-c", f"setsid skerry hub upgrade {mute} --confirm 10m >/dev/null 2>&1 &")
        for time in (1, 2):
            await it.until(lambda time=time: _is_tried(it, on, time), "it is tried", _WAIT_S)
            await on.lose_power()
            await on.boot()
        await it.until(lambda: _is_back(on), "it is gone back from", _WAIT_S)
        assert "the machine stopped in each of 2 trials" in await on.run("cat", _KEPT)
        await it.until(lambda: _runs(it, on, "0.1.0"), "the former version runs")
        assert await _slots(on) == (f"versions/{OLD}", f"versions/{OLD}", [OLD])
        await _nothing_lost(it, ledger, pid)


async def _is_tried(it: Hosted, on: Debian, times: int) -> bool:
    """Tell whether the new version runs in its trial number `times`."""
    _, kept = await on.tried("cat", _KEPT)
    return f'"tries":{times}' in kept and await _runs(it, on, "0.2.0")


async def _is_back(on: Debian) -> bool:
    return '"outcome":"back"' in (await on.tried("cat", _KEPT))[1]
