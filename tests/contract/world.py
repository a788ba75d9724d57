"""One hub and its children over either transport; a test speaks as the hub's core and as the children's."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from typing import TypeVar

from hub.core import inputs
from hub.shell.broker import BrokerDoor
from hub.shell.front_door import FrontDoor, Verdict
from protocol import messages
from protocol.aio import mqtt
from protocol.link.seal import ChildSeal
from protocol.trust import certificates
from protocol.trust.signing import Anchor
from tests.support import broker as real_broker
from tests.support.door import WAIT_S, Inbox
from tests.support.pki import Pki

HUB = "hub"
M = TypeVar("M", bound=messages.Message)


def hello(node: str, session: int, nonce: str = "aa") -> messages.Hello:
    """A Hello with nothing to say."""
    return messages.Hello(session=session, nonce=nonce, node=node, version="1")


class Child:
    """A device's end: the real MqttLink, and all that it told."""

    def __init__(self, world: World, node: str) -> None:
        self.node, self.world = node, world
        self.device = world.pki.device(node)
        self.opened: list[int] = []
        self.closed: list[tuple[int, str]] = []
        self.heard: list[messages.AnyMessage] = []
        self._told = asyncio.Event()
        self.link = mqtt.MqttLink(
            node=node,
            parent=HUB,
            host="127.0.0.1",
            port=world.port,
            context=lambda: self.device.context(world.server_name),
            opened=lambda session: self._note(self.opened.append, session),
            closed=lambda session, reason: self._note(self.closed.append, (session, reason)),
            got=lambda message: self._note(self.heard.append, message),
            seal=self._seal if world.sealed else None,
        )

    def say(self, message: messages.AnyMessage) -> None:
        """Send to the hub."""
        self.link.send(HUB, message)

    async def connect(self, session: int, nonce: str = "aa") -> None:
        """Connect, and wait until that is told."""
        self.link.connect(session, nonce)
        await self.until(lambda: session in self.opened or session in dict(self.closed))
        assert session in self.opened, self.closed

    async def greet(self, session: int, nonce: str = "aa") -> inputs.Got:
        """Connect, say Hello, get the Welcome: from then on everything may be said."""
        await self.connect(session, nonce)
        self.say(hello(self.node, session, nonce))
        inbox = self.world.inbox
        await inbox.until(lambda: any(_is_hello(got, session, nonce) for got in inbox.of(inputs.Got, self.node)))
        self.world.door.send(self.node, self.world.welcome(session, nonce))
        await self.until(lambda: any(_is_welcome(message, session) for message in self.heard))
        return inbox.of(inputs.Got, self.node)[-1]

    async def hear(self, kind: type[M], count: int = 1) -> M:
        """Wait for a message of the hub."""
        await self.until(lambda: len(self._of(kind)) >= count)
        return self._of(kind)[count - 1]

    async def end(self, session: int) -> str:
        """Wait until `session` is closed; return why."""
        await self.until(lambda: session in dict(self.closed))
        return dict(self.closed)[session]

    async def until(self, true: Callable[[], bool]) -> None:
        """Wait until something that the link tells is true."""
        async with asyncio.timeout(WAIT_S):
            while not true():
                self._told.clear()
                await self._told.wait()

    def _of(self, kind: type[M]) -> list[M]:
        return [message for message in self.heard if isinstance(message, kind)]

    def _note(self, note: Callable[..., None], what: object) -> None:
        note(what)
        self._told.set()

    def _seal(self, session: int, nonce: str) -> ChildSeal:
        return ChildSeal(
            node=self.node,
            parent=HUB,
            session=session,
            nonce=nonce,
            chain=self.device.chain,
            sign=self.device.sign,
            anchor=Anchor(self.world.pki.root),
            secret=session.to_bytes(32, "big"),
        )


def _is_hello(got: inputs.Got, session: int, nonce: str) -> bool:
    message = got.message
    return isinstance(message, messages.Hello) and (message.session, message.nonce) == (session, nonce)


def _is_welcome(message: messages.AnyMessage, session: int) -> bool:
    return isinstance(message, messages.Welcome) and message.session == session


class World:
    """A hub with its transport."""

    sealed = False
    server_name = HUB

    def __init__(self, pki: Pki) -> None:
        self.pki = pki
        self.inbox = Inbox()
        self.verdicts: dict[str, Verdict] = {}
        self.children: list[Child] = []
        self.port = 0
        self.back_door = 0
        self.door: FrontDoor | BrokerDoor

    def gate(self, who: certificates.Identity) -> Verdict:
        """Everybody whose key is as issued, unless a test says otherwise."""
        known = self.pki.device(who.id).key_hash == who.key
        return self.verdicts.get(who.id, Verdict.ADMITTED) if known else Verdict.UNKNOWN

    def child(self, node: str) -> Child:
        """A device of this fleet."""
        child = Child(self, node)
        self.children.append(child)
        return child

    def welcome(self, session: int, nonce: str = "aa") -> messages.Welcome:
        """What a hub's core answers to a Hello."""
        return messages.Welcome(
            incarnation="i1",
            session=session,
            nonce=nonce,
            parent=HUB,
            cursors={},
            time_ms=0,
            contact_s=60.0,
            chain=self.pki.signer.chain,
        )

    def client(self, node: str, identifier: str = "", heard: Callable[[str, bytes], None] | None = None) -> Client:
        """An MQTT client that has the certificate of `node` and says what the test wants."""
        context = self.pki.device(node).context(self.server_name)
        return Client(self.port, identifier or node, context, heard)

    async def start(self) -> None:
        """Start the hub's end, again and again."""
        raise NotImplementedError

    async def stop(self) -> None:
        """Stop the hub's end."""
        raise NotImplementedError

    async def close(self) -> None:
        """End all."""
        for child in self.children:
            await child.link.close()
        await self.stop()


class Embedded(World):
    """Through the hub's own front door."""

    async def start(self) -> None:
        """Listen; on the same port as before."""
        self.door = FrontDoor(
            host="127.0.0.1",
            port=self.port,
            context=self.pki.parent_context(),
            hub=HUB,
            inbox=self.inbox,
            gate=self.gate,
        )
        await self.door.open()
        self.port = self.door.port

    async def stop(self) -> None:
        """Say goodbye."""
        await self.door.close()


class External(World):
    """Through a real mosquitto."""

    sealed = True
    server_name = real_broker.NAME

    async def start(self) -> None:
        """Connect to the broker."""
        self.door = BrokerDoor(
            host="127.0.0.1",
            port=self.port,
            context=lambda: self.pki.hub_client_context(self.server_name),
            hub=HUB,
            inbox=self.inbox,
            gate=self.gate,
            signer=self.pki.signer,
            root=self.pki.root.decode(),
        )
        self._serving = asyncio.ensure_future(self.door.serve())
        async with asyncio.timeout(WAIT_S):
            await self.door.up.wait()

    async def stop(self) -> None:
        """Leave the broker."""
        self._serving.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._serving


def _ignore(topic: str, payload: bytes) -> None:
    """Nobody listens."""


class Client:
    """A raw client; `ended` is why its connection is over, or "" when it was left."""

    def __init__(
        self, port: int, identifier: str, context: ssl.SSLContext, heard: Callable[[str, bytes], None] | None
    ) -> None:
        self._connection = mqtt.Connection(
            host="127.0.0.1", port=port, identifier=identifier, context=context, heard=heard or _ignore
        )
        self.opened = asyncio.Event()
        self._running: asyncio.Task[None] | None = None

    async def run(self, subscription: str) -> str:
        """Connect and subscribe; return "" when that works, or why not."""
        self._running = asyncio.ensure_future(self._connection.run(subscription, self.opened.set))
        opened = asyncio.ensure_future(self.opened.wait())
        await asyncio.wait((self._running, opened), timeout=WAIT_S, return_when=asyncio.FIRST_COMPLETED)
        opened.cancel()
        return "" if self.opened.is_set() else await self.ended()

    def publish(self, topic: str, payload: bytes) -> None:
        """Publish with QoS 0."""
        assert self._connection.send(topic, payload)

    async def ended(self) -> str:
        """Wait until the connection is over; return why."""
        assert self._running is not None
        try:
            async with asyncio.timeout(WAIT_S):
                await self._running
        except Exception as error:
            return str(error) or type(error).__name__
        return ""

    async def leave(self) -> None:
        """End the connection."""
        self._connection.leave()
        await self.ended()


@contextlib.asynccontextmanager
async def embedded(folder: Path) -> AsyncGenerator[World]:
    """A hub with its own front door."""
    world = Embedded(Pki(folder))
    await world.start()
    try:
        yield world
    finally:
        await world.close()


@contextlib.asynccontextmanager
async def external(folder: Path) -> AsyncGenerator[World]:
    """A hub at a real mosquitto."""
    pki = Pki(folder)
    async with real_broker.running(pki, folder / "broker") as mosquitto:
        world = External(pki)
        world.port, world.back_door = mosquitto.port, mosquitto.back_door
        await world.start()
        try:
            yield world
        finally:
            await world.close()
