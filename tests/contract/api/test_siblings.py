"""A token is for the hub that made it: a sibling region in the network path, with papers of its own, gets nothing.

Real TLS: the sibling shows what its own confined CA has issued, which is under the root that the token pins.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from edge_agent.shell import enroll
from hub.shell import init
from hub.shell.home import Home
from protocol.errors import SkerryError
from tests.contract.api.conftest import Served, serving
from tests.contract.api.test_regions import below, device, hub_token

NORTH, SOUTH = "eu-north.cloud.skerry", "eu-south.cloud.skerry"


@pytest.fixture
async def region(hub: Served, tmp_path: Path) -> AsyncIterator[Served]:
    async with serving(await below(hub, tmp_path / "eu-north", "eu-north")) as served:
        yield served


class Sibling:
    """A region that stands in between: it says of itself what it likes, and keeps all that it hears."""

    def __init__(self, home: Home, scope: str) -> None:
        self._home, self.scope = home, scope
        self.heard, self.url = b"", ""

    @asynccontextmanager
    async def there(self) -> AsyncGenerator[None]:
        """Answer at `url`."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self._home.path("hub.pem"), self._home.path("hub.key"))
        async with await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=context) as server:
            self.url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            yield

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            while asked := await reader.read(65_536):
                self.heard += asked
                is_info = asked.startswith(b"GET /v1/info")
                path = self.scope.split(".")[-2::-1]
                said = json.dumps({"hub": path[-1], "scope": self.scope, "path": path}).encode()
                body = said if is_info else self._home.path("root.pem").read_bytes()
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        writer.close()


@pytest.mark.parametrize(("says", "told"), [(SOUTH, f"is {SOUTH}, and the token is of {NORTH}"), (NORTH, "VERIFY")])
async def test_a_sibling_that_answers_at_the_address_gets_no_token(
    hub: Served, region: Served, tmp_path: Path, says: str, told: str
):
    sibling = Sibling(await below(hub, tmp_path / "eu-south", "eu-south"), says)
    token = (await region.api.post("/v1/tokens", json={})).json()["token"]
    for_hubs = await hub_token(region)
    async with sibling.there():
        asked = enroll.Request(hub=sibling.url, token=token, name="gw-7")
        with pytest.raises(SkerryError, match=told):
            await asyncio.to_thread(enroll.enroll, tmp_path / "gw-7", asked)
        with pytest.raises(SkerryError, match=told):
            await init.init(
                tmp_path / "oslo", name="oslo", parent=sibling.url, token=for_hubs, context=tmp_path / "c.json"
            )
    assert b"GET /v1/info" in sibling.heard
    assert b"POST" not in sibling.heard
    assert not (tmp_path / "gw-7" / "agent.json").exists()
    assert (await device(region, tmp_path / "gw-7", "gw-7")).scope == NORTH


async def test_a_hub_takes_only_its_own_tokens(hub: Served, region: Served):
    body = {"token": await hub_token(hub), "csr": "x", "name": "gw-7"}
    answer = await region.stranger.post("/v1/enroll", json=body)
    assert (answer.status_code, "of another hub than eu-north" in answer.json()["error"]) == (403, True)
