"""What the person at the device asks and decides: every decision is an entry with their name.

Replies are JSON; their shapes are the structs below.
"""

from __future__ import annotations

import msgspec

from edge_agent.core import context, inputs, isolation
from edge_agent.core.context import Context
from edge_agent.core.person import reasons
from edge_agent.core.person.hold import Hold, Kept
from edge_agent.core.person.own import Declared, Own, spoken
from edge_agent.core.report import Reporter
from edge_agent.core.services.overrides import Override, Overrides
from edge_agent.core.services.roster import Roster
from edge_agent.core.services.workload import Workload
from edge_agent.core.upward.contact import Backlog, Contact, LinkView
from edge_agent.core.workflows.runs import Runs
from protocol import limits, status
from protocol.effects import Effects, Now
from protocol.errors import Refused
from protocol.link.own_stream import Gap


class Quota(msgspec.Struct, frozen=True, kw_only=True):
    """Bytes on disk: what a stream takes, and its own share; what others leave of theirs it may take too."""

    bytes: int
    share: int


class StatusReply(msgspec.Struct, frozen=True, kw_only=True):
    """Reply to LocalStatus. `backlog` by stream; services, workflows, conditions, vitals, lost as in the report."""

    node: str
    version: str
    now_ms: int
    link: LinkView
    backlog: dict[str, Backlog]
    services: dict[str, status.ServiceReport]
    workflows: dict[str, status.WorkflowReport]
    conditions: list[status.Condition]
    lost: dict[str, int]
    gaps: dict[str, Gap]
    """The newest range of each stream that is lost, while the hub has not taken all that lies below."""
    quota: dict[str, Quota]
    vitals: status.Vitals | None
    hold: status.HoldReport | None
    upgrade: status.UpgradeReport | None
    able: isolation.Able
    platform: dict[str, str]
    """What of an isolation this device can enforce."""


class WhyReply(msgspec.Struct, frozen=True, kw_only=True):
    """Reply to LocalWhy. `reasons`: sentences, the nearest cause first; `at_ms` since when each is true (0: unknown).

    `next`: the command that would change it, or say more. `retry_s`: in how many seconds it starts again by itself.
    """

    service: str
    state: str
    reasons: list[str]
    at_ms: list[int]
    next: str
    report: status.ServiceReport
    wanted: bool
    generation: int
    link: LinkView
    last_exit_ms: int
    retry_s: float | None = None


class Decision(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Body of every `local.*` entry in the audit stream."""

    user: str
    uid: int
    reason: str = ""
    until_ms: int = 0
    run: str = ""
    step: str = ""
    answer: str = ""
    params: dict[str, str] = {}
    documents: dict[str, str] = {}
    """What was declared or let go of: its digest by `service/NAME` or `workflow/NAME`."""


class Done(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Reply to a decision: what is the case now."""

    text: str
    run: str = ""
    until_ms: int = 0
    """When a decision about a service ends, 0 until released."""
    documents: dict[str, str] = {}
    """What became of each document: created, changed, unchanged or deleted."""


class Local:
    """Answers local commands."""

    def __init__(
        self,
        ctx: Context,
        *,
        node: str,
        contact: Contact,
        reporter: Reporter,
        roster: Roster,
        overrides: Overrides,
        hold: Hold,
        own: Own,
        runs: Runs,
    ) -> None:
        self._ctx = ctx
        self._node = node
        self._contact = contact
        self._reporter = reporter
        self._roster = roster
        self._overrides = overrides
        self._hold, self._own = hold, own
        self._runs = runs
        self.version = ""

    def asked(self, local: inputs.Local, now: Now, fx: Effects) -> None:
        """Do and answer one command; LocalReply is performed after the commit of what it did."""
        try:
            if len(getattr(local.command, "reason", "")) > limits.WORD_CHARS_MAX:
                raise Refused(f"a reason is a sentence of at most {limits.WORD_CHARS_MAX} characters")
            reply = self._answer(local, now, fx)
        except Refused as error:
            fx.act.append(inputs.LocalReply(request=local.request, error=str(error)))
        else:
            fx.act.append(inputs.LocalReply(request=local.request, data=context.encoded(reply)))

    def _answer(self, local: inputs.Local, now: Now, fx: Effects) -> object:
        match local.command:
            case inputs.LocalStatus():
                return self.status(now)
            case inputs.LocalRuns(workflow=workflow):
                return self.runs(workflow)
            case inputs.LocalWhy(service=service):
                return self._why(self._service(service), now)
            case inputs.LocalStop() | inputs.LocalStart():
                return self._decide(local, local.command, now, fx)
            case inputs.LocalRestart():
                return self._restart(local, local.command, now, fx)
            case inputs.LocalRelease():
                return self._release(local, local.command, now, fx)
            case inputs.LocalHold():
                return self._keep_away(local, local.command, now, fx)
            case inputs.LocalUnhold():
                return self._let_come(local, local.command, now, fx)
            case inputs.LocalApply():
                return self._apply(local, local.command, now, fx)
            case inputs.LocalDelete():
                return self._delete(local, local.command, now, fx)
            case inputs.LocalWorkflowStart():
                return self._start(local, local.command, now, fx)
            case inputs.LocalRunCancel() | inputs.LocalRunAnswer():
                return self._run(local, local.command, now, fx)
            case _:
                raise Refused("this agent does not know that command; is the command line newer than the daemon?")

    # ---------------------------------------------------------------------------------------- decisions

    def _decide(
        self, local: inputs.Local, command: inputs.LocalStop | inputs.LocalStart, now: Now, fx: Effects
    ) -> Done:
        service = self._service(command.service)
        if command.until_ms and command.until_ms <= context.ms(now):
            raise Refused("that moment has passed already: write a later one, or none for until released")
        decision = "stop" if isinstance(command, inputs.LocalStop) else "start"
        override = Override(
            decision=decision,
            user=local.user,
            uid=local.uid,
            reason=command.reason,
            since_ms=context.ms(now),
            until_ms=command.until_ms or 0,
        )
        has_end = command.until_ms is not None
        override, kept = self._overrides.decide(command.service, override, fx, has_end=has_end)
        body = Decision(user=local.user, uid=local.uid, reason=override.reason, until_ms=override.until_ms)
        self._note(decision, command.service, body, now, fx)
        if decision == "start":
            service.fresh(fx)
        service.settle(now, fx)
        until = "until the time you gave" if override.until_ms else "until released"
        text = f"{command.service} is to {decision} here, {until}{kept}; the hub will see who said so and why"
        return Done(text=text, until_ms=override.until_ms)

    def _restart(self, local: inputs.Local, command: inputs.LocalRestart, now: Now, fx: Effects) -> Done:
        service = self._service(command.service)
        held = self._overrides.get(command.service)
        if held is not None and held.decision == "stop":
            raise Refused(f"{command.service} is stopped here by {held.user}: release it first")
        self._note("restart", command.service, _decision(local, command.reason), now, fx)
        service.restart(now, fx)
        return Done(text=f"{command.service} restarts")

    def _release(self, local: inputs.Local, command: inputs.LocalRelease, now: Now, fx: Effects) -> Done:
        service = self._service(command.service)
        held = self._overrides.get(command.service)
        if held is None:
            raise Refused(f"nobody overrides {command.service} here: there is nothing to release")
        self._overrides.release(command.service, fx)
        self._note("release", command.service, _decision(local, command.reason), now, fx)
        if held.decision == "stop":
            service.fresh(fx)
        service.settle(now, fx)
        return Done(text=f"{command.service} follows the hub again")

    def _keep_away(self, local: inputs.Local, command: inputs.LocalHold, now: Now, fx: Effects) -> Done:
        given = Kept(
            user=local.user,
            uid=local.uid,
            reason=command.reason,
            since_ms=context.ms(now),
            until_ms=command.until_ms or 0,
            generation=self._ctx.child.held.generation,
        )
        kept = self._hold.begin(given, now, fx, has_end=command.until_ms is not None)
        body = Decision(user=local.user, uid=local.uid, reason=kept.reason, until_ms=kept.until_ms)
        self._note("hold", "", body, now, fx)
        until = "until the time you gave" if kept.until_ms else "until released"
        text = f"services and workflows stay as they are at generation {kept.generation}, {until}"
        return Done(
            text=f"{text}; what the hub changes waits, and it will see who said so and why", until_ms=kept.until_ms
        )

    def _let_come(self, local: inputs.Local, command: inputs.LocalUnhold, now: Now, fx: Effects) -> Done:
        waited = len(self._hold.end(fx))
        self._note("unhold", "", _decision(local, command.reason), now, fx)
        changes = (
            "nothing waited" if not waited else f"{waited} change{'' if waited == 1 else 's'} that waited come now"
        )
        return Done(text=f"updates come again: {changes}")

    def _apply(self, local: inputs.Local, command: inputs.LocalApply, now: Now, fx: Effects) -> Done:
        by = Declared(user=local.user, uid=local.uid, reason=command.reason, since_ms=context.ms(now))
        told = self._own.declare([bytes(raw) for raw in command.documents], by, fx)
        return self._told_of(local, command.reason, "apply", told, now, fx)

    def _delete(self, local: inputs.Local, command: inputs.LocalDelete, now: Now, fx: Effects) -> Done:
        key = f"{'assignment' if command.kind == 'service' else command.kind}/{command.name}"
        self._own.delete(key, fx)
        return self._told_of(local, command.reason, "delete", {key: "deleted"}, now, fx)

    def _told_of(
        self, local: inputs.Local, reason: str, what: str, told: dict[str, str], now: Now, fx: Effects
    ) -> Done:
        changed = {spoken(key): self._own.digest(key) for key, said in told.items() if said != "unchanged"}
        if changed:
            body = Decision(user=local.user, uid=local.uid, reason=reason, documents=changed)
            self._note(what, "", body, now, fx)
        text = ", ".join(f"{spoken(key)} {said} here" for key, said in told.items()) or "nothing was declared"
        return Done(text=text, documents={spoken(key): said for key, said in told.items()})

    def _start(self, local: inputs.Local, command: inputs.LocalWorkflowStart, now: Now, fx: Effects) -> Done:
        run = self._runs.start(command.workflow, command.params, "local", now, fx, by=local.user)
        body = Decision(user=local.user, uid=local.uid, reason=command.reason, run=run, params=command.params)
        self._note("workflow-start", command.workflow, body, now, fx)
        return Done(text=f"run {run} of {command.workflow} started", run=run)

    def _run(
        self, local: inputs.Local, command: inputs.LocalRunCancel | inputs.LocalRunAnswer, now: Now, fx: Effects
    ) -> Done:
        if isinstance(command, inputs.LocalRunCancel):
            self._runs.cancel(command.run, local.user, now, fx)
            body = Decision(user=local.user, uid=local.uid, reason=command.reason, run=command.run)
            self._note("run-cancel", command.run, body, now, fx)
            return Done(text=f"run {command.run} is being cancelled", run=command.run)
        self._runs.answer(command.run, command.step, command.answer)
        body = Decision(user=local.user, uid=local.uid, run=command.run, step=command.step, answer=command.answer)
        self._note("run-answer", command.run, body, now, fx)
        return Done(text=f"step {command.step} of run {command.run}: {command.answer}", run=command.run)

    def _service(self, name: str) -> Workload:
        service = self._roster.all.get(name)
        if service is None:
            known = ", ".join(self._roster.all) or "none"
            raise Refused(f"no service {name[:63]!r} is on this device; there are: {known}")
        return service

    def _note(self, what: str, key: str, body: Decision, now: Now, fx: Effects) -> None:
        self._ctx.note("audit", f"local.{what}", key, body, now, fx)

    # ---------------------------------------------------------------------------------------- views

    def status(self, now: Now) -> StatusReply:
        """Return the whole local truth."""
        report = self._reporter.report(now)
        return StatusReply(
            node=self._node,
            version=self.version,
            now_ms=context.ms(now),
            link=self._contact.view(now),
            backlog=self._contact.backlog(),
            services=report.services,
            workflows=report.workflows,
            conditions=report.conditions,
            lost=report.lost,
            gaps=self._ctx.child.gaps,
            quota={
                name: Quota(bytes=one[4], share=self._ctx.child.shares()[name])
                for name, one in self._ctx.child.heads().items()
            },
            vitals=report.vitals,
            hold=report.hold,
            upgrade=report.upgrade,
            platform=report.platform,
            able=self._ctx.able,
        )

    def runs(self, workflow: str = "") -> list[status.RunReport]:
        """Return the runs this device remembers, the newest first."""
        return self._runs.list(workflow)

    def knows(self, service: str) -> bool:
        """Tell whether `service` is on this device."""
        return service in self._roster.all

    def _why(self, service: Workload, now: Now) -> WhyReply:
        report, link = service.report(), self._contact.view(now)
        override = self._overrides.get(service.name)
        asked = self._reporter.release_asked(service.name)
        own = self._own.get(f"assignment/{service.name}")
        found = reasons.of(service, report, override, asked, self._hold, own, link)
        return WhyReply(
            service=service.name,
            state=report.state,
            reasons=[text for text, _ in found],
            at_ms=[at_ms for _, at_ms in found],
            next=reasons.next_of(service, report, override, self._hold),
            report=report,
            wanted=service.wanted is not None,
            generation=link.held.generation,
            link=link,
            last_exit_ms=service.record.last_exit_ms,
            retry_s=service.retry_s(now),
        )


def _decision(local: inputs.Local, reason: str) -> Decision:
    return Decision(user=local.user, uid=local.uid, reason=reason)
