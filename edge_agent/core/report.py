"""What the device says of itself: built from all parts, told when it changed."""

from __future__ import annotations

from typing import TypeVar

import msgspec

from edge_agent.core import context, inputs, isolation
from edge_agent.core.context import Context
from edge_agent.core.desired import Desired
from edge_agent.core.person.hold import Hold
from edge_agent.core.person.own import Own, spoken
from edge_agent.core.services.overrides import Overrides
from edge_agent.core.services.roster import Roster
from edge_agent.core.upgrade.wanted import Upgrading
from edge_agent.core.upward.certificate import Certificate
from edge_agent.core.upward.contact import Contact
from edge_agent.core.upward.history import History
from edge_agent.core.workflows.runs import Runs
from edge_agent.core.workflows.triggers import Triggers
from protocol import documents, limits, status
from protocol.effects import Effects, Now
from protocol.status import Condition

R = TypeVar("R", status.ServiceReport, status.WorkflowReport)

_CLASH = "{} declared it here; the hub asks for this name too, and waits      (skerry-agent delete {})"
_GOES_ON = "what could be read of it goes on. Look why (power, card, memory), copy it away, then remove it"


class Reporter:
    """Builds the Report from the parts it is given, and hands it to the link."""

    def __init__(
        self,
        ctx: Context,
        *,
        desired: Desired,
        roster: Roster,
        overrides: Overrides,
        hold: Hold,
        own: Own,
        runs: Runs,
        triggers: Triggers,
        certificate: Certificate,
        contact: Contact,
        upgrading: Upgrading,
    ) -> None:
        self._ctx, self.history = ctx, History(ctx)
        self._desired = desired
        self._roster = roster
        self._overrides = overrides
        self._hold, self._own = hold, own
        self._runs, self._triggers = runs, triggers
        self._certificate, self._contact, self._upgrading = certificate, contact, upgrading
        self._since_ms: dict[str, int] = {}
        """Since when each condition holds."""
        self._told, self._vitals_due = b"", 0.0
        self._vitals: status.Vitals | None = None
        self._aside: list[str] = []
        self.platform: dict[str, str] = {}
        self.refused = ""
        """Why the last manifest was refused."""

    def sampled(self, got: inputs.Sampled, now: Now, fx: Effects) -> None:
        """Take a sample of the device's vitals: one change of the status a minute at most, and one metrics entry."""
        if now.mono >= self._vitals_due:
            self._vitals, self._aside = got.vitals, got.aside
            self._vitals_due = now.mono + limits.VITALS_EVERY_S * 0.9
            self.history.sampled(got.vitals, now, fx)
            self._ctx.changed = True

    def tell(self, now: Now, fx: Effects) -> None:
        """Hand the report to the link if it changed."""
        if not self._ctx.changed:
            return
        self._ctx.changed = False
        raw = status.encode(self.report(now))
        if raw != self._told:
            self._told = raw
            self._ctx.child.set_report(raw, now, fx)

    def report(self, now: Now) -> status.Report:
        """Return the whole report."""
        return status.Report(
            services=self._signed("assignment", self._roster.report()),
            workflows=self._signed("workflow", self._runs.report(self._triggers.next_ms())),
            vitals=self._vitals,
            conditions=self._conditions(now),
            lost={stream: count for stream, count in self._ctx.child.lost.items() if count},
            platform=self.platform | {"isolation": isolation.summary(self._ctx.able)},
            hold=self._hold.report(),
            upgrade=self._upgrading.report(),
        )

    def _signed(self, kind: str, reports: dict[str, R]) -> dict[str, R]:
        """Return reports in which those stand out that were declared here."""
        for name, one in reports.items():
            declared = self._own.get(f"{kind}/{name}")
            if declared is not None:
                reports[name] = msgspec.structs.replace(one, by=declared.user)
        return reports

    def release_asked(self, service: str) -> documents.ReleaseRequest | None:
        """Return what the hub asks about the override of `service`, if it does."""
        return next(
            (one for _, one in self._desired.of(documents.ReleaseRequest).values() if one.service == service), None
        )

    def _asked_back(self, asked: documents.ReleaseRequest) -> tuple[str, str]:
        why = asked.reason or "no reason given"
        if not asked.service:
            text = f"{asked.by} asks to let updates come again: {why}      (skerry-agent unhold)"
            return "hold", text if self._hold.kept is not None else ""
        text = f"{asked.by} asks to release the override here: {why}      (skerry-agent release {asked.service})"
        return f"service/{asked.service}", text if self._overrides.get(asked.service) else ""

    def _conditions(self, now: Now) -> list[Condition]:
        texts = self._texts(now)
        self._since_ms = {text: self._since_ms.get(text, context.ms(now)) for _, text in texts}
        return [Condition(what=what, text=text, since_ms=self._since_ms[text]) for what, text in texts]

    def _texts(self, now: Now) -> list[tuple[str, str]]:
        expiry = self._certificate.condition(now)
        found = [
            ("standing", self._contact.standing),
            ("desired", self.refused and f"a manifest was refused, the last good one stays: {self.refused}"),
            ("certificate", expiry),
            ("launcher", self._ctx.able.waits),
            ("store", f"damaged, and set aside as {', '.join(self._aside)}; {_GOES_ON}" if self._aside else ""),
        ]
        asked = self._upgrading.report()
        if asked is not None and asked.state in ("back", "refused"):
            found.append(
                ("upgrade", f"{asked.version} is asked for, {asked.running or 'another'} runs: {asked.reason}")
            )
        found += [(f"document/{key}", text) for key, text in self._desired.bad.items()]
        found += [(f"workflow/{name}", text) for name, text in (self._runs.bad | self._triggers.bad).items()]
        found += [(spoken(key), _CLASH.format(one.user, spoken(key))) for key, one in self._own.clashes()]
        found += [(f"service/{name}", one.unconfined()) for name, one in self._roster.all.items()]
        found += [(f"workflow/{name}", text) for name, text in self._runs.unconfined()]
        found += [self._asked_back(asked) for _, asked in self._desired.of(documents.ReleaseRequest).values()]
        found += [
            (f"workflow/{workflow}", f"run {run} was interrupted in step {step}: answer retry or fail")
            for workflow, run, step in self._runs.asking()
        ]
        return [(what, text) for what, text in found if text]
