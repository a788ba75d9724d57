"""A device from a stick: a clean Debian with real systemd and no network works, and enrolls when it has one.

Needs what `make packages` makes, as test_install does.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.support import debian, deeds, installed

TREE = "bookworm-amd64"
_NUMBER = 92
_STICK = "/mnt/stick"


async def test_installed_from_a_stick_it_works_with_no_network_and_enrolls_when_it_has_one(tmp_path: Path) -> None:
    if lack := debian.missing(TREE):
        pytest.skip(lack)
    stick = tmp_path / "stick"
    stick.mkdir(mode=0o700)  # its owner's alone: the agent's user cannot look into it
    async with (
        installed.hub(tmp_path / "f", TREE) as it,
        debian.booted(tmp_path / "mast", it.land("mast-7", _NUMBER), TREE) as on,
    ):
        for way in it.ways("mast-7"):
            way.cut = True
        await deeds.declare(it, deeds.service("works", ["sh", "-c", "id -un >/var/tmp/who; exec sleep 100000"]))
        words = ("--name", "mast-7", "--label", "site=oslo", "--to", str(stick))
        assert "sudo sh" in (await it.command("bundle", "device", *words))[1]
        shutil.copytree(stick, on.reach(_STICK))

        (package,) = on.reach(_STICK).glob("*.deb")
        whole = package.read_bytes()
        package.write_bytes(whole[:-4096])
        code, said = await on.tried("sh", f"{_STICK}/install")
        assert (code, "is not what this hub promised" in said) == (1, True), said
        assert (await on.tried("dpkg", "-s", "skerry-agent"))[0] == 1
        package.write_bytes(whole)

        said = await on.run("sh", f"{_STICK}/install", "mast-7")
        assert "Done. On this device:  skerry-agent status" in said
        pid = await installed.pid(it, on, "works")
        assert await on.run("cat", "/var/tmp/who") == "skerry-work\n", "started by the launcher"
        said = await on.run("sh", f"{_STICK}/install")
        assert "is here already" in said
        assert "Done" in said
        assert await installed.pid(it, on, "works") == pid, "an installer that came again stopped what ran"
        await on.reboot()
        pid = await installed.pid(it, on, "works")

        async def told() -> bool:
            return "not enrolled yet" in (await installed.status(on))["link"]["reason"]

        await it.until(told, "the device says that it has yet to enroll")
        for way in it.ways("mast-7"):
            way.cut = False
        await it.until(lambda: it.online("mast-7"), "the device has enrolled by itself", 120)
        assert await installed.pid(it, on, "works") == pid, "its work went on"
        assert (await it.node("mast-7"))["labels"] == {"site": "oslo"}
        await on.run("test", "-s", "/var/lib/skerry/upgrade/root.pin")
        assert "nothing was changed" in await on.run("sh", f"{_STICK}/install")
        assert int(await on.run("systemctl", "show", "-P", "NRestarts", "skerry-agent")) == 0
        assert (await on.run("systemctl", "show", "-P", "SubState", "skerry-agent")).strip() == "running"
