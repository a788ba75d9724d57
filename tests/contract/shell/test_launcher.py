"""What a device's owner may rely on: the launcher starts what they allow, as whom they allow, and nothing else."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pwd
import signal
import socket
import tomllib
from collections.abc import Generator
from pathlib import Path

import pytest

from edge_agent.core import inputs, isolation
from edge_agent.launcher import policy, serve
from edge_agent.launcher.groups import Groups
from edge_agent.launcher.house import House
from edge_agent.shell import probes
from edge_agent.shell.launching.launcher import Launcher
from edge_agent.shell.runners import folder, proc, script
from edge_agent.shell.runners.children import Helpers
from protocol import documents
from tests.contract.shell.launched import OTHER, ROOT, WORK, Launched, launched
from tests.contract.shell.world import until

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can launch as somebody else")


@pytest.fixture
def one() -> Generator[Launched]:
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


def test_the_time_for_a_request_ends_with_it_though_its_caller_said_nothing(tmp_path: Path) -> None:
    house = House(
        agent=serve.account("root"), data=str(tmp_path), state=tmp_path, groups=Groups(f"skerry-test-{os.getpid()}")
    )
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(str(tmp_path / "s"))
        listener.listen()
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as silent:
            silent.connect(str(tmp_path / "s"))
            serve.Launcher(house, tmp_path / "agent.toml").serve(listener, 0.0)
    assert signal.alarm(0) == 0, "it would end by that, in the middle of whatever comes next"


async def test_a_task_tells_its_end_and_its_outputs_and_its_folder_goes(one: Launched) -> None:
    world = one.world()

    world.launch("t-1", "sh", "-c", "id -un; mkdir -p a/b; echo x >a/b/c; echo err >&2; exit 3")
    ended = await world.one(inputs.Ended)

    assert (ended.exit.code, ended.stdout, ended.stderr) == (3, f"{WORK}\n", "err\n")
    world.runner.forget("t-1")
    await until(lambda: not list((one.data / "w").glob("*t-1*")))


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


async def test_what_a_service_is_kept_from_it_cannot_do(one: Launched) -> None:
    world = one.world()
    assert {"read_only", "private_tmp", "no_network"} <= (world.by.able.names if world.by else set())
    isolation = documents.Isolation(private_tmp=True, read_only=["/dev/shm"], rlimits={"core": 0, "stack": 1024 * 1024})
    words = "ls -A /tmp | wc -l; touch /tmp/mine && ls /tmp; ulimit -c; ulimit -s; touch /dev/shm/x"

    world.launch("t-1", process=documents.Process(command=["sh", "-c", words], isolation=isolation))
    ended = await world.one(inputs.Ended)

    assert ended.stdout.split() == ["0", "mine", "0", "1024"]
    assert "Read-only file system" in ended.stderr
    assert not Path("/tmp/mine").exists()


async def test_what_it_cannot_enforce_it_tries_and_says_why(one: Launched) -> None:
    one.stop()
    one.start(rights=["setuid", "setgid", "setpcap", "chown", "kill", "dac_override"])

    found = one.says({"do": "able"})

    assert {"private_tmp", "no_network"}.isdisjoint(found["able"])
    assert found["why"]["no_network"] == "the kernel refuses it: network: Operation not permitted"
    assert found["why"]["private_tmp"] == "the kernel refuses it: mounts: Operation not permitted"
    assert set(found["able"]).isdisjoint(found["why"])
    assert {*found["able"], *found["why"]} == {*isolation.WORDS, "user", "no_new_privileges"}


async def test_where_all_is_read_only_nothing_is_written_but_in_its_own_tmp(one: Launched) -> None:
    world = one.world()
    own = one.data / "own"
    own.mkdir(mode=0o777)
    own.chmod(0o777)
    isolation = documents.Isolation(private_tmp=True, read_only=["/"])
    words = f"touch {own}/x; touch x; touch /dev/shm/x; echo y >/tmp/y && cat /tmp/y; echo z >/dev/null && echo there"

    world.launch("t-1", process=documents.Process(command=["sh", "-c", words], isolation=isolation))
    ended = await world.one(inputs.Ended)

    assert ended.stdout.split() == ["y", "there"]
    assert ended.stderr.count("Read-only file system") == 3


async def test_a_service_without_a_network_reaches_nobody_but_itself(one: Launched) -> None:
    world = one.world()
    tell = "grep -c : /proc/net/dev; grep -o lo: /proc/net/dev"

    isolation = documents.Isolation(no_network=True)
    world.launch("t-1", process=documents.Process(command=["sh", "-c", tell], isolation=isolation))

    assert (await world.one(inputs.Ended)).stdout.split() == ["1", "lo:"]


async def test_by_landlock_it_touches_its_paths_and_no_others(one: Launched) -> None:
    world = one.world()
    if world.by is None or "paths" not in world.by.able.names:
        pytest.skip("this kernel has no Landlock")
    with one.being("root"):
        for name in ("seen", "mine", "hidden"):
            place = one.top / name
            place.mkdir()
            (place / "file").write_text(name)
            os.chown(place, pwd.getpwnam(WORK).pw_uid, 0)
    words = f"cd {one.top}; cat seen/file; touch seen/x; touch mine/x && echo made; cat hidden/file; touch ~/../x; ls"
    isolation = documents.Isolation(reads=[f"{one.top}/seen"], writes=[f"{one.top}/mine"])

    world.launch("t-1", process=documents.Process(command=["sh", "-c", words], isolation=isolation))
    ended = await world.one(inputs.Ended)

    assert ended.stdout == "seenmade\n"
    assert ended.stderr.count("Permission denied") >= 3


async def test_more_memory_or_processes_than_declared_it_does_not_get(one: Launched) -> None:
    world = one.world()
    if world.by is None or not {"memory", "pids"} <= world.by.able.names:
        pytest.skip("no control groups here")
    limits = documents.Limits(memory_bytes=32 * 1024 * 1024, processes=4)
    eat = ["sh", "-c", "head -c 200000000 /dev/zero | tail -c 190000000 >/dev/null"]  # the end is kept in memory
    fork = ["sh", "-c", "for n in 1 2 3 4 5 6 7 8; do sleep 9 & done; echo all"]

    world.launch("t-1", process=documents.Process(command=eat, limits=limits))
    world.launch("t-2", process=documents.Process(command=fork, limits=limits))

    assert (await world.one(inputs.Ended, "t-1")).exit.signal == 9
    ended = await world.one(inputs.Ended, "t-2")
    assert "all" not in ended.stdout
    assert "ork" in ended.stderr  # dash: Cannot fork


async def _probed(
    one: Launched, by: Launcher | None, process: documents.Process, *command: str, timeout_s: float = 20.0
) -> inputs.Probed:
    told: list[inputs.Input] = []
    async with asyncio.TaskGroup() as group:
        made = probes.Probes(
            one.data, node="n", tools=script.Tools.find(), report=told.append, group=Helpers(group), launcher=by
        )
        probe = documents.Probe(exec=list(command), timeout_s=timeout_s)
        made.run(inputs.RunProbe(service="web", instance="s-web-1", probe=probe, process=process))
    found = told[0]
    assert isinstance(found, inputs.Probed)
    return found


async def test_a_probe_is_confined_as_its_service_is(one: Launched) -> None:
    world = one.world()
    process = documents.Process(
        command=["sleep", "60"],
        user=OTHER,
        isolation=documents.Isolation(no_network=True, private_tmp=True, read_only=["/dev/shm"], rlimits={"core": 0}),
        limits=documents.Limits(open_files=33),
    )
    world.launch("s-web-1", key="web", capture=False, process=process)
    pid = (await world.one(inputs.Launched)).pid
    await until(lambda: Path(f"/proc/{pid}/comm").read_text() == "sleep\n")

    async def probed(*command: str, timeout_s: float = 20.0) -> inputs.Probed:
        return await _probed(one, world.by, process, *command, timeout_s=timeout_s)

    assert (await probed("id", "-un")).text == OTHER
    assert (await probed("grep", "-c", ":", "/proc/net/dev")).text == "1"
    bounds = await probed(
        "sh", "-c", "ulimit -n; ulimit -c; ls -A /tmp | wc -l; grep -o 'NoNewPrivs.*1' /proc/self/status"
    )
    assert bounds.text.split() == ["33", "0", "0", "NoNewPrivs:", "1"]
    assert "Read-only file system" in (await probed("touch", "/dev/shm/x")).text
    failed = await probed("sh", "-c", "echo no; exit 3")
    assert (failed.ok, failed.text) == (False, "no")
    assert "no answer within" in (await probed("sleep", "60", timeout_s=0.3)).text
    world.stop("s-web-1", 1.0)
    await world.one(inputs.Ended)
    assert "s-web-1 does not run" in (await probed("id")).text


async def test_a_probe_of_a_service_that_works_in_a_part_of_its_folder_may_touch_all_of_it(one: Launched) -> None:
    world = one.world()
    if world.by is None or "paths" not in world.by.able.names:
        pytest.skip("this kernel has no Landlock")
    with one.being("root"):
        (one.top / "hidden").mkdir(mode=0o777)
        (one.top / "hidden").chmod(0o777)
    (one.data / "data" / "web" / "bin").mkdir(parents=True)
    process = documents.Process(command=["sleep", "60"], cwd="bin", isolation=documents.Isolation(reads=["/usr/share"]))
    world.launch("s-web-1", key="web", capture=False, process=process)
    await world.one(inputs.Launched)

    assert (await _probed(one, world.by, process, "touch", "../beat")).ok
    assert "Permission denied" in (await _probed(one, world.by, process, "touch", f"{one.top}/hidden/x")).text


async def test_a_lease_ends_what_runs_as_another_user_though_agent_and_launcher_are_gone(one: Launched) -> None:
    world = one.world()
    world.launch(
        "s-once-1",
        capture=False,
        process=documents.Process(command=["sleep", "60"], user=OTHER),
        lease_until=proc.boot_seconds() + 3.0,
        stop_grace_s=1.0,
    )
    pid = (await world.one(inputs.Launched)).pid
    world.close()
    one.stop()

    await until(lambda: not Path(f"/proc/{pid}").exists())

    one.start()
    found = one.world().found["s-once-1"].exit
    assert found is not None
    assert found.expired


async def test_what_was_started_without_a_lease_can_be_given_one(one: Launched) -> None:
    world = one.world()
    process = documents.Process(command=["sleep", "60"])
    world.launch("s-once-1", capture=False, process=process, stop_grace_s=1.0)
    await world.one(inputs.Launched)

    world.runner.extend(inputs.Extend(instance="s-once-1", until=proc.boot_seconds() + 1.0))

    assert (await world.one(inputs.Ended)).exit.expired


async def test_a_start_that_is_refused_after_all_leaves_nothing(one: Launched) -> None:
    world = one.world()
    process = documents.Process(
        command=["id"],
        files=[documents.InlineFile(path="a/b", text="x")],
        isolation=documents.Isolation(read_only=["/nowhere"]),
    )

    world.launch("t-1", process=process)

    assert "No such file or directory: '/nowhere'" in (await world.one(inputs.LaunchFailed)).error
    await until(lambda: not list((one.data / "w").glob("*t-1*")))


async def test_who_talks_through_the_socket_of_a_service_is_its_user_and_nobody_else(one: Launched) -> None:
    world = one.world()
    world.launch("s-a-1", capture=False, process=documents.Process(command=["sleep", "60"]))
    await world.one(inputs.Launched)
    spec = folder.spec_of(one.data / "w" / "s-a-1")
    assert spec is not None

    for user, is_let_in in ((WORK, True), (OTHER, False)):
        with one.being(user):
            sock = socket.socket(socket.AF_UNIX)
            sock.connect(spec.socket)
        with sock:
            sock.setblocking(False)
            await asyncio.get_running_loop().sock_sendall(sock, b'{"kind": "app.x"}\n')
            if is_let_in:
                await until(lambda: world.all(inputs.Emitted))
            else:
                with contextlib.suppress(ConnectionError):
                    assert await asyncio.get_running_loop().sock_recv(sock, 10) == b""
    assert len(world.all(inputs.Emitted)) == 1


def test_the_example_of_agent_toml_says_what_holds_without_it() -> None:
    assert policy.parse(tomllib.loads((ROOT / "config" / "agent.toml").read_text())) == policy.Allowed()


async def test_a_stop_that_the_launcher_did_not_hear_is_said_again(one: Launched) -> None:
    world = one.world()
    world.launch("s-a-1", capture=False, process=documents.Process(command=["sleep", "60"]))
    await world.one(inputs.Launched)
    one.stop()

    world.stop("s-a-1", 30.0)
    assert not world.all(inputs.Ended)
    one.start()

    assert (await world.one(inputs.Ended)).exit.signal == 15


async def test_without_a_launcher_nothing_starts_and_all_is_as_it_should_be_once_it_is_there(one: Launched) -> None:
    world = one.world()
    one.stop()

    world.launch("t-1", "true")

    assert "skerry-agent-launch cannot be asked" in (await world.one(inputs.LaunchFailed)).error
    one.start()
    world.launch("t-2", "true")
    assert (await world.one(inputs.Ended)).exit.code == 0


async def test_one_that_gains_rights_has_to_be_allowed_to(one: Launched) -> None:
    with one.being("root"):
        one.rules.write_text(one.rules.read_text() + "new_privileges = true\ngroups = ['disk']\n")
    world = one.world()
    process = documents.Process(
        command=["sh", "-c", "grep NoNewPrivs /proc/self/status; id -Gn"],
        isolation=documents.Isolation(new_privileges=True, groups=["disk"]),
    )

    world.launch("t-1", process=process)
    said = (await world.one(inputs.Ended)).stdout.split()

    assert said[:2] == ["NoNewPrivs:", "0"]
    assert "disk" in said
