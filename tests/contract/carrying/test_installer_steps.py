"""The installer on a stick, by each shell that a small Debian has: broken off it leaves nothing, until work may run."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from hub.shell.install import script
from hub.shell.install.packages import Package
from tests.support import scripted
from tests.support.scripted import Device

_RAW = b"a package\n"


@pytest.mark.parametrize("shell", scripted.SHELLS)
async def test_broken_off_at_each_step_it_leaves_nothing_until_work_may_run(tmp_path: Path, shell: str) -> None:
    stick = tmp_path / "a stick"
    stick.mkdir()
    summed = hashlib.sha256(_RAW).hexdigest()
    path = stick / scripted.PACKAGE
    path.write_bytes(_RAW)
    held = [Package(path=path, version="0.1.0+deb12", release="12", arch="amd64", sha256=summed, size=len(_RAW))]
    text = script.offline(hub="cloud", held=held)
    device = Device(tmp_path / "device")
    device.does("skerry-agent", 'breaks "$1"; : >"$HERE/state/key.pem"')
    for step in ("apt-get install", "skerry-agent enroll"):
        for breaks, ends, code in ((step, "", 1), ("", step, 130)):
            done = await device.run(text, "mast-7", shell=shell, at=stick, breaks=breaks, ends=ends)
            assert (done.returncode, device.left) == (code, []), (step, ends, done.stdout, done.stderr)
            assert "this device is as it was before" in done.stdout
    for step in ("systemctl start", "skerry-agent import"):
        done = await device.run(text, "mast-7", shell=shell, at=stick, breaks=step)
        assert (done.returncode, device.left) == (1, ["package", "state"]), (step, done.stdout, done.stderr)
    done = await device.run(text, "mast-7", shell=shell, at=stick)
    assert (done.returncode, done.stderr) == (0, "")
    assert "is here already" in done.stdout
