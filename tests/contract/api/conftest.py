"""A real hub on loopback: its store, its TLS, its door and its API, as `skerry hub serve` runs them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import msgspec
import pytest

from hub import app
from hub.cli import client
from hub.shell import init
from hub.shell.home import Home, Place
from protocol.trust import certificates

ANY = Place(host="127.0.0.1", port=0)


@dataclass
class Served:
    """A hub that serves: clients for it, and its data directory."""

    home: Home
    context: init.Context
    api: httpx.AsyncClient
    stranger: httpx.AsyncClient
    line: str

    @property
    def url(self) -> str:
        """Where its API is."""
        return self.line.rpartition("API ")[2]

    @property
    def mqtt_port(self) -> int:
        """Where its children connect, on loopback."""
        return int(self.line.partition("MQTT 127.0.0.1:")[2].partition(",")[0])

    async def enrolled(self, name: str, **labels: str) -> Device:
        """Enroll a device; return what it holds."""
        token = (await self.api.post("/v1/tokens", json={"labels": labels})).json()["token"]
        key = certificates.make_key()
        body = {"token": token, "csr": certificates.make_csr(key, name).decode(), "name": name}
        answer = await self.stranger.post("/v1/enroll", json=body)
        assert answer.status_code == 200, answer.text
        return Device(name=name, certificate=answer.json()["certificate"])


@dataclass
class Device:
    """What enrollment gave."""

    name: str
    certificate: str


async def made(folder: Path) -> Home:
    """Make a hub that listens on ports of the system's choice."""
    result = await init.init(folder / "hub", name="cloud", context=folder / "context.json")
    home = Home(result.folder)
    home.file.write_bytes(msgspec.json.encode(msgspec.structs.replace(result.hub, mqtt=ANY, api=ANY)))
    return home


@asynccontextmanager
async def serving(home: Home) -> AsyncGenerator[Served]:
    """Serve the hub in `home`, and stop it in order."""
    stop = asyncio.Event()
    ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    running = asyncio.create_task(app.serve(home.folder, ready=ready.set_result, stop=stop))
    await asyncio.wait((running, ready), return_when=asyncio.FIRST_COMPLETED)
    if running.done():
        await running
    line = ready.result()
    context = msgspec.json.decode((home.folder.parent / "context.json").read_bytes(), type=init.Context)
    trust = client.trust(client.Context(**msgspec.structs.asdict(context)))
    url = line.rpartition("API ")[2]
    bearer = {"Authorization": f"Bearer {context.token}"}
    try:
        async with (
            httpx.AsyncClient(base_url=url, verify=trust, headers=bearer, trust_env=False) as api,
            httpx.AsyncClient(base_url=url, verify=trust, trust_env=False) as stranger,
        ):
            yield Served(home=home, context=context, api=api, stranger=stranger, line=line)
    finally:
        stop.set()
        await running


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[Served]:
    async with serving(await made(tmp_path)) as served:
        yield served
