"""The armed triggers of all workflows in force: looks at the clock, starts the runs that are due."""

from __future__ import annotations

import msgspec

from edge_agent.core import context
from edge_agent.core.context import Context
from edge_agent.core.workflows import schedule
from edge_agent.core.workflows.runs import Runs
from edge_agent.core.workflows.schedule import Trigger
from protocol import documents, limits
from protocol.effects import Effects, Now
from protocol.errors import Refused
from protocol.snapshot import Snapshot


class FiringsMissed(msgspec.Struct, frozen=True, kw_only=True):
    """Body of the entry `run.missed`: firings that did not and will not start a run; at least `count` of them."""

    workflow: str
    count: int
    until_ms: int


class Triggers:
    """The triggers by `WORKFLOW/N`."""

    def __init__(self, snapshot: Snapshot, ctx: Context, runs: Runs) -> None:
        self._ctx = ctx
        self._runs = runs
        self._all = context.load(snapshot, "trigger", Trigger)
        self._crons: dict[str, documents.Cron] = {}
        self._behind: dict[str, int] = {}
        """Next firings (ms) of triggers whose clock is far behind what they have seen; in memory only."""
        self.bad: dict[str, str] = {}
        """Workflows with a trigger this device does not understand, and why."""

    def settle(self, now: Now, fx: Effects) -> None:
        """Arm the triggers of the definitions in force; those that did not change stay as they are."""
        armed = self._crons = self._in_force()
        self.bad = {}
        for key in [key for key in self._all if key not in armed]:
            del self._all[key]
            self._ctx.drop("trigger", key, fx)
        for key, cron in armed.items():
            held = self._all.get(key)
            if held is None or (held.cron, held.timezone) != (cron.cron, cron.timezone):
                self._arm(key, cron, now, fx)
        self._behind = {key: at for key, at in self._behind.items() if key in self._all}

    def _in_force(self) -> dict[str, documents.Cron]:
        return {
            f"{name}/{index}": cron
            for name in self._runs.in_force
            if (definition := self._runs.definition(name))
            for index, cron in enumerate(definition.triggers)
        }

    def _arm(self, key: str, cron: documents.Cron, now: Now, fx: Effects) -> None:
        try:
            self._keep(key, schedule.arm(cron, context.ms(now)), fx)
        except Refused as error:
            self.bad[key.partition("/")[0]] = str(error)

    def tick(self, now: Now, fx: Effects) -> None:
        """Start what is due."""
        for key in self._armed():
            try:
                self._tick(key, self._crons[key], self._all[key], now, fx)
            except Refused as error:  # its time zone went with another version of the system
                del self._crons[key]
                self.bad[key.partition("/")[0]] = str(error)
                self._ctx.changed = True

    def _tick(self, key: str, cron: documents.Cron, trigger: Trigger, now: Now, fx: Effects) -> None:
        if schedule.is_behind(trigger, context.ms(now)):
            self._tick_behind(key, cron, now, fx)
            if trigger.pending:
                self._catch_up(key, trigger, now, fx)
            return
        self._behind.pop(key, None)
        due = schedule.look(trigger, cron, context.ms(now))
        if due is not None:
            self._fire(key, cron, due, now, fx)
        elif trigger.pending:
            self._catch_up(key, trigger, now, fx)

    def _fire(self, key: str, cron: documents.Cron, due: schedule.Due, now: Now, fx: Effects) -> None:
        name = key.partition("/")[0]
        if due.missed:
            body = FiringsMissed(workflow=name, count=due.missed, until_ms=due.trigger.last_ms)
            self._ctx.note("state", "run.missed", name, body, now, fx)
        if cron.catch_up == "all":
            pending = [*due.trigger.pending, *due.fire][-limits.CATCH_UP_FIRINGS_MAX :]
            self._catch_up(key, msgspec.structs.replace(due.trigger, pending=pending), now, fx)
            return
        self._keep(key, due.trigger, fx)
        for _ in due.fire:
            self._start(name, now, fx)

    def _catch_up(self, key: str, trigger: Trigger, now: Now, fx: Effects) -> None:
        """Start the oldest of the pending firings for which there is room; the others wait for it."""
        name, pending = key.partition("/")[0], trigger.pending
        while pending and not self._runs.room(name):
            self._start(name, now, fx)
            pending = pending[1:]
        trigger = msgspec.structs.replace(trigger, pending=pending)
        if trigger != self._all.get(key):
            self._keep(key, trigger, fx)

    def _tick_behind(self, key: str, cron: documents.Cron, now: Now, fx: Effects) -> None:
        wall_ms = context.ms(now)
        next_ms = self._behind.get(key)
        if next_ms is None or next_ms <= wall_ms:
            self._behind[key] = schedule.next_after(cron, wall_ms)
        if next_ms is not None and next_ms <= wall_ms:
            self._start(key.partition("/")[0], now, fx)

    def _start(self, name: str, now: Now, fx: Effects) -> None:
        try:
            self._runs.start(name, {}, "cron", now, fx)
        except Refused as error:
            self._runs.skip(name, "cron", str(error), now, fx)

    def next_wake(self, now: Now) -> float | None:
        """Return when (mono) to look at the clock again."""
        if any(self._all[key].pending and not self._runs.room(key.partition("/")[0]) for key in self._armed()):
            return now.mono
        nexts = self._next().values()
        return context.wall_wake(min(nexts), now) if nexts else None

    def _armed(self) -> list[str]:
        return [key for key in self._crons if key in self._all]

    def next_ms(self) -> dict[str, int]:
        """Return the next firing (ms) of each workflow."""
        found: dict[str, int] = {}
        for key, at in self._next().items():
            name = key.partition("/")[0]
            found[name] = min(at, found.get(name, at))
        return found

    def _next(self) -> dict[str, int]:
        return {key: self._behind.get(key, self._all[key].next_ms) for key in self._armed()}

    def _keep(self, key: str, trigger: Trigger, fx: Effects) -> None:
        self._all[key] = trigger
        self._ctx.put("trigger", key, trigger, fx)
