"""What the package's scripts do when it goes, on a device of folders: what ran ends, what is others' stays."""

from __future__ import annotations

import contextlib
import subprocess
from pathlib import Path

import pytest

_SCRIPTS = Path(__file__).parents[3] / "packaging" / "agent"
_ELSEWHERE = ("/var/lib/skerry", "/usr/lib/skerry-agent", "/etc/skerry", "/run/systemd/system", "/sys/fs/cgroup")
_SLICES = ("system.slice", "systemd/system.slice")


class Device:
    """The folders that the scripts know, below one of its own; `calls` is what they had others do."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        (folder / "bin").mkdir()
        self.at("/run/systemd/system").mkdir(parents=True)
        for name in ("systemctl", "getent", "userdel", "groupdel"):
            self.does(name, ":")

    def at(self, path: str) -> Path:
        return self._folder / path.removeprefix("/")

    def does(self, name: str, what: str) -> None:
        """Have a program do something, once it has been noted."""
        program = self._folder / "bin" / name
        program.write_text(f'#!/bin/sh\necho {name} "$@" >>{self._folder}/calls\n{what}\n')
        program.chmod(0o755)

    @property
    def calls(self) -> list[str]:
        return (self._folder / "calls").read_text().splitlines()

    def run(self, script: str, word: str) -> subprocess.CompletedProcess[str]:
        text = (_SCRIPTS / script).read_text()
        for path in _ELSEWHERE:
            text = text.replace(path, str(self.at(path)))
        paths = {"PATH": f"{self._folder}/bin:/usr/bin:/bin"}
        words = ["/bin/sh", "-c", text, script, word]
        return subprocess.run(words, capture_output=True, text=True, check=False, timeout=60, env=paths)


@pytest.fixture
def device(tmp_path: Path) -> Device:
    return Device(tmp_path)


def test_a_purge_leaves_nothing_but_what_others_still_need(device: Device) -> None:
    device.at("/var/lib/skerry/agent").mkdir(parents=True)
    device.at("/etc/skerry").mkdir(parents=True)
    device.at("/etc/skerry/agent.toml").write_text("[people]\n")
    device.does("groupdel", '[ "$1" != skerry ] || { echo "it is the primary group of ada" >&2; exit 8; }')
    device.does("userdel", "exit 8")
    done = device.run("postrm", "purge")
    assert done.returncode == 0, done.stderr
    assert "user skerry-agent is still used and stays\n" in done.stderr
    assert "it is the primary group of ada\ngroup skerry is still used and stays\n" in done.stderr
    assert "groupdel skerry-operators" in device.calls, "the other one goes"
    assert not device.at("/etc/skerry").exists()
    assert not device.at("/var/lib/skerry").exists()


def test_a_purge_leaves_what_is_the_hubs(device: Device) -> None:
    device.at("/var/lib/skerry/hub").mkdir(parents=True)
    device.at("/etc/skerry").mkdir(parents=True)
    device.at("/etc/skerry/hub.env").touch()
    assert device.run("postrm", "purge").returncode == 0
    assert device.at("/etc/skerry/hub.env").exists()
    assert device.at("/var/lib/skerry/hub").exists()


def test_a_removal_leaves_configuration_and_state(device: Device) -> None:
    device.at("/var/lib/skerry/agent").mkdir(parents=True)
    device.at("/etc/skerry").mkdir(parents=True)
    device.at("/etc/skerry/agent.toml").touch()
    assert device.run("postrm", "remove").returncode == 0
    assert device.at("/var/lib/skerry/agent").exists()
    assert device.at("/etc/skerry/agent.toml").exists()
    assert device.calls == ["systemctl daemon-reload"]


@pytest.mark.parametrize("slice_", _SLICES)
def test_what_ran_is_ended_at_once_where_the_kernel_can(device: Device, slice_: str) -> None:
    group = device.at(f"/sys/fs/cgroup/{slice_}/skerry-agent.service")
    group.mkdir(parents=True)
    (group / "cgroup.kill").touch()
    (group / "cgroup.procs").touch()
    assert device.run("prerm", "remove").returncode == 0
    assert (group / "cgroup.kill").read_text() == "1\n"
    assert not (group / "cgroup.procs").read_text()
    units = "skerry-agent skerry-agent-trial skerry-agent-upgrade.path skerry-agent-launch.socket skerry-agent-work"
    assert device.calls[-1] == f"systemctl disable --quiet {units}"


@pytest.mark.parametrize("slice_", _SLICES)
def test_what_ran_is_ended_with_what_it_started_meanwhile(device: Device, slice_: str) -> None:
    group = device.at(f"/sys/fs/cgroup/{slice_}/skerry-agent.service")
    (group / "inner").mkdir(parents=True)
    with contextlib.ExitStack() as stack:
        first, inner, later = (stack.enter_context(subprocess.Popen(["sleep", "600"])) for _ in range(3))
        for one in (first, inner, later):
            stack.callback(one.kill)
        (group / "cgroup.procs").write_text(f"{first.pid}\n")
        (group / "inner" / "cgroup.procs").write_text(f"{inner.pid}\n")
        # as the kernel would show it: the first ones are gone, and one of them had started another
        shown = f"{group}/cgroup.procs"
        then = f"grep -q {first.pid} {shown} && echo {later.pid} >{shown} || : >{shown}"
        device.does("sleep", f": >{group}/inner/cgroup.procs; {then}")
        assert device.run("prerm", "remove").returncode == 0
        assert [one.wait(20) for one in (first, inner, later)] == [-9, -9, -9]
    assert device.calls.count("sleep 0.2") == 2
