"""One run of a workflow: which steps are next, what is kept, what is told.

    state        means                                    a restart of the agent in it
    WAITING      its needs have not all ended, or it       the same; a wait between attempts ends early
                 waits for room, or for its next attempt
    RUNNING      stored as started, Launch emitted        found alive: goes on; found ended: as if Ended came now; not
                                                          found on the same boot: the same Launch again; lost:
                                                          `interrupted` decides
    INTERRUPTED  its outcome is lost, a person decides    the same
    (endings)    never runs again

Kept incrementally: a small record of the run, and one of each step that was started or ended. Steps of `set:` complete
here, many in one input and one commit. When the run ends its steps' records give way to one report.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import msgspec

from edge_agent.core import context, inputs, isolation
from edge_agent.core.context import Context
from edge_agent.core.workflows import graph
from edge_agent.core.workflows.graph import State
from protocol import documents, limits, status
from protocol.effects import Delete, Effects, Now, Put
from protocol.errors import Refused


class Record(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What is kept of a run that has not ended. `definition` is the digest it follows, whatever is in force by now."""

    id: str
    workflow: str
    definition: str
    trigger: str
    params: dict[str, str] = {}
    started_ms: int = 0
    task: str = ""
    cancelled: str = ""
    """Who cancelled it."""


class Step(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What is kept of a step. `failures` counts those that its retry counts; an interruption is none."""

    state: State = State.WAITING
    attempt: int = 0
    failures: int = 0
    started_mono: float = 0.0
    exit_code: int | None = None
    outputs: dict[str, str] = {}


_NEVER = float("inf")


class Run:
    """One run in progress. What its methods change is told by `flush`, once for each input."""

    def __init__(self, record: Record, plan: graph.Graph, steps: dict[str, Step], ctx: Context) -> None:
        self.record = record
        self.plan = plan
        self.steps = {name: steps.get(name) or Step() for name in plan.steps}
        self.outputs = {name: step.outputs for name, step in self.steps.items() if step.state in graph.ENDINGS}
        self.endings = {name: step.state for name, step in self.steps.items() if step.state in graph.ENDINGS}
        self.running = {name: None for name, step in self.steps.items() if step.state is State.RUNNING}
        self._open_needs = {name: sum(need not in self.endings for need in needs) for name, needs in plan.needs.items()}
        self._ready = deque(
            name for name, step in self.steps.items() if step.state is State.WAITING and not self._open_needs[name]
        )
        self._launchable: deque[str] = deque()
        self._retries: dict[str, float] = {}
        self._late: dict[str, None] = {}
        """Running steps that were stopped here because they are over their time."""
        self._stored = dict.fromkeys(steps)
        self._dirty: dict[str, None] = {}
        self._notes: list[tuple[str, str, bytes]] = []
        self._ctx = ctx

    # ---------------------------------------------------------------------------------------- going on

    def begin(self, by: str, fx: Effects) -> None:
        """Tell and keep that it started."""
        record = self.record
        body = status.RunStarted(
            id=record.id, workflow=record.workflow, trigger=record.trigger, params=record.params, by=by
        )
        self._notes.append(("run.started", record.id, context.encoded(body)))
        self._ctx.put("run", record.id, record, fx)

    def advance(self, budget: int, may_launch: bool, now: Now, fx: Effects) -> int:
        """Go on as far as it gets, deciding at most `budget` steps; return what is left of the budget."""
        while self._ready and budget > 0:
            budget -= 1
            self._decide(self._ready.popleft())
        while self._launchable and may_launch and len(self.running) < limits.PARALLEL_STEPS_MAX:
            self._launch(self._launchable.popleft(), now, fx)
        return budget

    def has_more(self) -> bool:
        """Tell whether `advance` ran out of its budget."""
        return bool(self._ready)

    def _decide(self, name: str) -> None:
        step = self.plan.steps[name]
        if not graph.should_run(step, self.endings, self.outputs):
            self._end(name, State.SKIPPED)
        elif step.run:
            self._launchable.append(name)
        else:
            self._set(name, step)

    def _set(self, name: str, step: documents.Step) -> None:
        kept = self.steps[name]
        kept.attempt = 1
        try:
            kept.outputs = {key: self._substituted(text) for key, text in step.set.items()}
            check_outputs(kept.outputs)
        except Refused as error:
            kept.outputs = {}
            self._end(name, State.FAILED, reason=str(error))
        else:
            self._end(name, State.OK)

    def _substituted(self, text: str) -> str:
        return graph.substitute(text, self.record.params, self.outputs)

    # ---------------------------------------------------------------------------------------- processes

    def _launch(self, name: str, now: Now, fx: Effects) -> None:
        kept = self.steps[name]
        kept.attempt += 1
        kept.outputs = {}
        try:
            launch = self.launch(name)
        except Refused as error:
            self._end(name, State.FAILED, reason=str(error))
            return
        kept.state, kept.started_mono, kept.exit_code = State.RUNNING, now.mono, None
        self.running[name] = None
        self._dirty[name] = None
        told = isolation.told(self.plan.process(name), self._ctx.able)
        self._tell("started", status.StepFact(run=self.record.id, step=name, attempt=kept.attempt, reason=told))
        fx.act.append(launch)

    def launch_again(self, name: str, now: Now, fx: Effects) -> None:
        """At start: the running step's process never began. It does now, unless the device changed meanwhile."""
        if self._ctx.able.waits:
            self.running.pop(name)
            self._again(name)
            return
        try:
            fx.act.append(self.launch(name))
        except Refused as error:
            self.launch_failed(name, str(error), now)

    def launch(self, name: str) -> inputs.Launch:
        """Return the Launch of the step's current attempt; always the same one.

        Raises Refused on a missing value, and when the device cannot enforce what the step requires.
        """
        process = self.plan.process(name)
        refused = isolation.refusal(process, self._ctx.able)
        if refused:
            raise Refused(refused)
        return inputs.Launch(
            instance=self.instance(name),
            process=msgspec.structs.replace(
                isolation.enforceable(process, self._ctx.able),
                command=[self._substituted(text) for text in process.command],
                env={key: self._substituted(text) for key, text in process.env.items()},
            ),
            key=self.record.id,
            timeout_s=self._timeout_s(name),
            capture=True,
        )

    def instance(self, name: str) -> str:
        """Return the id of the step's current attempt."""
        return f"r-{self.record.id}-{name}-{self.steps[name].attempt}"

    def emitted(self, name: str, outputs: dict[str, str]) -> None:
        """The running step told outputs. Raises Refused when they are too large."""
        merged = self.steps[name].outputs | outputs
        check_outputs(merged)
        self.steps[name].outputs = merged
        self._dirty[name] = None

    def ended(self, name: str, got: inputs.Ended, now: Now) -> None:
        """The step's process ended: how decides what follows."""
        kept, step = self.steps[name], self.plan.steps[name]
        self.running.pop(name, None)
        self._late.pop(name, None)
        kept.exit_code = got.exit.code
        if self.record.cancelled:
            self._end(name, State.CANCELLED)
        elif got.exit.code is None and got.exit.signal is None:
            self._interrupted(name, step)
        elif got.exit.code == 0:
            self._end(name, State.OK)
        else:
            late = kept.started_mono + self._timeout_s(name) <= now.mono
            reason = f"stopped at its timeout of {self._timeout_s(name):g} s" if late else ""
            self._failed(name, step, reason, got, now)

    def launch_failed(self, name: str, error: str, now: Now) -> None:
        """The step could not be started; nothing ran."""
        self.running.pop(name, None)
        if self.record.cancelled:
            self._end(name, State.CANCELLED)
        else:
            nothing = inputs.Ended(instance="", exit=inputs.Exit())
            self._failed(name, self.plan.steps[name], error, nothing, now)

    def _failed(self, name: str, step: documents.Step, reason: str, got: inputs.Ended, now: Now) -> None:
        kept, retry = self.steps[name], step.retry
        kept.failures += 1
        stderr = context.tail(got.stderr, limits.STEP_TAIL_BYTES_MAX)
        if kept.failures >= retry.attempts or kept.attempt >= limits.STEP_ATTEMPTS_MAX:
            self._end(name, State.FAILED, reason=reason, stderr=stderr, signal=got.exit.signal)
            return
        wait_s = self._ctx.backoff_s(kept.failures, retry.min_s, retry.max_s)
        self._retries[name] = now.mono + wait_s
        kept.state = State.WAITING
        self._dirty[name] = None
        fact = status.StepFact(
            run=self.record.id,
            step=name,
            attempt=kept.attempt,
            exit_code=kept.exit_code,
            signal=got.exit.signal,
            reason=reason,
            stderr=stderr,
            wait_s=round(wait_s, 3),
        )
        self._tell("retrying", fact)

    def _interrupted(self, name: str, step: documents.Step) -> None:
        """Its outcome is lost: what that means, the workflow declares."""
        kept = self.steps[name]
        if step.interrupted == "ask":
            kept.state = State.INTERRUPTED
            self._dirty[name] = None
            self._tell("asking", status.StepFact(run=self.record.id, step=name, attempt=kept.attempt))
        elif step.interrupted == "retry" and kept.attempt < limits.STEP_ATTEMPTS_MAX:
            self._again(name)
        else:
            self._end(name, State.FAILED, reason="interrupted: its outcome is lost")

    def _again(self, name: str) -> None:
        self.steps[name].state = State.WAITING
        self._dirty[name] = None
        self._launchable.append(name)

    def answer(self, name: str, retry: bool) -> None:
        """A person decided about an interrupted step."""
        if retry:
            self._again(name)
        else:
            self._end(name, State.FAILED, reason="interrupted; a person let it fail")

    def lost(self, name: str, now: Now) -> None:
        """At start: the running step's outcome is lost."""
        self.ended(name, inputs.Ended(instance=self.instance(name), exit=inputs.Exit()), now)

    def cancel(self, by: str, fx: Effects) -> None:
        """Let it end: what waits is cancelled, what runs is stopped."""
        self.record.cancelled = by
        self._ctx.put("run", self.record.id, self.record, fx)
        self._ready.clear()
        self._launchable.clear()
        self._retries.clear()
        for name, step in self.steps.items():
            if step.state in (State.WAITING, State.INTERRUPTED):
                self._end(name, State.CANCELLED)
        self._ready.clear()
        for name in self.running:
            fx.act.append(inputs.Stop(instance=self.instance(name), grace_s=limits.STOP_GRACE_S))

    # ---------------------------------------------------------------------------------------- time

    def tick(self, now: Now, fx: Effects) -> None:
        """Begin the next attempts that are due; stop what is over its time and was adopted since."""
        for name in [name for name, due in self._retries.items() if due <= now.mono]:
            del self._retries[name]
            self._launchable.append(name)
        for name in self.running:
            if self._over(name) <= now.mono:
                self._late[name] = None
                fx.act.append(inputs.Stop(instance=self.instance(name), grace_s=limits.STOP_GRACE_S))

    def next_wake(self) -> float | None:
        """Return when (mono) something is due."""
        due = min([*self._retries.values(), *(self._over(name) for name in self.running)], default=_NEVER)
        return due if due < _NEVER else None

    def _over(self, name: str) -> float:
        if name in self._late:
            return _NEVER
        slack_s = limits.STOP_GRACE_S + limits.TIMEOUT_SLACK_S
        return self.steps[name].started_mono + self._timeout_s(name) + slack_s

    def _timeout_s(self, name: str) -> float:
        return min(self.plan.steps[name].timeout_s or limits.STEP_TIMEOUT_S_MAX, limits.STEP_TIMEOUT_S_MAX)

    # ---------------------------------------------------------------------------------------- what is kept and told

    def _end(self, name: str, state: State, *, reason: str = "", stderr: str = "", signal: int | None = None) -> None:
        kept = self.steps[name]
        kept.state = self.endings[name] = state
        self.outputs[name] = kept.outputs
        self._dirty[name] = None
        fact = status.StepFact(
            run=self.record.id,
            step=name,
            state=state.value,
            attempt=kept.attempt,
            exit_code=kept.exit_code,
            signal=signal,
            outputs=kept.outputs,
            reason=reason,
            stderr=stderr,
        )
        self._tell("ended", fact)
        for follower in self.plan.followers[name]:
            self._open_needs[follower] -= 1
            if self._open_needs[follower] == 0 and self.steps[follower].state is State.WAITING:
                self._ready.append(follower)

    def _tell(self, kind: str, fact: status.StepFact) -> None:
        self._notes.append((f"step.{kind}", self.record.id, context.encoded(fact)))

    def is_over(self) -> bool:
        """Tell whether every step has ended."""
        return len(self.endings) == len(self.steps)

    def flush(self, now: Now, fx: Effects, over: Callable[[status.RunReport], None]) -> None:
        """Keep and tell what changed since the last time; `over` gets the report of a run that has ended."""
        run = self.record.id
        if self.is_over():
            report = self.report(context.ms(now))
            self._notes.append(("run.ended", run, _bounded(report)))
            fx.store.extend(Delete("step", f"{run}/{name}") for name in self._stored)
            self._ctx.drop("run", run, fx)
        else:
            report = None
            fx.store.extend(Put("step", f"{run}/{name}", context.encoded(self.steps[name])) for name in self._dirty)
            self._stored |= self._dirty
        if self._dirty:
            self._ctx.changed = True
        self._dirty = {}
        if self._notes:
            self._ctx.child.append("state", self._notes, now, fx)
            self._notes = []
        if report is not None:
            over(report)

    def state(self) -> str:
        """Return where the run stands: running, asking, ok, failed or cancelled."""
        states = [step.state for step in self.steps.values()]
        if State.INTERRUPTED in states:
            return "asking"
        if not self.is_over():
            return "running"
        if self.record.cancelled:
            return "cancelled"
        return "failed" if State.FAILED in states else "ok"

    def report(self, ended_ms: int = 0) -> status.RunReport:
        """Return the run as the report shows it."""
        return status.RunReport(
            id=self.record.id,
            workflow=self.record.workflow,
            state=self.state(),
            started_ms=self.record.started_ms,
            ended_ms=ended_ms,
            trigger=self.record.trigger,
            steps=[
                status.StepReport(name=name, state=step.state.value, attempts=step.attempt, exit_code=step.exit_code)
                for name, step in self.steps.items()
            ],
        )


def check_outputs(outputs: dict[str, str]) -> None:
    """Raise Refused when a step's outputs are too large."""
    size = sum(len(key) + len(value) for key, value in outputs.items())
    if size > limits.OUTPUT_BYTES_MAX // 2:  # each takes up to six bytes of JSON; an entry holds that
        raise Refused(f"outputs of {size} characters are over {limits.OUTPUT_BYTES_MAX // 2}: write them to a file")


def _bounded(report: status.RunReport) -> bytes:
    """Return the report as an entry's body: without its steps when they do not fit (each has an entry of its own)."""
    raw = context.encoded(report)
    return raw if len(raw) <= limits.ENTRY_BYTES_MAX else context.encoded(msgspec.structs.replace(report, steps=[]))
