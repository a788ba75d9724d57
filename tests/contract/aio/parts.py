"""What the tests of this folder share: a store in a folder, rows, a small core."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import msgspec

from protocol import effects
from protocol.aio.clock import SystemClock
from protocol.aio.driver import Driver
from protocol.aio.journal import Journal
from protocol.aio.trace import Trace
from protocol.effects import Action, Effects, Now
from protocol.errors import StoreError
from protocol.link import cursor
from protocol.messages import AnyMessage, Look
from protocol.snapshot import Snapshot

STREAMS = ("audit", "state", "metrics")


def minted(start: int = 1) -> Callable[[], str]:
    """Return a source of epochs: 1, 2, 3, ..."""
    counter = itertools.count(start)
    return lambda: f"{next(counter):016x}"


async def opened(folder: Path, *, node: str = "oslo", telemetry: bool = False, start: int = 1) -> Journal:
    """Return the journal of `folder`, opened."""
    apart = folder / "telemetry.db" if telemetry else None
    return await Journal.open(folder / "journal.db", node=node, streams=STREAMS, telemetry=apart, mint=minted(start))


def rows(stream: str, epoch: str, first: int, count: int, size: int = 20) -> effects.Rows:
    """Return rows whose bytes tell their seq, chained."""
    chained = [(seq, raw(seq, size), tip(seq, size)) for seq in range(first, first + count)]
    return effects.Rows(stream, epoch, chained)


@cache
def tips(size: int) -> list[bytes]:
    """Return the hashes of rows 0, 1, 2, ... that are known so far."""
    return [b""]


def tip(seq: int, size: int = 20) -> bytes:
    """Return the hash of row `seq`, all of `size`."""
    known = tips(size)
    while len(known) <= seq:
        known.append(cursor.chain(known[-1], raw(len(known), size)))
    return known[seq]


def bytes_of(found: list[effects.StoredRow]) -> list[bytes]:
    """Return the bytes of stored rows."""
    return [raw for _, raw, _ in found]


def raw(seq: int, size: int = 20) -> bytes:
    """Return the bytes of row `seq`."""
    return b"%d" % seq + b"." * size


class Add(msgspec.Struct, frozen=True, kw_only=True):
    """An input: append one row, then send it, tell of it in a message of its own, and act on it, as asked."""

    text: bytes
    lazy: bool = False
    send: bool = False
    tell: bool = False
    act: bool = False


class Glance(msgspec.Struct, frozen=True):
    """An input that stores nothing."""


class Send(msgspec.Struct, frozen=True):
    """An input: send the rows up to `upto` again."""

    upto: int = 1


class Wake(msgspec.Struct, frozen=True):
    """An input: ask for the timer at mono time `at`."""

    at: float


class Begin(msgspec.Struct, frozen=True):
    """The first input."""


class Tick(msgspec.Struct, frozen=True):
    """The timer's input."""


class Done(Action, frozen=True, kw_only=True):
    """An action that names a row."""

    seq: int


class Diary:
    """A core: it writes what it is told into `state`, and remembers what it handled."""

    def __init__(self, snapshot: Snapshot) -> None:
        stream = snapshot.streams["state"]
        self.epoch, self.last, self.hash = stream.epoch, stream.last, stream.hash
        self.seen: list[object] = []
        self.wake_at: float | None = None

    def handle(self, event: object, now: Now, /) -> Effects:
        """Return what `event` leads to."""
        self.seen.append(event)
        fx = Effects()
        match event:
            case Add(text=text, lazy=lazy, send=send, tell=tell, act=act):
                self.last += 1
                self.hash = cursor.chain(self.hash, text)
                fx.store.append(effects.Rows("state", self.epoch, [(self.last, text, self.hash)]))
                fx.lazy = lazy
                if send:
                    fx.send.append(effects.SendRows("hub", 7, "state", self.epoch, self.last - 1, self.last))
                if tell:
                    fx.send.append(effects.Send("hub", Look(incarnation="i")))
                if act:
                    fx.act.append(Done(seq=self.last))
            case Send(upto=upto):
                fx.send.append(effects.SendRows("hub", 7, "state", self.epoch, 0, upto))
            case Wake(at=at):
                self.wake_at = at
            case Tick():
                self.wake_at = None
                fx.send.append(effects.Send("hub", Look(incarnation="i")))
            case _:
                pass
        fx.wake_at = self.wake_at
        return fx


@dataclass
class Stage:
    """A driver with all it touches, recording in one list what happened in which order."""

    journal: Journal
    told: list[object] = field(default_factory=list[object])
    errors: list[StoreError] = field(default_factory=list[StoreError])
    dropped: list[StoreError] = field(default_factory=list[StoreError])
    trace: Trace | None = None
    healed: asyncio.Event = field(default_factory=asyncio.Event)
    failed: asyncio.Event = field(default_factory=asyncio.Event)
    sent: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.driver = Driver(
            make_core=Diary,
            journal=self.journal,
            clock=SystemClock(),
            transport=self,
            perform=self.told.append,
            tick=Tick(),
            on_store_error=self._error,
            on_store_healed=self.healed.set,
            on_dropped=self.dropped.append,
            trace=self.trace,
        )

    def send(self, peer: str, message: AnyMessage) -> None:
        """The transport: keep the message."""
        self.told.append(message)
        self.sent.set()

    def _error(self, error: StoreError) -> None:
        self.errors.append(error)
        self.failed.set()
