"""A real launcher for tests: root, with an agent that is somebody else. This process becomes that agent meanwhile."""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any

from edge_agent.shell.launching import launcher
from tests.contract.shell.world import PATIENCE_S, World

AGENT, WORK, OTHER = "daemon", "nobody", "games"
ROOT = Path(__file__).parents[3]
RULES = f'[work]\nuser = "{WORK}"\nusers = ["{OTHER}"]\n'


def _rights_of_the_unit() -> list[str]:
    lines = (ROOT / "packaging" / "agent" / "skerry-agent-launch.service").read_text().splitlines()
    (found,) = (line for line in lines if line.startswith("CapabilityBoundingSet="))
    return [right.removeprefix("CAP_").lower() for right in found.partition("=")[2].split()]


_RIGHTS = _rights_of_the_unit()


def _bounded(rights: Sequence[str]) -> list[str]:
    return ["setpriv", f"--bounding-set=-all,{','.join(f'+{right}' for right in rights)}"]


class Launched:
    """A launcher in `top`, and what an agent (or whoever took it over) does with it."""

    def __init__(self, top: Path) -> None:
        self.top, self.data = top, top / "data"
        self.rules, self.state = top / "agent.toml", top / "state"
        self.group = f"skerry-test-{os.getpid()}-{top.name}"
        self.socket = top / "s"
        self._process: subprocess.Popen[str] | None = None
        self.worlds: list[World] = []

    def start(
        self,
        *more: str,
        program: str = "from edge_agent.launcher import main; main.main()",
        rights: Sequence[str] = (),
        listener: socket.socket | None = None,
    ) -> None:
        """Start it with these capabilities, else with those of its unit, and return when it answers.

        `listener`: where requests wait for it already, as systemd hands it over.
        """
        if listener is not None:
            program = f"import os; os.dup2({listener.fileno()}, 3); os.environ['LISTEN_FDS'] = '1'; {program}"
        words = ["--agent", AGENT, "--data", self.data, "--socket", self.socket, "--state", self.state]
        words += ["--group", self.group, "--rules", self.rules, *more]
        with self._as(0, 0):
            if listener is None:
                self.socket.unlink(missing_ok=True)
            self._process = subprocess.Popen(
                [*_bounded(rights or _RIGHTS), sys.executable, "-P", "-c", program, *map(str, words)],
                env={"PYTHONPATH": str(ROOT), "PATH": os.environ["PATH"], "LD_LIBRARY_PATH": ""},
                cwd="/",
                text=True,
                pass_fds=() if listener is None else (listener.fileno(),),
            )
        while not self.says({"do": "able"}):
            assert self._process.poll() is None, "it did not start"

    def listen(self) -> socket.socket:
        """Listen in its place, as systemd does."""
        with self._as(0, 0):
            self.socket.unlink(missing_ok=True)
            listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            listener.bind(str(self.socket))
            self.socket.chmod(0o777)
            listener.listen(64)
            listener.setblocking(False)
        return listener

    def stop(self) -> None:
        """Kill it."""
        if self._process is not None:
            with self._as(0, 0):
                self._process.kill()
                self._process.wait()

    def signal(self, number: int) -> None:
        """Send it a signal."""
        assert self._process is not None
        with self._as(0, 0):
            self._process.send_signal(number)

    def ended(self) -> int:
        """Wait until it has ended by itself, and return how."""
        assert self._process is not None
        return self._process.wait()

    @property
    def ran(self) -> list[str]:
        """What it has a record of."""
        return [one.name for one in self.state.iterdir()]

    def world(self) -> World:
        """Return a life of the agent's shell, over this launcher."""
        by = launcher.Launcher(str(self.socket))
        by.ask()
        self.worlds.append(World(self.data, by))
        return self.worlds[-1]

    def says(self, asked: dict[str, Any] | bytes, handles: Sequence[int] = ()) -> dict[str, Any]:
        """Return what it answers; nothing when it is not there, or hangs up."""
        raw = asked if isinstance(asked, bytes) else json.dumps(asked).encode()
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as sock:
            sock.settimeout(20.0)
            with contextlib.suppress(FileNotFoundError, PermissionError, ConnectionError):
                sock.connect(str(self.socket))
                socket.send_fds(sock, [raw], list(handles))
                return json.loads(sock.recv(65_536) or b"{}")
        return {}

    @contextlib.contextmanager
    def _as(self, uid: int, gid: int) -> Generator[None]:
        before = os.geteuid(), os.getegid()
        os.seteuid(0)
        os.setegid(gid)
        os.seteuid(uid)
        try:
            yield
        finally:
            os.seteuid(0)
            os.setegid(before[1])
            os.seteuid(before[0])

    @contextlib.contextmanager
    def being(self, name: str) -> Generator[None]:
        """Be the user `name` meanwhile."""
        found = pwd.getpwnam(name)
        with self._as(found.pw_uid, found.pw_gid):
            yield


@contextlib.contextmanager
def launched(rules: str = RULES) -> Generator[Launched]:
    """Have a launcher, and be its agent; leave nothing running and nothing lying about."""
    top = Path(tempfile.mkdtemp(prefix="skl-", dir="/var/lib"))
    top.chmod(0o755)
    one = Launched(top)
    one.data.mkdir(mode=0o711)
    found = pwd.getpwnam(AGENT)
    os.chown(one.data, found.pw_uid, found.pw_gid)
    one.rules.write_text(rules)
    try:
        with one.being(AGENT):
            one.start()
            yield one
    finally:
        for world in one.worlds:
            world.end_all()
        one.stop()
        _clear(one.group)
        shutil.rmtree(top)


def _clear(group: str) -> None:
    """Kill what is left in the control groups of the test, and take them away."""
    deadline = time.monotonic() + PATIENCE_S
    for kind in ("memory", "cpu", "pids", "."):
        top = Path("/sys/fs/cgroup", kind, group)
        while top.is_dir():
            for folder, _, _ in os.walk(top, topdown=False):
                for pid in Path(folder, "cgroup.procs").read_text().split():
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(int(pid), signal.SIGKILL)
                with contextlib.suppress(OSError):
                    os.rmdir(folder)
            assert time.monotonic() < deadline, f"{top} is still in use"
