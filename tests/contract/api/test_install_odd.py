"""The installer on odd devices: each is told in one sentence what is wrong, and stays as it was."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.contract.api.test_install import archive, put
from tests.contract.api.test_install_steps import offering
from tests.contract.api.test_install_ways import refusal
from tests.support import scripted
from tests.support.fleet import fleet
from tests.support.scripted import Device

_FAKETIME = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1")


@pytest.mark.skipif(not _FAKETIME.exists(), reason="libfaketime is not installed here")
async def test_a_device_whose_clock_says_1970_is_installed_and_enrolled(tmp_path: Path) -> None:
    then = {"LD_PRELOAD": str(_FAKETIME), "FAKETIME": "@1970-01-01 00:01:00", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
    async with offering(tmp_path / "f") as (it, text, token):
        device = Device(tmp_path / "device")
        done = await device.run(text, "--token", token, "--name", "oslo", env=then)
        assert (done.returncode, done.stderr) == (0, ""), done.stdout
        assert (await it.node("oslo"))["name"] == "oslo"
        done = await device.run(text, "--token", token, "--name", "oslo", env=then)
        assert "nothing was changed" in done.stdout


async def test_a_token_of_another_hub_is_refused_before_anything_is_done(tmp_path: Path) -> None:
    async with offering(tmp_path / "f") as (_, text, _), fleet(tmp_path / "other") as other:
        away = (await other.ask("POST", "/v1/tokens", {"ttl_s": 3_600, "uses": 1}))["token"]
        device = Device(tmp_path / "device")
        said = refusal(await device.run(text, "--token", away), device)
        assert said == "skerry: this token is of another hub than cloud: run the line that was printed with the token"
        assert "no token" in refusal(await device.run(text, "--token", "sk0.abc"), device)
        assert not any(line.startswith(("curl", "apt-get")) for line in device.did)


async def test_no_space_or_a_wrong_architecture_is_told_before_anything_is_fetched(tmp_path: Path) -> None:
    async with offering(tmp_path / "f") as (it, text, token):
        device = Device(tmp_path / "device")
        device.does("df", 'printf "F B U A C M\\n/dev/root 100 99 1 99%% /\\n"')
        said = refusal(await device.run(text, "--token", token), device)
        assert said == "skerry: 1 MB are free, and the agent takes up to 1 MB: make room"
        device.does("df", 'exec /bin/df "$@"')
        device.does("dpkg", "echo riscv64")
        said = refusal(await device.run(text, "--token", token), device)
        assert "this hub holds no package for debian 12 riscv64 (it has: debian 12 amd64)" in said
        (device.folder / "os-release").write_text("ID=ubuntu\nVERSION_ID=24.04\n")
        assert "no package for ubuntu 24.04" in refusal(await device.run(text, "--token", token), device)
        assert not any(line.startswith(("curl", "apt-get")) for line in device.did)
        assert await it.nodes() == []


async def test_what_changed_on_its_way_or_at_the_hub_is_not_installed(tmp_path: Path) -> None:
    async with offering(tmp_path / "f") as (it, text, token):
        put(it.data / "packages", scripted.PACKAGE, archive(b"2.0\n", b"y" * 100_000))
        device = Device(tmp_path / "device")
        said = refusal(await device.run(text, "--token", token), device)
        assert "what was fetched is not what this hub promised" in said
        put(it.data / "packages", scripted.PACKAGE, b"!<arch>\nhalf a package")
        assert "could not be fetched" in refusal(await device.run(text, "--token", token), device)
        assert not any(line.startswith("apt-get") for line in device.did)


async def test_a_disk_image_that_was_cloned_before_it_was_enrolled_makes_two_devices(tmp_path: Path) -> None:
    """Nothing of a device goes by its machine-id: what it is, is its key, which is made when it enrolls."""
    async with offering(tmp_path / "f") as (it, text, token):
        image = Device(tmp_path / "image")
        image.state.mkdir()
        (image.folder / "package").write_text("installed 0.1.0+deb12\n")
        first, second = (shutil.copytree(image.folder, tmp_path / name) for name in ("first", "second"))
        for device in (Device(first), Device(second)):
            done = await device.run(text, "--token", token, "--name", device.folder.name)
            assert (done.returncode, done.stderr) == (0, "")
        assert len({(one / "state" / "key.pem").read_bytes() for one in (first, second)}) == 2
        assert {one["name"] for one in await it.nodes()} == {"first", "second"}
        taken = Device(tmp_path / "third")
        said = refusal(await taken.run(text, "--token", token, "--name", "first"), taken)
        assert "first" in said
