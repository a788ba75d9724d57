"""The ways an installer reaches its hub: a proxy that the environment names, and a hub that is found on the network."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from edge_agent.shell import identity
from tests.contract.agent.test_discovery import announcing
from tests.contract.api.test_install import archive, put
from tests.contract.api.test_install_steps import offering
from tests.support import scripted
from tests.support.fleet import fleet
from tests.support.proxy import proxy
from tests.support.scripted import Device


def refusal(done: subprocess.CompletedProcess[str], device: Device) -> str:
    """What the installer said last, in one sentence; nothing of it is left."""
    assert done.returncode == 1, done.stdout
    assert "Traceback" not in done.stderr
    assert device.left == []
    (said,) = [line for line in done.stderr.splitlines() if line.startswith("skerry: ")]
    return said


async def test_a_proxy_is_used_where_the_environment_names_one_and_left_out_where_it_says_so(tmp_path: Path) -> None:
    async with offering(tmp_path / "f") as (it, text, token), proxy(lambda number: it.api_port) as way:
        device = Device(tmp_path / "one")
        env = {"https_proxy": way.url, "no_proxy": "127.0.0.1,localhost"}
        assert (await device.run(text, "--token", token, "--name", "one", env=env)).returncode == 0
        assert way.asked == []
        device = Device(tmp_path / "two")
        done = await device.run(text, "--token", token, "--name", "two", env={"https_proxy": way.url})
        assert (done.returncode, done.stderr) == (0, "")
        assert "agent.env, too" in done.stdout
        assert set(way.asked) == {f"127.0.0.1:{it.api_port}"}
        assert len(way.asked) >= 3, "the package, who the hub is, and the enrollment"
        assert (await it.node("two"))["name"] == "two"


async def test_a_proxy_that_refuses_or_leads_elsewhere_is_named_and_nothing_is_left(tmp_path: Path) -> None:
    async with offering(tmp_path / "f") as (it, text, token), fleet(tmp_path / "other") as other:
        device = Device(tmp_path / "device")

        async def by(leads: list[int]) -> str:
            async with proxy(lambda number: leads[min(number, len(leads)) - 1]) as way:
                done = await device.run(text, "--token", token, "--name", "oslo", env={"https_proxy": way.url})
            return refusal(done, device)

        assert "could not be fetched" in await by([0])
        assert "could not be fetched" in await by([other.api_port]), "another key than the pin's was taken"
        said = await by([it.api_port, 0])
        assert (
            f"the proxy of this environment (HTTPS_PROXY) does not let through to https://127.0.0.1:{it.api_port}"
            in said
        )
        said = await by([it.api_port, other.api_port])
        assert "is not the one that made this token" in said
        assert await it.nodes() == []


@pytest.mark.parametrize("way", ["gopher://127.0.0.1:9", "socks5://127.0.0.1:9", "http://127.0.0.1:http"])
async def test_a_proxy_that_nobody_can_use_is_an_error_in_a_sentence(tmp_path: Path, way: str) -> None:
    async with offering(tmp_path / "f") as (it, _, token):
        it.env |= {"HTTPS_PROXY": way, "NO_PROXY": ""}
        words = ("--hub", f"https://127.0.0.1:{it.api_port}", "--token", token, "--data", str(tmp_path / "oslo"))
        code, said = await it.command("enroll", *words, program="skerry-agent", check=False)
        assert (code, "the proxy of this environment cannot be used" in " ".join(said.split())) == (1, True), said
        assert not (tmp_path / "oslo" / "agent.json").exists()


async def test_a_hub_is_found_on_the_network_by_the_token(tmp_path: Path) -> None:
    async with announcing(tmp_path / "f") as it:
        put(it.data / "packages", scripted.PACKAGE, archive(b"2.0\n"))
        text = (await it.api.get("/install", extensions={"sni_hostname": "cloud.skerry"})).text
        device = Device(tmp_path / "device")
        done = await device.run(text, "--token", await it.token(), "--name", "oslo", "--discover")
        assert (done.returncode, done.stderr) == (0, ""), done.stdout
        assert identity.load(device.state).api.port == it.api_port
        assert not [one for one in device.did if one.startswith("skerry-agent enroll") and "--hub" in one]


async def test_where_no_hub_of_the_token_is_found_the_package_is_taken_back(tmp_path: Path) -> None:
    async with offering(tmp_path / "f") as (_, text, token):
        device = Device(tmp_path / "device")
        said = refusal(await device.run(text, "--token", token, "--discover"), device)
        assert "on this network" in said
