"""A device: a clean Debian with its own systemd, booted in namespaces, on a host of a switch.

    async with debian.booted(folder, it.land("oslo", 90), "bookworm-amd64") as device:
        await device.run("systemctl", "is-active", "skerry-agent")
        await device.lose_power()
        await device.boot()

Its disk is a layer over a tree that `make packages` made, kept from boot to boot. All mounts are in a namespace that
ends with it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from edge_agent.app import VERSION
from hub.demo.daemon import DemoFailed
from tests.support.net import host
from tests.support.net.host import Host

BUILT = Path(__file__).resolve().parents[2] / "build" / "packages"
PACKAGES = BUILT / "out"
_BOOT_WAIT_S = 120.0
_COMMAND_WAIT_S = 180.0
_LOOK_S = 0.1
_BOOT = """
mount -t overlay overlay -o "lowerdir=$1,upperdir=$2/disk,workdir=$2/work" "$2/root"
exec systemd-nspawn --quiet --directory="$2/root" --machine="$3" --register=no --keep-unit --boot \
  --network-namespace-path="$4" --bind-ro="$5:/media"
"""
# emulated, some unit of Debian's own may fail: that is "degraded"
_SETTLED = "until systemctl is-system-running --wait | grep -e running -e degraded; do sleep 0.1; done"


def missing(tree: str) -> str:
    """Say what this machine lacks to boot a device of `tree` (RELEASE-ARCH) with its packages, or ""."""
    if shutil.which("systemd-nspawn") is None:
        return "systemd-nspawn is not installed here (sudo apt install systemd-container)"
    if not (BUILT / "trees" / tree / "etc" / "debian_version").exists() or not package("skerry-agent", tree):
        return f"there are no packages of {tree} here (make packages)"
    return host.missing()


def package(name: str, tree: str, version: str = VERSION) -> Path | None:
    """Return the package of `version` that was built for `tree`; None: there is none."""
    release, _, arch = tree.partition("-")
    number = {"bookworm": "12", "trixie": "13"}[release]
    made = PACKAGES / f"{name}_{version}+deb{number}_{arch}.deb"
    return made if made.exists() else None


class Debian:
    """See the module. `disk` is where its files are that differ from the tree's."""

    def __init__(self, folder: Path, at: Host, tree: str) -> None:
        self.folder, self.host, self.tree = folder, at, BUILT / "trees" / tree
        self.disk, self.log = folder / "disk", folder / "console.log"
        for name in ("disk", "work", "root"):
            (folder / name).mkdir(parents=True)
        self._console: asyncio.subprocess.Process | None = None
        self._init = 0

    async def boot(self) -> None:
        """Start it and wait until its systemd has started what it starts. Raises DemoFailed."""
        space = f"/proc/{os.getpid()}/fd/{self.host.space}"
        words = ("sh", "-euc", _BOOT, "sh", str(self.tree), str(self.folder), self.folder.name, space, str(PACKAGES))
        with self.log.open("ab") as log:
            self._console = await asyncio.create_subprocess_exec(
                *("unshare", "--mount", "--propagation", "private", *words),
                stdin=asyncio.subprocess.PIPE,  # the console of a guest that boots must stay open
                stdout=log,
                stderr=log,
            )
        try:
            async with asyncio.timeout(_BOOT_WAIT_S):
                while not self._is_up():
                    if self._console.returncode is not None:
                        raise DemoFailed(f"{self.folder.name} did not boot: see {self.log}")
                    await asyncio.sleep(_LOOK_S)  # bounded poll
                await self.run("sh", "-c", _SETTLED)
        except TimeoutError:
            raise DemoFailed(f"{self.folder.name} was not up after {_BOOT_WAIT_S:g} s: see {self.log}") from None

    def _is_up(self) -> bool:
        """Find the guest's pid 1: the child of nspawn that is the first in a pid namespace of its own."""
        assert self._console is not None
        with contextlib.suppress(OSError):
            console = self._console.pid
            for child in Path(f"/proc/{console}/task/{console}/children").read_text().split():
                status = Path(f"/proc/{child}/status").read_text()
                numbers = next(line for line in status.splitlines() if line.startswith("NSpid:")).split()[1:]
                is_up = Path(f"/proc/{child}/root", "run/systemd/private").exists()
                if is_up and len(numbers) == 2 and numbers[1] == "1":
                    self._init = int(child)
                    return True
        return False

    def reach(self, path: str) -> Path:
        """Return where this machine finds a path of the device while it runs."""
        return Path(f"/proc/{self._init}/root", path.lstrip("/"))

    async def run(self, *words: str, check: bool = True) -> str:
        """Run a command there as root; return what it said. Raises DemoFailed when it fails, unless not `check`ed."""
        return (await self.tried(*words, check=check))[1]

    async def tried(self, *words: str, check: bool = False) -> tuple[int, str]:
        """As `run`, with the exit code."""
        enter = ("nsenter", "-t", str(self._init), "-m", "-p", "-u", "-i", "-n", "-C", "--wdns=/")
        process = await asyncio.create_subprocess_exec(
            *(*enter, "env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "LC_ALL=C.UTF-8", *words),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        try:
            out, _ = await asyncio.wait_for(process.communicate(), _COMMAND_WAIT_S)
        except TimeoutError as error:
            process.kill()
            await process.wait()
            raise DemoFailed(f"`{' '.join(words)}` took over {_COMMAND_WAIT_S:.0f} s on {self.folder.name}") from error
        text = out.decode(errors="replace")
        if check and process.returncode != 0:
            raise DemoFailed(f"`{' '.join(words)}` on {self.folder.name} ended with {process.returncode}:\n{text}")
        return process.returncode or 0, text

    async def lose_power(self) -> None:
        """Its pid 1 is gone, and with it all that ran there, at once and unwarned."""
        if self._console is None:
            return
        if self._init:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._init, signal.SIGKILL)
        else:
            with contextlib.suppress(ProcessLookupError):
                self._console.kill()
        await self._console.wait()
        self._console, self._init = None, 0

    async def reboot(self) -> None:
        """Shut it down in order, and boot it again."""
        await self.run("systemctl", "poweroff", check=False)
        assert self._console is not None
        async with asyncio.timeout(_BOOT_WAIT_S):
            await self._console.wait()
        self._console, self._init = None, 0
        await self.boot()


@asynccontextmanager
async def booted(folder: Path, at: Host, tree: str) -> AsyncGenerator[Debian]:
    """A device that has booted, gone when the block ends."""
    made = Debian(folder, at, tree)
    try:
        await made.boot()
        yield made
    finally:
        await made.lose_power()
