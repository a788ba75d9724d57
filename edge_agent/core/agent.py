"""The agent's core: routes what comes in to the parts that decide. No part knows the others' neighbours; this one does.

Absent on purpose: any `if offline`. The link is one of the parts; when it is not live its sends are empty (A20).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec

from edge_agent.core import context, inputs
from edge_agent.core.artifacts import Artifacts
from edge_agent.core.context import Context
from edge_agent.core.desired import Desired
from edge_agent.core.local import Local, StatusReply
from edge_agent.core.mend import mended
from edge_agent.core.person.hold import Hold
from edge_agent.core.person.own import Own
from edge_agent.core.report import Reporter
from edge_agent.core.services.overrides import Overrides
from edge_agent.core.services.roster import Roster
from edge_agent.core.speech.emit import Emit
from edge_agent.core.tasks import Tasks
from edge_agent.core.upgrade.wanted import Upgrading
from edge_agent.core.upward.absence import Absence
from edge_agent.core.upward.asks import Asks
from edge_agent.core.upward.certificate import Certificate
from edge_agent.core.upward.contact import Contact
from edge_agent.core.upward.courier import Courier
from edge_agent.core.upward.gone import Gone
from edge_agent.core.upward.home import Home
from edge_agent.core.upward.losses import Losses
from edge_agent.core.upward.seek import Seek
from edge_agent.core.workflows.runs import Runs
from edge_agent.core.workflows.triggers import Triggers
from protocol.effects import Delete, Effects, Now
from protocol.link import events
from protocol.link.child import Child
from protocol.link.room.pool import split
from protocol.snapshot import DOUBT, STORE, Doubt, Snapshot, doubt

STREAMS = ("audit", "state", "metrics", "logs")
"""The streams of an agent's journal."""


@dataclass(frozen=True, kw_only=True)
class AgentConfig:
    """What enrollment fixed."""

    node: str
    parent: str
    trust: events.ChildTrust
    labels: dict[str, str] = field(default_factory=dict[str, str])
    capabilities: tuple[str, ...] = ()
    quota_bytes: int = 0
    """Of the journal and the telemetry on disk, shared by the classes; 0: limits.QUOTA_BYTES for each."""
    contact_s: float = 0.0
    """The link is metered, and this its contact interval (protocol.link.flow.contacts); 0.0: it is not."""


class AgentStarted(msgspec.Struct, frozen=True, kw_only=True):
    """Body of the entry `agent.started`. `unclean`: the last life did not end in order."""

    boot: str
    unclean: bool
    version: str
    rebooted: bool


class StoreDoubted(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Body of `store.doubted`: see protocol.snapshot.Doubt."""

    reason: str
    aside: str = ""
    lost: dict[str, int] = {}
    unknown: dict[str, int] = {}
    partial: bool = False


class Told(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Body of the audit entries about the link: desired.*, gap.declared, epoch.begun, clone.seen, revoked."""

    generation: int = 0
    term: int = 0
    stream: str = ""
    count: int = 0
    reason: str = ""


class AgentCore:
    """`handle(input, now) -> Effects`. The first input of a life is Started."""

    def __init__(self, snapshot: Snapshot, config: AgentConfig) -> None:
        self._config = config
        self._unclean = not snapshot.clean
        self._doubt = doubt(snapshot)
        self._broken: list[tuple[str, str]] = []
        if self._doubt is not None and self._doubt.partial:
            snapshot, self._broken = mended(snapshot)
        shares = split(config.quota_bytes) if config.quota_bytes else None
        self._child = Child(
            snapshot,
            node=config.node,
            parent=config.parent,
            trust=config.trust,
            shares=shares,
            contact_s=config.contact_s,
        )
        ctx = self._ctx = Context(snapshot, self._child)
        self._losses = Losses(snapshot, ctx)
        self._desired = Desired()
        self._artifacts = Artifacts(snapshot, ctx)
        self._overrides = Overrides(snapshot, ctx)
        self._hold = Hold(snapshot, ctx)
        self._own = Own(snapshot, ctx, self._artifacts)
        absence = Absence(snapshot, ctx, config.parent)
        self._roster = Roster(snapshot, ctx, self._artifacts, self._overrides, absence)
        self._upgrading = Upgrading(snapshot, ctx, self._artifacts, self._roster)
        self._runs = Runs(snapshot, ctx, self._artifacts)
        self._triggers = Triggers(snapshot, ctx, self._runs)
        self._tasks = Tasks(snapshot, ctx, self._runs)
        self._emit = Emit(snapshot, ctx, self._roster, self._runs, self._tasks)
        self._certificate = Certificate(ctx)
        self._home = Home(snapshot, ctx, self._certificate, config.node, config.parent)
        self._gone = Gone(ctx, self._home, absence, config.parent)
        self._seek = Seek(ctx)
        self._contact = Contact(snapshot, ctx, config.parent)
        self._reporter = Reporter(
            ctx,
            desired=self._desired,
            roster=self._roster,
            overrides=self._overrides,
            hold=self._hold,
            own=self._own,
            runs=self._runs,
            triggers=self._triggers,
            certificate=self._certificate,
            contact=self._contact,
            upgrading=self._upgrading,
        )
        self._local = Local(
            ctx,
            node=config.node,
            contact=self._contact,
            reporter=self._reporter,
            roster=self._roster,
            overrides=self._overrides,
            hold=self._hold,
            own=self._own,
            runs=self._runs,
        )
        self._asks = Asks(ctx, self._local)
        self._courier = Courier(ctx, self._artifacts, node=config.node, parent=config.parent, trust=config.trust)

    def handle(self, event: inputs.Input, now: Now, /) -> Effects:
        """Return what `event` leads to."""
        fx = Effects()
        if isinstance(event, inputs.Emitted):
            if self._emit.emitted(event, now, fx):
                self._runs.advance(now, fx)
        else:
            self._route(event, now, fx)
            self._tick(now, fx)
            self._roster.ask(now)
            self._reporter.tell(now, fx)
        self._note_losses(now, fx)
        fx.wake_at = self._next_wake(now)
        return fx

    def status(self, now: Now) -> StatusReply:
        """Return the whole local truth; a pure view."""
        return self._local.status(now)

    def _route(self, event: inputs.Input, now: Now, fx: Effects) -> None:
        match event:
            case inputs.Got(message=message):
                self._told(self._child.got(message, now, fx), now, fx)
            case inputs.Launched():
                if event.instance.startswith("s-"):
                    self._roster.launched(event, now, fx)
            case inputs.Ended():
                self._part(event.instance).ended(event, now, fx)
            case inputs.LaunchFailed():
                self._part(event.instance).launch_failed(event, now, fx)
            case inputs.Probed():
                fx.lazy = True
                self._roster.probed(event, now, fx)
            case inputs.Local(command=command) if isinstance(command, inputs.Bundles):
                self._told(self._courier.asked(event, now, fx), now, fx)
                self._settle(now, fx)
            case inputs.Local():
                self._local.asked(event, now, fx)
            case inputs.Fetched():
                self._artifacts.fetched(event, now, fx)
                self._settle(now, fx)
            case inputs.Sampled():
                fx.lazy = True
                self._reporter.sampled(event, now, fx)
            case _:
                self._route_seldom(event, now, fx)

    def _route_seldom(self, event: inputs.Input, now: Now, fx: Effects) -> None:
        match event:
            case inputs.Started():
                self._start(event, now, fx)
            case inputs.Opened(session=session):
                self._child.opened(session, now, fx)
            case inputs.Closed(session=session, reason=reason, turned_away=turned_away):
                self._contact.failed(reason)
                self._certificate.closed(turned_away)
                self._seek.closed(turned_away)
                if turned_away:
                    self._upgrading.trial.turned_away(reason)
                self._told(self._child.closed(session, reason, now, fx), now, fx)
            case inputs.LogRead():
                self._asks.read(event, now, fx)
            case inputs.CsrMade(csr=csr):
                self._certificate.csr_made(csr, now, fx)
            case inputs.CertificateStored():
                self._certificate.stored(event, now, fx)
                self._home.certified(fx)
                self._told(self._child.certified(now, fx), now, fx)
            case inputs.Stopping():
                self._reporter.history.record(now, fx)
                self._child.stop(now, fx)
            case _:
                self._route_found(event, now, fx)

    def _route_found(self, event: inputs.Input, now: Now, fx: Effects) -> None:
        """What a helper found out, or the launcher said."""
        match event:
            case inputs.AnsweredApart():
                self._certificate.answered(event.certificate, event.refused, now, fx)
            case inputs.HavenFound():
                self._gone.found(event, now, fx)
            case inputs.MoveChecked():
                self._home.checked(event, now, fx)
            case inputs.Enforces(able=able):
                self._ctx.able, self._ctx.changed = able, True
                self._settle(now, fx)
            case inputs.Installed():
                self._upgrading.answered(event, now, fx)
                self._settle(now, fx)
            case inputs.Sought():
                self._contact.looked(event.reason)
                self._seek.sought(event, now, fx)
            case _:
                assert isinstance(event, inputs.Tick), event

    def _part(self, instance: str) -> Roster | Runs | Tasks:
        """Return the part whose instance this is (edge_agent.core.inputs says how they are named)."""
        if instance.startswith("r-"):
            return self._runs
        return self._tasks if instance.startswith("t-") else self._roster

    # ---------------------------------------------------------------------------------------- a life begins

    def _start(self, started: inputs.Started, now: Now, fx: Effects) -> None:
        ctx = self._ctx
        ctx.start(started.boot_id, started.entropy, started.able, fx)
        self._local.version = started.version
        self._reporter.platform = started.platform
        self._artifacts.start(started.artifacts)
        self._upgrading.know(started.slots)
        self._certificate.start(ctx.entropy, started.certificate_from_ms, started.certificate_until_ms)
        self._contact.start(now)
        self._roster.start(now)
        body = AgentStarted(boot=started.boot_id, unclean=self._unclean, version=started.version, rebooted=ctx.rebooted)
        ctx.note("audit", "agent.started", "", body, now, fx)
        ctx.note_instances(one.instance for one in started.found)
        if self._doubt is not None:
            self._doubted(self._doubt, now, fx)
        held = self._child.start(ctx.entropy, started.version, self._config.capabilities, self._config.labels, now, fx)
        for event in held:
            if isinstance(event, events.Wanted):
                self._hold.received(event.items)
                self._desired.update(self._own.over(self._hold.followed()))
                self._roster.know(self._desired, now)
                self._gone.know(self._desired)
                self._home.want(self._desired, fx)
        self._home.start(now, fx)
        self._emit.start(started.found, fx)
        self._adopt(started.found, now, fx)
        if self._desired.known:
            self._want(now, fx)
        self._settle(now, fx)
        self._upgrading.start(started.found, now, fx)

    def _doubted(self, doubt: Doubt, now: Now, fx: Effects) -> None:
        """The store was damaged, restored or copied: put it on record; what is absent from it proves nothing (A11)."""
        body = StoreDoubted(
            reason=doubt.reason, aside=doubt.aside, lost=doubt.lost, unknown=doubt.unknown, partial=doubt.partial
        )
        self._ctx.note("audit", "store.doubted", "", body, now, fx)
        for stream in STREAMS:
            self._losses.told(stream, fx)
        fx.store.extend(Delete(space, key) for space, key in self._broken)
        if not doubt.partial:
            self._trust_store(fx)

    def _trust_store(self, fx: Effects) -> None:
        if self._doubt is not None:
            self._doubt = None
            fx.store.append(Delete(STORE, DOUBT))

    def _adopt(self, found: list[inputs.Found], now: Now, fx: Effects) -> None:
        unclaimed = {one.instance: one for one in found}
        self._roster.adopt(unclaimed, now, fx)
        if self._doubt is not None and self._doubt.partial:
            self._roster.take_in(unclaimed, now, fx)
        self._runs.adopt(unclaimed, now, fx)
        self._tasks.adopt(unclaimed, now, fx)
        for orphan in unclaimed.values():
            if orphan.exit is None:
                fx.act.append(inputs.Stop(instance=orphan.instance, grace_s=0.0))
            else:
                fx.act.append(inputs.Forget(instance=orphan.instance))

    def _want(self, now: Now, fx: Effects) -> None:
        """Follow the manifest. It makes up for what a damaged store lost."""
        self._roster.want(self._desired, now, fx)
        self._runs.want(self._desired, now, fx)
        self._triggers.settle(now, fx)
        self._tasks.want(self._desired, self._doubt is not None, now, fx)
        self._upgrading.want(self._desired)
        self._trust_store(fx)
        self._ctx.changed = True

    def _follow(self, now: Now, fx: Effects) -> None:
        """The manifest, what of it is held back, or what is declared here has changed."""
        self._desired.update(self._own.over(self._hold.followed()))
        self._want(now, fx)
        self._settle(now, fx)
        self._gone.know(self._desired)
        self._home.want(self._desired, fx)

    def _settle(self, now: Now, fx: Effects) -> None:
        """What is here or wanted has changed: make all follow."""
        self._roster.settle(now, fx)
        self._runs.settle(now, fx)
        self._triggers.settle(now, fx)
        self._tasks.settle(now, fx)
        if self._desired.known:
            parts = (self._roster, self._runs, self._upgrading)
            self._artifacts.collect([digest for part in parts for digest in part.artifacts_wanted()], fx)

    # ---------------------------------------------------------------------------------------- the link

    def _told(self, told: list[events.ChildEvent], now: Now, fx: Effects) -> None:
        for event in told:
            match event:
                case events.Leased(granted=granted, asked=asked):
                    self._roster.leased(granted, asked, now, fx)
                case events.Acked() | events.RosterAcked():
                    pass  # an agent has no roster: what a parent says of it is of no account
                case events.Wanted(items=items, held=held):
                    self._hold.received(items)
                    self._reporter.refused = ""
                    self._contact.received(now, fx)
                    kind = "desired.applied" if self._hold.kept is None else "desired.held"
                    self._audit(kind, Told(generation=held.generation, term=held.term), now, fx)
                    self._follow(now, fx)
                case events.Ticket(digest=digest, ticket=ticket):
                    self._artifacts.ticket(digest, ticket, now, fx)
                case events.WentLive(renew_only=renew_only):
                    self._went_live(renew_only, now, fx)
                case events.WentOffline(reason=reason):
                    self._contact.offline(reason, now, fx)
                    self._roster.unheard(now, fx)
                    self._certificate.offline()
                case events.Asked(ask=ask):
                    self._asks.asked(ask, now, fx)
                case _:
                    self._told_seldom(event, now, fx)

    def _told_seldom(self, event: events.ChildEvent, now: Now, fx: Effects) -> None:
        match event:
            case events.DesiredRefused(reason=reason):
                self._reporter.refused = reason
                self._audit("desired.refused", Told(reason=reason), now, fx)
            case events.Renewed(certificate=certificate):
                self._certificate.renewed(certificate, fx)
            case events.RenewRefused(reason=reason):
                self._certificate.refused(reason)
            case events.RevokedBy(reason=reason):
                self._contact.turned_away(f"revoked: {reason}; the work here goes on, enroll anew to return", fx)
                self._roster.unheard(now, fx)
                self._certificate.offline()
                self._audit("revoked", Told(reason=reason), now, fx)
                fx.act.append(inputs.StopPulling(reason=reason))
            case events.Quarantined(reason=reason):
                self._contact.turned_away(f"turned away: {reason}; the work here goes on, an operator decides", fx)
                self._roster.unheard(now, fx)
                self._certificate.offline()
                self._audit("clone.seen", Told(reason=reason), now, fx)
            case events.GapDeclared(stream=stream, count=count, reason=reason):
                self._audit("gap.declared", Told(stream=stream, count=count, reason=reason), now, fx)
                self._losses.told(stream, fx)
            case events.EpochBegun(stream=stream, lost=lost, reason=reason):
                self._audit("epoch.begun", Told(stream=stream, count=lost, reason=reason), now, fx)
                self._losses.told(stream, fx)
            case events.ParentBehind(stream=stream, seq=seq, acked=acked):
                self._behind(stream, acked - seq, now, fx)
            case _:
                raise AssertionError(event)

    def _behind(self, stream: str, count: int, now: Now, fx: Effects) -> None:
        if not self._home.is_new:  # else it is another parent
            reason = "the parent has less than it once acked: it was restored, and is refilled"
            self._audit("parent.behind", Told(stream=stream, count=count, reason=reason), now, fx)

    def _went_live(self, renew_only: bool, now: Now, fx: Effects) -> None:
        self._contact.live(now, fx)
        self._roster.heard(now, fx)
        self._certificate.live(renew_only, now, fx)
        self._tasks.time_known()
        self._tasks.settle(now, fx)
        if not renew_only:
            self._artifacts.live(now, fx)
            self._upgrading.trial.live(fx)

    def _note_losses(self, now: Now, fx: Effects) -> None:
        """Journal what a full quota made the streams let go: loss is declared (A16), also to the people here."""
        for stream, count in self._losses.due(now, fx):
            self._audit("gap.declared", Told(stream=stream, count=count, reason="the stream's quota is full"), now, fx)

    def _audit(self, kind: str, body: Told, now: Now, fx: Effects) -> None:
        self._ctx.note("audit", kind, "", body, now, fx)
        self._ctx.changed = True

    # ---------------------------------------------------------------------------------------- time

    def _tick(self, now: Now, fx: Effects) -> None:
        """Do what is due, and let the runs go on."""
        self._told(self._child.tick(now, fx), now, fx)
        is_let_in = self._hold.tick(now, fx)
        if is_let_in:
            held = self._child.held
            self._audit("desired.applied", Told(generation=held.generation, term=held.term), now, fx)
        is_changed = self._own.took() or is_let_in
        if is_changed and self._hold.has_received:
            self._follow(now, fx)
        for service in self._overrides.expire(now, fx):
            if service in self._roster.all:
                self._roster.all[service].settle(now, fx)
        self._emit.tick(now, fx)
        self._roster.tick(now, fx)
        self._artifacts.tick(now, fx)
        self._tasks.tick(now, fx)
        self._certificate.tick(now, fx)
        self._seek.tick(now, fx)
        self._gone.tick(now, fx)
        self._upgrading.tick(self._hold.kept is not None, now, fx)
        self._triggers.tick(now, fx)
        self._runs.advance(now, fx)

    def _next_wake(self, now: Now) -> float | None:
        return context.soonest(
            self._child.next_wake(),
            self._losses.next_wake(),
            self._emit.next_wake(),
            self._overrides.next_wake(now),
            self._hold.next_wake(now),
            self._roster.next_wake(now),
            self._artifacts.next_wake(),
            self._tasks.next_wake(),
            self._certificate.next_wake(),
            self._seek.next_wake(),
            self._gone.next_wake(),
            self._upgrading.trial.next_wake(),
            self._triggers.next_wake(now),
            self._runs.next_wake(now),
        )
