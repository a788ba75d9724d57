"""The installer on a stick: what it does on a device, and what it takes back when it fails."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from pathlib import Path

import pytest

from hub.shell.install import script
from hub.shell.install.packages import Package

_NAME = "skerry-agent_0.1.0+deb12_amd64.deb"
_RAW = b"a package\n"
_DEVICE = {
    "id": "echo 0",
    "systemctl": 'echo "systemctl $*" >>"$HERE/did"',
    "getent": "exit 2",
    "dpkg": 'if [ "$1" = --print-architecture ]; then echo amd64; else echo "dpkg $*" >>"$HERE/did"; fi',
    "dpkg-query": ":",
    "apt-get": 'echo "apt-get ${*##*/}" >>"$HERE/did"',
    "skerry-agent": 'echo "skerry-agent $*" >>"$HERE/did"; [ "$1" != "$FAILS" ] || ! echo "skerry-agent: no"',
}
"""What the script calls on a device: each notes what it was asked."""


def _stick(tmp_path: Path, raw: bytes = _RAW) -> Path:
    """A stick and a device; the script finds the device's places under the test's folder."""
    stick, here = tmp_path / "a stick", tmp_path / "device"
    for folder in (stick, here / "bin", here / "run"):
        folder.mkdir(parents=True)
    for name, does in _DEVICE.items():
        (here / "bin" / name).write_text(f"#!/bin/sh\n{does}\n")
        (here / "bin" / name).chmod(0o755)
    (here / "os-release").write_text("ID=debian\nVERSION_ID=12\n")
    summed = hashlib.sha256(_RAW).hexdigest()
    held = [Package(path=Path(_NAME), version="0.1.0+deb12", release="12", arch="amd64", sha256=summed, size=len(_RAW))]
    text = script.offline(hub="cloud", held=held)
    places = {"/var/lib/skerry/agent": "state", "/run/systemd/system": "run", "/etc/skerry": "etc"}
    for there, name in {**places, "/etc/os-release": "os-release"}.items():
        text = text.replace(there, str(here / name))
    (stick / "install").write_text(text)
    (stick / _NAME).write_bytes(raw)
    return stick


def _install(stick: Path, *words: str, fails: str = "") -> tuple[subprocess.CompletedProcess[str], list[str]]:
    here = stick.parent / "device"
    done = subprocess.run(
        ["/bin/sh", str(stick / "install"), *words],
        capture_output=True,
        text=True,
        timeout=60,
        env={"PATH": f"{here}/bin:/usr/bin:/bin", "HERE": str(here), "FAILS": fails},
        check=False,
    )
    did = (here / "did").read_text().splitlines() if (here / "did").exists() else []
    return done, did


def test_it_installs_prepares_starts_and_imports_with_no_network(tmp_path: Path) -> None:
    stick = _stick(tmp_path)
    done, did = _install(stick, "mast-7")
    assert (done.returncode, done.stderr) == (0, "")
    assert did == [
        f"apt-get {_NAME}",
        f"skerry-agent enroll --from {stick} --name mast-7",
        "systemctl start skerry-agent",
        f"skerry-agent import {stick}",
    ]
    assert done.stdout.splitlines()[-1] == "Done. On this device:  skerry-agent status"


def test_a_package_that_was_copied_half_is_not_installed(tmp_path: Path) -> None:
    done, did = _install(_stick(tmp_path, b"a pack"))
    assert done.returncode == 1
    assert "what was fetched is not what this hub promised" in done.stderr
    assert did == []


def test_a_stick_that_is_pulled_out_is_told_and_nothing_is_installed(tmp_path: Path) -> None:
    stick = _stick(tmp_path)
    (stick / _NAME).unlink()
    done, did = _install(stick)
    assert (done.returncode, did) == (1, [])
    assert done.stderr.endswith(f"skerry: {_NAME} cannot be read from the stick: is it in? make it anew\n")


@pytest.mark.parametrize(("fails", "undone"), [("enroll", ["dpkg --purge skerry-agent"]), ("import", [])])
def test_what_failed_is_taken_back_until_work_may_run_here(tmp_path: Path, fails: str, undone: list[str]) -> None:
    done, did = _install(_stick(tmp_path), fails=fails)
    assert (done.returncode, done.stderr) == (1, "skerry: no\n")
    assert [one for one in did if one.startswith("dpkg")] == undone


def test_a_script_that_was_copied_half_does_nothing(tmp_path: Path) -> None:
    stick = _stick(tmp_path)
    text = (stick / "install").read_text()
    (stick / "install").write_text(text[: text.rindex("main ")])
    done, did = _install(stick)
    assert (done.returncode, done.stdout, done.stderr, did) == (0, "", "", [])


def test_it_says_how_it_is_used_and_for_which_devices_it_is(tmp_path: Path) -> None:
    stick = _stick(tmp_path)
    assert _install(stick, "a", "b")[0].stderr == "skerry: this takes one name, or none: sudo sh ./install [NAME]\n"
    (tmp_path / "device" / "os-release").write_text("ID=debian\nVERSION_ID=13\n")
    assert "holds no package for debian 13 amd64 (it has: debian 12 amd64)" in _install(stick)[0].stderr


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="shellcheck is not installed here")
def test_shellcheck_finds_nothing(tmp_path: Path) -> None:
    text = script.offline(hub="cloud", held=[])
    (tmp_path / "install.sh").write_text(text)
    done = subprocess.run(
        ["shellcheck", str(tmp_path / "install.sh")], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.stdout == ""
