"""What a device's owner may rely on: the launcher starts what they allow, as whom they allow, and nothing else."""

from __future__ import annotations

import os
import pwd
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_agent.core import inputs
from protocol import documents
from tests.contract.shell.launched import OTHER, WORK, Launched, launched
from tests.contract.shell.world import until

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can launch as somebody else")


@pytest.fixture
def one() -> Iterator[Launched]:
    with launched() as found:
        yield found


def status(pid: int) -> dict[str, list[str]]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {line.partition(":")[0]: line.partition(":")[2].split() for line in lines}


async def test_what_names_no_user_runs_as_an_unprivileged_one_under_its_bounds(one: Launched) -> None:
    world = one.world()
    limits = documents.Limits(memory_bytes=64 * 1024 * 1024, processes=8, open_files=64)

    world.launch("s-a-1", capture=False, process=documents.Process(command=["sleep", "60"], limits=limits))
    pid = (await world.one(inputs.Launched)).pid
    await until(lambda: Path(f"/proc/{pid}/comm").read_text() == "sleep\n")

    told = status(pid)
    assert told["Uid"] == [str(pwd.getpwnam(WORK).pw_uid)] * 4
    assert told["NoNewPrivs"] == ["1"]
    assert {told[name][0] for name in ("CapEff", "CapPrm", "CapBnd", "CapAmb")} == {"0" * 16}
    assert "64" in next(line for line in Path(f"/proc/{pid}/limits").read_text().splitlines() if "open files" in line)
    assert f"/{one.group}/s-a-1" in Path(f"/proc/{pid}/cgroup").read_text()


async def test_a_task_tells_its_end_and_its_outputs_and_its_folder_goes(one: Launched) -> None:
    world = one.world()

    world.launch("t-1", "sh", "-c", "id -un; mkdir -p a/b; echo x >a/b/c; echo err >&2; exit 3")
    ended = await world.one(inputs.Ended)

    assert (ended.exit.code, ended.stdout, ended.stderr) == (3, f"{WORK}\n", "err\n")
    world.runner.forget("t-1")
    await until(lambda: not (one.data / "w" / "t-1").exists())


async def test_a_declared_user_has_the_folder_of_the_service_and_writes_there(one: Launched) -> None:
    world = one.world()
    files = [documents.InlineFile(path="etc/a.txt", text="one", mode=0o600)]
    process = documents.Process(
        command=["sh", "-c", "id -un >out; cat etc/a.txt >>out; exec sleep 60"], user=OTHER, files=files
    )

    world.launch("s-svc-1", capture=False, process=process)

    await until(lambda: (one.data / "data" / "svc" / "out").exists())
    await until(lambda: "one" in (one.data / "data" / "svc" / "out").read_text())
    assert (one.data / "data" / "svc" / "out").owner() == OTHER


async def test_it_outlives_agent_and_launcher_and_is_stopped_by_those_who_follow(one: Launched) -> None:
    world = one.world()
    world.launch("s-svc-1", capture=False, process=documents.Process(command=["sleep", "60"]))
    pid = (await world.one(inputs.Launched)).pid
    world.close()
    one.stop()
    assert Path(f"/proc/{pid}").exists()

    one.start()
    after = one.world()

    assert after.found["s-svc-1"].exit is None
    after.stop("s-svc-1", 5.0)
    assert (await after.one(inputs.Ended)).exit.signal == 15


@pytest.mark.parametrize("user", ["root", "bin", "daemon"])
async def test_whom_the_owner_does_not_name_nothing_runs_as(one: Launched, user: str) -> None:
    world = one.world()

    world.launch("t-1", process=documents.Process(command=["id"], user=user))

    error = (await world.one(inputs.LaunchFailed)).error
    assert f"this device's owner does not allow it: the user '{user}' is not among `users`" in error
    assert not (one.data / "w" / "t-1").exists()
