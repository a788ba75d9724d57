"""Probes answer for the service they belong to, in its place, in bounded time; vitals are read, never guessed."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

import pytest

from edge_agent.core import inputs
from edge_agent.shell import probes, vitals
from edge_agent.shell.people import rights
from edge_agent.shell.runners import children, script
from edge_agent.shell.runners.children import Helpers
from protocol import documents


async def _probe(data: Path, probe: documents.Probe, process: documents.Process | None = None) -> inputs.Probed:
    told: list[inputs.Input] = []
    (data / "data/svc").mkdir(parents=True, exist_ok=True)
    async with asyncio.TaskGroup() as group:
        made = probes.Probes(data, node="oslo-1", tools=script.Tools.find(), report=told.append, group=Helpers(group))
        process = process or documents.Process(command=["x"])
        made.run(inputs.RunProbe(service="svc", instance="s-svc-1", probe=probe, process=process))
    (answer,) = told
    assert isinstance(answer, inputs.Probed)
    assert (answer.service, answer.instance) == ("svc", "s-svc-1")
    return answer


async def test_a_command_s_exit_code_is_the_answer_and_its_output_the_text(tmp_path: Path) -> None:
    process = documents.Process(command=["x"], env={"A": "b"})
    command = ["sh", "-c", "echo $A $SKERRY_SERVICE ${PWD##*/}"]

    good = await _probe(tmp_path, documents.Probe(exec=command), process)
    bad = await _probe(tmp_path, documents.Probe(exec=["sh", "-c", "echo why >&2; exit 3"]))

    assert (good.ok, good.text) == (True, "b svc svc")
    assert (bad.ok, bad.text) == (False, "why")


async def test_a_command_has_the_bounds_of_its_service(tmp_path: Path) -> None:
    process = documents.Process(command=["x"], limits=documents.Limits(open_files=33, memory_bytes=2**30))

    found = await _probe(tmp_path, documents.Probe(exec=["sh", "-c", "ulimit -n; ulimit -v"]), process)

    assert found.text.split() == ["33", str(2**20)]


async def test_a_command_is_what_the_owner_allows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "agent.toml"
    file.write_text('[work]\npaths = ["/opt"]\n')
    monkeypatch.setenv(rights.VARIABLE, str(file))

    found = await _probe(tmp_path, documents.Probe(exec=["sh", "-c", "echo ran"]))

    assert not found.ok
    assert "is not beneath one of `paths`" in found.text


@pytest.mark.parametrize(
    ("probe", "text"),
    [
        (documents.Probe(exec=["no-such-probe"]), "no such command"),
        (documents.Probe(exec=["sleep", "60"], timeout_s=0.05), "no answer within 0.05 s"),
        (documents.Probe(http="http://127.0.0.1:1/"), "refused"),
        (documents.Probe(http="http://example.com/"), "is no loopback address"),
        (documents.Probe(http="https://127.0.0.1/"), "is no loopback address"),
    ],
)
async def test_what_cannot_answer_is_unhealthy_and_says_why(tmp_path: Path, probe: documents.Probe, text: str) -> None:
    answer = await _probe(tmp_path, probe)

    assert not answer.ok
    assert text in answer.text.lower()


@pytest.mark.parametrize(
    ("reply", "ok"),
    [
        (b"HTTP/1.1 204 No Content\r\n\r\n", True),
        (b"HTTP/1.1 302 Found\r\n\r\n", True),
        (b"HTTP/1.1 503 Busy\r\n\r\n", False),
        (b"nonsense\r\n", False),
        (b"", False),
    ],
)
async def test_an_http_answer_counts_by_its_status(tmp_path: Path, reply: bytes, ok: bool) -> None:
    asked: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readline())
        writer.write(reply)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        answer = await _probe(tmp_path, documents.Probe(http=f"http://127.0.0.1:{port}/health?x=1"))

    assert answer.ok is ok
    assert asked == [b"GET /health?x=1 HTTP/1.0\r\n"]


async def test_a_server_that_never_answers_is_unhealthy_in_time(tmp_path: Path) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        answer = await _probe(tmp_path, documents.Probe(http=f"http://127.0.0.1:{port}/", timeout_s=0.05))

    assert "no answer within 0.05 s" in answer.text


async def test_a_helper_leaves_nothing_behind_and_its_output_is_bounded(tmp_path: Path) -> None:
    script_ = f"sleep 60 & echo $! >{tmp_path}/pid; yes | head -c 1000000; echo end"
    done = await children.run(["sh", "-c", script_], timeout_s=20, output_bytes_max=100)

    assert done.code == 0
    assert len(done.output) == 100
    assert done.output.endswith(b"end\n")
    left = int((tmp_path / "pid").read_text())
    deadline = time.monotonic() + 10
    while Path(f"/proc/{left}").exists() and "Z" not in Path(f"/proc/{left}/stat").read_text().rpartition(")")[2][:3]:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)  # bounded poll


def test_vitals_are_those_of_this_machine(tmp_path: Path) -> None:
    sample = vitals.Meter(tmp_path).sample()

    assert 0 <= sample.cpu <= 1
    assert 0 < sample.memory_used < sample.memory_total
    assert 0 < sample.disk_used < sample.disk_total
    assert sample.rss > 1_000_000
    assert 0 < sample.uptime_s < time.clock_gettime(time.CLOCK_BOOTTIME) + 1
    assert vitals.platform()["cpus"] == str(os.cpu_count())
