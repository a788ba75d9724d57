"""A stick goes between a device and its hub: real processes, real stores, and no network in between."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import platform
import shutil
import socket
import subprocess
from pathlib import Path
from typing import Any

import pytest

from hub.demo import fleet as demo
from hub.demo.daemon import free_ports
from hub.demo.wire import Wire
from protocol.aio.upgrade import places
from tests.support import debs, deeds
from tests.support.fleet import Fleet, fleet

_WAIT_S = 120
_MANAGER = f"@skerry-manager-{os.getpid()}"
"""Where the agents of sticks tell who manages their service how they are, if anybody listens."""


async def _run(it: Fleet, program: str, *words: str) -> subprocess.CompletedProcess[str]:
    return await asyncio.to_thread(
        subprocess.run,
        [str(demo.BIN / program), *words],
        env=it.env,
        capture_output=True,
        text=True,
        check=False,
        timeout=_WAIT_S,
    )


async def _hub(it: Fleet, *words: str) -> str:
    done = await _run(it, "skerry", *words)
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout


async def _device(it: Fleet, *words: str) -> str:
    done = await _run(it, "skerry-agent", *words, "--data", str(it.agents["oslo"].data))
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout


async def _refused(it: Fleet, program: str, *words: str) -> str:
    data = ("--data", str(it.agents["oslo"].data)) if program == "skerry-agent" else ()
    done = await _run(it, program, *words, *data)
    assert done.returncode == 1, done.stderr + done.stdout
    assert "Traceback" not in done.stderr
    return " ".join(done.stderr.split())


async def _entries(it: Fleet) -> list[dict[str, Any]]:
    said = await _hub(it, "events", "--node", "oslo", "--since", "1d", "-o", "json")
    return [json.loads(line) for line in said.splitlines()]


def _place(one: dict[str, Any]) -> tuple[str, str, int]:
    return one["epoch"], one["stream"], one["seq"]


async def test_a_device_that_is_cut_off_is_managed_by_a_stick(tmp_path: Path) -> None:
    stick = tmp_path / "stick"
    stick.mkdir()
    async with deeds.site(tmp_path / "fleet", "oslo", wire=True) as it:
        it.agents["oslo"].wire.cut()
        await it.until(lambda: _is_away(it), "oslo is away")
        await deeds.declare(it, deeds.service("beat", ["sleep", "600"]))

        await _hub(it, "bundle", "export", "oslo", "--to", str(stick))
        assert "generation" in await _device(it, "import", str(stick))
        pid = await deeds.pid_of(it, "oslo", "beat")
        assert "it was here already" in await _device(it, "import", str(stick))
        assert await deeds.pid_of(it, "oslo", "beat") == pid

        older = Path(shutil.copytree(stick, tmp_path / "older"))
        await deeds.declare(it, deeds.service("beat", ["sleep", "600"]), deeds.service("more", ["sleep", "600"]))
        await _hub(it, "bundle", "export", "oslo", "--to", str(stick))
        await _device(it, "import", str(stick))
        told = await _refused(it, "skerry-agent", "import", str(older))
        assert "is older than generation" in told
        assert f"skerry bundle export oslo --to {older}" in told
        assert await deeds.pid_of(it, "oslo", "more")

        assert "oslo.up" in await _device(it, "export", str(stick))
        (said,) = json.loads(await _hub(it, "import", str(stick), "-o", "json"))
        assert said["streams"]["state"] > 0
        there = await _entries(it)
        here = [json.loads(one) for one in (await _device(it, "events", "-n", "1000", "-o", "json")).splitlines()]
        exported = next(one for one in reversed(here) if one["kind"] == "bundle.exported")
        wished = {
            _place(one) for one in here if one["stream"] in ("audit", "state") and one["time"] <= exported["time"]
        }
        assert wished <= {_place(one) for one in there}
        assert len(there) == len({_place(one) for one in there})
        node = await it.node("oslo")
        assert node["state"] == "away"
        assert node["observed_generation"] == node["desired_generation"]

        await _hub(it, "import", str(stick))
        assert [_place(one) for one in await _entries(it)] == [_place(one) for one in there]

        it.agents["oslo"].wire.heal()
        await it.until(lambda: it.online("oslo"), "oslo is online")
        await it.until(lambda: _is_level(it), "all is synced")
        again = await _entries(it)
        assert len(again) == len({_place(one) for one in again})
        assert await deeds.pid_of(it, "oslo", "beat") == pid


async def test_a_device_without_a_network_gets_the_package_of_an_upgrade_by_its_stick(tmp_path: Path) -> None:
    release = places.release()
    arch = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "armhf"}[platform.machine()]
    if not release.isdecimal():
        pytest.skip(f"no package of an agent is for this machine, which is {release}")
    stick, spec = tmp_path / "stick", tmp_path / "agents.yaml"
    stick.mkdir()
    raw = debs.made(tmp_path / "mine.deb", f"0.2.0+deb{release}", arch)
    debs.made(tmp_path / "other.deb", "0.2.0+deb99", arch)
    spec.write_text(
        "apiVersion: skerry/v1\nkind: Upgrade\nmetadata: {name: agents}\nspec:\n  version: 0.2.0\n"
        "  packages: [./other.deb, ./mine.deb]\n  placement: {selector: '*'}\n"
    )
    async with deeds.site(tmp_path / "fleet", "oslo", wire=True) as it:
        it.agents["oslo"].wire.cut()
        await it.until(lambda: _is_away(it), "oslo is away")
        await _hub(it, "apply", "-f", str(spec))
        await _hub(it, "bundle", "export", "oslo", "--to", str(stick))
        name = hashlib.sha256(raw).hexdigest()
        assert (stick / "oslo.down" / name).read_bytes() == raw
        assert b"0.2.0+deb99" not in b"".join(path.read_bytes() for path in (stick / "oslo.down").iterdir())
        await _device(it, "import", str(stick))
        await _device(it, "export", str(stick))
        await _hub(it, "import", str(stick))
        (on,) = (await it.ask("GET", "/v1/upgrades/agents"))["on"]
        assert (on["state"], on["wanted"], on["online"]) == ("refused", f"0.2.0+deb{release}", False)
        assert on["reason"].startswith("this agent was not installed from its package")


async def _is_away(it: Fleet) -> bool:
    return not await it.online("oslo")


async def _is_level(it: Fleet) -> bool:
    backlog = deeds.local(it, "oslo")["backlog"]
    return all(backlog[stream]["rows"] == 0 for stream in ("audit", "state"))


async def test_what_is_half_altered_or_of_others_is_refused_and_told_and_a_service_comes_with_its_files(
    tmp_path: Path,
) -> None:
    stick, folder = tmp_path / "stick", tmp_path / "beat"
    for one in (stick, folder, tmp_path / "other"):
        one.mkdir()
    (folder / "beat.sh").write_text("#!/bin/sh\nexec sleep 600\n")
    (folder / "beat.sh").chmod(0o755)
    spec = tmp_path / "beat.yaml"
    spec.write_text(
        "apiVersion: skerry/v1\nkind: Service\nmetadata: {name: beat}\nspec:\n  artifact: ./beat\n"
        "  process: {command: [./beat.sh]}\n  placement: {selector: '*', count: all}\n"
    )
    async with deeds.site(tmp_path / "fleet", "oslo", "bergen", wire=True) as it:
        it.agents["oslo"].wire.cut()
        await it.until(lambda: _is_away(it), "oslo is away")
        await _hub(it, "apply", "-f", str(spec))
        await _hub(it, "bundle", "export", "oslo", "--to", str(stick))
        await _hub(it, "bundle", "export", "bergen", "--to", str(tmp_path / "other"))
        assert "for bergen; this device is oslo" in await _refused(
            it, "skerry-agent", "import", str(tmp_path / "other")
        )

        down = stick / "oslo.down"
        parts = {path.name: path.read_bytes() for path in down.iterdir()}
        large = max((name for name in parts if name != "bundle.json"), key=lambda name: len(parts[name]))
        for broken in (parts[large][:-1], None):
            (down / large).unlink() if broken is None else (down / large).write_bytes(broken)
            assert "is not whole: 1 of its" in await _refused(it, "skerry-agent", "import", str(stick))
        (down / large).write_bytes(bytes(len(parts[large])))
        assert "was altered or damaged" in await _refused(it, "skerry-agent", "import", str(stick))
        (down / large).write_bytes(parts[large])
        (down / "bundle.json").write_bytes(parts["bundle.json"].replace(b'"time_ms":', b'"time_ms":1', 1))
        assert "altered or signed by another" in await _refused(it, "skerry-agent", "import", str(stick))
        (down / "bundle.json").unlink()
        assert "no readable bundle.json" in await _refused(it, "skerry-agent", "import", str(stick))
        (down / "bundle.json").write_bytes(parts["bundle.json"])
        assert not (await it.node("oslo"))["services"]
        assert await _device(it, "services", "-o", "json") == "[]\n"

        await _device(it, "import", str(stick))
        pid = await deeds.pid_of(it, "oslo", "beat")
        kinds = [json.loads(one)["kind"] for one in (await _device(it, "events", "-o", "json")).splitlines()]
        assert kinds.count("bundle.refused") == 5

        await _device(it, "export", str(stick))
        up = stick / "oslo.up"
        head = (up / "bundle.json").read_bytes()
        (up / "bundle.json").write_bytes(head.replace(b'"version":"', b'"version":"9', 1))
        assert "its signature is wrong" in await _refused(it, "skerry", "import", str(stick))
        assert [one["what"] for one in (await it.node("oslo"))["alarms"]] == ["bundle-refused"]
        (up / "bundle.json").write_bytes(head)
        next(one for one in up.iterdir() if one.name != "bundle.json").unlink()
        assert "is not whole" in await _refused(it, "skerry", "import", str(stick))
        assert not (await it.node("oslo"))["services"]
        await _device(it, "export", str(stick))
        assert "state up to" in await _hub(it, "import", str(stick))
        assert (await it.node("oslo"))["services"]["beat"]["state"] == "running"
        assert await deeds.pid_of(it, "oslo", "beat") == pid
        trail = await _hub(it, "events", "--node", "cloud", "--since", "1d", "-o", "json")
        assert "bundle.refused" in [json.loads(line)["kind"] for line in trail.splitlines()]


async def _installed(it: Fleet, name: str, stick: Path) -> None:
    """What `install` does on a device that has the package."""
    data = it.folder / name
    it.agents[name] = _agent(it, name)
    assert f"as {name} of hub cloud" in await _at(it, name, "enroll", "--from", str(stick))
    assert f"as {name} of hub cloud" in await _at(it, name, "enroll", "--from", str(stick), "--name", name)
    await it.agents[name].daemon.start()
    await it.until(lambda: _answers(it, name), f"the agent of {name} answers")
    assert "generation" in await _at(it, name, "import", str(stick))
    assert (data / "invite.json").exists()


def _agent(it: Fleet, name: str) -> demo.Agent:
    data = it.folder / name
    run = [str(demo.BIN / "skerry-agent"), "run", "--data", str(data)]
    daemon = demo.Daemon(name, run, it.folder / f"{name}.log", {**it.env, "NOTIFY_SOCKET": _MANAGER})
    return demo.Agent(name=name, data=data, daemon=daemon, wire=Wire("127.0.0.1", it.mqtt_port))


async def _at(it: Fleet, name: str, *words: str) -> str:
    done = await _run(it, "skerry-agent", *words, "--data", str(it.agents[name].data))
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout


async def _answers(it: Fleet, name: str) -> bool:
    return deeds.local(it, name) is not None


async def _is_enrolled(it: Fleet, name: str) -> bool:
    return (await it.node(name))["state"] == "online"


async def test_a_new_device_works_from_a_stick_and_enrolls_when_it_first_reaches_its_hub(tmp_path: Path) -> None:
    stick = tmp_path / "stick"
    stick.mkdir()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(f"\0{_MANAGER[1:]}")
        async with fleet(tmp_path / "fleet") as it:
            await deeds.declare(it, deeds.service("beat", ["sleep", "600"], selector="site=mast"))
            said = await _hub(it, "bundle", "device", "--name", "mast-7", "--label", "site=mast", "--to", str(stick))
            assert "the device needs the agent installed" in said
            absent = ("bundle", "device", "--name", "mast-9", "--to", str(tmp_path / "no"))
            assert "is the stick in, and mounted there?" in (await _run(it, "skerry", *absent)).stderr
            again = await _hub(it, *absent[:-1], str(stick), "-o", "json")
            assert json.loads(again)["packages"] == []
            (stick / "mast-9.invite").unlink()
            shutil.rmtree(stick / "mast-9.down")
            assert {one.name for one in stick.iterdir()} == {"install", "mast-7.down", "mast-7.invite"}
            await it.hub.stop()
            await _installed(it, "mast-7", stick)
            pid = await deeds.pid_of(it, "mast-7", "beat")
            assert "not enrolled yet" in deeds.local(it, "mast-7")["link"]["reason"]
            found = (await _run(it, "skerry-agent", "doctor", "--data", str(it.agents["mast-7"].data))).stdout
            assert "has yet to enroll" in found
            assert "move its folder aside" not in found
            await it.hub.start()
            await it.until(it.answers, "the hub answers")
            await it.until(lambda: _is_enrolled(it, "mast-7"), "the device has enrolled by itself")
            assert not (tmp_path / "fleet" / "mast-7" / "invite.json").exists()
            assert await deeds.pid_of(it, "mast-7", "beat") == pid
            assert (await it.node("mast-7"))["labels"] == {"site": "mast"}
            assert "is enrolled; nothing was changed" in await _at(it, "mast-7", "enroll", "--from", str(stick))
            await it.agents["mast-7"].daemon.stop()
            told = [manager.recv(4_096).decode().partition("\n")[0] for _ in range(3)]
            assert told == ["READY=1", "READY=1", "STOPPING=1"], "who is stopping, and does not end, is killed"


async def test_a_device_that_never_has_a_network_is_enrolled_and_heard_by_its_sticks(tmp_path: Path) -> None:
    stick = tmp_path / "stick"
    stick.mkdir()
    async with fleet(tmp_path / "fleet") as it:
        await deeds.declare(it, deeds.service("beat", ["sleep", "600"], selector="site=mast"))
        await _hub(it, "bundle", "device", "--name", "mast-8", "--label", "site=mast", "--to", str(stick))
        invite = stick / "mast-8.invite"
        nowhere = json.loads(invite.read_text())
        (nowhere["api"]["port"],) = free_ports(1)
        invite.write_text(json.dumps(nowhere))
        await _installed(it, "mast-8", stick)
        await deeds.pid_of(it, "mast-8", "beat")
        for round_ in range(2):
            await _at(it, "mast-8", "export", str(stick))
            assert "audit up to" in await _hub(it, "import", str(stick))
            node = await it.node("mast-8")
            assert (node["state"], node["services"]["beat"]["state"]) == ("away", "running")
            assert node["alarms"] == []
            await _hub(it, "bundle", "export", "mast-8", "--to", str(stick))
            await _at(it, "mast-8", "import", str(stick))
            assert deeds.local(it, "mast-8")["backlog"]["audit"]["acked"] > 0, round_
        said = await _hub(it, "events", "--node", "mast-8", "--since", "1d", "-o", "json")
        rows = [_place(json.loads(line)) for line in said.splitlines()]
        assert len(rows) == len(set(rows)) > 0
