"""One-off tasks: their delivery is declared (INVARIANTS A14).

    stage      means                                    a restart of the agent in it
    (none)     listed, not begun                        judged anew
    WAITING    listed, but the parent's time is not      judged when it is known, or here; not kept
               known, its workflow's artifact not here,
               or nothing can be started now
    STARTED    START journaled, then Launch emitted     found alive: goes on; found ended: END; not found on the same
                                                        boot: the same Launch again (the shim's folder comes before the
                                                        exec, so it never ran); the outcome lost: UNKNOWN, or again
                                                        when `repeatable` and something can be started now
    ENDED      END journaled                            remembered while the manifest lists it: never twice; said again
                                                        when a GAP takes the row that says so

Leaving the manifest before the end is a cancellation; after it, the id alone is remembered, of the newest so many: a
hub that was restored may list it again. What a store that lost some of its state does not know may have run: UNKNOWN.
"""

from __future__ import annotations

import enum

import msgspec

from edge_agent.core import context, inputs, isolation
from edge_agent.core.context import Context
from edge_agent.core.desired import Desired
from edge_agent.core.workflows.runs import Runs
from protocol import documents, limits, status
from protocol.effects import Effects, Now
from protocol.errors import Refused
from protocol.snapshot import Snapshot


class Stage(enum.StrEnum):
    """See the table above."""

    STARTED = "started"
    ENDED = "ended"


class Record(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What is kept of a task. `run` is the run it started, if it is no command."""

    stage: Stage = Stage.STARTED
    instance: str = ""
    attempt: int = 1
    run: str = ""
    started_ms: int = 0
    started_mono: float = 0.0
    timeout_s: float = 0.0
    cancelled: bool = False
    document: documents.Task | None = None
    """What was asked; None once it ended."""
    end: int = 0
    """The number of the row in `state` that says how it ended."""
    outcome: status.TaskFact | None = None
    """What that row says, without the output."""


_NEVER = float("inf")
_FORGOTTEN = "the device's store was damaged, and lost what it knew of it: it may have run, or not"
_NO_OUTPUT = "its output is lost: the row went for want of room on the device"
_PAST = "task-past"


class Tasks:
    """The tasks of this device, by id."""

    def __init__(self, snapshot: Snapshot, ctx: Context, runs: Runs) -> None:
        self._ctx = ctx
        self._runs = runs
        self._all = context.load(snapshot, "task", Record)
        self._waiting: dict[str, documents.Task] = {}
        self._late: dict[str, None] = {}
        """Tasks that were stopped here because they are over their time."""
        self._time_known = False
        past = snapshot.spaces.get(_PAST, {})
        self._past = dict.fromkeys(sorted(past, key=lambda task: int(past[task])))
        self._past_count = max(map(int, past.values()), default=0)
        runs.on_end = self._run_ended

    def adopt(self, found: dict[str, inputs.Found], now: Now, fx: Effects) -> None:
        """At start: meet again what the last life left behind; takes what is a task's out of `found`."""
        for task, record in list(self._all.items()):
            if record.stage is Stage.STARTED and not record.run:
                self._adopt(task, record, found.pop(record.instance, None), now, fx)

    def _adopt(self, task: str, record: Record, found: inputs.Found | None, now: Now, fx: Effects) -> None:
        if found is not None and found.exit is None:
            if record.cancelled:
                fx.act.append(inputs.Stop(instance=record.instance, grace_s=limits.STOP_GRACE_S))
        elif found is not None and found.exit is not None:
            got = inputs.Ended(instance=record.instance, exit=found.exit, stdout=found.stdout, stderr=found.stderr)
            self._exited(task, record, got, now, fx)
        elif self._ctx.rebooted:
            self._exited(task, record, inputs.Ended(instance=record.instance, exit=inputs.Exit()), now, fx)
        else:
            self._launch_again(task, record, now, fx)

    def _launch_again(self, task: str, record: Record, now: Now, fx: Effects) -> None:
        """Start what never began, unless it was taken back or the device changed meanwhile."""
        if record.cancelled:
            self._exited(task, record, inputs.Ended(instance=record.instance, exit=inputs.Exit()), now, fx)
        elif refused := self._ctx.able.waits or isolation.refusal(_process(record), self._ctx.able):
            self._end(task, record, status.TaskFact(id=task, state="refused", reason=refused), now, fx)
        else:
            fx.act.append(_launch(record, self._ctx.able))

    def want(self, desired: Desired, is_partial: bool, now: Now, fx: Effects) -> None:
        """Take a complete manifest. `is_partial`: what is not known here may have been lost with a damaged store."""
        for task in [task for task in self._all if not desired.lists(f"task/{task}")]:
            self._left(task, now, fx)
        self._waiting = {}
        for task, (_, document) in desired.of(documents.Task).items():
            if task in self._all or task in self._past:
                continue
            if is_partial:
                self._end(task, Record(), status.TaskFact(id=task, state="unknown", reason=_FORGOTTEN), now, fx)
            else:
                self._judge(task, document, now, fx)

    def time_known(self) -> None:
        """The parent told its time: deadlines can be judged."""
        self._time_known = True

    def settle(self, now: Now, fx: Effects) -> None:
        """Judge again what waits."""
        waiting, self._waiting = self._waiting, {}
        for task, document in waiting.items():
            self._judge(task, document, now, fx)

    def _judge(self, task: str, document: documents.Task, now: Now, fx: Effects) -> None:
        is_pending = self._ctx.able.waits if document.command else self._runs.is_pending(document.workflow)
        if (document.deadline_ms and not self._time_known) or is_pending:
            self._waiting[task] = document
            return
        late_ms = context.ms(now) + self._ctx.child.offset_ms - document.deadline_ms
        if document.deadline_ms and late_ms > 0:
            self._refuse(task, f"its deadline passed {late_ms / 1000:.0f} s before it got here", now, fx)
        elif sum(record.stage is Stage.STARTED for record in self._all.values()) >= limits.TASKS_OPEN_MAX:
            self._refuse(task, f"{limits.TASKS_OPEN_MAX} tasks are open on this device already", now, fx)
        elif document.cancel_run:
            self._cancel_run(task, document, now, fx)
        elif document.workflow:
            self._start_run(task, document, now, fx)
        else:
            self._begin(task, document, 1, now, fx)

    # ---------------------------------------------------------------------------------------- commands

    def _begin(self, task: str, document: documents.Task, attempt: int, now: Now, fx: Effects) -> None:
        timeout_s = min(document.timeout_s or limits.TASK_TIMEOUT_S_MAX, limits.TASK_TIMEOUT_S_MAX)
        record = Record(
            instance=f"t-{task}" if attempt == 1 else f"t-{task}-{attempt}",
            attempt=attempt,
            started_ms=context.ms(now),
            started_mono=now.mono,
            timeout_s=timeout_s,
            document=document,
        )
        if refused := isolation.refusal(_process(record), self._ctx.able):
            self._refuse(task, refused, now, fx)
            return
        self._keep(task, record, fx)
        body = status.TaskFact(
            id=task, by=document.by, command=document.command, attempt=attempt, reason=self._told(record)
        )
        self._note("started", task, body, now, fx)
        fx.act.append(_launch(record, self._ctx.able))

    def _told(self, record: Record) -> str:
        return isolation.told(_process(record), self._ctx.able)

    def of(self, instance: str) -> str:
        """Return the task that runs as `instance`, or an empty text."""
        for task in (instance[2:], instance[2:].rpartition("-")[0]):
            record = self._all.get(task)
            if record is not None and record.instance == instance and record.stage is Stage.STARTED:
                return task
        return ""

    def ended(self, got: inputs.Ended, now: Now, fx: Effects) -> None:
        """A command ended."""
        task = self.of(got.instance)
        if task:
            self._exited(task, self._all[task], got, now, fx)
        else:
            fx.act.append(inputs.Forget(instance=got.instance))

    def _exited(self, task: str, record: Record, got: inputs.Ended, now: Now, fx: Effects) -> None:
        duration_s = max(0.0, now.mono - record.started_mono)
        unknown = got.exit.code is None and got.exit.signal is None
        document = record.document
        can_begin = unknown and not self._ctx.able.waits
        if can_begin and document is not None and document.repeatable and not record.cancelled:
            fx.act.append(inputs.Forget(instance=record.instance))
            self._begin(task, document, record.attempt + 1, now, fx)
            return
        state, reason = "ok" if got.exit.code == 0 else "failed", self._told(record)
        if record.cancelled:
            state, reason = "cancelled", "it was taken back before it ended"
        elif unknown:
            state, reason, duration_s = "unknown", "the device lost track of it: it may have run, or not", 0.0
        elif got.exit.signal is not None and record.timeout_s and duration_s >= record.timeout_s:
            reason = f"stopped at its timeout of {record.timeout_s:g} s"
        body = status.TaskFact(
            id=task,
            state=state,
            exit_code=got.exit.code,
            signal=got.exit.signal,
            stdout=got.stdout,
            stderr=got.stderr,
            duration_s=round(duration_s, 3),
            reason=reason,
        )
        self._end(task, record, bounded(body), now, fx)
        fx.act.append(inputs.Forget(instance=got.instance))

    def launch_failed(self, got: inputs.LaunchFailed, now: Now, fx: Effects) -> None:
        """A command could not be started; nothing ran."""
        task = self.of(got.instance)
        if task:
            self._end(task, self._all[task], status.TaskFact(id=task, state="failed", reason=got.error), now, fx)
        fx.act.append(inputs.Forget(instance=got.instance))

    def tick(self, now: Now, fx: Effects) -> None:
        """Stop what is over its time (the shell does so first, unless it was adopted since); say lost ends again."""
        self._retell(now, fx)
        for task, record in self._all.items():
            if self._over(task, record) <= now.mono:
                self._late[task] = None
                fx.act.append(inputs.Stop(instance=record.instance, grace_s=limits.STOP_GRACE_S))

    def next_wake(self) -> float | None:
        """Return when (mono) a timeout is due."""
        due = min((self._over(task, record) for task, record in self._all.items()), default=_NEVER)
        return due if due < _NEVER else None

    def _over(self, task: str, record: Record) -> float:
        """Return when (mono) a command is over its time and the shell should have noticed."""
        if record.stage is Stage.ENDED or not record.timeout_s or task in self._late:
            return _NEVER
        return record.started_mono + record.timeout_s + limits.STOP_GRACE_S + limits.TIMEOUT_SLACK_S

    # ---------------------------------------------------------------------------------------- runs

    def _start_run(self, task: str, document: documents.Task, now: Now, fx: Effects) -> None:
        try:
            run = self._runs.start(document.workflow, document.params, "task", now, fx, task=task)
        except Refused as error:
            self._refuse(task, str(error), now, fx)
            return
        record = Record(run=run, started_ms=context.ms(now), started_mono=now.mono)
        self._keep(task, record, fx)
        body = status.TaskFact(id=task, by=document.by, workflow=document.workflow, run=run)
        self._note("started", task, body, now, fx)

    def _run_ended(self, task: str, run: str, state: str, now: Now, fx: Effects) -> None:
        record = self._all.get(task)
        if record is not None and record.stage is Stage.STARTED:
            duration_s = round(max(0.0, now.mono - record.started_mono), 3)
            self._end(task, record, status.TaskFact(id=task, state=state, run=run, duration_s=duration_s), now, fx)

    def _cancel_run(self, task: str, document: documents.Task, now: Now, fx: Effects) -> None:
        try:
            self._runs.cancel(document.cancel_run, document.by, now, fx)
        except Refused as error:
            self._refuse(task, str(error), now, fx)
            return
        self._end(task, Record(), status.TaskFact(id=task, state="ok", run=document.cancel_run), now, fx)

    # ---------------------------------------------------------------------------------------- ends

    def _left(self, task: str, now: Now, fx: Effects) -> None:
        """The manifest names it no more: over and acked, or taken back."""
        record = self._all[task]
        if record.stage is Stage.ENDED:
            self._forget(task, fx)
        elif not record.cancelled:
            record.cancelled = True
            self._keep(task, record, fx)
            if record.run:
                self._runs.cancel(record.run, "the hub", now, fx)
            else:
                fx.act.append(inputs.Stop(instance=record.instance, grace_s=limits.STOP_GRACE_S))

    def _refuse(self, task: str, reason: str, now: Now, fx: Effects) -> None:
        self._end(task, Record(), status.TaskFact(id=task, state="refused", reason=reason), now, fx)

    def _end(self, task: str, record: Record, body: status.TaskFact, now: Now, fx: Effects) -> None:
        record.stage, record.document = Stage.ENDED, None
        self._late.pop(task, None)
        record.end = self._note("ended", task, body, now, fx)
        self._ctx.child.speak(now, fx)
        record.outcome = _without_output(body)
        if record.cancelled:
            self._forget(task, fx)
        else:
            self._keep(task, record, fx)

    def _retell(self, now: Now, fx: Effects) -> None:
        """Say again how a task ended when a GAP took the row: while it is listed, the hub waits to hear it (A19)."""
        gap = self._ctx.child.gaps.get("state") if self._all else None
        if gap is None:
            return
        for task, record in self._all.items():
            if record.outcome is not None and gap.first <= record.end <= gap.last:
                record.end = self._note("ended", task, record.outcome, now, fx)
                self._keep(task, record, fx)

    def _forget(self, task: str, fx: Effects) -> None:
        """Keep of an ended task its id alone; the oldest such id goes."""
        self._all.pop(task, None)
        self._ctx.drop("task", task, fx)
        self._past_count += 1
        self._past[task] = None
        self._ctx.put(_PAST, task, self._past_count, fx)
        if len(self._past) > limits.TASKS_PAST_KEPT:
            oldest = next(iter(self._past))
            del self._past[oldest]
            self._ctx.drop(_PAST, oldest, fx)

    def _keep(self, task: str, record: Record, fx: Effects) -> None:
        self._all[task] = record
        self._ctx.put("task", task, record, fx)

    def _note(self, kind: str, task: str, body: object, now: Now, fx: Effects) -> int:
        return self._ctx.note("state", f"task.{kind}", task, body, now, fx)


def bounded(body: status.TaskFact) -> status.TaskFact:
    """Return `body` with its output cut, from the front, until it fits into one entry."""
    size = limits.TASK_OUTPUT_BYTES_MAX
    while len(context.encoded(body)) > limits.ENTRY_BYTES_MAX:
        size //= 2
        body = msgspec.structs.replace(
            body, stdout=context.tail(body.stdout, size), stderr=context.tail(body.stderr, size)
        )
    return body


def _without_output(body: status.TaskFact) -> status.TaskFact:
    if not body.stdout and not body.stderr:
        return body
    reason = f"{body.reason}; {_NO_OUTPUT}" if body.reason else _NO_OUTPUT
    return msgspec.structs.replace(body, stdout="", stderr="", reason=reason)


def _process(record: Record) -> documents.Process:
    asked = record.document
    assert asked is not None, "only of one that has not ended"
    return documents.Process(command=asked.command, user=asked.user, limits=asked.limits, isolation=asked.isolation)


def _launch(record: Record, able: isolation.Able) -> inputs.Launch:
    assert record.document is not None
    return inputs.Launch(
        instance=record.instance,
        process=isolation.enforceable(_process(record), able),
        key=record.document.id,
        timeout_s=record.timeout_s,
        capture=True,
    )
