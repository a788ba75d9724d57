"""What a device cannot do, or finds wrong at home: one clear sentence there, and the hub shows it."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from pathlib import Path

from hub.demo import fleet as demo
from tests.support import deeds
from tests.support.fleet import Fleet


async def test_a_command_that_is_not_on_the_device_is_named_and_the_other_work_goes_on(tmp_path: Path) -> None:
    async with deeds.site(tmp_path / "f", "oslo") as it:
        missing = deeds.service("missing", ["no-such-thing", "-x"], restart={"backoff": "0.1s..1s"})
        await deeds.declare(it, missing, deeds.service("stands", ["sleep", "600"]))
        await deeds.pid_of(it, "oslo", "stands")

        async def told() -> bool:
            report = (await it.node("oslo"))["services"].get("missing", {})
            return "no-such-thing" in report.get("reason", "") + report.get("last_exit", "")

        await it.until(told, "the hub shows which command is missing")
        _, why = await it.command("why", "missing", "--data", str(it.agents["oslo"].data), program="skerry-agent")
        assert "no-such-thing" in why
        code, text = await it.command("run", "--node", "oslo", "--", "no-such-thing", check=False)
        assert code == 1
        assert "no-such-thing" in text
        assert "Traceback" not in text


async def test_an_agent_on_what_it_cannot_use_says_what_to_do(tmp_path: Path) -> None:
    async with deeds.site(tmp_path / "f", "oslo") as it:
        data, copy = it.agents["oslo"].data, tmp_path / "copy"
        assert "is in use by process" in await _run(it, data), "a locked data directory"
        await it.agents["oslo"].daemon.stop()
        shutil.copytree(data, copy)
        for name in ("journal.db", "telemetry.db"):
            _set_version(copy / name, 999)
            said = await _run(it, copy)
            assert "newer" in said
            assert name in said
            _set_version(copy / name, 1)
        assert "enroll" in await _run(it, tmp_path / "nothing")
        (copy / "agent.json").write_text("{")
        assert "agent.json" in await _run(it, copy)


def _set_version(path: Path, version: int) -> None:
    with sqlite3.connect(path) as db:
        db.execute(f"PRAGMA user_version = {version}")
        db.execute(f"PRAGMA application_id = {version}")
    db.close()


async def _run(it: Fleet, data: Path) -> str:
    """Run an agent that cannot run; return its one line."""
    process = await asyncio.create_subprocess_exec(
        *(str(demo.BIN / "skerry-agent"), "run", "--data", str(data)),
        env=it.env,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(demo.READY_WAIT_S):
        _, err = await process.communicate()
    text = " ".join(err.decode().split())
    assert process.returncode == 1, text
    assert text.startswith("skerry-agent: ")
    assert "Traceback" not in text
    return text
