"""TLS for links: who must be proven, and how little memory a connection may cost.

Contexts: both ends prove themselves with a certificate under our own root and nothing else (INVARIANTS C12). Dates are
not judged here: a device may believe in 1970 and a certificate may have expired while its device was away, so the core
judges them by trusted time (DESIGN 8). Roles are judged: OpenSSL demands serverAuth of a parent, clientAuth of a child
(C4).

`TlsSocket` is the server's side of one connection as an asyncio.BufferedProtocol. asyncio's own (asyncio.sslproto)
keeps 256 KiB of receive buffer for each connection; here all connections share one pair of buffers, which is safe
because a socket is read, decrypted and handed on within one callback of the loop. Deliberately absent: renegotiation,
TLS below 1.3, session tickets (no client of ours resumes).
"""

from __future__ import annotations

import asyncio
import contextlib
import mmap
import socket
import ssl
from pathlib import Path
from typing import Any, TypeVar, cast

from protocol import ids, limits

C = TypeVar("C", bound=ssl.SSLContext)

_NO_CHECK_TIME = 0x200000
"""X509_V_FLAG_NO_CHECK_TIME of OpenSSL; Python's ssl has no name for it. A device may start in 1970: dates are judged
by trusted time (DESIGN 8), or by a doctor, who says which clock is wrong."""

_RECORD_BYTES = 16 * limits.KIB  # the largest TLS record
_PIECE_BYTES = 4 * limits.KIB  # given to OpenSSL at a time: its BIO keeps for ever the most that it ever held


def _buffer(size: int) -> memoryview:
    # from the kernel: what is never touched, as all of it by a child, takes no memory
    return memoryview(mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS))


_network = _buffer(limits.RECEIVE_BUFFER_BYTES)
_plain = _buffer(limits.RECEIVE_BUFFER_BYTES + 4 * _RECORD_BYTES)


class ChildContext(ssl.SSLContext):
    """A client's context that demands the parent's name, whatever address was dialled."""

    parent_name: str

    def wrap_socket(self, sock: socket.socket, *args: Any, **kwargs: Any) -> ssl.SSLSocket:
        """As SSLContext.wrap_socket, for the parent's name; if the handshake fails, the socket is closed."""
        kwargs["server_hostname"] = self.parent_name
        kwargs["do_handshake_on_connect"] = True
        return super().wrap_socket(sock, *args, **kwargs)

    def wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLObject:
        """As SSLContext.wrap_bio, for the parent's name; some callers give all of it by place."""
        return super().wrap_bio(incoming, outgoing, server_side, self.parent_name, session)


def child_context(*, chain: Path, key: Path, root: Path, name: str) -> ChildContext:
    """Return the context of a child that trusts only `root`, and under it only the hub (or broker) `name`."""
    context = ChildContext(ssl.PROTOCOL_TLS_CLIENT)
    context.parent_name = _name(name)
    return _mutual(context, chain, key, root)


def parent_context(*, chain: Path, key: Path, root: Path) -> ssl.SSLContext:
    """Return the context of a parent: a client without a certificate under `root` does not get in."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.verify_mode = ssl.CERT_REQUIRED
    context.num_tickets = 0
    return _mutual(context, chain, key, root)


def api_context(root_pem: str, hub: str) -> ChildContext:
    """Return the context for a hub's API: only this root, only `hub`, whatever is dialled. Raises ssl.SSLError."""
    context = ChildContext(ssl.PROTOCOL_TLS_CLIENT)
    context.parent_name = _name(hub)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_verify_locations(cadata=root_pem)
    context.verify_flags = ssl.VerifyFlags(context.verify_flags | _NO_CHECK_TIME)
    return context


def _name(parent: str) -> str:
    return parent if "." in parent else parent + ids.DNS_SUFFIX


def _mutual(context: C, chain: Path, key: Path, root: Path) -> C:
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_cert_chain(chain, key)
    context.load_verify_locations(root)
    context.verify_flags = ssl.VerifyFlags(context.verify_flags | _NO_CHECK_TIME)
    return context


def no_delay(sock: socket.socket) -> None:
    """Send small packets at once: without it each large message waits some 40 ms for an ACK (measured)."""
    if sock.family in (socket.AF_INET, socket.AF_INET6):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


class TlsSocket(asyncio.BufferedProtocol):
    """One accepted connection. Subclasses define `arrived`, `secured`, `received`, `drained` and `ended`.

    Nothing is read, and no TLS state made, until `start()`: a connection that waits for its admission costs little.
    """

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context
        self._transport: asyncio.Transport | None = None
        self._tls: ssl.SSLObject | None = None
        self._handshaken = False
        self._peer_closed = False
        self._reason = ""

    # -------------------------------------------------------------------------------------------- for subclasses

    def arrived(self) -> None:
        """The socket is accepted."""

    def secured(self, certificate: bytes) -> None:
        """The handshake is done; `certificate` is the peer's (DER)."""
        raise NotImplementedError

    def received(self, data: memoryview) -> None:
        """Plain bytes came; the view is valid only until this returns."""
        raise NotImplementedError

    def ended(self, reason: str) -> None:
        """The connection is over; called once, whatever happened before."""
        raise NotImplementedError

    # -------------------------------------------------------------------------------------------- what one may do

    def start(self) -> None:
        """Begin the handshake. Harmless when the socket is gone already."""
        if self._transport is None or self._tls is not None:
            return
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = self._context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._transport.resume_reading()

    def write(self, data: bytes | bytearray) -> None:
        """Encrypt and send; what the socket does not take is buffered (see `buffered`)."""
        if self._transport is None or self._tls is None or self._transport.is_closing():
            return
        view, sealed = memoryview(data), list[bytes]()
        for at in range(0, len(view), _PIECE_BYTES):
            self._tls.write(view[at : at + _PIECE_BYTES])
            sealed.append(self._outgoing.read())
        self._transport.write(b"".join(sealed))

    def peer_address(self) -> str:
        """Return the peer's address without its port, or "" when it has none."""
        peer = self._transport.get_extra_info("peername") if self._transport is not None else None
        return str(peer[0]) if peer else ""

    def buffered(self) -> int:
        """Return the bytes that the socket has not taken yet."""
        return 0 if self._transport is None else self._transport.get_write_buffer_size()

    def pause(self) -> None:
        """Read no more from the socket, so that the peer must wait."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.pause_reading()

    def resume(self) -> None:
        """Read on."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def close(self) -> None:
        """Say goodbye and close once what is buffered is sent; `ended` follows."""
        if self._transport is None or self._transport.is_closing():
            return
        if self._tls is not None and self._handshaken:
            with contextlib.suppress(ssl.SSLError):  # the peer's goodbye has not come; ours is in the buffer
                self._tls.unwrap()
            self._flush()
        self._transport.close()

    def abort(self) -> None:
        """Cut the connection now; `ended` follows."""
        if self._transport is not None:
            self._transport.abort()

    # -------------------------------------------------------------------------------------------- asyncio's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the socket; read nothing yet."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.pause_reading()
        no_delay(transport.get_extra_info("socket"))
        self.arrived()

    def get_buffer(self, sizehint: int) -> memoryview:
        """Lend the shared buffer until buffer_updated."""
        return _network

    def buffer_updated(self, nbytes: int) -> None:
        """Decrypt what came and hand it on."""
        try:
            filled = self._decrypt(_network[:nbytes])
        except ssl.SSLError as error:
            self._reason = f"TLS refused: {error.reason or error}"
            self._flush()  # the alert that tells the peer why
            if self._transport is not None:
                self._transport.close()
            return
        self._flush()
        if filled and self._transport is not None and not self._transport.is_closing():
            self.received(_plain[:filled])
        if self._peer_closed:
            self.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell that it is over."""
        self._transport, self._tls = None, None
        self.ended(self._reason or (str(exc) if exc else "the connection closed"))

    def _decrypt(self, data: memoryview) -> int:
        filled = 0
        for at in range(0, len(data), _PIECE_BYTES):
            self._incoming.write(data[at : at + _PIECE_BYTES])
            if self._handshaken or self._shake():
                filled = self._read(filled)
        return filled

    def _shake(self) -> bool:
        assert self._tls is not None
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            return False
        self._handshaken = True
        certificate = self._tls.getpeercert(binary_form=True)
        assert certificate is not None  # verify_mode is CERT_REQUIRED
        self.secured(certificate)
        return True

    def _read(self, filled: int) -> int:
        assert self._tls is not None
        with contextlib.suppress(ssl.SSLWantReadError):
            while self._incoming.pending or self._tls.pending():
                count = cast("int", self._tls.read(_RECORD_BYTES, _plain[filled:]))  # pyright: ignore[reportArgumentType]
                if not count:  # the peer's goodbye
                    self._peer_closed = True
                    break
                filled += count
        return filled

    def _flush(self) -> None:
        if self._tls is not None and self._transport is not None and self._outgoing.pending:
            self._transport.write(self._outgoing.read())
