"""The control socket under people who keep it busy: idle ones, followers, strangers, members of very many groups."""

from __future__ import annotations

import asyncio
import contextlib
import grp
import json
import os
import subprocess
import sys
import threading
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from edge_agent.core import inputs
from edge_agent.shell.control import Control
from edge_agent.shell.people.asking import Asking
from edge_agent.shell.people.rights import VARIABLE
from edge_agent.shell.stick.words import Ask, Words
from protocol import limits

_WAIT_S = 20.0
_STATUS = b'{"do":"status"}'
_FOLLOW = b'{"do":"logs","service":"beat","follow":true}'
_LOOKS, _ACTS = "games", "operator"  # groups that every Debian has
_OTHER = """
import os, socket, sys
os.setgroups([int(one) for one in sys.argv[3:]])
os.setgid(65534)
os.setuid(int(sys.argv[1]))
held = []
for _ in range(int(sys.argv[2])):
    held.append(socket.socket(socket.AF_UNIX))
    held[-1].connect("control.sock")
files = [one.makefile("rw") for one in held]
print("connected", flush=True)
for line in sys.stdin:
    which, _, words = line.partition(" ")
    if words.strip():
        print(words, end="", file=files[int(which)], flush=True)
    print(files[int(which)].readline(), end="", flush=True)
"""

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can ask as others")


class Other:
    """Somebody with connections of their own."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def hear(self, which: int = -1, words: bytes = b"") -> dict[str, Any]:
        """Say `words` over one of the connections; return the next line that comes there."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(b"%d %b\n" % (which, words))
        return json.loads(await asyncio.wait_for(self._process.stdout.readline(), _WAIT_S))


async def _carry(request: Words, ask: Ask) -> AsyncIterator[object]:
    yield {"ok": None}


class Desk:
    """A control socket whose core answers all that is asked with an empty object."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.log = data / "logs" / "beat" / "log"
        self.toml = data / "agent.toml"
        self.asking = Asking(self._put)
        self.control = Control(data, self.asking, _carry, lambda _: None)

    def _put(self, asked: inputs.Local) -> None:
        self.asking.reply(inputs.LocalReply(request=asked.request, data=b"{}"))

    async def ask(self) -> object:
        """Return what root is answered."""
        reader, writer = await self.connected()
        try:
            writer.write(_STATUS + b"\n")
            return json.loads(await asyncio.wait_for(reader.readline(), _WAIT_S))
        finally:
            writer.close()

    async def connected(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_unix_connection(str(self.data / "control.sock"))

    @contextlib.asynccontextmanager
    async def other(self, *groups: int | str, uid: int = 65_534, count: int = 1) -> AsyncGenerator[Other]:
        """Have somebody with these groups, by number or name, hold `count` connections."""
        numbers = [str(grp.getgrnam(one).gr_gid if isinstance(one, str) else one) for one in groups]
        words = ["-I", "-S", "-c", _OTHER, str(uid), str(count), *numbers]
        pipe = subprocess.PIPE
        process = await asyncio.create_subprocess_exec(sys.executable, *words, stdin=pipe, stdout=pipe, cwd=self.data)
        try:
            assert process.stdout is not None
            assert await process.stdout.readline() == b"connected\n"
            yield Other(process)
        finally:
            process.kill()
            await process.communicate()


@pytest.fixture
async def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Desk]:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "agent.toml"))
    desk = Desk(tmp_path)
    desk.toml.write_text(f'[people]\nread = "{_LOOKS}"\nact = "{_ACTS}"\n')
    desk.log.parent.mkdir(parents=True)
    desk.log.write_text("one\n")
    tmp_path.chmod(0o711)
    await desk.control.open()
    yield desk
    await desk.control.close()


async def test_who_only_holds_connections_keeps_nobody_else_out(desk: Desk) -> None:
    each = limits.CONTROL_CONNECTIONS_EACH_MAX
    async with contextlib.AsyncExitStack() as stack:
        idle = await stack.enter_async_context(desk.other(_LOOKS, count=each + 1))
        assert f"you ask {each} times at once" in (await idle.hear())["error"]
        decides = await stack.enter_async_context(desk.other(_ACTS, uid=65_533, count=each))
        for which in range(each):
            assert await decides.hear(which, _STATUS) == {"ok": {}}
        for uid in (65_532, 65_531):
            await stack.enter_async_context(desk.other(_LOOKS, uid=uid, count=each))
        late = await stack.enter_async_context(desk.other(_ACTS, uid=65_530))
        assert "too many people" in (await late.hear())["error"]
        assert await desk.ask() == {"ok": {}}, "root is never kept out by others"


async def test_a_connection_on_which_nothing_is_asked_is_ended(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "CONTROL_IDLE_S", 0.05)
    reader, writer = await desk.connected()
    writer.write(_STATUS)  # and no end of the line
    assert "nothing was asked for 0.05 s" in json.loads(await reader.readline())["error"]
    assert not await reader.read()
    writer.close()


async def test_a_follower_who_may_look_no_longer_is_shown_out(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "CONTROL_LOOK_S", 0.05)
    async with desk.other(_LOOKS) as looks:
        assert await looks.hear(0, _FOLLOW) == {"line": "one"}
        desk.toml.write_text(f'[people]\nread = ""\nact = "{_ACTS}"\n')
        assert "may not ask this agent" in (await looks.hear())["error"]
        assert "may not ask this agent" in (await looks.hear(0, _STATUS))["error"]


async def test_whoever_follows_and_says_a_byte_is_done(desk: Desk) -> None:
    for _ in range(limits.CONTROL_CONNECTIONS_MAX + 1):
        reader, writer = await desk.connected()
        writer.write(_FOLLOW + b"\n")
        assert json.loads(await reader.readline()) == {"line": "one"}
        writer.write(b"\n")
        assert not await asyncio.wait_for(reader.read(), _WAIT_S), "it is shown out, and takes no place"
        writer.close()


async def test_far_away_names_keep_nobody_waiting(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    are_here = threading.Event()

    def slow(name: str, real: Any = grp.getgrnam) -> grp.struct_group:
        assert are_here.wait(2 * _WAIT_S)
        return real(name)

    async with desk.other(_LOOKS, count=2) as looks:
        assert await looks.hear(0, _STATUS) == {"ok": {}}
        monkeypatch.setattr(grp, "getgrnam", slow)
        asked = asyncio.create_task(looks.hear(0, _STATUS))
        assert await desk.ask() == {"ok": {}}
        assert not asked.done()
        are_here.set()
        assert await asked == {"ok": {}}


async def test_a_member_of_very_many_groups_is_one_of_each(desk: Desk) -> None:
    async with desk.other(*range(100_000, 101_000), _ACTS) as decides:
        assert await decides.hear(0, b'{"do":"hold"}') == {"ok": {}}


def test_who_cannot_pass_the_folder_reads_what_its_mode_should_be(tmp_path: Path) -> None:
    code = "import os, pathlib, sys; from edge_agent.cli import client; os.setgroups([]); os.setuid(65534)\n"
    code += "try: client.ask(pathlib.Path(sys.argv[1]), {})\nexcept client.Refused as error: print(error)"
    (tmp_path / "agent").mkdir(mode=0o700)
    words = [sys.executable, "-c", code, str(tmp_path / "agent")]
    done = subprocess.run(words, capture_output=True, text=True, check=True, timeout=60)
    assert (
        done.stdout
        == f"the folder {tmp_path}/agent is closed to you: its mode should be 711 (sudo skerry-agent doctor)\n"
    )
