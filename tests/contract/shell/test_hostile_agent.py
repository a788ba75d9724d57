"""The agent's user has been taken over, and asks the launcher for what it should not get."""

from __future__ import annotations

import os
import pwd
import socket
import subprocess
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from protocol import limits
from tests.contract.shell.launched import AGENT, OTHER, WORK, Launched, launched

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can launch as somebody else")
RULES = f'[work]\nuser = "{WORK}"\nusers = ["{OTHER}"]\npaths = ["/usr/bin", "/bin"]\n'
ID = {"do": "launch", "instance": "t-1", "command": ["/usr/bin/id"], "cwd": "/"}


@pytest.fixture(scope="module")
def one() -> Generator[Launched]:
    with launched(RULES) as found:
        yield found


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"user": "root"}, "the user 'root' is not among `users`"),
        ({"user": "daemon"}, "the user 'daemon' is not among `users`"),
        ({"user": "nosuchuser"}, "no such user 'nosuchuser'"),
        ({"user": "0"}, "no name of a user"),
        ({"runner": "shell"}, "the runner 'shell' is not among `runners`"),
        ({"env": {"LD_PRELOAD": "/tmp/x.so"}}, "'LD_PRELOAD' changes how programs are loaded"),
        ({"env": {"GLIBC_TUNABLES": "x"}}, "'GLIBC_TUNABLES' changes how programs are loaded"),
        ({"command": ["/usr/bin/../../tmp/x"]}, "has to be absolute, without . and .."),
        ({"command": ["id"]}, "has to be absolute, without . and .."),
        ({"command": ["/tmp/x"]}, "the program '/tmp/x' is not beneath one of `paths`"),
        ({"groups": ["disk"]}, "the group 'disk' is not among `groups`"),
        ({"new_privileges": True}, "`new_privileges` is not set"),
        ({"instance": "../../etc"}, "is not the name of an instance"),
        ({}, "a launch comes with 6 open files, not 0"),
    ],
)
def test_it_gets_one_sentence_and_nothing_else(one: Launched, changed: dict[str, Any], said: str) -> None:
    assert said in one.says(ID | changed)["error"]


def test_a_link_out_of_what_is_allowed_leads_nowhere(one: Launched) -> None:
    with one.being("root"):
        place = one.top / "allowed"
        place.mkdir(exist_ok=True)
        (place / "x").symlink_to("/usr/sbin/nologin")
        one.rules.write_text(f'[work]\nuser = "{WORK}"\npaths = ["{place}"]\n')
    try:
        found = one.says(ID | {"command": [str(place / "x")]})["error"]
        assert "nologin' is not beneath one of `paths`" in found
    finally:
        with one.being("root"):
            one.rules.write_text(RULES)


@pytest.mark.parametrize("rules", ["[wrok]\n", "[work]\nusres = []\n", "[work\n", "[work]\nusers = 'root'\n"])
def test_an_owner_s_file_that_cannot_be_understood_lets_nothing_run(one: Launched, rules: str) -> None:
    with one.being("root"):
        one.rules.write_text(rules)
    try:
        assert "is wrong, so nothing may run" in one.says(ID)["error"]
    finally:
        with one.being("root"):
            one.rules.write_text(RULES)


def test_an_owner_s_file_that_others_may_change_lets_nothing_run(one: Launched) -> None:
    agent = pwd.getpwnam(AGENT)
    with one.being("root"):
        os.chown(one.rules, agent.pw_uid, 0)
    assert f"{one.rules} belongs to uid {agent.pw_uid}, not to root" in one.says(ID)["error"]
    with one.being("root"):
        os.chown(one.rules, 0, agent.pw_gid)
        one.rules.chmod(0o664)
    assert f"{one.rules} can be written by others than root" in one.says(ID)["error"]
    with one.being("root"):
        one.rules.chmod(0o644)
        one.top.chmod(0o777)
    assert f"{one.top} can be written by others than root" in one.says(ID)["error"]
    with one.being("root"):
        one.rules.unlink()
    assert f"{one.top} can be written by others than root" in one.says(ID)["error"], "it was there before"
    with one.being("root"):
        one.top.chmod(0o755)
        one.rules.write_text(RULES)
    assert "comes with 6 open files" in one.says(ID)["error"]


def test_root_writes_into_no_file_but_those_of_the_instance(one: Launched) -> None:
    places = {name: one.data / "w" / "t-1" / name for name in ("start", "out", "err", "run", "exit")}
    places["start"].parent.mkdir(parents=True, exist_ok=True)
    for path in places.values():
        path.touch()
    read, write = os.pipe()
    for name, other in (("run", "/proc/self/comm"), ("exit", "/etc/hostname"), ("out", str(one.data / "key"))):
        (one.data / "key").touch()
        paths = {**places, name: Path(other)}
        handles = [write, *(os.open(path, os.O_RDONLY) for path in paths.values())]
        found = one.says(ID, handles)["error"]
        for handle in handles[1:]:
            os.close(handle)
        assert f"{other!r} is not one of this instance's" in found or "/proc/" in found
    assert "is a pipe" in one.says(ID, [os.open(os.devnull, os.O_RDWR)] * 6)["error"]
    assert "all are that a probe has" in one.says(ID | {"instance": "p-1", "beside": "s-1"}, [write] + [0] * 5)["error"]
    os.close(read)
    os.close(write)


def test_nothing_is_deleted_as_root_and_nothing_is_killed_that_it_did_not_start(one: Launched) -> None:
    with one.being("root"):
        victim = subprocess.Popen(["sleep", "60"], start_new_session=True)
    stat = Path(f"/proc/{victim.pid}/stat").read_text().strip()
    folder = one.data / "w" / "s-v-1"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "run").write_text(f"{stat} end\n")
    (folder / "dir").symlink_to("/etc")

    assert "not among `users`" in one.says({"do": "empty", "instance": "s-v-1", "user": "root"})["error"]
    assert one.says({"do": "signal", "instance": "s-v-1", "number": 9}) == {}
    assert one.says({"do": "empty", "instance": "s-v-1"}) == {}

    assert victim.poll() is None
    assert Path("/etc/passwd").exists()
    with one.being("root"):
        victim.kill()
        victim.wait()


def test_what_is_too_large_or_broken_or_never_comes_holds_up_nobody(one: Launched) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as silent:
        silent.connect(str(one.socket))
        assert "able" in one.says({"do": "able"})
    long = ID | {"env": {"A": "x" * (limits.LAUNCHER_REQUEST_BYTES_MAX + 1)}}
    assert "of more than 131072 bytes is not read" in one.says(long)["error"]
    assert "it is not JSON" in one.says(b"\xff" * 1_000)["error"]
    assert "it is not JSON" in one.says(b"[" * 100_000)["error"]
    assert "it is no JSON object" in one.says(b"[]")["error"]
    assert "it is not JSON" in one.says(b"")["error"]
    assert "able" in one.says({"do": "able"}, [0] * 200)


def test_another_user_is_not_served(one: Launched) -> None:
    for user in ("root", OTHER):
        with one.being(user):
            assert one.says({"do": "able"}) == {}
