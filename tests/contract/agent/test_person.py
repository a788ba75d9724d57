"""A person at the device, with no network: what they hold, watch and read."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import select
import signal
import subprocess
import termios
import time
from pathlib import Path
from typing import Any

import pytest

from edge_agent.shell.people.rights import VARIABLE
from hub.demo import fleet as demo
from protocol import limits
from tests.support import deeds
from tests.support.fleet import Fleet

_AGENT = str(demo.BIN / "skerry-agent")
_OTHER_SCREEN, _FORMER_SCREEN, _CURSOR = b"\x1b[?1049h", b"\x1b[?1049l", b"\x1b[?25h"


async def _says(it: Fleet, *words: str) -> str:
    """Return what a command says, which must go well."""
    data = str(it.agents["oslo"].data)
    done = await asyncio.to_thread(
        subprocess.run, [_AGENT, *words, "--data", data], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


async def _refused(it: Fleet, *words: str) -> str:
    data = str(it.agents["oslo"].data)
    done = await asyncio.to_thread(
        subprocess.run, [_AGENT, *words, "--data", data], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 1, done.stdout
    return done.stderr


async def test_a_hold_keeps_updates_away_until_it_is_ended_and_the_hub_sees_it(tmp_path: Path) -> None:
    async with deeds.site(tmp_path, "oslo") as it:
        await deeds.declare(it, deeds.service("beat", ["sleep", "600"]))
        pid = await deeds.pid_of(it, "oslo", "beat")
        said = await _says(it, "hold", "--reason", "night shift", "--for", "8h")
        assert "services and workflows stay as they are" in said
        await deeds.declare(it, deeds.service("beat", ["sleep", "601"]), deeds.service("new", ["sleep", "600"]))

        async def is_shown() -> bool:
            hold = (await it.node("oslo"))["hold"]
            return hold is not None and hold["reason"] == "night shift" and hold.get("waiting") == 2

        await it.until(is_shown, "the hub shows the hold, and what waits")
        await it.ask("POST", "/v1/nodes/oslo/release", {"service": "", "reason": "a mend is due"})

        async def is_asked() -> bool:
            return "asks to let updates come again: a mend is due" in await _says(it, "status")

        await it.until(is_asked, "the device shows that its end is asked for")
        daemon = it.agents["oslo"].daemon
        await it.hub.kill()
        await daemon.kill()
        await daemon.start()
        assert await deeds.pid_of(it, "oslo", "beat") == pid
        assert "2 changes wait; to let them come: skerry-agent unhold" in await _says(it, "status")
        assert "what the hub changed of it" in await _says(it, "why", "beat")

        assert "2 changes that waited come now" in await _says(it, "unhold", "--reason", "shift is over")
        assert await deeds.pid_of(it, "oslo", "new")
        await it.until(lambda: _has_another(it, pid), "the changed service runs, with no hub")
        kinds = [json.loads(line)["kind"] for line in (await _says(it, "events", "-o", "json")).splitlines()]
        assert [kind for kind in kinds if "hold" in kind] == ["local.hold", "local.unhold"]


async def _has_another(it: Fleet, pid: int) -> bool:
    return (await deeds.at_device(it, "oslo", "status"))["services"]["beat"].get("pid", pid) != pid


async def test_top_shows_the_device_and_gives_the_terminal_back(tmp_path: Path) -> None:
    async with deeds.site(tmp_path, "oslo") as it:
        await deeds.declare(it, deeds.service("beat", ["sleep", "600"]))
        await deeds.pid_of(it, "oslo", "beat")
        await it.hub.kill()
        for end in (b"\x03", b"q", signal.SIGTERM):
            shown, is_as_before, code = await asyncio.to_thread(_watch, it.agents["oslo"].data, end)
            assert code == 0, shown
            assert is_as_before
            assert shown.startswith(_OTHER_SCREEN)
            for said in (b"SERVICE", b"beat", b"Everything here keeps running", b"LATELY", b"service.started"):
                assert said in shown
            assert shown.rindex(_FORMER_SCREEN) > shown.rindex(_OTHER_SCREEN)
            assert _CURSOR in shown
        once = await _says(it, "top")  # no terminal: once, and plain
        assert once.startswith("oslo   offline for")
        assert "\x1b" not in once


def _watch(data: Path, end: bytes | signal.Signals) -> tuple[bytes, bool, int]:
    """Run top on a terminal until it has drawn twice, then end it; return what was drawn, and how it left."""
    here, there = pty.openpty()
    termios.tcsetwinsize(here, (40, 160))
    before = termios.tcgetattr(there)
    own = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
    environment = {**own, "TERM": "xterm-256color"}
    words = [_AGENT, "top", "--every", "0.2", "--data", str(data)]
    top = subprocess.Popen(
        words,
        stdin=there,
        stdout=there,
        stderr=there,
        env=environment,
        start_new_session=True,
        preexec_fn=_own_terminal,
    )
    try:
        shown, deadline, is_ending = b"", time.monotonic() + 60, False
        while top.poll() is None and time.monotonic() < deadline:
            if select.select([here], [], [], 0.2)[0]:
                shown += os.read(here, 65_536)
            if not is_ending and shown.count(b"SERVICE") >= 2:
                is_ending = True
                os.write(here, end) if isinstance(end, bytes) else top.send_signal(end)
        while select.select([here], [], [], 0)[0]:
            shown += os.read(here, 65_536)
        return shown, termios.tcgetattr(there) == before, top.wait(10)
    finally:
        top.kill()
        os.close(here)
        os.close(there)


def _own_terminal() -> None:
    import fcntl

    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


async def test_what_is_declared_here_runs_where_the_owner_allows_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    toml = tmp_path / "agent.toml"
    monkeypatch.setenv(VARIABLE, str(toml))
    file = tmp_path / "own.yaml"
    file.write_text(json.dumps(deeds.service("own", ["sh", "-c", "echo mine; exec sleep 600"])))
    async with deeds.site(tmp_path / "fleet", "oslo") as it:
        await deeds.declare(it, deeds.service("beat", ["sleep", "600"]))
        await deeds.pid_of(it, "oslo", "beat")
        await it.hub.kill()
        assert "people.apply in its agent.toml" in await _refused(it, "apply", "-f", str(file))
        toml.write_text("[people]\napply = true\n")
        assert await _says(it, "apply", "-f", str(file), "--reason", "a spare") == "service/own   created\n"
        pid = await deeds.pid_of(it, "oslo", "own")
        daemon = it.agents["oslo"].daemon
        await daemon.kill()
        await daemon.start()
        assert await deeds.pid_of(it, "oslo", "own") == pid
        assert 'declared it here with the reason "a spare"' in await _says(it, "why", "own")
        assert (await _says(it, "logs", "own")).startswith("mine")

        file.write_text("kind: Service\napiVersion: skerry/v1\nmetadata: {name: own}\nspec: {proces: {}}\n")
        assert "nothing applied" in await _refused(it, "apply", "-f", str(file))
        assert "/dev/zero is over 4 MiB" in await _refused(it, "apply", "-f", "/dev/zero")
        assert await _says(it, "delete", "services/own", "--reason", "used up") == "service/own   deleted\n"

        async def is_gone() -> bool:
            return "own" not in (await deeds.at_device(it, "oslo", "status"))["services"]

        await it.until(is_gone, "what was deleted here is gone")
        await it.hub.start()
        await it.until(lambda: _heard(it), "the hub has heard who declared and deleted it")


async def _heard(it: Fleet) -> bool:
    if not await it.answers():
        return False
    async with it.stream("GET", "/v1/events?node=oslo") as lines:
        found = [json.loads(line) async for line in lines]
    reasons = {one["kind"]: one["body"].get("reason") for one in found if one["kind"].startswith("local.")}
    return reasons == {"local.apply": "a spare", "local.delete": "used up"}


async def test_who_follows_and_hangs_up_takes_no_place(tmp_path: Path) -> None:
    async with deeds.site(tmp_path, "oslo") as it:
        await deeds.declare(it, deeds.service("beat", ["sh", "-c", "echo one; exec sleep 600"]))
        await deeds.pid_of(it, "oslo", "beat")
        path = str(it.agents["oslo"].data / "control.sock")
        for number in range(2 * limits.CONTROL_CONNECTIONS_MAX + 4):
            do = b'"events"' if number % 2 else b'"logs","service":"beat"'
            reader, writer = await _connected(it, path)
            writer.write(b'{"do":%b,"follow":true}\n' % do)
            assert await reader.readline()
            writer.close()
        assert await _says(it, "status")


async def _connected(it: Fleet, path: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Connect as soon as there is a place: who hung up is noticed within a moment."""
    found: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def is_let_in() -> bool:
        reader, writer = await asyncio.open_unix_connection(path)
        try:
            writer.write(b'{"do":"status"}\n')
            answer = await reader.readline()
        except ConnectionError:
            answer = b""  # it was shown out before it had asked
        if not answer.startswith(b'{"ok"'):
            writer.close()
            return False
        found.append((reader, writer))
        return True

    await it.until(is_let_in, "there is a place for another one")
    return found[0]


async def test_status_and_services_say_the_same_in_every_form(tmp_path: Path) -> None:
    from ruamel.yaml import YAML

    async with deeds.site(tmp_path, "oslo") as it:
        await deeds.declare(it, deeds.service("beat", ["sleep", "600"]))
        pid = await deeds.pid_of(it, "oslo", "beat")
        yaml: Any = YAML(typ="safe", pure=True)
        assert yaml.load(await _says(it, "services", "-o", "yaml"))[0]["pid"] == pid
        assert json.loads(await _says(it, "services", "-o", "json"))[0]["pid"] == pid
        assert str(pid) in await _says(it, "services", "-o", "wide")
        assert str(pid) not in await _says(it, "services")
        assert "the hub wants generation " in await _says(it, "status", "-o", "wide")
        assert await asyncio.to_thread(_completes, it.agents["oslo"].data, "stop") == ["beat"]
        assert await asyncio.to_thread(_completes, it.agents["oslo"].data, "release") == []


def _completes(data: Path, command: str) -> list[str]:
    """Return what the shell offers for a service's name that begins with `b`."""
    words = f"skerry-agent {command} --data {data} b"
    asked = {"_SKERRY_AGENT_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": "4"}
    done = subprocess.run(
        [_AGENT], env={**os.environ, **asked}, capture_output=True, text=True, check=False, timeout=60
    )
    return done.stdout.split()
