"""The API with a real agent at the other end: results as they come, output from the device."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.contract.api.conftest import Served

AGENT = Path(sys.executable).with_name("skerry-agent")

CHATTER = """
apiVersion: skerry/v1
kind: Service
metadata: {name: chatter}
spec:
  process: {command: [sh, -c, "echo one; echo two; exec sleep 600"]}
  placement: {selector: "*", count: all}
"""


async def command(*words: str) -> None:
    process = await asyncio.create_subprocess_exec(
        str(AGENT), *words, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    out, _ = await process.communicate()
    assert process.returncode == 0, out.decode()


async def online(hub: Served, name: str) -> None:
    async with asyncio.timeout(30), hub.api.stream("GET", "/v1/watch", params={"topic": "node/"}) as words:
        async for _ in words.aiter_lines():
            if (await hub.api.get(f"/v1/nodes/{name}")).json()["state"] == "online":
                return


@pytest.fixture
async def fleet(hub: Served, tmp_path: Path) -> AsyncIterator[Served]:
    """A hub with one agent, `gw-1`, that is online."""
    token = (await hub.api.post("/v1/tokens", json={})).json()["token"]
    url = hub.line.rpartition("API ")[2]
    data = str(tmp_path / "gw-1")
    await command("enroll", "--hub", url, "--token", token, "--name", "gw-1", "--data", data)
    agent = await asyncio.create_subprocess_exec(
        *(str(AGENT), "run", "--data", data),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        await online(hub, "gw-1")
        yield hub
        await hub.api.delete("/v1/resources/service/chatter")
        await settled(hub)
    finally:
        agent.terminate()
        await agent.wait()


async def settled(hub: Served) -> None:
    """Wait until the agent runs nothing of ours any more."""
    async with asyncio.timeout(30):
        while (await hub.api.get("/v1/nodes/gw-1")).json()["services"]:
            await asyncio.sleep(0.02)  # bounded poll


async def streamed(hub: Served, **asked: object) -> list[dict[str, Any]]:
    body = {"nodes": ["gw-1"], "wait": True, **asked}
    answer = await hub.api.post("/v1/tasks", json=body, timeout=60)
    assert answer.status_code == 200, answer.text
    return [json.loads(line) for line in answer.text.splitlines() if line]


async def test_a_task_tells_how_it_goes_until_it_ends(fleet: Served):
    first, *rest = await streamed(fleet, command=["sh", "-c", "echo out; echo err >&2; exit 3"])
    assert [task["node"] for task in first["nodes"]] == ["gw-1"]
    assert (rest[-1]["state"], rest[-1]["exit_code"]) == ("failed", 3)
    assert (rest[-1]["stdout"], rest[-1]["stderr"]) == ("out\n", "err\n")
    assert {task["task"] for task in rest} == {first["group"]}
    assert (await streamed(fleet, command=["no-such-command"]))[-1]["state"] in ("failed", "refused")


async def test_waiting_ends_when_its_time_is_over_and_the_task_goes_on(fleet: Served):
    lines = await streamed(fleet, command=["sleep", "5"], wait_s=0.5)
    last = lines[-1]["state"] if len(lines) > 1 else lines[0]["nodes"][0]["state"]
    assert last in ("pending", "running")


async def test_output_is_read_on_the_device(fleet: Served):
    applied = await fleet.api.post("/v1/apply", json={"sources": [{"name": "c.yaml", "text": CHATTER}]})
    assert applied.status_code == 200, applied.text
    async with asyncio.timeout(30):
        async with fleet.api.stream("GET", "/v1/events", params={"kind": "service.started", "follow": True}) as events:
            async for line in events.aiter_lines():
                if line:
                    break
        lines: list[dict[str, Any]] = []
        while len(lines) < 2:
            answer = await fleet.api.get("/v1/logs/chatter", params={"tail": 10})
            lines = [json.loads(line) for line in answer.text.splitlines() if line]
    assert lines == [{"node": "gw-1", "line": "one"}, {"node": "gw-1", "line": "two"}]
    async with fleet.api.stream("GET", "/v1/logs/chatter", params={"tail": 1, "follow": True}) as followed:
        assert json.loads(await anext(followed.aiter_lines()))["line"] == "two"
