"""The shell's engine: inputs in, the core's effects performed, in the order of protocol.effects. One task for one core.

    drain the inbox -> handle each -> ONE commit -> done() of each -> sends -> actions -> the timer

Group commit: what arrives while a commit runs shares the next one; what arrives while nothing runs is committed at
once. Nothing is sent, done or acknowledged that is not stored (INVARIANTS A1). When a commit fails, the core is
discarded with all that waits, and rebuilt from the store: memory is never ahead of the disk. The sources' own rules
(the link's timers, `started()` telling what was found) bring back what was lost then.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any, Generic, Protocol, TypeVar

import msgspec

from protocol import effects, limits
from protocol.aio import failpoints
from protocol.aio.clock import Clock
from protocol.aio.journal import Journal
from protocol.aio.trace import Trace
from protocol.aio.transport import Transport
from protocol.effects import Action, Effects, Now
from protocol.errors import StoreDamaged, StoreError, StoreLost, StoreNewer
from protocol.messages import AnyMessage, Entries
from protocol.snapshot import Snapshot

_raw_of = itemgetter(1)

Done = Callable[[], None]


class Core(Protocol):
    """What decides (DESIGN 2)."""

    def handle(self, event: Any, now: Now, /) -> Effects:
        """Return what `event` leads to."""
        ...


CoreT = TypeVar("CoreT", bound=Core)


@dataclass(slots=True)
class Pending:
    """Effects that wait for their commit. `force`: now, not lazily. tests.sim.node has it for its own."""

    store: list[effects.Store] = field(default_factory=list[effects.Store])
    done: list[Done] = field(default_factory=list[Done])
    send: list[effects.Send | effects.SendRows] = field(default_factory=list[effects.Send | effects.SendRows])
    act: list[Action] = field(default_factory=list[Action])
    force: bool = False
    bytes: int = 0
    """Of own rows."""
    until: float | None = None
    """Mono time by which lazy stores are committed."""

    def add(self, fx: Effects, now: Now) -> None:
        """Take what an input led to at `now`."""
        self.store += fx.store
        self.bytes += sum(sum(map(len, map(_raw_of, op.rows))) for op in fx.store if isinstance(op, effects.Rows))
        self.send += fx.send
        self.act += fx.act
        if fx.send or fx.act or (fx.store and not fx.lazy) or self.is_full:
            self.force = True
        elif fx.store and self.until is None:
            self.until = now.mono + limits.LAZY_COMMIT_S

    @property
    def is_full(self) -> bool:
        """Tell whether no further input joins."""
        return self.bytes > limits.BATCH_BYTES_MAX

    def is_due(self, mono: float) -> bool:
        """Tell whether what is to be stored is to be stored now."""
        return self.force or (self.until is not None and mono >= self.until)


def message_of(send: effects.SendRows, found: list[effects.StoredRow]) -> Entries | None:
    """Return what is sent of the rows that were found; None when there are none."""
    rows = found[: limits.ENTRIES_COUNT_MAX]  # counted, not reckoned: a GAP row stands for any number of seqs
    if not rows:
        return None
    return Entries(
        session=send.session,
        stream=send.stream,
        epoch=send.epoch,
        prev=send.after,
        hash=rows[-1][2].hex(),
        rows=[msgspec.Raw(raw) for _, raw, _ in rows],
    )


class _Settle(msgspec.Struct, frozen=True):
    """In the inbox: commit what waits, lazy or not."""


_SETTLE = _Settle()


class Driver(Generic[CoreT]):
    """Runs one core over one journal. `put` from the loop's thread only.

    `perform` starts an action and returns at once. `tick` is the input that a due timer becomes. `on_store_error` is
    told each failure of the store, `on_store_healed` the first commit after; `on_dropped` each time that inputs are
    dropped, those put during a failure too: whoever waits for them is to be answered. `trace` is told what happens
    as soon as it is true.
    """

    def __init__(
        self,
        *,
        make_core: Callable[[Snapshot], CoreT],
        journal: Journal,
        clock: Clock,
        transport: Transport,
        perform: Callable[[Action], None],
        tick: object,
        on_store_error: Callable[[StoreError], None] | None = None,
        on_store_healed: Callable[[], None] | None = None,
        on_dropped: Callable[[StoreError], None] | None = None,
        trace: Trace | None = None,
    ) -> None:
        self._make_core = make_core
        self._journal = journal
        self._clock = clock
        self._transport = transport
        self._perform = perform
        self._tick = tick
        self._on_store_error = on_store_error
        self._on_store_healed = on_store_healed
        self._on_dropped = on_dropped
        self._trace = trace
        self._inbox: deque[tuple[object, Done | None]] = deque()
        self._roomy = asyncio.Event()
        self._roomy.set()
        self._waiter: asyncio.Future[None] | None = None
        self._settlers: set[asyncio.Future[None]] = set()
        self._pending = Pending()
        self._wake_at: float | None = None
        self._failures = 0
        self._distrusted: StoreDamaged | None = None
        self.core: CoreT = _made(make_core, journal.snapshot())
        """The core of now; another one after a failure of the store. For pure views only."""
        self.turns = 0
        """How often it turned: whoever sees it stand still sees a core, or a store, that hangs."""

    def put(self, event: object, done: Done | None = None) -> None:
        """Give the core an input. `done` is called after the commit that covers it, and never if there is none."""
        self._inbox.append((event, done))
        if len(self._inbox) > limits.INBOX_INPUTS_MAX:
            self._roomy.clear()
        self._poke()

    def nudge(self) -> None:
        """Turn once more, though there is no input."""
        self._poke()

    def distrust(self, error: StoreDamaged) -> None:
        """A reader beside us met damage in the store: take it for ours, so that it leads to the same recovery."""
        if self._journal.suspect():
            self._distrusted = error
            self._poke()

    async def room(self) -> None:
        """Wait while the inbox is over limits.INBOX_INPUTS_MAX: sources call this between inputs."""
        await self._roomy.wait()

    async def settled(self) -> None:
        """Wait until all that was put before is stored and performed, lazy stores too. Raises StoreError if not."""
        settler: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._settlers.add(settler)
        self.put(_SETTLE, lambda: _resolve(settler))
        try:
            await settler
        finally:
            self._settlers.discard(settler)

    async def run(self, started: Callable[[], object]) -> None:
        """Run until cancelled. `started` makes a life's first input, for this core and for each that is rebuilt."""
        try:
            while True:
                try:
                    await self._live(started)
                except StoreError as error:
                    await self._recover(error)
        finally:
            if self._trace is not None:
                self._trace.ended("stop")

    async def _live(self, started: Callable[[], object]) -> None:
        if self._trace is not None:
            self._trace.begun()
        self._take(started(), None)
        await self._settle()
        while True:
            await self._wait()
            self.turns += 1
            if self._distrusted is not None:
                raise self._distrusted
            self._drain()
            await self._settle()

    # ------------------------------------------------------------------------------------------ inputs

    def _drain(self) -> None:
        until = self._clock.mono() + limits.BATCH_S_MAX
        inbox = self._inbox
        for _ in range(min(len(inbox), limits.BATCH_INPUTS_MAX)):
            event, done = inbox.popleft()
            self._take(event, done)
            if self._clock.mono() > until or self._pending.is_full:
                break
        if self._wake_at is not None and self._clock.mono() >= self._wake_at:
            self._take(self._tick, None)
        if len(inbox) <= limits.INBOX_INPUTS_MAX:
            self._roomy.set()

    def _take(self, event: object, done: Done | None) -> None:
        pending = self._pending
        if done is not None:
            pending.done.append(done)
        if event is _SETTLE:
            pending.force = True
            return
        now = self._clock.now()
        fx = self.core.handle(event, now)
        if self._trace is not None:
            self._trace.took(event, now)
        self._wake_at = fx.wake_at
        pending.add(fx, now)

    # ------------------------------------------------------------------------------------------ effects

    async def _settle(self) -> None:
        pending = self._pending
        if pending.store:
            if not pending.is_due(self._clock.mono()):
                return
            await self._store(pending.store)
        else:
            await asyncio.sleep(0)  # inputs that store nothing must not keep the loop from the sources
        self._pending = Pending()
        for done in pending.done:
            done()
        for send in pending.send:
            await self._send(send)
        if failpoints.armed is not None:
            failpoints.hit("after-send")
        for action in pending.act:
            if self._trace is not None:
                self._trace.acted(action)
            self._perform(action)
        if failpoints.armed is not None:
            failpoints.hit("after-act")

    async def _store(self, ops: list[effects.Store]) -> None:
        if failpoints.armed is not None:
            failpoints.hit("before-store")
        await self._journal.commit(ops)
        if self._trace is not None:
            self._trace.stored(ops)
        if failpoints.armed is not None:
            failpoints.hit("after-store")
        if self._failures:
            self._failures = 0
            if self._on_store_healed is not None:
                self._on_store_healed()

    async def _send(self, send: effects.Send | effects.SendRows) -> None:
        if isinstance(send, effects.Send):
            self._give(send.peer, send.message)
            return
        found = await self._journal.rows(send.stream, send.epoch, send.after, send.upto, limits.ENTRIES_BYTES_MAX)
        message = message_of(send, found)
        if message is not None:
            self._give(send.peer, message)

    def _give(self, peer: str, message: AnyMessage) -> None:
        if self._trace is not None:
            self._trace.sent(peer, message)
        self._transport.send(peer, message)

    # ------------------------------------------------------------------------------------------ waiting

    def _poke(self) -> None:
        if self._waiter is not None:
            _resolve(self._waiter)

    async def _wait(self) -> None:
        """Return when there is an input, or the timer or the lazy commit is due (or may be)."""
        if self._inbox or self._distrusted is not None:
            return
        delay = limits.CLOCK_LOOK_S
        due = [at for at in (self._wake_at, self._pending.until) if at is not None]
        if due:
            delay = min(delay, min(due) - self._clock.mono())
        if delay <= 0:
            return
        loop = asyncio.get_running_loop()
        self._waiter = loop.create_future()
        timer = loop.call_later(delay, self._poke)
        try:
            await self._waiter
        finally:
            timer.cancel()
            self._waiter = None

    # ------------------------------------------------------------------------------------------ failure

    async def _recover(self, error: StoreError) -> None:
        """Discard what the store did not take, wait, and rebuild the core from the store."""
        if self._trace is not None:
            self._trace.ended("store")
        while True:
            self.turns += 1
            self._discard(error)
            delay = min(limits.STORE_RETRY_S_MAX, limits.STORE_RETRY_S_MIN * 2 ** min(self._failures, 16))
            self._failures += 1
            if self._on_store_error is not None:
                self._on_store_error(error)
            await asyncio.sleep(delay)
            try:
                snapshot = await self._journal.reload()
            except StoreLost:
                raise
            except StoreError as again:
                error = again
                continue
            self._discard(error)
            self.core = self._make_core(snapshot)
            return

    def _discard(self, error: StoreError) -> None:
        self._distrusted = None
        self._pending = Pending()
        self._inbox.clear()
        self._wake_at = None
        self._roomy.set()
        for settler in self._settlers:
            if not settler.done():
                settler.set_exception(error)
        if self._on_dropped is not None:
            self._on_dropped(error)


def _resolve(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def _made(make_core: Callable[[Snapshot], CoreT], snapshot: Snapshot) -> CoreT:
    """Return the core of a store that was found. Raises StoreNewer when it holds what this version cannot read."""
    try:
        return make_core(snapshot)
    except msgspec.DecodeError as error:  # its sum was right: it is what somebody wrote
        raise StoreNewer(
            f"the store of {snapshot.node} holds what this version cannot read ({error}): install the version that ran "
            "here last, or a later one; nothing is lost"
        ) from error
