"""The daemon on a device: small, deaf to the network, outlived by its work, honest when it cannot start."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import resource
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil

from edge_agent import app
from edge_agent.cli import client
from hub.demo import fleet as demo
from protocol import limits
from protocol.aio import sqlite
from tests.support import deeds
from tests.support.fleet import Fleet

HEAVY = (
    "cryptography",
    "pydantic",
    "typer",
    "rich",
    "click",
    "httpx",
    "zeroconf",
    "fastapi",
    "ruamel",
    "http.client",
    "shutil",
)
RSS_MB_MAX = 44


def _agent(*words: str, **more: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(demo.BIN / "skerry-agent"), *words], capture_output=True, text=True, check=False, timeout=60, **more
    )


async def _pid(it: Fleet, service: str = "beat") -> int:
    return await deeds.pid_of(it, "oslo", service)


def test_the_daemon_knows_its_version_without_asking_the_package() -> None:
    from importlib.metadata import version

    assert version("skerry") == app.VERSION


def test_the_daemon_loads_nothing_that_only_a_helper_or_a_person_needs() -> None:
    code = f"""
import sys
from edge_agent import lean
lean.become()
import edge_agent.app
print([name for name in {HEAVY!r} if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout == "[]\n", done.stderr


async def test_a_connected_agent_is_small_and_listens_on_no_network(tmp_path: Path) -> None:
    async with deeds.site(tmp_path, "oslo") as it:
        await deeds.declare(it, *(deeds.service(f"s{number}", ["sleep", "600"]) for number in range(3)))
        await deeds.pid_of(it, "oslo", "s2")
        process = psutil.Process(it.agents["oslo"].daemon.pid)

        async def small() -> bool:
            return process.memory_info().rss < RSS_MB_MAX * 1_000_000

        await it.until(small, f"the agent is below {RSS_MB_MAX} MB")
        assert [one for one in process.net_connections() if one.status == psutil.CONN_LISTEN] == []


async def test_work_outlives_the_agent_whether_it_is_killed_or_stopped(tmp_path: Path) -> None:
    async with deeds.site(tmp_path, "oslo") as it:
        await deeds.declare(it, deeds.service("beat", ["sleep", "600"]))
        pid = await _pid(it)
        daemon = it.agents["oslo"].daemon
        await daemon.kill()
        await daemon.start()
        assert await _pid(it) == pid
        await daemon.stop()
        assert psutil.pid_exists(pid)
        await it.until(lambda: _is_away(it), "the hub sees that it is away")
        await daemon.start()
        assert await _pid(it) == pid


async def _is_away(it: Fleet) -> bool:
    return (await it.node("oslo"))["state"] == "away"


async def test_work_may_open_as_many_files_as_it_might_without_the_agent(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (1_000, hard))  # what daemons that start here begin with
    try:
        async with deeds.site(tmp_path, "oslo") as it:
            await deeds.declare(it, deeds.service("beat", ["sleep", "600"]))
            agent, work = (psutil.Process(pid) for pid in (it.agents["oslo"].daemon.pid, await _pid(it)))
            assert agent.rlimit(psutil.RLIMIT_NOFILE)[0] > 1_000

            async def is_started() -> bool:
                return work.name() == "sleep"

            await it.until(is_started, "the shim has become the work")
            assert work.rlimit(psutil.RLIMIT_NOFILE) == (1_000, hard)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_a_second_agent_in_the_same_directory_names_the_first(tmp_path: Path) -> None:
    async with deeds.site(tmp_path, "oslo") as it:
        agent = it.agents["oslo"]
        done = await asyncio.to_thread(_agent, "run", "--data", str(agent.data))

        assert done.returncode == 1
        assert f"in use by process {agent.daemon.pid}" in done.stderr
        assert await it.online("oslo")


async def test_a_store_of_a_newer_version_is_refused_and_left_alone(tmp_path: Path) -> None:
    async with deeds.site(tmp_path, "oslo") as it:
        agent = it.agents["oslo"]
        await agent.daemon.stop()
        with contextlib.closing(sqlite3.connect(agent.data / "journal.db")) as db:
            db.execute("PRAGMA user_version = 999")
            db.execute("PRAGMA application_id = 999")
            db.commit()
        done = await asyncio.to_thread(_agent, "run", "--data", str(agent.data))

        assert done.returncode == 1
        assert "newer" in done.stderr
        with contextlib.closing(sqlite3.connect(agent.data / "journal.db")) as db:
            assert db.execute("PRAGMA user_version").fetchone() == (999,)


async def test_a_record_that_only_a_newer_version_can_read_is_said_in_one_sentence(tmp_path: Path) -> None:
    async with deeds.site(tmp_path, "oslo") as it:
        agent = it.agents["oslo"]
        await deeds.declare(it, deeds.service("beat", ["sleep", "600"]))
        await deeds.pid_of(it, "oslo", "beat")
        await agent.daemon.stop()
        with contextlib.closing(sqlite3.connect(agent.data / "journal.db")) as db, db:
            (raw,) = db.execute("SELECT value FROM state WHERE space = 'service' AND key = 'beat'").fetchone()
            newer = raw.replace(b'"running"', b'"orbiting"')
            assert newer != raw
            values = (newer, sqlite.checksum("service", "beat", newer))
            db.execute("UPDATE state SET value = ?, sum = ? WHERE space = 'service' AND key = 'beat'", values)
        done = await asyncio.to_thread(_agent, "run", "--data", str(agent.data))

        assert done.returncode == 1
        assert "Traceback" not in done.stderr, done.stderr[-3000:]
        said = " ".join(done.stderr.split())
        assert "holds what this version cannot read (Invalid enum value 'orbiting' - at `$.stage`): install the" in said


async def test_status_names_the_damaged_store_that_was_set_aside(tmp_path: Path) -> None:
    async with deeds.site(tmp_path, "oslo") as it:
        agent = it.agents["oslo"]
        await agent.daemon.stop()
        with (agent.data / "journal.db").open("r+b") as file:
            file.write(b"\xa5" * 4_096)
        await agent.daemon.start()

        async def is_told() -> bool:
            shown = await asyncio.to_thread(_agent, "status", "--data", str(agent.data))
            names = [one.name for one in agent.data.glob("journal.db.damaged-*-1")]
            return bool(names) and f"store: damaged, and set aside as {names[0]}" in shown.stdout

        await it.until(is_told, "status names the file")


async def test_a_person_s_decisions_work_offline_and_reach_the_hub_with_their_name(tmp_path: Path) -> None:
    async with deeds.site(tmp_path, "oslo") as it:
        await deeds.declare(it, deeds.service("beat", ["sh", "-c", "echo hello; exec sleep 600"]))
        await _pid(it)
        data = str(it.agents["oslo"].data)
        await it.hub.kill()

        stopped = await asyncio.to_thread(_agent, "stop", "beat", "--reason", "belt jammed", "--data", data)
        assert stopped.returncode == 0, stopped.stderr
        await _until_state(data, "beat", "stopped")
        why = await asyncio.to_thread(_agent, "why", "beat", "--data", data)
        assert "belt jammed" in why.stdout
        assert "skerry-agent release beat" in why.stdout
        shown = await asyncio.to_thread(_agent, "status", "--data", data)
        assert "offline for" in shown.stdout
        assert "stopped here by" in shown.stdout
        released = await asyncio.to_thread(_agent, "release", "beat", "--data", data, "-o", "json")
        assert json.loads(released.stdout)["text"]
        logs = await asyncio.to_thread(_agent, "logs", "beat", "--data", data)
        assert logs.stdout.splitlines()[0] == "hello"
        events = await asyncio.to_thread(_agent, "events", "--kind", "local.*", "-o", "json", "--data", data)
        kinds = [json.loads(line)["kind"] for line in events.stdout.splitlines()]
        assert kinds == ["local.stop", "local.release"]
        await it.hub.start()
        await it.until(it.answers, "the hub answers")
        await it.until(lambda: _heard(it), "the hub has heard of the stop")


async def _heard(it: Fleet) -> bool:
    async with it.stream("GET", "/v1/events?kind=local.stop") as lines:
        found = [json.loads(line) async for line in lines]
    return [one["body"]["reason"] for one in found] == ["belt jammed"]


async def _until_state(data: str, service: str, state: str) -> None:
    deadline = time.monotonic() + 20
    while (await asyncio.to_thread(client.ask, Path(data), {"do": "status"}))["services"][service]["state"] != state:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)  # bounded poll


async def test_the_control_socket_is_bounded(tmp_path: Path) -> None:
    async with deeds.site(tmp_path, "oslo") as it:
        data = it.agents["oslo"].data
        reader, writer = await asyncio.open_unix_connection(str(data / "control.sock"))
        writer.write(
            b'nonsense\n{"do":"format-the-disk"}\n{"do":"why","service":"none"}\n{"do":"logs","service":"../x"}\n'
        )
        answers = [json.loads(await reader.readline())["error"] for _ in range(4)]
        assert answers[0].startswith("not a request")
        assert answers[1].startswith("not a request")
        assert "no service 'none' is on this device" in answers[2]
        assert "is not a name" in answers[3]
        writer.write(b"x" * (limits.CONTROL_LINE_BYTES_MAX + 1) + b"\n")
        with contextlib.suppress(ConnectionError):
            assert "is over" in json.loads(await reader.readline())["error"]
        writer.close()
        held = [
            await asyncio.open_unix_connection(str(data / "control.sock"))
            for _ in range(limits.CONTROL_CONNECTIONS_MAX)
        ]
        reader, writer = await asyncio.open_unix_connection(str(data / "control.sock"))
        assert "too many people" in json.loads(await reader.readline())["error"]
        for _, other in [*held, (reader, writer)]:
            other.close()


async def test_without_an_agent_the_command_line_says_what_to_start(tmp_path: Path) -> None:
    assert "there is no agent in" in _agent("status", "--data", str(tmp_path / "none")).stderr
    away = _agent("status", "--data", str(tmp_path))
    assert (away.returncode, "not enrolled" in away.stderr) == (3, True)
    assert "not enrolled" in _agent("run", "--data", str(tmp_path)).stderr
    doctor = _agent("doctor", "--data", str(tmp_path), "-o", "json")
    assert doctor.returncode == 1
    assert {one["check"]: one["state"] for one in json.loads(doctor.stdout)}["enrolled"] == "problem"


def test_a_full_disk_is_told_and_leaves_the_device_as_it_was(tmp_path: Path) -> None:
    """A directory on a file system of one page: what must be made cannot be."""
    place = tmp_path / "small"
    place.mkdir()
    if (
        os.geteuid() != 0
        or subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=4k,nr_inodes=3", "none", str(place)], check=False, capture_output=True
        ).returncode
    ):
        return
    try:
        (place / "fill").write_bytes(b"x" * 4096)
        done = _agent("enroll", "--hub", "127.0.0.1:1", "--token", "x", "--data", str(place))
        assert done.returncode == 1
        assert sorted(os.listdir(place)) == ["fill"]
    finally:
        subprocess.run(["umount", str(place)], check=True)


def test_help_fits_a_screen_and_shows_examples() -> None:
    done = _agent("--help")

    assert done.returncode == 0
    assert done.stdout.count("\n") <= 45
    assert done.stdout.count("  skerry-agent ") >= 5
    for command in ("emit", "run", "stop"):
        assert _agent(command, "--help").returncode == 0
