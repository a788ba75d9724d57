"""A proxy as companies have: it takes CONNECT, and lets through, refuses, or leads elsewhere."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress

_CHUNK_BYTES = 65_536


class Proxy:
    """`asked` are the places that were asked for; `leads` returns the port on loopback for the number of the question,
    0: refused."""

    def __init__(self, leads: Callable[[int], int]) -> None:
        self.asked: list[str] = []
        self.url = ""
        self._leads = leads

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        with suppress(OSError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            method, place, _ = head.decode().split(" ", 2)
            assert method == "CONNECT", head
            self.asked.append(place)
            port = self._leads(len(self.asked))
            if not port:
                writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
                await writer.drain()
            else:
                there, out = await asyncio.open_connection("127.0.0.1", port)
                writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
                await asyncio.gather(_copy(reader, out), _copy(there, writer))
        writer.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while raw := await reader.read(_CHUNK_BYTES):
            writer.write(raw)
            await writer.drain()
    with suppress(OSError):
        writer.close()


@asynccontextmanager
async def proxy(leads: Callable[[int], int]) -> AsyncGenerator[Proxy]:
    """A proxy on loopback, gone when the block ends."""
    made = Proxy(leads)
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield made
    finally:
        server.close()
