"""The deepest tree with long names, in real hubs: a device comes in at its foot, and stays as small as any."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

import psutil
import pytest

from edge_agent.shell import identity
from hub.demo import fleet as demo
from protocol import ids, limits
from protocol.errors import Refused
from tests.contract.agent.test_daemon import RSS_MB_MAX
from tests.contract.api.conftest import Served, made, serving
from tests.contract.api.test_regions import below, device

WAIT_S = 60.0
LONG = "n" * 40


async def test_a_device_below_the_deepest_hub_proves_it_and_stays_small(tmp_path: Path) -> None:
    async with contextlib.AsyncExitStack() as tree:
        served = await tree.enter_async_context(serving(await made(tmp_path)))
        for tier in range(1, limits.TIERS_MAX):
            home = await below(served, tmp_path / f"h{tier}", f"{LONG}{tier}")
            served = await tree.enter_async_context(serving(home))
        with pytest.raises(Refused, match="is of the last of 5 tiers"):
            await below(served, tmp_path / "deeper", "deeper")

        file = await device(served, tmp_path / "gw", "d" * 63)
        assert file.scope == ".".join([*(f"{LONG}{tier}" for tier in (4, 3, 2, 1)), "cloud"]) + ids.DNS_SUFFIX
        assert len((tmp_path / "gw" / "cert.pem").read_bytes()) < limits.CHAIN_BYTES_MAX
        agent = await asyncio.create_subprocess_exec(
            str(demo.BIN / "skerry-agent"), "run", "--data", str(tmp_path / "gw")
        )
        try:
            await _holds_a_manifest(served, file)
            await _is_small(agent.pid)
        finally:
            agent.terminate()
            await agent.wait()


async def _holds_a_manifest(served: Served, file: identity.AgentFile) -> None:
    """Wait until the device holds a manifest, whose signer it has proven by a chain of six certificates."""
    async with asyncio.timeout(WAIT_S):
        while True:
            node = (await served.api.get(f"/v1/nodes/{file.node}")).json()
            if node["state"] == "online" and node["observed_generation"] > 0:
                return
            await asyncio.sleep(0.05)  # bounded poll


async def _is_small(pid: int) -> None:
    async with asyncio.timeout(WAIT_S):
        while psutil.Process(pid).memory_info().rss >= RSS_MB_MAX * 1_000_000:
            await asyncio.sleep(0.05)  # bounded poll
