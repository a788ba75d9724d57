"""A server that does nothing but mutual TLS, with the hub's own context and socket: the floor of every reconnect.

`python -m tests.bench.bare_door CHAIN KEY ROOT`: prints its port, and sends one byte to whoever has shaken hands. No
admission, no MQTT, no store.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from protocol.aio import tls


class Bare(tls.TlsSocket):
    """One connection."""

    def arrived(self) -> None:
        """Begin at once."""
        self.start()

    def secured(self, certificate: bytes) -> None:
        """The client's certificate is good: say so."""
        self.write(b"\0")

    def received(self, data: memoryview) -> None:
        """Nothing is expected."""

    def ended(self, reason: str) -> None:
        """Nothing is kept."""


async def main(chain: str, key: str, root: str) -> None:
    """Serve until killed."""
    context = tls.parent_context(chain=Path(chain), key=Path(key), root=Path(root))
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Bare(context), "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
