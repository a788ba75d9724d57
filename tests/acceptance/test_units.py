"""What the units alone answer for, on a clean Debian with real systemd: no package is there, nothing of ours runs."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.support import debian
from tests.support.debian import Debian
from tests.support.net.host import Host

UNITS = Path(__file__).parents[2] / "packaging" / "agent"
LAUNCHER = "skerry-agent-launch"
_ASK = (
    "use Socket; socket(S, AF_UNIX, SOCK_SEQPACKET, 0); connect(S, pack_sockaddr_un('/run/skerry/launch.sock')); sleep"
)
_PATIENCE_S = 120
TREES = [
    pytest.param(tree, marks=pytest.mark.skipif(bool(lack := debian.missing(tree)), reason=lack or "all is here"))
    for tree in ("bookworm-amd64", "trixie-amd64")
]


@asynccontextmanager
async def _with_units(folder: Path, tree: str, program: str) -> AsyncGenerator[Debian]:
    """A device whose launcher is `program`, and asked by root."""
    at = Host(92)
    device = Debian(folder, at, tree)
    place = device.disk / "etc" / "systemd" / "system"
    place.mkdir(parents=True)
    for unit in UNITS.glob("skerry-agent-[lw]*"):
        lines = unit.read_text().replace("SocketUser=skerry-agent", "SocketUser=root").splitlines()
        ours = [
            f"ExecStart={program}" if line.startswith("ExecStart=/usr/lib/skerry-agent") else line for line in lines
        ]
        (place / unit.name).write_text("\n".join([*ours, ""]))
    try:
        await device.boot()
        yield device
    finally:
        await device.lose_power()
        at.close()


async def _until(device: Debian, words: str) -> None:
    async with asyncio.timeout(_PATIENCE_S):
        while (await device.tried("sh", "-c", words))[0] != 0:
            await asyncio.sleep(0.5)  # bounded poll


@pytest.mark.parametrize("tree", TREES)
async def test_a_launcher_that_cannot_start_is_tried_seldom_and_for_ever(tmp_path: Path, tree: str) -> None:
    async with _with_units(tmp_path / "oslo", tree, "/bin/false") as on:
        await on.run("systemctl", "start", f"{LAUNCHER}.socket")
        await on.run("sh", "-c", f'perl -e "{_ASK}" </dev/null >/dev/null 2>&1 &')
        await _until(on, f"test $(systemctl show -P NRestarts {LAUNCHER}) -ge 2")

        said = await on.run("journalctl", "-u", LAUNCHER, "-o", "short-monotonic")
        ends = [float(line.strip("[").split("]")[0]) for line in said.splitlines() if "code=exited" in line]
        pause_s = float(await on.run("sh", "-c", f"sed -n 's/^RestartSec=//p' /etc/systemd/system/{LAUNCHER}.service"))
        assert all(later - former > 0.9 * pause_s for former, later in itertools.pairwise(ends)), ends
        assert len(ends) >= 2

        unit = f"/etc/systemd/system/{LAUNCHER}.service"
        await on.run("sh", "-c", f"sed -i 's|^ExecStart=.*|ExecStart=/bin/sleep 60|' {unit}; systemctl daemon-reload")
        await _until(on, f"systemctl is-active {LAUNCHER} {LAUNCHER}.socket")
