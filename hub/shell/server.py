"""The API's server: uvicorn on the loop that is there, over TLS, with the hub's certificate."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import socket
import ssl
from asyncio import sslproto
from collections.abc import Generator
from pathlib import Path

import h11
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from hub.shell.home import Place
from protocol import limits
from protocol.aio.tls import no_delay
from protocol.errors import Refused

# asyncio keeps a buffer of 256 KiB for each TLS connection; the largest record is 16 KiB.
sslproto.SSLProtocol.max_size = 32 * limits.KIB  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]


class _Protocol(H11Protocol):
    """One connection, which must send the whole head of a request within REQUEST_WAIT_S of its first byte.

    uvicorn bounds the time between requests, but not that of a head that comes a byte at a time.
    """

    _patience: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Take the connection; its first head is awaited from now on."""
        super().connection_made(transport)
        self._await_head()

    def data_received(self, data: bytes) -> None:
        """Take bytes: of a head, or of what follows it."""
        super().data_received(data)
        if self.conn.their_state is h11.IDLE:
            self._await_head()
        else:
            self._head_came()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the timer with the connection."""
        self._head_came()
        super().connection_lost(exc)

    def _await_head(self) -> None:
        if self._patience is None:
            self._patience = asyncio.get_running_loop().call_later(limits.REQUEST_WAIT_S, self.transport.abort)

    def _head_came(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        """Signals belong to the composition root."""
        yield


class ApiServer:
    """Serves one application. `bind`, then `serve` until `stop`."""

    def __init__(self, app: ASGIApp, place: Place, *, chain: Path, key: Path) -> None:
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_2
        self.context.load_cert_chain(chain, key)
        self._place = place
        self.port = place.port
        self._socket: socket.socket | None = None
        logging.getLogger("uvicorn.error").setLevel(logging.ERROR)  # its own goodbyes and cancellations are no news
        config = uvicorn.Config(
            app,
            http=_Protocol,
            ws="none",
            lifespan="off",
            access_log=False,
            log_config=None,
            server_header=False,
            proxy_headers=False,
            limit_concurrency=limits.API_REQUESTS_MAX,
            timeout_keep_alive=limits.API_KEEP_ALIVE_S,
            timeout_graceful_shutdown=limits.API_GOODBYE_S,
            ssl_context_factory=lambda _config, _default: self.context,
        )
        self._server = _Server(config)

    def bind(self) -> None:
        """Take the port; `port` is then the real one. Raises Refused, naming the option to change."""
        host, port = self._place.host, self._place.port
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        try:
            self._socket = socket.create_server((host, port), family=family, backlog=1024)
        except OSError as error:
            why = "another process has it" if error.errno == errno.EADDRINUSE else (error.strerror or str(error))
            text = f"cannot serve the API on {host}:{port}: {why}; choose another with --api HOST:PORT"
            raise Refused(text) from error
        no_delay(self._socket)  # what it accepts inherits this; asyncio sees to it only for sockets it made itself
        self.port = int(self._socket.getsockname()[1])

    async def serve(self) -> None:
        """Serve until `stop`."""
        assert self._socket is not None
        await self._server.serve(sockets=[self._socket])

    def stop(self) -> None:
        """Have `serve` end: requests under way get a few seconds."""
        self._server.should_exit = True

    def close(self) -> None:
        """Give the port back when `serve` never ran."""
        if self._socket is not None:
            self._socket.close()
