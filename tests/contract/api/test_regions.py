"""A hub below a hub: its papers, what its confined CA issues, and what is refused; over real TLS, with real hubs."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import mqtt5
import msgspec
import pytest

from edge_agent.shell import enroll, identity
from hub.shell import init
from hub.shell.home import Home
from protocol.trust import certificates, chains
from tests.contract.api.conftest import ANY, Served, serving

WAIT_S = 20.0


async def below(parent: Served, folder: Path, name: str, token: str = "") -> Home:
    """Make a hub below `parent` in `folder`, that listens on ports of the system's choice."""
    token = token or await hub_token(parent)
    folder.mkdir()
    result = await init.init(folder / "hub", name=name, parent=parent.url, token=token, context=folder / "context.json")
    home = Home(result.folder)
    home.file.write_bytes(msgspec.json.encode(msgspec.structs.replace(result.hub, mqtt=ANY, api=ANY)))
    return home


async def hub_token(parent: Served) -> str:
    """Return a token that lets a hub in."""
    return (await parent.api.post("/v1/tokens", json={"kind": "hub"})).json()["token"]


async def device(served: Served, data: Path, name: str) -> identity.AgentFile:
    """Enroll a device as `skerry-agent enroll` does."""
    token = (await served.api.post("/v1/tokens", json={})).json()["token"]
    asked = enroll.Request(hub=served.url, token=token, name=name)
    return (await asyncio.to_thread(enroll.enroll, data, asked)).file


async def answered(served: Served, context: ssl.SSLContext, name: str) -> mqtt5.ConnAckReasonCode:
    """Return what the door of `served` answers to a CONNECT of `name`. Raises ssl.SSLError when TLS refuses."""
    reader, writer = await asyncio.open_connection("127.0.0.1", served.mqtt_port, ssl=context)
    try:
        writer.write(mqtt5.ConnectPacket(name).write())
        raw = await asyncio.wait_for(reader.read(1_024), WAIT_S)
        packet = mqtt5.read(memoryview(raw))[0]
        assert isinstance(packet, mqtt5.ConnAckPacket)
        return packet.reason_code
    finally:
        writer.close()


@pytest.fixture
async def region(hub: Served, tmp_path: Path) -> AsyncIterator[Served]:
    async with serving(await below(hub, tmp_path / "eu-north", "eu-north")) as served:
        yield served


async def test_a_device_enrolls_at_a_region_and_connects_to_it(hub: Served, region: Served, tmp_path: Path):
    file = await device(region, tmp_path / "gw-7", "gw-7")
    assert (file.hub, file.scope) == ("eu-north", "eu-north.cloud.skerry")
    assert file.root_pin == certificates.spki_hash(hub.context.root_pem)
    chain = (tmp_path / "gw-7" / "cert.pem").read_text()
    chains.check_issued(chain + hub.context.root_pem, "node", "gw-7", file.root_pin, file.scope)
    assert await answered(region, identity.link_context(tmp_path / "gw-7", file), "gw-7") == 0


async def test_a_region_is_a_child_that_its_parent_sees_come(hub: Served, region: Served):
    async with asyncio.timeout(WAIT_S):
        while (node := (await hub.api.get("/v1/nodes/eu-north")).json())["state"] != "online":
            await asyncio.sleep(0.02)  # bounded poll
    assert node["path"] == "cloud/eu-north"
    info = (await region.stranger.get("/v1/info")).json()
    assert (info["path"], info["scope"]) == (["cloud", "eu-north"], "eu-north.cloud.skerry")
