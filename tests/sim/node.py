"""A simulated node: what protocol.aio.driver does, under the virtual clock, and able to die between any two effects.

    drain the inbox -> handle each -> (a while) -> ONE commit -> done() of each -> sends -> actions -> the timer

What arrives while a commit is under way shares the next one. A commit that fails discards the core and all that waits;
after a while the store is read again and a new core begins (Driver._recover).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from protocol import effects, limits
from protocol.aio.driver import Core, Done, Pending, message_of
from protocol.aio.journal import Journal
from protocol.effects import Action, Now
from protocol.errors import StoreError
from protocol.messages import AnyMessage
from tests.checkers import history
from tests.sim.disk import Crash, Disk, done

if TYPE_CHECKING:
    from tests.sim.world import World

WALL_S = 1_767_225_600.0  # 2026-01-01 00:00:00 UTC
_RESTART_S = 1.0
_COMMIT_S = 0.004


class Node:
    """One machine with a daemon on it. `life` counts its lives; 0 in `alive` when none runs."""

    role = ""
    tick: object

    def __init__(self, world: World, name: str) -> None:
        self.world, self.clock, self.name = world, world.clock, name
        self.node = history.identity(name)
        self.disk = Disk(name, lambda: self.now().wall)
        self.disks = 0
        self.life = 0
        self.alive = False
        self.powered = True
        self.boots = 1
        self.booted_at = 0.0
        self.wall_offset_s = 0.0
        self.commit_s = _COMMIT_S
        self.die_at: str = ""
        self.die_after = 0
        self.journal: Journal
        self.core: Core
        self.chance = world.clock.chance("node", name)
        self._inbox: deque[tuple[object, Done | None]] = deque()
        self._pending = Pending()
        self._busy = self._awake = False
        self._wake_at: float | None = None
        self._timer_at: float | None = None
        self._failures = 0

    # -------------------------------------------------------------------------------------------- the shell's part

    def make_core(self) -> Core:
        """Return a core from what is stored."""
        raise NotImplementedError

    def open_journal(self) -> Journal:
        """Begin a life of the store. Raises StoreError."""
        raise NotImplementedError

    def started(self) -> object:
        """Return a life's first input."""
        raise NotImplementedError

    def transport(self, peer: str, message: AnyMessage) -> None:
        """Hand `message` to what leads to `peer`."""
        raise NotImplementedError

    def perform(self, action: Action) -> None:
        """Start an action."""
        raise NotImplementedError

    def ended(self, how: str) -> None:
        """The process is gone: what hangs on it goes too."""

    def dropped(self) -> None:
        """The store failed: whoever waits is told."""

    # -------------------------------------------------------------------------------------------- lives

    def now(self) -> Now:
        """Return the moment as this machine knows it."""
        at = self.clock.now
        return Now(at - self.booted_at + 100.0, at + WALL_S + self.wall_offset_s)

    def boot(self) -> None:
        """Begin a life of the daemon; a store that does not open is tried again, or moved aside when it is damaged."""
        if self.alive or not self.powered or self.world.is_parted(self):
            return
        try:
            self.journal = self.open_journal()
            self.core = self.make_core()
        except StoreError:
            self.clock.after(_RESTART_S, self.boot)
            return
        for name in self.disk.recovered:
            self.world.fault("aside", self, name)
        self.disk.recovered.clear()
        self.life += 1
        self.alive = True
        disk = f"{self.name}/{self.disks}"
        self.note(history.Born(at=self.clock.now, node=self.name, role=self.role, disk=disk))
        self._begin()

    def _begin(self) -> None:
        self._inbox.clear()
        self._pending = Pending()
        self._busy = self._awake = False
        self._wake_at = self._timer_at = None
        self._guarded(lambda: self._first(self.started()))

    def _first(self, started: object) -> None:
        self._take(started, None)
        self._settle()

    def die(self, how: str) -> None:
        """The process ends now: nothing more of it happens."""
        if not self.alive:
            return
        self.alive = False
        self.life += 1
        self.die_at = ""
        self.note(history.Died(at=self.clock.now, node=self.name, how=how))
        if how == "stop":
            done(self.journal.close())
        self.ended(how)

    def note(self, fact: history.AnyFact) -> None:
        """Note what happened here."""
        self.world.note(fact)

    # -------------------------------------------------------------------------------------------- inputs

    def put(self, event: object, done: Done | None = None) -> None:
        """Give the core an input. `done` is called after the commit that covers it, and never if there is none."""
        if not self.alive:
            return
        self._inbox.append((event, done))
        self._wake()

    @property
    def is_busy(self) -> bool:
        """Tell whether something waits for its commit, or to be handled."""
        return self._busy or bool(self._inbox)

    def _wake(self) -> None:
        if not self._busy and not self._awake:
            self._awake = True
            life = self.life
            self.clock.after(0.0, lambda: self._turn(life))

    def _turn(self, life: int) -> None:
        if life != self.life:
            return
        self._awake = False
        if not self._busy:
            self._guarded(self._drain)

    def _guarded(self, do: Callable[[], None]) -> None:
        try:
            do()
        except Crash:
            self.world.fault("kill", self, self.die_at)
            self.die("kill")
            self.world.restart_later(self)

    def _drain(self) -> None:
        for _ in range(min(len(self._inbox), limits.BATCH_INPUTS_MAX)):
            event, covered = self._inbox.popleft()
            self._take(event, covered)
            if self._pending.is_full:
                break
        if self._wake_at is not None and self.now().mono >= self._wake_at:
            self._take(self.tick, None)
        self._settle()

    def _take(self, event: object, done: Done | None) -> None:
        pending = self._pending
        if done is not None:
            pending.done.append(done)
        now = self.now()
        fx = self.core.handle(event, now)
        self.note(history.Took(at=self.clock.now, node=self.name, input=event, now=now))
        self._wake_at = fx.wake_at
        pending.add(fx, now)

    # -------------------------------------------------------------------------------------------- effects

    def _settle(self) -> None:
        pending = self._pending
        if not pending.store:
            self._perform()
        elif pending.is_due(self.now().mono):
            self._busy = True
            life = self.life
            self.clock.after(self.commit_s, lambda: self._commit(life))
        else:
            self._rest()

    def _commit(self, life: int) -> None:
        if life == self.life:
            self._guarded(self._store)

    def _store(self) -> None:
        self._busy = False
        ops = self._pending.store
        self._pass("before-store")
        if self._is_due("in-store"):
            self.disk.crash_in_store = True
        try:
            done(self.journal.commit(ops))
        except StoreError:
            self.note(history.Died(at=self.clock.now, node=self.name, how="store"))
            self._fail()
            return
        self._failures = 0
        self.note(history.Stored(at=self.clock.now, node=self.name, ops=ops))
        self._pass("after-store")
        self._perform()

    def _perform(self) -> None:
        pending, self._pending = self._pending, Pending()
        for covered in pending.done:
            covered()
        for send in pending.send:
            self._send(send)
            self._pass("after-send")
        for action in pending.act:
            self.note(history.Acted(at=self.clock.now, node=self.name, action=action))
            self.perform(action)
            self._pass("after-act")
        self._rest()

    def _send(self, send: effects.Send | effects.SendRows) -> None:
        if isinstance(send, effects.Send):
            message: AnyMessage | None = send.message
        else:
            found = done(self.journal.rows(send.stream, send.epoch, send.after, send.upto, limits.ENTRIES_BYTES_MAX))
            message = message_of(send, found)
            if message is None:
                return
        self.note(history.Sent(at=self.clock.now, node=self.name, peer=send.peer, message=message))
        self.transport(send.peer, message)

    def _rest(self) -> None:
        """Wait for the next input, the timer, or the lazy commit."""
        if not self.alive:
            return
        if self._inbox:
            self._wake()
            return
        due = [at for at in (self._wake_at, self._pending.until) if at is not None]
        if not due:
            return
        at = min(due) + self.booted_at - 100.0 + 1e-6  # never a hair too early
        if self._timer_at is None or at < self._timer_at or self._timer_at <= self.clock.now:
            self._timer_at = max(at, self.clock.now)
            life = self.life
            self.clock.at(self._timer_at, lambda: self._ring(life))

    def _ring(self, life: int) -> None:
        if life != self.life or self._busy or self._awake:
            return
        self._timer_at = None
        mono = self.now().mono
        due = [at for at in (self._wake_at, self._pending.until) if at is not None]
        if due and min(due) <= mono + 1e-6:
            self._guarded(self._drain)
        else:
            self._rest()

    # -------------------------------------------------------------------------------------------- failure

    def _is_due(self, place: str) -> bool:
        if place != self.die_at:
            return False
        self.die_after -= 1
        return self.die_after <= 0

    def _pass(self, place: str) -> None:
        if self._is_due(place):
            raise Crash

    def _fail(self) -> None:
        """Discard what the store did not take; the core is rebuilt from the store after a while."""
        self._busy = True
        self._discard()
        delay = min(limits.STORE_RETRY_S_MAX, limits.STORE_RETRY_S_MIN * 2 ** min(self._failures, 16))
        self._failures += 1
        life = self.life
        self.clock.after(delay, lambda: self._recover(life))

    def _discard(self) -> None:
        self._pending = Pending()
        self._inbox.clear()
        self._wake_at = None
        self.dropped()

    def _recover(self, life: int) -> None:
        if life != self.life:
            return
        try:
            done(self.journal.reload())
        except StoreError:
            self._fail()
            return
        self._discard()
        self.core = self.make_core()
        self.life += 1
        self.note(history.Born(at=self.clock.now, node=self.name, role=self.role, disk=f"{self.name}/{self.disks}"))
        self._begin()
