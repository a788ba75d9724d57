"""A workload is hostile, or an artifact is, or the agent's user: root runs nothing of theirs, and goes on serving."""

from __future__ import annotations

import contextlib
import os
import pwd
import resource
import shutil
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from edge_agent.core import inputs
from edge_agent.launcher import give, kernel, request
from edge_agent.launcher.policy import Who
from protocol import documents
from tests.contract.shell.launched import AGENT, ROOT, WORK, Launched, launched
from tests.contract.shell.world import until

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can launch as somebody else")
_IMPATIENT = (
    "from edge_agent.launcher import main; from protocol import limits; limits.LAUNCHER_REQUEST_S = 1; main.main()"
)
_TWO_PLACES = """
import itertools, os, pathlib, sys, threading
from edge_agent.launcher import kernel
top = pathlib.Path(sys.argv[1])
one, two = top / "one", top / "two"
deep = top / "/".join("x" * 600)
deep.mkdir(parents=True)
for place, name in ((one, "a"), (two, "b")):
    place.mkdir()
    (place / "mine").write_text(place.name)
    (deep / name).symlink_to(place)
if (turner := os.fork()) == 0:
    for n in itertools.count():
        os.rename(deep / ("a" if n % 2 else "b"), deep / "link")
        (deep / ("a" if n % 2 else "b")).symlink_to(one if n % 2 else two)
while not (deep / "link").is_symlink():
    pass
kernel.own_mounts()
try:
    for _ in range(300):
        kernel.make_read_only(str(deep / "link"))
finally:
    os.kill(turner, 9)
print((one / "mine").read_text(), (two / "mine").read_text())
"""
_TURNING = """
import ctypes, os, sys
from edge_agent.launcher import give, policy, request
top = sys.argv[1]
folder, pipe = os.path.join(top, "folder"), os.path.join(top, "pipe")
os.mkdir(folder)
os.mkfifo(pipe)
os.chown(top, 1, 1)
if (turner := os.fork()) == 0:
    while True:
        ctypes.CDLL(None).renameat2(-100, folder.encode(), -100, pipe.encode(), 2)
who = policy.Who(name="a", uid=1, gid=1)
try:
    for _ in range(3_000):
        give.give(request.Request(do="launch", owned=top), who, who)
finally:
    os.kill(turner, 9)
"""


@pytest.fixture
def one() -> Generator[Launched]:
    with launched() as found:
        yield found


def asks(one: Launched, instance: str, *command: str, **more: Any) -> dict[str, Any]:
    """Ask for a launch as the agent's user may, around the agent."""
    folder = one.data / "w" / instance
    folder.mkdir(parents=True, exist_ok=True)
    read, write = os.pipe()
    names = ("start", "out", "err", "run", "exit")
    handles = [write, *(os.open(folder / name, os.O_CREAT | os.O_RDWR) for name in names)]
    if more.get("beside"):
        handles[1:] = [os.dup(write) for _ in names]
    found = one.says({"do": "launch", "instance": instance, "command": command, "cwd": "/"} | more, handles)
    for handle in handles:
        os.close(handle)
    while os.read(read, 4_096):  # until its shim has let go
        pass
    os.close(read)
    return found


async def test_what_a_workload_mounts_for_itself_root_does_not_run(one: Launched) -> None:
    proof, fake = one.top / "proof", one.data / "setsid"  # the one is root's to write
    fake.write_text(f"#!/bin/sh\nid -u >{proof}\n")
    fake.chmod(0o755)
    mounts = f"mount -t tmpfs none /mnt && mount --bind {fake} $(command -v setsid) && touch /mnt/done"
    world = one.world()
    process = documents.Process(command=["unshare", "-Urm", "sh", "-c", f"{mounts} && exec sleep 60"])
    world.launch("s-a-1", capture=False, process=process)
    pid = (await world.one(inputs.Launched)).pid
    with one.being("root"):
        await until(lambda: Path(f"/proc/{pid}/root", "mnt", "done").exists())

    assert asks(one, "p-a-1", "/usr/bin/true", beside="s-a-1") == {}

    assert not proof.exists()


def test_a_name_that_leads_elsewhere_meanwhile_mounts_nothing_there(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-P", "-c", _TWO_PLACES, str(tmp_path)],
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("one two\n", "")


def test_a_tmp_that_is_a_link_is_private_all_the_same(tmp_path: Path) -> None:
    program = """
import os, sys
from edge_agent.launcher import kernel
kernel.own_mounts()
kernel.private_tmp(sys.argv[1:])
print(*(len(os.listdir(path)) for path in sys.argv[1:]))
"""
    (tmp_path / "volatile").mkdir()
    (tmp_path / "volatile" / "theirs").touch()
    (tmp_path / "tmp").symlink_to("volatile")
    words = [sys.executable, "-P", "-c", program, str(tmp_path / "tmp"), str(tmp_path / "volatile")]

    done = subprocess.run(words, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False)

    assert (done.stdout, done.stderr) == ("0 0\n", "")
    assert (tmp_path / "volatile" / "theirs").exists()


async def test_a_workload_with_an_odd_name_holds_up_neither_launcher_nor_agent(one: Launched) -> None:
    world = one.world()
    world.launch("t-1", "sh", "-c", r"printf '\377\376' >/proc/self/comm; sleep 60; :")
    pid = (await world.one(inputs.Launched)).pid
    await until(lambda: b"\xff\xfe" in Path(f"/proc/{pid}/stat").read_bytes())

    assert "able" in one.says({"do": "able"})
    world.close()
    after = one.world()
    after.stop("t-1", 5.0)

    assert (await after.one(inputs.Ended)).exit.signal == 15


def test_a_chain_of_links_ends_its_request_and_no_other(one: Launched) -> None:
    (one.data / "0").symlink_to("/usr/bin/true")
    for number in range(1, 1_500):
        (one.data / str(number)).symlink_to(one.data / str(number - 1))

    assert "the launcher cannot do this" in asks(one, "t-1", str(one.data / "1499"))["error"]

    assert "able" in one.says({"do": "able"})


def test_what_is_handed_over_and_cannot_be_closed_ends_the_launcher_not_its_service(one: Launched) -> None:
    one.stop()
    one.start(program=_IMPATIENT)
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket() as full:
        full.connect(server.getsockname())
        peer, _ = server.accept()
        full.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while full.send(b"x" * 65_536):
                pass
        full.setblocking(True)
        full.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 1_000_000))
        one.signal(signal.SIGSTOP)
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as sock:
            sock.connect(str(one.socket))
            socket.send_fds(sock, [b"{}"], [full.fileno()])
            full.close()  # so the launcher is the last to close it
            one.signal(signal.SIGCONT)
            with peer:
                assert one.ended() == -signal.SIGALRM


def test_a_workload_has_no_open_file_but_its_own(one: Launched) -> None:
    asks(one, "t-1", "/bin/ls", "/proc/self/fd")

    assert (one.data / "w" / "t-1" / "out").read_text().split() == ["0", "1", "2", "3"]


@pytest.mark.skipif(resource.getrlimit(resource.RLIMIT_RTPRIO)[1] != 0, reason="this device lets all have priority")
def test_no_limit_is_raised_beyond_the_device_s_by_asking_for_none(one: Launched) -> None:
    found = asks(one, "t-1", "/usr/bin/true", rlimits={"rtprio": -1})

    assert "the limit rtprio is 0 on this device" in found["error"]


async def test_a_burst_of_launches_leaves_each_its_record(one: Launched) -> None:
    world = one.world()
    names = [f"t-{number}" for number in range(70)]

    for name in names:
        world.launch(name, "sleep", "60")
    await until(lambda: len(world.all(inputs.Launched)) == len(names))

    assert "able" in one.says({"do": "able"})
    assert sorted(one.ran) == sorted(names)


async def test_what_a_workload_leaves_in_a_session_of_its_own_ends_after_it(one: Launched) -> None:
    world = one.world()
    world.launch("t-1", "sh", "-c", "setsid sleep 60 >/dev/null 2>&1 & echo $!")
    left = int((await world.one(inputs.Ended)).stdout)

    def is_ended() -> bool:
        one.says({"do": "able"})
        return not Path(f"/proc/{left}").exists() and not one.ran

    await until(is_ended)


async def test_a_number_that_came_round_to_another_group_is_not_signalled(one: Launched) -> None:
    world = one.world()
    world.launch("t-1", "true")
    await world.one(inputs.Ended)
    with one.being("root"):
        with subprocess.Popen(
            ["sh", "-c", "sleep 60 >/dev/null & echo $!"], stdout=subprocess.PIPE, start_new_session=True
        ) as leader:
            stranger = int(leader.communicate()[0])
        record = one.state / "t-1"
        record.write_text(f"{leader.pid} {record.read_text().partition(' ')[2]}")

    assert one.says({"do": "signal", "instance": "t-1", "number": 9}) == {}

    assert "able" in one.says({"do": "able"})
    with one.being("root"):
        assert b"sleep" in Path(f"/proc/{stranger}/cmdline").read_bytes()
        os.kill(stranger, signal.SIGKILL)


def test_what_is_given_is_folders_and_files_and_nothing_that_a_link_leads_to(tmp_path: Path) -> None:
    agent, who = Who(name=AGENT, uid=1, gid=1), Who(name=WORK, uid=65_534, gid=65_534)
    (tmp_path / "inner" / "deep").mkdir(parents=True)
    (tmp_path / "inner" / "file").touch()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("/dev/tty")
    for path in (tmp_path, *tmp_path.rglob("*")):
        os.chown(path, agent.uid, agent.gid, follow_symlinks=False)

    give.give(request.Request(do="launch", owned=str(tmp_path)), who, agent)

    found = {path.name: path.lstat().st_uid for path in tmp_path.rglob("*")}
    assert found == {"inner": who.uid, "deep": who.uid, "file": who.uid, "pipe": agent.uid, "link": agent.uid}


def test_a_folder_that_becomes_a_pipe_holds_up_nobody(tmp_path: Path) -> None:
    words = [sys.executable, "-P", "-c", _TURNING, str(tmp_path)]
    with subprocess.Popen(words, env={"PYTHONPATH": str(ROOT)}, start_new_session=True) as giving:
        try:
            assert giving.wait(60) == 0
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(giving.pid, signal.SIGKILL)


def test_nothing_is_deleted_where_a_link_leads(one: Launched) -> None:
    (one.data / "w").mkdir()
    with one.being("root"):
        theirs = one.top / "theirs" / "dir"
        theirs.mkdir(parents=True)
        for path in (theirs, theirs.parent):
            shutil.chown(path, WORK)
    (one.data / "w" / "t-1").symlink_to(theirs.parent)

    one.says({"do": "empty", "instance": "t-1"})

    assert theirs.is_dir()


@pytest.mark.skipif(not shutil.which("bash"), reason="no bash here")
def test_a_warden_reckons_with_numbers_only(tmp_path: Path) -> None:
    with subprocess.Popen(["sleep", "60"], start_new_session=True) as victim:
        stat = Path(f"/proc/{victim.pid}/stat").read_text().strip()
        (tmp_path / "run").write_text(f"{stat} end\n")
        (tmp_path / "lease").write_text(f"x[$(>{tmp_path}/proof)] end\n")

        subprocess.run(["bash", ROOT / "edge_agent" / "shell" / "runners" / "lease.sh", tmp_path, "5"], check=False)

        assert victim.wait() == -signal.SIGTERM  # it has no lease
    assert not (tmp_path / "proof").exists()


@pytest.mark.skipif(bool(kernel.landlock_lacks()), reason="this kernel has no Landlock")
@pytest.mark.parametrize(("owner", "code"), [(WORK, 1), ("root", 0)])
def test_a_link_of_its_own_is_no_way_out(one: Launched, owner: str, code: int) -> None:
    with one.being("root"):
        own, secret = one.top / "own", one.top / "secret"
        own.mkdir()
        secret.write_text("secret")
        (own / "x").symlink_to("../secret")
        for path in (own, own / "x"):
            os.chown(path, *pwd.getpwnam(owner)[2:4], follow_symlinks=False)

    asks(one, "t-1", "/usr/bin/cat", str(secret), cwd=str(own), reads=[str(own / "x")])

    assert (one.data / "w" / "t-1" / "exit").read_text().split()[0] == str(code)
