"""What runs on a device, as whom, and kept from what: the launcher as a unit of a booted Debian, with packages."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.acceptance.test_install import _NUMBER, NATIVE, _hub, _line, _pid, _status, _token, _trees
from tests.support import debian, deeds
from tests.support.debian import Debian
from tests.support.net.lands import Lands


async def _told(on: Debian, pid: int, name: str) -> list[str]:
    lines = (await on.run("cat", f"/proc/{pid}/status")).splitlines()
    return next(line.split()[1:] for line in lines if line.startswith(f"{name}:"))


async def _reason(it: Lands, on: Debian, service: str) -> str:
    async def failed() -> str:
        return (await _status(on))["services"].get(service, {}).get("reason", "")

    return await deeds.eventually(it, f"{service} says why it does not run", failed)


@_trees(NATIVE[0])
async def test_what_runs_is_confined_as_declared_and_allowed_and_outlives_who_started_it(
    tmp_path: Path, tree: str
) -> None:
    async with _hub(tmp_path / "f", tree) as it, debian.booted(tmp_path / "oslo", it.land("oslo", _NUMBER), tree) as on:
        await on.run(*_line(it, await _token(it), "--name", "oslo"))
        await it.until(lambda: it.online("oslo"), "the device is online")
        quiet: dict[str, Any] = {"private_tmp": True, "network": "none", "read_only": ["/opt"], "rlimits": {"core": 0}}
        forever = ["sh", "-c", "ls -A /tmp >saw; grep -c : /proc/net/dev >>saw; touch /opt/x; exec sleep 100000"]
        await deeds.declare(it, deeds.service("quiet", forever, isolation=quiet, health={"exec": ["true"]}))
        pid = await _pid(it, on, "quiet")
        work = (await on.run("id", "-u", "skerry-work")).strip()
        assert await _told(on, pid, "Uid") == [work] * 4
        assert await _told(on, pid, "NoNewPrivs") == ["1"]
        assert await _told(on, pid, "CapBnd") == ["0" * 16]
        assert (await on.run("cat", "/var/lib/skerry/agent/data/quiet/saw")).split() == ["1"]
        assert (await on.tried("ls", "/opt/x"))[0] != 0
        assert "skerry-agent-work.service" in await on.run("cat", f"/proc/{pid}/cgroup")

        for unit in ("skerry-agent-launch", "skerry-agent", "skerry-agent-launch.socket"):
            await on.run("systemctl", "restart", unit)
            assert await _pid(it, on, "quiet") == pid
        await deeds.declare(it, deeds.service("asroot", ["id"], process={"user": "root"}))
        assert "the user 'root' is not among `users`" in await _reason(it, on, "asroot")
        await on.run("sh", "-c", "printf '[work]\\nusers = [\"nobody\"]\\n' >/etc/skerry/agent.toml")
        await deeds.declare(it, deeds.service("other", ["sleep", "100000"], process={"user": "nobody"}))
        assert await _told(on, await _pid(it, on, "other"), "Uid") == ["65534"] * 4

        await on.run("systemctl", "stop", "skerry-agent", "skerry-agent-work")
        assert await on.tried("pgrep", "sleep") == (1, "")
        await on.run("systemctl", "start", "skerry-agent-work", "skerry-agent")
        await _pid(it, on, "quiet")
