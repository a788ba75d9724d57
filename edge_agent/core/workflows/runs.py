"""All workflows of this device, the definitions in force, and their runs."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from edge_agent.core import context, inputs
from edge_agent.core.artifacts import Artifacts
from edge_agent.core.context import Context
from edge_agent.core.desired import Desired, Doc
from edge_agent.core.workflows import run
from edge_agent.core.workflows.graph import Graph, State
from edge_agent.core.workflows.run import Run
from protocol import documents, limits, status
from protocol.effects import Effects, Now, Put
from protocol.errors import Refused
from protocol.snapshot import Snapshot


def _no_task(task: str, run_id: str, state: str, now: Now, fx: Effects) -> None:
    """No task listens yet."""


class RunSkipped(msgspec.Struct, frozen=True, kw_only=True):
    """Body of the entry `run.skipped`: a firing that found no room."""

    workflow: str
    trigger: str
    reason: str


class Runs:
    """The definitions in force by workflow, the runs in progress and the last ones that ended."""

    def __init__(self, snapshot: Snapshot, ctx: Context, artifacts: Artifacts) -> None:
        self._ctx = ctx
        self._artifacts = artifacts
        self._definitions = {key: _graph(raw) for key, raw in snapshot.spaces.get("definition", {}).items()}
        self.in_force = context.load(snapshot, "workflow", str)
        self.bad: dict[str, str] = {}
        """Workflows whose newest definition cannot be run, and why; the one before stays in force."""
        self._pending: dict[str, tuple[Doc, Graph]] = {}
        """Definitions that wait for their artifact."""
        past = context.load(snapshot, "past", status.RunReport)
        self._past = dict(sorted(past.items(), key=lambda item: item[1].ended_ms))
        self.on_end: Callable[[str, str, str, Now, Effects], None] = _no_task
        """Called with (task, run, state, ...) at the end of a run that a task started."""
        self.all: dict[str, Run] = {}
        steps = _steps_by_run(snapshot)
        for key, record in context.load(snapshot, "run", run.Record).items():
            self.all[key] = Run(record, self._definitions[record.definition], steps.get(key, {}), ctx)

    def adopt(self, found: dict[str, inputs.Found], now: Now, fx: Effects) -> None:
        """At start: meet again what the last life left behind; takes what is a step's out of `found`."""
        for one in self.all.values():
            for name in list(one.running):
                self._adopt(one, name, found.pop(one.instance(name), None), now, fx)

    def _adopt(self, one: Run, name: str, found: inputs.Found | None, now: Now, fx: Effects) -> None:
        if found is not None and found.exit is not None:
            got = inputs.Ended(instance=found.instance, exit=found.exit, stdout=found.stdout, stderr=found.stderr)
            one.ended(name, got, now)
            fx.act.append(inputs.Forget(instance=found.instance))
        elif found is None and self._ctx.rebooted:
            one.lost(name, now)
        elif found is None:
            one.launch_again(name, now, fx)
        if one.record.cancelled and name in one.running:
            fx.act.append(inputs.Stop(instance=one.instance(name), grace_s=limits.STOP_GRACE_S))

    # ---------------------------------------------------------------------------------------- definitions

    def want(self, desired: Desired, now: Now, fx: Effects) -> None:
        """Take a complete manifest."""
        self.bad, self._pending = {}, {}
        for name, (doc, definition) in desired.of(documents.Workflow).items():
            if self.in_force.get(name) == doc.digest:
                continue
            try:
                plan = Graph(definition)
            except Refused as error:
                self.bad[name] = str(error)
            else:
                self._pending[name] = (doc, plan)
        for name in [name for name in self.in_force if not desired.lists(f"workflow/{name}")]:
            self._delete(name, now, fx)
        self.settle(now, fx)

    def settle(self, now: Now, fx: Effects) -> None:
        """Put definitions into force whose artifacts are here; ask for the others'."""
        for name, (doc, plan) in list(self._pending.items()):
            artifact = plan.definition.artifact
            if not self._artifacts.has(artifact):
                self._artifacts.want(artifact, now, fx)
                continue
            del self._pending[name]
            self.in_force[name] = doc.digest
            self._ctx.put("workflow", name, doc.digest, fx)
            if doc.digest not in self._definitions:
                self._definitions[doc.digest] = plan
                fx.store.append(Put("definition", doc.digest, doc.raw))
            self._artifacts.used(f"workflow/{name}", artifact, fx)
        for one in self.all.values():
            if not self._artifacts.has(one.plan.definition.artifact):
                self._artifacts.want(one.plan.definition.artifact, now, fx)
        self._sweep(fx)

    def is_pending(self, workflow: str) -> bool:
        """Tell whether `workflow` is wanted here and only waits for its artifact."""
        return workflow in self._pending and workflow not in self.in_force

    def definition(self, workflow: str) -> documents.Workflow | None:
        """Return the definition in force."""
        digest = self.in_force.get(workflow)
        return self._definitions[digest].definition if digest else None

    def _delete(self, name: str, now: Now, fx: Effects) -> None:
        for one in self.all.values():
            if one.record.workflow == name and not one.record.cancelled:
                one.cancel("the hub: the workflow was deleted", fx)
        del self.in_force[name]
        self._ctx.drop("workflow", name, fx)
        self._artifacts.gone(f"workflow/{name}", fx)
        for key in [key for key, past in self._past.items() if past.workflow == name]:
            self._drop_past(key, fx)

    def _sweep(self, fx: Effects) -> None:
        """Forget definitions that are not in force and that no run follows."""
        used = {*self.in_force.values(), *(one.record.definition for one in self.all.values())}
        for digest in [digest for digest in self._definitions if digest not in used]:
            del self._definitions[digest]
            self._ctx.drop("definition", digest, fx)

    # ---------------------------------------------------------------------------------------- start, cancel, answer

    def room(self, workflow: str) -> str:
        """Return why no run of `workflow` can start now; empty when one can."""
        definition = self.definition(workflow)
        if definition is None:
            known = ", ".join(sorted(self.in_force)) or "none"
            return f"no workflow {workflow!r} is on this device; there are: {known}"
        running = sum(one.record.workflow == workflow for one in self.all.values())
        if running >= definition.concurrency:
            return f"{running} of at most {definition.concurrency} runs of {workflow!r} are in progress"
        if len(self.all) >= limits.RUNS_ACTIVE_MAX:
            return f"{limits.RUNS_ACTIVE_MAX} runs are in progress on this device already"
        return ""

    def start(
        self,
        workflow: str,
        params: dict[str, str],
        trigger: str,
        now: Now,
        fx: Effects,
        *,
        task: str = "",
        by: str = "",
    ) -> str:
        """Start a run and return its id. Raises Refused when there is no room, or a parameter is unknown."""
        full = self.room(workflow)
        if full:
            raise Refused(full)
        plan = self._definitions[self.in_force[workflow]]
        for name in params:
            if name not in plan.definition.params:
                raise Refused(f"workflow {workflow!r} has no parameter {name!r}")
        record = run.Record(
            id=self._ctx.entropy.hex(6),
            workflow=workflow,
            definition=self.in_force[workflow],
            trigger=trigger,
            params=plan.definition.params | params,
            started_ms=context.ms(now),
            task=task,
        )
        self.all[record.id] = one = Run(record, plan, {}, self._ctx)
        one.begin(by, fx)
        return record.id

    def skip(self, workflow: str, trigger: str, reason: str, now: Now, fx: Effects) -> None:
        """Journal a firing that found no room."""
        body = RunSkipped(workflow=workflow, trigger=trigger, reason=reason)
        self._ctx.note("state", "run.skipped", workflow, body, now, fx)

    def cancel(self, run_id: str, by: str, now: Now, fx: Effects) -> None:
        """Cancel a run in progress. Raises Refused when there is none of that id."""
        one = self._in_progress(run_id)
        if not one.record.cancelled:
            one.cancel(by or "somebody", fx)

    def answer(self, run_id: str, step: str, answer: str) -> None:
        """Decide about an interrupted step. Raises Refused when nothing was asked."""
        one = self._in_progress(run_id)
        kept = one.steps.get(step)
        if kept is None or kept.state is not State.INTERRUPTED:
            raise Refused(f"step {step!r} of run {run_id} is not waiting for an answer")
        if answer not in ("retry", "fail"):
            raise Refused(f"{answer[:20]!r} is no answer: write retry or fail")
        one.answer(step, answer == "retry")

    def _in_progress(self, run_id: str) -> Run:
        one = self.all.get(run_id)
        if one is None:
            raise Refused(f"no run {run_id[:40]!r} is in progress on this device")
        return one

    # ---------------------------------------------------------------------------------------- what happened

    def of(self, instance: str) -> tuple[Run, str] | None:
        """Return the run and the step whose current attempt is `instance`."""
        one = self.all.get(instance[2:].partition("-")[0])
        name = instance[2:].partition("-")[2].rpartition("-")[0]
        if one is None or name not in one.running or one.instance(name) != instance:
            return None
        return one, name

    def ended(self, got: inputs.Ended, now: Now, fx: Effects) -> None:
        """A step's process ended."""
        known = self.of(got.instance)
        if known is not None:
            known[0].ended(known[1], got, now)
        fx.act.append(inputs.Forget(instance=got.instance))

    def launch_failed(self, got: inputs.LaunchFailed, now: Now, fx: Effects) -> None:
        """A step could not be started."""
        known = self.of(got.instance)
        if known is not None:
            known[0].launch_failed(known[1], got.error, now)
        fx.act.append(inputs.Forget(instance=got.instance))

    # ---------------------------------------------------------------------------------------- going on

    def advance(self, now: Now, fx: Effects) -> None:
        """Let every run go on as far as one input may take it, then keep and tell what changed."""
        budget = limits.SET_STEPS_PER_INPUT_MAX
        for key, one in list(self.all.items()):
            due = one.next_wake()
            if due is not None and due <= now.mono:
                one.tick(now, fx)
            may_launch = not self._ctx.able.waits and self._artifacts.has(one.plan.definition.artifact)
            budget = one.advance(budget, may_launch, now, fx)
            one.flush(now, fx, lambda report, one=one: self._over(one, report, now, fx))
            if one.is_over():
                del self.all[key]
                self._sweep(fx)

    def next_wake(self, now: Now) -> float | None:
        """Return when (mono) something is due; now, when a run has more to do."""
        if any(one.has_more() for one in self.all.values()):
            return now.mono
        return context.soonest(*(one.next_wake() for one in self.all.values()))

    def _over(self, one: Run, report: status.RunReport, now: Now, fx: Effects) -> None:
        if one.record.workflow in self.in_force:
            self._past[report.id] = brief = _brief(report)
            self._ctx.put("past", report.id, brief, fx)
            ended = [key for key, past in self._past.items() if past.workflow == report.workflow]
            for key in ended[: -limits.RUNS_KEPT]:
                self._drop_past(key, fx)
        if one.record.task:
            self.on_end(one.record.task, report.id, report.state, now, fx)

    def _drop_past(self, key: str, fx: Effects) -> None:
        del self._past[key]
        self._ctx.drop("past", key, fx)

    # ---------------------------------------------------------------------------------------- what is shown

    def artifacts_wanted(self) -> list[str]:
        """Return the artifacts that definitions and runs need."""
        plans = [*self._definitions.values(), *(plan for _, plan in self._pending.values())]
        return [plan.definition.artifact for plan in plans if plan.definition.artifact]

    def list(self, workflow: str = "") -> list[status.RunReport]:
        """Return the runs this device remembers, the newest first."""
        runs = [*self._past.values(), *(one.report() for one in self.all.values())]
        runs.sort(key=lambda report: report.started_ms, reverse=True)
        return [report for report in runs if workflow in ("", report.workflow)]

    def report(self, next_ms: dict[str, int]) -> dict[str, status.WorkflowReport]:
        """Return all workflows as the report shows them; `next_ms` holds their next firings."""
        last = {past.workflow: past for past in self._past.values()}
        return {
            name: status.WorkflowReport(
                digest=digest,
                next_ms=next_ms.get(name, 0),
                running=sum(one.record.workflow == name for one in self.all.values()),
                last=last.get(name),
            )
            for name, digest in self.in_force.items()
        }

    def unconfined(self) -> list[tuple[str, str]]:
        """Return (workflow, what is to be known of it): a step of it declares what this device cannot enforce."""
        told = ((name, self._definitions[digest].unconfined(self._ctx.able)) for name, digest in self.in_force.items())
        return [(name, text) for name, text in told if text]

    def asking(self) -> list[tuple[str, str, str]]:
        """Return (workflow, run, step) of the interrupted steps that wait for a person."""
        return [
            (one.record.workflow, key, name)
            for key, one in self.all.items()
            for name, step in one.steps.items()
            if step.state is State.INTERRUPTED
        ]


def _brief(report: status.RunReport) -> status.RunReport:
    """Return a report that is short enough to be part of a status; the entry of the run's end holds it whole."""
    if len(report.steps) <= limits.REPORT_STEPS_MAX:
        return report
    return msgspec.structs.replace(report, steps=[])


def _graph(raw: bytes) -> Graph:
    definition = documents.decode(raw)
    assert isinstance(definition, documents.Workflow)
    return Graph(definition)


def _steps_by_run(snapshot: Snapshot) -> dict[str, dict[str, run.Step]]:
    found: dict[str, dict[str, run.Step]] = {}
    for key, step in context.load(snapshot, "step", run.Step).items():
        run_id, _, name = key.partition("/")
        found.setdefault(run_id, {})[name] = step
    return found
