"""A TCP wire that can be cut: it stands between one agent and its hub, and carries bytes that it cannot read."""

from __future__ import annotations

import asyncio
import contextlib
import time

_CHUNK_BYTES = 64 * 1024


class Wire:
    """Listens on a loopback port of its own and joins every connection to `target` while it is not cut."""

    def __init__(self, host: str, port: int) -> None:
        self.target = (host, port)
        self.port = 0
        self.carried = 0
        """Bytes that crossed, both ways together."""
        self.joined_at = 0.0
        """When (monotonic) it last let a connection through."""
        self._whole = True
        self._joined: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None

    async def open(self) -> None:
        """Start to listen; `port` tells where."""
        self._server = await asyncio.start_server(self._join, "127.0.0.1", 0)
        self.port = int(self._server.sockets[0].getsockname()[1])

    def cut(self) -> None:
        """Break what is joined and let nothing through until `heal`."""
        self._whole = False
        for writer in list(self._joined):
            writer.transport.abort()

    def heal(self) -> None:
        """Let connections through again."""
        self._whole = True

    async def close(self) -> None:
        """Cut, and listen no more."""
        self.cut()
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    async def dial(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connect to the target."""
        return await asyncio.open_connection(*self.target)

    async def _join(self, near_in: asyncio.StreamReader, near_out: asyncio.StreamWriter) -> None:
        self._joined.add(near_out)
        try:
            if self._whole:
                self.joined_at = time.monotonic()
                await self._carry(near_in, near_out)
        except OSError:
            pass  # an end that is gone is what a wire is there to show
        finally:
            self._joined.discard(near_out)
            near_out.transport.abort()

    async def _carry(self, near_in: asyncio.StreamReader, near_out: asyncio.StreamWriter) -> None:
        far_in, far_out = await self.dial()
        self._joined.add(far_out)
        ways = [
            asyncio.ensure_future(self._pump(near_in, far_out)),
            asyncio.ensure_future(self._pump(far_in, near_out)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._joined.discard(far_out)
            far_out.transport.abort()
            near_out.transport.abort()
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while self._whole and (data := await source.read(_CHUNK_BYTES)):
                self.carried += len(data)
                sink.write(data)
                await sink.drain()
