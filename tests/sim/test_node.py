"""The simulator's node does what the driver does: one story, one core, one journal's code, the same in the same order.

Told of both are their facts, and what passes between them: what a transport gets and an executor, who is done, and that
inputs were dropped. Commits of the story fail, and inputs come while one is under way.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import pytest

from protocol import effects, limits
from protocol.aio.driver import Driver
from protocol.aio.journal import Journal
from protocol.effects import Action, Now
from protocol.errors import StoreError
from protocol.messages import AnyMessage
from protocol.snapshot import Snapshot
from tests.checkers import history
from tests.contract.aio.parts import STREAMS, Add, Begin, Diary, Glance, Send, Tick, Wake, minted, opened
from tests.sim.node import Node
from tests.sim.plan import Plan
from tests.sim.world import World

_BEGUN_AT = 100.0
"""What both clocks say at the beginning of the story."""
_A_WHILE_S = 0.2
_BIG = b"big" * 100
_MET = b"meets what comes while it is committed"
_LOST = b"is lost"
_ASKS = Add(text=b"asks again when it is done")

Told = tuple[object, ...]
Put = Callable[[object, Callable[[], None]], None]

STORY: list[tuple[float, list[object]]] = [
    (0.0, [Add(text=b"a", send=True, act=True), Add(text=b"b", tell=True), Glance(), Add(text=b"c"), Send(upto=1)]),
    (1.0, [Add(text=b"lazy", lazy=True), Glance()]),
    (1.5, [Add(text=b"hurries it", act=True), _ASKS]),
    (2.0, [Add(text=b"waits alone", lazy=True)]),
    (4.0, [Add(text=_BIG, lazy=True), Glance()]),
    (4.5, [Add(text=_BIG, lazy=True), Add(text=_BIG), Add(text=b"after the big ones", send=True)]),
    (5.0, [Wake(0.0), Glance()]),
    (6.0, [Wake(_BEGUN_AT + 6.5), Glance()]),
    (7.0, [Add(text=_MET, send=True)]),
    (8.0, [Add(text=_LOST, send=True, act=True), Wake(0.0)]),
    (9.0, [Send(upto=2), Add(text=b"after the loss", act=True, tell=True)]),
    (11.0, []),
]
"""(when, inputs that are put at once), in seconds from the beginning."""


class Clock:
    """The driver's clock, which the story moves."""

    def __init__(self) -> None:
        self.at = _BEGUN_AT

    def now(self) -> Now:
        """As protocol.aio.clock."""
        return Now(self.at, self.at)

    def mono(self) -> float:
        """As protocol.aio.clock."""
        return self.at


class Listener:
    """Takes down what it hears; a Trace, a transport and an executor in one."""

    def __init__(self) -> None:
        self.told: list[Told] = []
        self.put: Put

    def begun(self) -> None:
        self.told.append(("begun",))

    def took(self, event: object, now: Now) -> None:
        self.told.append(("took", event))

    def stored(self, ops: Sequence[effects.Store]) -> None:
        self.told.append(("stored", *ops))

    def sent(self, peer: str, message: AnyMessage) -> None:
        self.told.append(("sent", peer, message))

    def acted(self, action: Action) -> None:
        self.told.append(("acted", action))

    def ended(self, how: str) -> None:
        self.told.append(("ended", how))

    def send(self, peer: str, message: AnyMessage) -> None:
        self.told.append(("transport", peer, message))

    def perform(self, action: Action) -> None:
        self.told.append(("executor", action))

    def dropped(self, error: StoreError | None = None) -> None:
        self.told.append(("dropped",))

    def done(self, event: object) -> None:
        self.told.append(("done", event))
        if event is _ASKS:
            self.give(Glance())

    async def heard(self, count: int) -> None:
        """Wait until so much is told."""
        while len(self.told) < count:
            await asyncio.sleep(0)

    def give(self, event: object) -> None:
        """Put an input, and hear when it is done."""
        self.put(event, lambda: self.done(event))


class Simulated(Node):
    """A node whose core is a Diary."""

    role = "diary"
    tick = Tick()

    def __init__(self, world: World, listener: Listener) -> None:
        super().__init__(world, "oslo")
        self._listener = listener

    def make_core(self) -> Diary:
        return Diary(self.journal.snapshot())

    def open_journal(self) -> Journal:
        return self.disk.open(node=self.node, streams=STREAMS, telemetry=False, mint=minted(), boot="")

    def started(self) -> Begin:
        return Begin()

    def transport(self, peer: str, message: AnyMessage) -> None:
        self._listener.send(peer, message)

    def perform(self, action: Action) -> None:
        self._listener.perform(action)

    def dropped(self) -> None:
        self._listener.dropped()


@pytest.fixture
def listener(monkeypatch: pytest.MonkeyPatch) -> Listener:
    """Return who hears it all; journals fail, and inputs come while they work, where the story says so."""
    listener, commit, reload = Listener(), Journal.commit, Journal.reload
    failing: list[StoreError] = []

    async def eventful(journal: Journal, ops: list[effects.Store]) -> None:
        texts = [text for op in ops if isinstance(op, effects.Rows) for _, text, _ in op.rows]
        if _MET in texts:
            listener.give(Add(text=b"meanwhile", send=True))
        if _LOST in texts:
            failing.append(StoreError("the disk is full"))
            raise StoreError("the disk is full")
        await commit(journal, ops)

    async def late(journal: Journal) -> Snapshot:
        if failing:
            listener.give(Add(text=b"too early"))
            raise failing.pop()
        return await reload(journal)

    monkeypatch.setattr(Journal, "commit", eventful)
    monkeypatch.setattr(Journal, "reload", late)
    monkeypatch.setattr(limits, "BATCH_INPUTS_MAX", 3)
    monkeypatch.setattr(limits, "BATCH_BYTES_MAX", 2 * len(_BIG) - 1)
    monkeypatch.setattr(limits, "BATCH_S_MAX", 60.0)
    monkeypatch.setattr(limits, "CLOCK_LOOK_S", 0.001)
    monkeypatch.setattr(limits, "STORE_RETRY_S_MIN", 0.001)
    return listener


def simulated(listener: Listener) -> Iterator[tuple[int, int]]:
    """Tell the story in the simulator. Yields how much is told before each step, and a while after it."""
    world = World(1, agents=0, plan=Plan(seconds=0.0, items=[]), record=False)

    def hear(fact: history.AnyFact) -> None:
        match fact:
            case history.Born():
                listener.begun()
            case history.Died(how=how):
                listener.ended(how)
            case history.Took(input=taken, now=now):
                listener.took(taken, now)
            case history.Stored(ops=ops):
                listener.stored(ops)
            case history.Sent(peer=peer, message=message):
                listener.sent(peer, message)
            case history.Acted(action=action):
                listener.acted(action)
            case _:
                raise AssertionError(fact)

    world.listeners.append(hear)
    node = Simulated(world, listener)
    listener.put = node.put
    node.boot()
    for at, step in STORY:
        world.clock.run(at)
        before = len(listener.told)
        for event in step:
            listener.give(event)
        world.clock.run(at + _A_WHILE_S)
        yield before, len(listener.told)


async def driven(listener: Listener, folder: Path, steps: list[tuple[int, int]]) -> None:
    """Tell the story to a driver over a file. `steps`: what `simulated` yields; it waits for as much."""
    clock, journal = Clock(), await opened(folder)
    driver = Driver(
        make_core=Diary,
        journal=journal,
        clock=clock,
        transport=listener,
        perform=listener.perform,
        tick=Tick(),
        on_dropped=listener.dropped,
        trace=listener,
    )
    listener.put = driver.put
    task = asyncio.create_task(driver.run(Begin))
    with suppress(TimeoutError):
        async with asyncio.timeout(5.0):
            for (at, step), (before, after) in zip(STORY, steps, strict=True):
                clock.at = _BEGUN_AT + at
                await listener.heard(before)
                for event in step:
                    listener.give(event)
                await listener.heard(after)
    told = list(listener.told)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    await journal.close()
    listener.told = told


async def test_one_story_is_told_alike_in_both(listener: Listener, tmp_path: Path) -> None:
    steps = list(simulated(listener))
    there, listener.told = listener.told, []
    await driven(listener, tmp_path, steps)
    assert [one[0] for one in there].count("begun") == 2, "the core was made anew"
    assert there == listener.told
