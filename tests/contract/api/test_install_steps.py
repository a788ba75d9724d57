"""The installer by each shell that a small Debian has: broken off at any step it leaves nothing; again, it goes on."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.contract.api.test_install import archive, put
from tests.support import scripted
from tests.support.fleet import Fleet, fleet
from tests.support.scripted import Device

_STEPS = ["curl get", "apt-get install", "skerry-agent enroll"]


@asynccontextmanager
async def offering(folder: Path) -> AsyncGenerator[tuple[Fleet, str, str]]:
    """A hub that holds a package; its installer, and a token."""
    async with fleet(folder) as it:
        put(it.data / "packages", scripted.PACKAGE, archive(b"2.0\n", b"x" * 100_000))
        text = (await it.api.get("/install", extensions={"sni_hostname": "cloud.skerry"})).text
        yield it, text, (await it.ask("POST", "/v1/tokens", {"ttl_s": 3_600, "uses": 9}))["token"]


async def test_broken_off_at_each_step_it_leaves_nothing_and_again_it_goes_on(tmp_path: Path) -> None:
    async with offering(tmp_path / "f") as (_, text, token):
        for shell in scripted.SHELLS:
            device = Device(tmp_path / shell)
            for step in _STEPS:
                done = await device.run(text, "--token", token, shell=shell, breaks=step)
                assert done.returncode == 1, (shell, step, done.stderr)
                assert sum(line.startswith("skerry: ") for line in done.stderr.splitlines()) == 1, done.stderr
                assert device.left == [], (shell, step)
                assert ("this device is as it was before" in done.stdout) == (step != "curl get")
                done = await device.run(text, "--token", token, shell=shell, ends=step)
                assert done.returncode == 130, (shell, step, done.stdout, done.stderr)
                assert device.left == [], (shell, step)
            done = await device.run(text, "--token", token, "--name", f"by-{shell}", shell=shell)
            assert (done.returncode, done.stderr) == (0, ""), shell
            assert "Done." in done.stdout
            assert device.left == ["package", "state"]
            before = {path: path.read_bytes() for path in device.state.iterdir()}
            done = await device.run(text, "--token", token, "--name", f"by-{shell}", shell=shell)
            assert done.returncode == 0, done.stderr
            assert "skerry-agent 0.1.0+deb12 is here already" in done.stdout
            assert "nothing was changed" in done.stdout
            assert {path: path.read_bytes() for path in device.state.iterdir()} == before


async def test_what_fails_after_the_enrollment_takes_back_nothing(tmp_path: Path) -> None:
    async with offering(tmp_path / "f") as (it, text, token):
        device = Device(tmp_path / "device")
        done = await device.run(text, "--token", token, "--name", "oslo", breaks="systemctl start")
        assert done.returncode == 1
        assert done.stderr.splitlines()[-1] == "skerry: the agent does not start: systemctl status skerry-agent"
        assert not any(line.startswith(("dpkg --purge", "dpkg --remove")) for line in device.did)
        assert (await it.node("oslo"))["name"] == "oslo", "the hub knows it, and its key is here"
        assert (await device.run(text, "--token", token, "--name", "oslo")).returncode == 0


@pytest.mark.parametrize("lacks", ["curl", "systemctl", "sha256sum", "apt-get"])
async def test_what_it_needs_and_is_not_here_is_named_before_anything_is_done(tmp_path: Path, lacks: str) -> None:
    async with offering(tmp_path / "f") as (_, text, token):
        device = Device(tmp_path / "device")
        (device.folder / "bin" / lacks).unlink(missing_ok=True)
        tools = device.folder / "bin"
        for name in {"grep", "awk", "df", "cat", "sha256sum", "mktemp", "rm", "cut"} - {lacks}:
            (tools / name).symlink_to(f"/usr/bin/{name}")
        (tools / "sh").symlink_to("/bin/sh")
        done = await device.run(text, "--token", token, env={"PATH": str(tools)}, shell="/bin/sh")
        assert (done.returncode, done.stderr.count("\n")) == (1, 1), done.stderr
        assert done.stderr.startswith(f"skerry: {lacks} is not on this device")
        assert device.left == []
        assert [line for line in device.did if not line.startswith("id ")] == []
