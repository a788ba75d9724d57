"""Who may look and who may decide at a device: groups of the system, and the owner's word in agent.toml."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from edge_agent.shell.people.rights import VARIABLE
from tests.support import deeds
from tests.support.fleet import Fleet

_STRANGER = 65_534
_LOOKERS, _OPERATORS = "games", "operator"  # groups that every Debian has
_ASK = """
import os, socket, sys
if sys.argv[2:] == ["sudo"]:
    open("/proc/self/loginuid", "w").write("65534")
else:
    os.setgroups([int(one) for one in sys.argv[2:]])
    os.setgid(65534)
    os.setuid(65534)
sock = socket.socket(socket.AF_UNIX)
sock.connect("control.sock")
try:
    sock.sendall(sys.argv[1].encode() + b"\\n")
except BrokenPipeError:
    pass
print(sock.makefile().readline(), end="")
"""

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can ask as others")


def _ask(data: Path, groups: list[str], **request: object) -> Any:
    """Ask from within the folder (the way there is root's) as somebody with these groups; return the answer.

    `sudo`: as root, for a person who logged in as another one.
    """
    import grp

    numbers = [one if one == "sudo" else str(grp.getgrnam(one).gr_gid) for one in groups]
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", _ASK, json.dumps(request), *numbers],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        cwd=data,
    )
    assert done.stdout, done.stderr
    return json.loads(done.stdout)


async def _may(it: Fleet, groups: list[str], **request: object) -> str:
    """Return `yes`, or why not."""
    answer = await asyncio.to_thread(_ask, it.agents["oslo"].data, groups, **request)
    return str(answer.get("error", "yes"))


async def test_groups_say_who_looks_and_who_decides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    toml = tmp_path / "agent.toml"
    monkeypatch.setenv(VARIABLE, str(toml))
    toml.write_text(f'[people]\nread = "{_LOOKERS}"\nact = "{_OPERATORS}"\n')
    async with deeds.site(tmp_path / "fleet", "oslo") as it:
        await deeds.declare(it, deeds.service("beat", ["sleep", "600"]))
        await deeds.pid_of(it, "oslo", "beat")
        stop: dict[str, object] = {"do": "stop", "service": "beat", "reason": "jam"}

        assert "become a member of the group games" in await _may(it, [], do="status")
        assert "may not ask" in await _may(it, [], do="logs", service="beat")
        for looks in ({"do": "status"}, {"do": "why", "service": "beat"}, {"do": "runs"}, {"do": "events"}):
            assert await _may(it, [_LOOKERS], **looks) == "yes"
        assert "become a member of the group operator" in await _may(it, [_LOOKERS], **stop)
        assert "decide nothing" in await _may(it, [_LOOKERS], do="hold")
        assert await _may(it, [_OPERATORS], **stop) == "yes"
        (entry,) = await asyncio.to_thread(_entries, it, "local.")
        assert (entry["body"]["user"], entry["body"]["uid"]) == ("nobody", _STRANGER)

        assert await _may(it, ["sudo"], do="release", service="beat") == "yes"
        entry = (await asyncio.to_thread(_entries, it, "local."))[-1]
        assert (entry["body"]["user"], entry["body"]["uid"]) == ("nobody as root", 0)

        toml.write_text(f'[people]\nact = "{_OPERATORS}"\nstart = false\n')  # the owner narrows, at once
        assert "may not ask" in await _may(it, [_LOOKERS], do="status")
        assert "people.start" in await _may(it, [_OPERATORS], do="workflow-start", workflow="x")
        assert "people.start" in await _may(it, ["sudo"], do="workflow-start", workflow="x")
        for wrong in ("people]\nract", "peple]\nact"):
            toml.write_text(f'[{wrong} = "{_OPERATORS}"\n')
            assert "is wrong: Object contains unknown field `" in await _may(it, [_OPERATORS], do="status")
            assert "people.start" not in await _may(it, ["sudo"], do="workflow-start", workflow="x")
        assert await deeds.at_device(it, "oslo", "status")


def _entries(it: Fleet, kind: str) -> list[dict[str, Any]]:
    from edge_agent.cli import client

    found = client.stream(it.agents["oslo"].data, {"do": "events", "kind": kind})
    return [one for one in found if one is not None]
