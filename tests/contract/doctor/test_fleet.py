"""Both doctors in a real fleet: all is well, and then one thing after another is not."""

from __future__ import annotations

import asyncio
import glob
import json
import os
import socket
import subprocess
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from hub.demo.fleet import BIN
from tests.contract.doctor.paper import print_of
from tests.support import deeds
from tests.support.fleet import Fleet

FAKETIME = next(iter(glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1")), "")
NOT_OK = {"warning", "problem"}
WAIT_S = 60.0
Found = dict[str, dict[str, str]]


class Doctors:
    """A fleet of one device, and the two commands as a person runs them there."""

    def __init__(self, it: Fleet) -> None:
        self.it = it
        self.data, self.home = it.agents["oslo"].data, it.folder / "hub"

    async def device(self, env: Mapping[str, str] | None = None) -> tuple[int, Found]:
        """Run `skerry-agent doctor`; return its exit code, and its findings by check."""
        return await asyncio.to_thread(self._run, "skerry-agent", env, "--data", str(self.data))

    async def hub(self, env: Mapping[str, str] | None = None) -> tuple[int, Found]:
        """Run `skerry doctor --data`."""
        return await asyncio.to_thread(self._run, "skerry", env, "--data", str(self.home))

    async def operator(self, env: Mapping[str, str] | None = None) -> tuple[int, Found]:
        """Run `skerry doctor`."""
        return await asyncio.to_thread(self._run, "skerry", env)

    def _run(self, program: str, env: Mapping[str, str] | None, *words: str) -> tuple[int, Found]:
        done = subprocess.run(
            [BIN / program, "doctor", *words, "-o", "json"],
            env={**self.it.env, **(env or {})},
            capture_output=True,
            text=True,
            check=False,
            timeout=WAIT_S,
        )
        found: list[dict[str, str]] = json.loads(done.stdout)
        assert not done.stderr
        assert all(list(one) == ["check", "state", "says", "next"] for one in found)
        assert all(bool(one["next"]) == (one["state"] in NOT_OK) for one in found)
        assert not [secret for secret in self._secrets() if secret in done.stdout]
        return done.returncode, {one["check"]: one for one in found}

    def _secrets(self) -> set[str]:
        keys = [*self.data.glob("*.key"), *self.data.glob("key.pem"), *self.home.glob("*.key")]
        lines = [line for key in keys for line in key.read_text(errors="replace").split()]
        # A key of raw bytes may have white space in it, and between two of them a single brace.
        return {
            *(line for line in lines if len(line) >= 8),
            json.loads((self.it.folder / "context.json").read_text())["token"],
        }


def bad(found: Found) -> set[str]:
    """Return the checks that are not ok."""
    return {check for check, one in found.items() if one["state"] in NOT_OK}


@pytest.fixture
async def doctors(tmp_path: Path) -> AsyncIterator[Doctors]:
    async with deeds.site(tmp_path / "f", "oslo", wire=True) as it:
        yield Doctors(it)


async def test_where_all_is_well_nothing_is_found_and_nobody_is_disturbed(doctors: Doctors) -> None:
    it = doctors.it
    await deeds.settled(it)
    before = (await it.node("oslo"))["since_ms"]

    for code, found in (await doctors.device(), await doctors.hub(), await doctors.operator()):
        assert (code, bad(found)) == (0, set())

    assert (await doctors.device())[1]["way"]["says"].startswith("hub cloud answers at 127.0.0.1:")
    assert (await doctors.device())[1]["link"]["says"].startswith("live for")
    node = await it.node("oslo")
    assert (node["state"], node["since_ms"]) == ("online", before)
    assert node["alarms"] == []


async def test_people_get_lines_and_a_sum(doctors: Doctors) -> None:
    (doctors.data / "key.pem").chmod(0o644)
    code, text = await doctors.it.command("doctor", "--data", str(doctors.data), program="skerry-agent", check=False)
    lines = text.splitlines()

    assert code == 1
    assert lines[0].split() == ["ok", "enrolled", "as", "oslo", "at", "hub", "cloud"]
    at = next(number for number, line in enumerate(lines) if line.startswith("bad"))
    assert lines[at].split()[1] == "key"
    assert lines[at + 1].strip().startswith("→ chmod 600 ")
    assert lines[-1] == "1 problem, 20 ok."


async def test_who_is_not_there_is_3_and_each_is_named(doctors: Doctors) -> None:
    it, oslo = doctors.it, doctors.it.agents["oslo"]
    await deeds.settled(it)
    await oslo.wire.close()
    await it.until(lambda: _offline(it), "the agent knows that it is offline")
    code, found = await doctors.device()
    assert (code, bad(found)) == (3, {"way", "link"})
    assert "Everything" not in found["hub"]["says"]

    await oslo.daemon.stop()
    before = print_of(doctors.data)
    code, found = await doctors.device()
    assert (code, bad(found)) == (3, {"way", "link", "agent"})
    assert "skerry-agent run" in found["agent"]["next"]
    assert "last contact 20" in found["link"]["says"]
    assert print_of(doctors.data) == before

    await it.hub.stop()
    before = print_of(doctors.home)
    assert (await doctors.hub())[0] == 3
    assert bad((await doctors.hub())[1]) == {"serving"}
    assert print_of(doctors.home) == before
    code, found = await doctors.operator()
    assert (code, bad(found)) == (3, {"hub"})
    assert "does not answer: Connection refused" in found["hub"]["says"]
    assert {"hub", "way", "agent"} <= bad((await doctors.device())[1])


async def _offline(it: Fleet) -> bool:
    return (await deeds.at_device(it, "oslo"))["link"]["state"] != "live"


async def test_a_revoked_device_is_told_so_and_by_whom_also_when_its_agent_is_stopped(doctors: Doctors) -> None:
    it = doctors.it
    await it.ask("POST", "/v1/nodes/oslo/revoke", {"reason": "stolen"})

    async def told() -> bool:
        return (await deeds.at_device(it, "oslo"))["link"]["state"] == "refused"

    await it.until(told, "the agent knows")
    code, found = await doctors.device()
    assert code == 1
    assert "turned this device away" in found["link"]["says"]
    assert "stolen" in found["link"]["says"]

    await it.agents["oslo"].daemon.stop()
    code, found = await doctors.device()
    assert code == 1
    assert "stolen" in found["link"]["says"]


@pytest.mark.skipif(not FAKETIME, reason="libfaketime is not installed here (sudo apt install faketime)")
async def test_a_wrong_clock_is_the_finding_and_not_the_certificate(doctors: Doctors) -> None:
    code, found = await doctors.device(_days(-3.52))
    assert (code, bad(found)) == (1, {"clock"})
    assert "3 d 12 h behind the hub's" in found["clock"]["says"]

    code, found = await doctors.device(_days(-20_000))
    assert "clock" in bad(found)
    assert "never set" in found["clock"]["says"]
    assert found["certificate"]["state"] == "ok"

    await doctors.it.hub.stop()
    await doctors.it.agents["oslo"].daemon.stop()
    _, found = await doctors.device(_days(-3.5))
    assert "it went back" in found["clock"]["says"]
    _, found = await doctors.hub(_days(900))
    assert bad(found) == {"serving", "tls"}
    assert "expired" in found["tls"]["says"]


def _days(days: float) -> dict[str, str]:
    return {"LD_PRELOAD": FAKETIME, "FAKETIME": f"{days:+}d", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}


async def test_faults_in_a_hubs_folder(doctors: Doctors) -> None:
    it, home = doctors.it, doctors.home
    (home / "root.key").chmod(0o644)
    code, found = await doctors.hub()
    assert (code, bad(found)) == (1, {"keys"})
    assert found["keys"]["next"].startswith(f"chmod 600 {home}/root.key")
    (home / "root.key").chmod(0o600)

    await it.hub.stop()
    with socket.create_server(("127.0.0.1", it.api_port)):
        code, found = await doctors.hub()
        assert (code, bad(found)) == (1, {"serving", "ports"})
        assert f"127.0.0.1:{it.api_port} (API) is taken by process {os.getpid()}" in found["ports"]["says"]

    database = home / "hub.db"
    whole = database.read_bytes()
    database.write_bytes(whole[:4_096] + os.urandom(4_096) + whole[8_192:])
    _, found = await doctors.hub()
    assert bad(found) == {"serving", "store"}
    assert "is damaged" in found["store"]["says"]
    database.unlink()
    assert "is missing" in (await doctors.hub())[1]["store"]["says"]

    file = json.loads((home / "hub.json").read_text())
    (home / "hub.json").write_text(json.dumps(file | {"format": 99}))
    code, found = await doctors.hub()
    assert (code, bad(found)) == (1, {"hub"})
    assert "newer version" in found["hub"]["says"]


async def test_faults_of_an_operators_context(doctors: Doctors, tmp_path: Path) -> None:
    mine = json.loads((doctors.it.folder / "context.json").read_text())

    async def with_context(**other: Any) -> tuple[int, Found]:
        path = tmp_path / "context.json"
        path.write_text(json.dumps(mine | other))
        path.chmod(0o600)
        return await doctors.operator({"SKERRY_CONTEXT": str(path)})

    assert (await with_context())[0] == 0
    code, found = await with_context(token="so1.admin.wrong")
    assert (code, bad(found)) == (1, {"token"})
    assert "context.json of the hub" in found["token"]["next"]
    code, found = await with_context(name="other.skerry")
    assert (code, bad(found)) == (1, {"hub"})
    assert "is not hub cloud under our root" in found["hub"]["says"]
    other_root = subprocess.run(
        [BIN / "skerry", "hub", "init", "--name", "other", "--data", tmp_path / "other"],
        env={**os.environ, "SKERRY_CONTEXT": str(tmp_path / "o.json")},
        check=True,
        capture_output=True,
    )
    assert not other_root.returncode
    code, found = await with_context(root_pem=json.loads((tmp_path / "o.json").read_text())["root_pem"])
    assert (code, bad(found)) == (1, {"hub"})

    (doctors.it.folder / "context.json").chmod(0o644)
    code, found = await doctors.operator()
    assert (code, bad(found)) == (1, {"context"})
    code, found = await doctors.operator({"SKERRY_CONTEXT": str(tmp_path / "none.json")})
    assert (code, bad(found)) == (1, {"context"})
    assert "skerry hub init" in found["context"]["next"]
    assert bad((await doctors.hub({"SKERRY_CONTEXT": str(tmp_path / "o.json")}))[1]) == {"context"}


@pytest.mark.mosquitto
async def test_through_a_broker_each_looks_at_the_broker_and_disturbs_nobody(tmp_path: Path) -> None:
    async with deeds.brokered(tmp_path / "f", "oslo") as (it, mosquitto):
        await deeds.settled(it, "oslo")
        doctors = Doctors(it)
        before = (await it.node("oslo"))["since_ms"]
        for code, found in (await doctors.device(), await doctors.hub(), await doctors.operator()):
            assert (code, bad(found)) == (0, set())
        assert (await doctors.device())[1]["broker"]["says"].startswith("broker.cloud.skerry answers")
        assert (await it.node("oslo"))["since_ms"] == before

        await mosquitto.stop()
        await it.until(lambda: _offline(it), "the agent knows that it is offline")
        code, found = await doctors.device()
        assert (code, bad(found)) == (3, {"broker", "link"})
        code, found = await doctors.hub()
        assert (code, bad(found)) == (3, {"broker"})
        assert "cannot be reached: Connection refused" in found["broker"]["says"]
