"""What a workload may rely on when it talks back: acknowledged means committed, and nobody is flooded."""

from __future__ import annotations

import asyncio
import json
import os
import shlex
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest

from edge_agent.core import inputs
from edge_agent.shell import emit
from protocol import documents, limits
from tests.contract.shell.world import World, until


async def _connect(world: World, instance: str = "s-a-1") -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_unix_connection(world.sockets.open(instance, os.geteuid()))


def _ack(world: World, batch: inputs.Emitted, error: str = "") -> None:
    count = 0 if error else len(batch.items)
    world.sockets.acked(inputs.EmitAck(connection=batch.connection, count=count, error=error))


async def test_an_item_is_acknowledged_only_after_its_commit(world: World) -> None:
    reader, writer = await _connect(world)
    writer.write(b'{"kind":"measured","body":{"t":21.5},"key":"k","to":"metrics"}\n{"kind":"b"}\n')
    batch = await world.one(inputs.Emitted)
    answer = asyncio.ensure_future(reader.readline())

    assert batch.instance == "s-a-1"
    assert [(item.kind, bytes(item.body), item.key, item.to) for item in batch.items] == [
        ("measured", b'{"t":21.5}', "k", "metrics"),
        ("b", b"null", "", "state"),
    ]
    assert not answer.done()
    _ack(world, batch)
    assert json.loads(await answer) == {"acked": 2}
    writer.close()


async def test_a_bad_line_is_named_and_the_others_count(world: World) -> None:
    reader, writer = await _connect(world)
    writer.write(b'{"kind":"a"}\n\n{"kind":7}\nnonsense\n{"kind":"b"}\n')

    assert "line 3 is not an item" in json.loads(await reader.readline())["error"]
    assert "line 4 is not an item" in json.loads(await reader.readline())["error"]
    assert [item.kind for item in (await world.one(inputs.Emitted)).items] == ["a", "b"]
    writer.close()


async def test_a_line_without_end_is_refused_before_it_is_parsed(world: World) -> None:
    reader, writer = await _connect(world)
    writer.write(b"x" * (limits.EMIT_LINE_BYTES_MAX + 300_000))

    assert "a line is over" in json.loads(await reader.readline())["error"]
    writer.close()


async def test_who_is_not_committed_is_not_read_further(world: World) -> None:
    reader, writer = await _connect(world)
    lines = b'{"kind":"a","body":"%s"}\n' % (b"x" * 100)
    writer.write(lines * 60_000)
    await until(lambda: sum(len(one.items) for one in world.all(inputs.Emitted)) >= limits.EMIT_ITEMS_WAITING_MAX)
    waiting = sum(len(one.items) for one in world.all(inputs.Emitted))
    await asyncio.sleep(0)

    assert waiting < limits.EMIT_ITEMS_WAITING_MAX + 4_000
    assert all(len(one.items) <= limits.EMIT_ITEMS_PER_BATCH_MAX for one in world.all(inputs.Emitted))

    done = 0
    while waiting < 60_000 or done < len(world.all(inputs.Emitted)):
        for batch in world.all(inputs.Emitted)[done:]:
            _ack(world, batch)
            done += 1
        await asyncio.sleep(0.001)  # bounded poll
        waiting = sum(len(one.items) for one in world.all(inputs.Emitted))
    last = b""
    while json.loads(last or b'{"acked":0}')["acked"] < 60_000:
        last = await reader.readline()
    writer.close()


async def test_what_a_step_wrote_without_waiting_is_read_before_its_end_is_told(world: World) -> None:
    world.launch("r-1-a-1", sys.executable, "-c", _SAY_AND_GO, key="1")
    await world.one(inputs.Ended)

    kinds = [type(one).__name__ for one in world.seen]
    assert kinds.index("Emitted") < kinds.index("Ended")
    assert [bytes(item.body) for batch in world.all(inputs.Emitted) for item in batch.items] == [b'{"n":"42"}', b"1"]


_SAY_AND_GO = """
import os, socket
s = socket.socket(socket.AF_UNIX); s.connect(os.environ['SKERRY_SOCKET'])
s.sendall(b'{"kind":"o","to":"outputs","body":{"n":"42"}}\\n{"kind":"e","body":1}')
os._exit(0)
"""


async def test_a_lost_store_is_told_to_those_who_wait(world: World) -> None:
    reader, writer = await _connect(world)
    writer.write(b'{"kind":"a"}\n')
    await world.one(inputs.Emitted)

    world.sockets.lost("the disk is full")

    assert "the disk is full" in json.loads(await reader.readline())["error"]
    assert await reader.read() == b""
    writer.close()


async def test_a_refused_batch_is_told_and_the_connection_goes_on(world: World) -> None:
    reader, writer = await _connect(world)
    writer.write(b'{"kind":"a"}\n')
    _ack(world, await world.one(inputs.Emitted), error="no such stream")
    assert json.loads(await reader.readline()) == {"error": "no such stream"}

    writer.write(b'{"kind":"b"}\n')
    await until(lambda: len(world.all(inputs.Emitted)) == 2)
    _ack(world, world.all(inputs.Emitted)[1])
    assert json.loads(await reader.readline()) == {"acked": 1}
    writer.close()


async def test_a_running_workload_finds_its_socket_again_after_a_restart_of_the_agent(world: World) -> None:
    process = documents.Process(
        command=["sh", "-c", f"while [ ! -e go ]; do sleep 0.02; done; exec {_emit('--kind', 'back', '--body', '1')}"]
    )
    world.launch("s-a-1", process=process)
    await world.one(inputs.Launched)

    life = world.again()
    (world.data / "w/s-a-1/dir/go").touch()
    batch = await life.one(inputs.Emitted)
    _ack(life, batch)

    assert batch.items[0].kind == "back"
    assert (await life.one(inputs.Ended)).exit.code == 0


async def test_emit_waits_for_an_agent_that_restarts_and_sends_again_what_was_not_committed(world: World) -> None:
    path = world.sockets.open("s-a-1", os.geteuid())
    child = subprocess.Popen(["sh", "-c", _emit("--kind", "k", "--body", '"x"', "--socket", path)])
    await world.one(inputs.Emitted)
    world.close()

    life = world.again()
    life.sockets.open("s-a-1", os.geteuid())
    _ack(life, await life.one(inputs.Emitted))

    await until(lambda: child.poll() is not None)
    assert child.returncode == 0


@pytest.mark.parametrize(
    ("words", "stdin", "items"),
    [
        (["--kind", "k", "--body", '{"a": 1}'], "", [("k", {"a": 1}, "state")]),
        (["--kind", "k", "--to", "metrics"], '{"a": 1}\n\n2\n', [("k", {"a": 1}, "metrics"), ("k", 2, "metrics")]),
        ([], '{"kind": "a", "body": 1}\n{"kind": "b"}\n', [("a", 1, "state"), ("b", None, "state")]),
    ],
)
async def test_emit_sends_one_item_or_one_a_line(
    world: World, words: list[str], stdin: str, items: list[tuple[str, object, str]]
) -> None:
    path = world.sockets.open("s-a-1", os.geteuid())
    child = subprocess.Popen(["sh", "-c", _emit(*words, "--socket", path)], stdin=subprocess.PIPE, text=True)
    assert child.stdin is not None
    child.stdin.write(stdin)
    child.stdin.close()
    acked = 0
    while child.poll() is None:
        for batch in world.all(inputs.Emitted)[acked:]:
            _ack(world, batch)
            acked += 1
        await asyncio.sleep(0.005)  # bounded poll

    assert child.returncode == 0
    got = [
        (item.kind, msgspec.json.decode(item.body), item.to) for one in world.all(inputs.Emitted) for item in one.items
    ]
    assert got == items


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (["--kind", "k", "--body", "bare words"], 2, "--body is not JSON"),
        (["--kind", "k", "--body", "1", "--wait", "0", "--socket", "/nowhere"], 3, "does not answer"),
        (["--kind", "k", "--body", "1", "--socket", ""], 2, "SKERRY_SOCKET is not set"),
    ],
)
def test_emit_says_what_is_wrong(words: list[str], code: int, text: str, tmp_path: Path) -> None:
    listener = emit.socket.socket(emit.socket.AF_UNIX)
    listener.bind(str(tmp_path / "s"))
    listener.listen()
    words = words if "--socket" in words else [*words, "--socket", str(tmp_path / "s")]
    with listener:
        done = subprocess.run(["sh", "-c", _emit(*words)], capture_output=True, text=True, check=False)

    assert (done.returncode, text in done.stderr) == (code, True), done


def test_emit_loads_nothing_but_the_standard_library() -> None:
    code = "import sys, edge_agent.cli.emit; print({'typer', 'rich', 'msgspec', 'asyncio'} & set(sys.modules))"

    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"


async def test_a_data_directory_with_a_long_path_gets_its_sockets_elsewhere(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 60) / ("e" * 60)
    deep.mkdir(parents=True)
    place = emit.short_folder(deep)
    try:
        sockets = emit.EmitSockets(place, lambda _: None)
        path = sockets.open("s-a-1", os.geteuid())

        assert len(os.fsencode(path)) <= 107
        assert place == emit.short_folder(deep)
        sockets.finish("s-a-1")
        sockets.close()
    finally:
        place.rmdir()


async def test_an_item_costs_little(world: World) -> None:
    """Not a measurement: 100,000 items pass in a bounded time on any machine."""
    began = time.monotonic()
    _, writer = await _connect(world)
    writer.write(b'{"kind":"a","body":{"n":1}}\n' * 100_000)
    seen = 0
    while seen < 100_000:
        for batch in world.all(inputs.Emitted):
            _ack(world, batch)
            seen += len(batch.items)
        world.seen.clear()
        await asyncio.sleep(0)
    writer.close()

    assert time.monotonic() - began < 20


def _emit(*words: str) -> str:
    return shlex.join([sys.executable, "-c", "from edge_agent.cli.main import main; main()", "emit", *words])
