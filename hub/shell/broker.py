"""An external broker in place of the front door: the hub is its client, and it is not trusted (DESIGN 4).

The same face as hub.shell.front_door.FrontDoor: `serve`, `send`, `close_child`, `store_failed`. What TLS proves there,
protocol.link.seal proves here for every message. What is not proven is dropped and counted (Bad). Presence is a hint
only: a will that a child signed beforehand; the link's own contact interval decides in the end. A revoked node is
ignored and unanswered from the same moment on, whatever the broker's own list says.

Nothing is read from the broker's store: when the hub's connection breaks, what was published meanwhile is lost, and the
links re-send it. Session keys live on: they are between the ends.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import secrets
import ssl
import time
from collections.abc import Callable

from hub.core import inputs
from hub.shell.door.turns import Turns
from hub.shell.front_door import Gate, Inbox, Verdict
from protocol import codec, limits, messages, topics
from protocol.aio import mqtt
from protocol.errors import LocalProtocolError, Refused, RemoteProtocolError, SkerryError
from protocol.link.seal import NotOpen, ParentSeal, Stray, Unsealed
from protocol.trust import certificates, signing

_log = logging.getLogger(__name__)


class BrokerDoor:
    """The hub's children by way of a broker. `serve` until cancelled; `send` and `close_child` at any time."""

    def __init__(
        self,
        *,
        host: str,
        port: int,
        context: Callable[[], ssl.SSLContext],
        hub: str,
        inbox: Inbox,
        gate: Gate,
        signer: signing.Signer,
        root: str,
        wall: Callable[[], float] = time.time,
        random: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        """`context` is asked for each connection; `root`: the root certificate (PEM) that devices must be under."""
        self.host, self.port = host, port
        self._context, self._hub, self._inbox, self._gate = context, hub, inbox, gate
        self._wall, self._random = wall, random
        self._turns = Turns(inbox.put)
        self._seal = ParentSeal(hub=hub, signer=signer, root=root, admits=self._admits)
        self._banned: dict[str, str] = {}
        self._connection: mqtt.Connection | None = None
        self._inflight = 0
        self.dropped = 0
        """Messages dropped because more than limits.DOOR_INFLIGHT_BYTES_MAX waited for their commit."""
        self.late = 0
        """Messages of sessions that are not open here: what children say before they know that this hub began anew."""
        self.up = asyncio.Event()
        """Set while the hub is connected to the broker and hears its children."""

    # -------------------------------------------------------------------------------------------- for the hub

    async def open(self) -> None:
        """Nothing to bind; the broker listens."""

    async def serve(self) -> None:
        """Keep connected until cancelled. A broker that is away is said once, and tried again and again."""
        wait_s, said = limits.BACKOFF_S_MIN, ""
        while True:
            connection = self._connection = mqtt.Connection(
                host=self.host, port=self.port, identifier=self._hub, context=self._context(), heard=self._heard
            )
            running = asyncio.ensure_future(connection.run(topics.parent_filter(self._hub), self._opened))
            try:
                await asyncio.shield(running)
            except Refused as error:
                wait_s = limits.BACKOFF_S_MIN if self.up.is_set() else min(2 * wait_s, limits.BROKER_BACKOFF_S_MAX)
                if str(error) != said:
                    said = str(error)
                    _log.warning("the broker is away: %s; trying again", error)
            except asyncio.CancelledError:
                connection.leave()
                await asyncio.wait((running,), timeout=limits.CONNECT_WAIT_S)
                raise
            finally:
                self.up.clear()
                self._connection = None
            await asyncio.sleep(wait_s * (0.5 + self._random(1)[0] / 256))

    def _opened(self) -> None:
        self.up.set()
        self._inbox.put(inputs.Reachable())

    async def close(self) -> None:
        """Nothing to do: `serve` says goodbye when it is cancelled."""

    def send(self, peer: str, message: messages.AnyMessage) -> None:
        """Send to the child `peer`; dropped when it has no session (the link re-sends). Never blocks."""
        if self._connection is None or peer in self._banned:
            return
        try:
            payload = self._seal.seal(peer, message, self._random(32))
        except LocalProtocolError as error:
            _log.error("not sent to %s: %s", peer, error)
            return
        if payload is not None:
            self._connection.send(topics.of(self._hub, peer, message), payload)

    def close_child(self, node: str, connection: int, reason: str, ban: bool = False) -> None:
        """Forget the child's session key. `ban`: and ignore it from now on."""
        self._seal.forget(node)
        if ban:
            self._banned[node] = reason

    def store_failed(self) -> None:
        """What was received will never be committed; the links re-send it."""
        self._inflight = 0
        self._turns.clear()

    # -------------------------------------------------------------------------------------------- what is heard

    def _heard(self, topic: str, payload: bytes) -> None:
        cost = codec.size_of(payload) + limits.INPUT_BYTES
        if self._inflight + cost > limits.DOOR_INFLIGHT_BYTES_MAX:
            self.dropped += 1
            return
        try:
            place = topics.parse(topic)
        except SkerryError:
            return  # not a topic of ours: a broker that misroutes
        if place.parent != self._hub or place.direction is not topics.Direction.UP or place.child in self._banned:
            return
        try:
            unsealed = self._seal.unseal(place.child, payload)
            if topics.channel_of(unsealed.message) != place.channel:
                raise RemoteProtocolError(f"a {type(unsealed.message).__name__} came on {place.channel}")
        except NotOpen as error:
            self.late += 1  # nobody's fault (A13)
            if isinstance(error, Stray):
                self._put(inputs.Strayed(node=place.child), cost)
        except SkerryError as error:
            self._put(inputs.Bad(node=place.child, connection=0, error=str(error)), cost)
        else:
            self._take(place.child, unsealed, cost)

    def _take(self, node: str, unsealed: Unsealed, cost: int) -> None:
        message = unsealed.message
        identity = unsealed.identity
        if identity is not None:
            expired = self._wall() * 1000 > identity.until_ms
            key, scope = identity.key, identity.scope  # the seal has checked both (protocol.link.seal)
            opened = inputs.Opened(node=node, connection=0, key=key, expired=expired, scope=scope)
            self._put(opened, limits.INPUT_BYTES)
        if unsealed.will and isinstance(message, messages.Bye):
            closed = inputs.Closed(node=node, session=message.session, nonce=message.nonce, reason=message.reason)
            self._put(closed, cost)
        else:
            self._put(inputs.Got(node=node, connection=0, message=message), cost)

    def _admits(self, identity: certificates.Identity) -> bool:
        return identity.id not in self._banned and self._gate(identity) is Verdict.ADMITTED

    def _put(self, event: inputs.Opened | inputs.Closed | inputs.Got | inputs.Bad | inputs.Strayed, cost: int) -> None:
        self._inflight += cost
        self._turns.put(event.node, event, cost, functools.partial(self._committed, cost))

    def _committed(self, cost: int) -> None:
        self._inflight = max(0, self._inflight - cost)
