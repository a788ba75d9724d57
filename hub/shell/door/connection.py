"""One accepted socket: TLS below, the MQTT session above, and the limits of what it may hold."""

from __future__ import annotations

import asyncio
import ssl
from typing import Protocol

from mqtt5 import DisconnectReasonCode as Reason

from hub.shell.door import session
from protocol import limits, messages
from protocol.aio import tls
from protocol.errors import TrustError
from protocol.trust.certificates import Identity


class Owner(Protocol):
    """What a connection asks of the front door."""

    def arrived(self, connection: Connection) -> None:
        """The socket is accepted and waits."""
        ...

    def identify(self, certificate: bytes) -> tuple[Identity, session.Verdict]:
        """Say whose certificate (DER) this is and whether they may come in. Raises TrustError."""
        ...

    def farewell(self, node: str, /) -> messages.Revoked | None:
        """What a revoked node is told when it comes back."""
        ...

    def happened(self, connection: Connection, event: session.Event) -> None:
        """The session has something to say."""
        ...

    def dirty(self, connection: Connection) -> None:
        """The connection has bytes to write at the end of this turn of the loop."""
        ...

    def gone(self, connection: Connection) -> None:
        """The socket is closed."""
        ...


class Connection(tls.TlsSocket):
    """A socket from its arrival to its end. `number` names it, and no other one of this process."""

    def __init__(self, context: ssl.SSLContext, owner: Owner, number: int) -> None:
        super().__init__(context)
        self.number = number
        self.identity: Identity | None = None
        self.session: session.Session | None = None
        self.hub = ""
        self.source = ""
        self.announced = False
        """Opened has been put for it."""
        self.inflight = 0
        """Bytes received and not committed yet."""
        self.paused = False
        self._owner = owner
        self._timer: asyncio.TimerHandle | None = None
        self._heard_at = 0.0

    # -------------------------------------------------------------------------------------------- TLS says

    def arrived(self) -> None:
        """The socket is accepted: wait for admission."""
        self.source = self.peer_address()
        self._owner.arrived(self)

    def begin(self) -> None:
        """Admission is granted: from now on the client has HANDSHAKE_WAIT_S to say who it is (slow-loris)."""
        self._timer = asyncio.get_running_loop().call_later(limits.HANDSHAKE_WAIT_S, self.abort)
        self.start()

    def secured(self, certificate: bytes) -> None:
        """The peer has proven a key under our root: whose?"""
        try:
            self.identity, verdict = self._owner.identify(certificate)
        except TrustError:
            self.close()  # a certificate of our root that names no node, as a hub's: not for this door
            return
        node = self.identity.id
        farewell = self._owner.farewell(node) if verdict is session.Verdict.REVOKED else None
        self.session = session.Session(hub=self.hub, node=node, verdict=verdict, farewell=farewell)

    def received(self, data: memoryview) -> None:
        """Let the session read, then tell what it means."""
        if self.session is None:
            return
        self._heard_at = asyncio.get_running_loop().time()
        self._tell(self.session.receive(data))

    def ended(self, reason: str) -> None:
        """The socket is gone; the session ends if it has not."""
        self._stop_timer()
        if self.session is not None:
            self._tell(self.session.lost(reason))
        self._owner.gone(self)

    # -------------------------------------------------------------------------------------------- the door says

    def deliver(self, message: messages.AnyMessage) -> None:
        """Send `message` at the end of this turn; a child that does not take what it is sent is cut off.

        Raises LocalProtocolError when the message is over its bounds.
        """
        if self.session is None or not self.session.deliver(message):
            return
        if self.buffered() + len(self.session.out) > limits.WRITE_BUFFER_BYTES_MAX:
            self.session.out.clear()
            self._tell(self.session.lost(f"it left over {limits.WRITE_BUFFER_BYTES_MAX} bytes unread"))
            self.abort()
            return
        self._owner.dirty(self)

    def acknowledge(self, packet: int) -> None:
        """The message of `packet` is committed."""
        if self.session is not None:
            self.session.acknowledge(packet)
            self._owner.dirty(self)

    def leave(self, code: Reason, reason: str) -> None:
        """Close from our side, telling why."""
        if self.session is None:
            self.abort()
        else:
            self._tell(self.session.leave(code, reason))

    def flush(self) -> None:
        """Write what the session has to say."""
        if self.session is not None and self.session.out:
            data, self.session.out = self.session.out, bytearray()
            self.write(data)

    def _tell(self, events: list[session.Event]) -> None:
        for event in events:
            if isinstance(event, session.Joined):
                self._watch_silence()
            self._owner.happened(self, event)
            if isinstance(event, session.Over):
                self.flush()
                self._stop_timer()
                self.close()
        if self.session is not None and self.session.out:
            self._owner.dirty(self)

    # -------------------------------------------------------------------------------------------- keep alive

    def _watch_silence(self) -> None:
        """(Re)arm the one timer: 1.5 times the keep alive without a packet ends the connection (MQTT 5, 3.1.2.10)."""
        assert self.session is not None
        self._stop_timer()
        loop = asyncio.get_running_loop()
        left = self._heard_at + 1.5 * self.session.keep_alive_s - loop.time()
        if left <= 0 and not self.paused:
            self.leave(Reason.KEEP_ALIVE_TIMEOUT, "it was silent for too long")
        else:
            self._timer = loop.call_later(max(left, 1.0), self._watch_silence)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
