"""The floor of a fleet's return: as many mutual-TLS handshakes by the same sockets at a server that does no more."""

from __future__ import annotations

import asyncio
import ssl
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tests.support.crowd_socket import ClientSocket
from tests.support.enrolled import Papers


class _Knocker(ClientSocket):
    """A client that wants nothing but to be let in."""

    def __init__(self, context: ssl.SSLContext, heard: asyncio.Future[None]) -> None:
        super().__init__(context)
        self._heard = heard

    def secured(self, certificate: bytes) -> None:
        """Our half is done."""

    def received(self, data: memoryview) -> None:
        """The server has taken our certificate."""
        if not self._heard.done():
            self._heard.set_result(None)

    def ended(self, reason: str) -> None:
        """Nobody closes before the end."""
        if not self._heard.done():
            self._heard.set_exception(ConnectionError(reason))


async def all_at_once(papers: Sequence[Papers], hub: Path) -> float:
    """Return the seconds that a process which does nothing else takes for the handshakes of all, begun at once."""
    paths = [str(hub / name) for name in ("hub.pem", "hub.key", "root.pem")]
    server = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.bench.bare_door", *paths, stdout=asyncio.subprocess.PIPE
    )
    try:
        assert server.stdout is not None
        port = int(await server.stdout.readline())
        began = time.monotonic()
        sockets = await asyncio.gather(*(_knock(port, one) for one in papers))
        took_s = time.monotonic() - began
        for sock in sockets:
            sock.abort()
    finally:
        server.kill()
        await server.wait()
    return took_s


async def _knock(port: int, papers: Papers) -> _Knocker:
    loop = asyncio.get_running_loop()
    heard: asyncio.Future[None] = loop.create_future()
    sock = _Knocker(papers.context, heard)
    await loop.create_connection(lambda: sock, "127.0.0.1", port)
    await heard
    return sock
