"""A device that is away for days, on real files: the link's child, the driver and the journal, under a virtual clock.

What it makes is counted where it is made. After each commit the files are measured; on return everything crosses to a
parent, through the codec, and what came is counted from the rows.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter, deque
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from protocol import codec, limits, messages
from protocol.aio.driver import Driver
from protocol.aio.journal import Journal
from protocol.effects import Action, Effects, Now, Send
from protocol.entropy import Entropy
from protocol.link import cursor, events, table
from protocol.link.anchor import ProvenAnchor
from protocol.link.child import Child
from protocol.link.parent import Parent
from protocol.link.room.pool import split
from protocol.snapshot import Snapshot
from protocol.trust import gaps, signing

NODE, HUB = "gw-1", "cloud"
STREAMS = ("audit", "state", "metrics", "logs")
MINUTE_S = 60
WALL = 1_700_000_000.0

_PAPERS = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
KEY = ec.derive_private_key(7, ec.SECP256R1())
Items = list[tuple[str, str, bytes]]


class Trust(ProvenAnchor):
    """What a device trusts, and what it signs its GAPs with."""

    def __init__(self) -> None:
        super().__init__("0" * 64)
        self.signer = gaps.GapSigner(KEY.private_bytes(*_PAPERS))

    def sign_gap(self, node: str, epoch: str, stream: str, body: messages.GapBody) -> messages.GapBody:
        return self.signer.sign(node, epoch, stream, body)


class Made(msgspec.Struct, frozen=True):
    """An input: entries for streams."""

    items: dict[str, Items]


class Opened(msgspec.Struct, frozen=True):
    """An input: connected."""


class Tick(msgspec.Struct, frozen=True):
    """An input: time passed."""


class Device:
    """A core around the link's child."""

    def __init__(self, snapshot: Snapshot, quota: int) -> None:
        self.child = Child(snapshot, node=NODE, parent=HUB, trust=Trust(), shares=split(quota))
        self.told: list[events.ChildEvent] = []

    def handle(self, event: object, now: Now, /) -> Effects:
        """Return what `event` leads to."""
        fx = Effects()
        match event:
            case Made(items=made):
                for stream, items in made.items():
                    self.child.append(stream, items, now, fx)
            case Opened():
                self.child.opened(self.child.session, now, fx)
            case messages.Message():
                self.told += self.child.got(event, now, fx)  # pyright: ignore[reportArgumentType] - all are of the link
            case Tick():
                self.told += self.child.tick(now, fx)
            case _:
                self.child.start(Entropy(b"device"), "1", [], {}, now, fx)
        fx.wake_at = self.child.next_wake()
        return fx


@dataclass
class Clock:
    """Time that moves when it is told to."""

    at: float = 0.0

    def mono(self) -> float:
        return self.at

    def now(self) -> Now:
        return Now(self.at, WALL + self.at)


@dataclass
class Absence:
    """One device in `folder` with `quota` bytes, and its parent, which it cannot reach until `come_back`."""

    folder: Path
    quota: int
    clock: Clock = field(default_factory=Clock)
    made: Counter[str] = field(default_factory=Counter[str])
    bytes_most: int = 0
    file_most: Counter[str] = field(default_factory=Counter[str])
    got: Counter[str] = field(default_factory=Counter[str])
    reachable: bool = False
    up: deque[messages.AnyMessage] = field(default_factory=deque[messages.AnyMessage])

    async def __aenter__(self) -> Absence:
        await self.begin()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.end()

    async def begin(self) -> None:
        """Begin a life of the device."""
        self.journal = await Journal.open(
            self.folder / "journal.db",
            node=NODE,
            streams=STREAMS,
            telemetry=self.folder / "telemetry.db",
            mint=lambda: f"{len(self.made) + 1:016x}",
            cache_kib=limits.DEVICE_STORE_CACHE_KIB,
            wal_bytes=split(self.quota)["wal"] // 2,
        )
        self.driver: Driver[Device] = Driver(
            make_core=lambda snapshot: Device(snapshot, self.quota),
            journal=self.journal,
            clock=self.clock,
            transport=self,
            perform=self._perform,
            tick=Tick(),
            on_store_error=self._failed,
        )
        self._running = asyncio.create_task(self.driver.run(object))

    async def end(self) -> None:
        """End this life in order."""
        await self.driver.settled()
        self._running.cancel()
        await asyncio.wait((self._running,))
        await self.journal.close()

    def _failed(self, error: Exception) -> None:
        raise error

    def send(self, peer: str, message: messages.AnyMessage) -> None:
        self.up.append(codec.decode(codec.encode(message), codec.UP))

    def _perform(self, action: Action) -> None:
        if isinstance(action, table.Connect) and self.reachable:
            self.driver.put(Opened())

    async def make(self, items: dict[str, Items]) -> None:
        """Make entries, wait for their commit, measure the files."""
        self.driver.put(Made(items))
        await self.driver.settled()
        for stream, some in items.items():
            self.made[stream] += len(some)
        self.measure()

    def measure(self) -> None:
        """Look at what the device's files take, all of them."""
        sizes = {path.name: path.stat().st_size for path in self.folder.iterdir()}
        self.bytes_most = max(self.bytes_most, sum(sizes.values()))
        for name, size in sizes.items():
            self.file_most[name] = max(self.file_most[name], size)

    # ---------------------------------------------------------------------------------------- the way back

    async def come_back(self) -> None:
        """Reach the parent, and go on until it has everything."""
        signer = signing.Signer(ed25519.Ed25519PrivateKey.from_private_bytes(b"\1" * 32), HUB, "")
        parent = self.parent = Parent(Snapshot(node=HUB), node=HUB, signer=signer)
        spki = KEY.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        parent.key_of = lambda node: hashlib.sha256(spki).hexdigest()
        parent.start(Entropy(b"hub"), "life", "1", self.clock.now(), Effects())
        parent.add_child(NODE, self.clock.now(), Effects())
        parent.opened(NODE, 1, "key", False, self.clock.now(), Effects())
        self.reachable = True
        while not self.up:
            self.clock.at += MINUTE_S
            self.driver.put(Tick())
            await self._performed()
        while self.up:
            message = self.up.popleft()
            fx = Effects()
            for event in parent.got(NODE, 1, message, self.clock.now(), fx):
                self._hear(event)
            for send in fx.send:
                assert isinstance(send, Send)
                self.driver.put(codec.decode(codec.encode(send.message), codec.DOWN))
            if not self.up:
                await self._performed()
        self.measure()

    async def _performed(self) -> None:
        """Wait until what was put is stored, and what follows from it is sent: sends come after `settled`."""
        await self.driver.settled()
        await self.driver.settled()

    def _hear(self, event: events.ParentEvent) -> None:
        assert not isinstance(event, events.GapRefused | events.Fork | events.Misbehaved), event
        if isinstance(event, events.ChildEntries):
            self.got[event.stream] += sum(1 for row in event.rows if row[4] != cursor.GAP)
