"""A device on which an installer script runs for real, by this machine's shell and curl, but for what would change the
machine: dpkg, apt-get and systemctl are stand-ins that keep a list of packages and note what they were asked.

    device = scripted.Device(tmp_path / "device")
    done = await device.run(text, "--token", token, shell="dash")
    assert device.package == ""

`breaks` names a stand-in that fails half-way, `ends` one at which the whole script is told to end (SIGTERM).
"""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from hub.demo import fleet as demo

SHELLS = [found for found in ("dash", "busybox", "bash") if shutil.which(found)]
PACKAGE = "skerry-agent_0.1.0+deb12_amd64.deb"

_HEAD = """#!/bin/sh
me=${0##*/}
echo "$me $*" >>"$HERE/did"
breaks() { # what fails, and what ends the script, is half done then
    [ "$me $1" != "$ENDS" ] || kill -TERM 0
    [ "$me $1" != "$BREAKS" ] || { echo "$me: something is wrong" >&2; exit 1; }
}
"""
_STANDS_IN = {
    "id": "echo 0",
    "curl": 'for last; do :; done; case $last in */install/*) breaks get ;; esac; exec /usr/bin/curl "$@"',
    "getent": "exit 2",
    "dpkg-query": 'cat "$HERE/package" 2>/dev/null',
    "dpkg": """case $1 in
--print-architecture) echo amd64 ;;
--purge) rm -rf "$HERE/package" "$HERE/state" ;;
--remove) [ ! -e "$HERE/package" ] || echo config-files 0.1.0+deb12 >"$HERE/package" ;;
esac""",
    "apt-get": """mkdir -p "$HERE/state"
echo half-configured 0.1.0+deb12 >"$HERE/package"
breaks install
echo installed 0.1.0+deb12 >"$HERE/package\"""",
    "systemctl": 'breaks "$1"; [ "$1" != show ] || echo running',
    "skerry-agent": 'breaks "$1"; exec "$BIN/skerry-agent" "$@" --data "$HERE/state"',
}
_PLACES = {"/var/lib/skerry/agent": "state", "/run/systemd/system": "run", "/etc/skerry": "etc"}


class Device:
    """See the module. It is a Debian 12 on amd64 whose places are in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.state = folder, folder / "state"
        for name in ("bin", "run", "tmp"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        for name, does in _STANDS_IN.items():
            self.does(name, does)
        (folder / "os-release").write_text("ID=debian\nVERSION_ID=12\n")

    def does(self, name: str, text: str) -> None:
        """Let the program `name` do this there."""
        path = self.folder / "bin" / name
        path.write_text(f"{_HEAD}{text}\n")
        path.chmod(0o755)

    @property
    def package(self) -> str:
        """How far the package is, as dpkg says; "" when it is not here."""
        return self._text("package")

    @property
    def did(self) -> list[str]:
        """What the stand-ins were asked."""
        return self._text("did").splitlines()

    @property
    def left(self) -> list[str]:
        """What there is on the device that was not there before."""
        made = {"bin", "run", "tmp", "os-release", "did"}
        top = [one.name for one in self.folder.iterdir() if one.name not in made]
        return sorted([*top, *(f"tmp/{one.name}" for one in (self.folder / "tmp").iterdir())])

    def _text(self, name: str) -> str:
        path = self.folder / name
        return path.read_text().strip() if path.exists() else ""

    async def run(
        self,
        text: str,
        *words: str,
        shell: str = "dash",
        breaks: str = "",
        ends: str = "",
        env: Mapping[str, str] | None = None,
        at: Path | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run the script as root there would, in the folder `at`; it is ended after two minutes."""
        for there, name in {**_PLACES, "/etc/os-release": "os-release"}.items():
            text = text.replace(there, str(self.folder / name))
        own = {"HERE": str(self.folder), "BREAKS": breaks, "ENDS": ends, "BIN": str(demo.BIN)}
        kept = {name: os.environ[name] for name in ("PYTHONPATH", "HOME") if name in os.environ}
        path = f"{self.folder}/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        return await asyncio.to_thread(
            subprocess.run,
            [shell, *(("sh",) if shell == "busybox" else ()), "-s", "--", *words],
            input=text,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            cwd=at,
            start_new_session=True,  # who ends the script ends what it started, and nothing else
            env={**kept, "PATH": path, "TMPDIR": str(self.folder / "tmp"), **own, **(env or {})},
        )
