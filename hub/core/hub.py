"""The hub's core: routing only. Each part decides for itself; here is who hears what, and in which order.

One input is taken by one part, then what became due is done: the link's timers, manifests that are to be made,
questions and tasks whose time is over. Everything a part tells the shell stands in one Effects.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from hub.core import inputs
from hub.core.delegate import Delegate
from hub.core.down.asking import Asking
from hub.core.down.courier import Courier
from hub.core.down.delegated import Delegated
from hub.core.down.errands import Errands
from hub.core.down.overrides import Overrides
from hub.core.down.recalls import Recalls
from hub.core.down.relayed import Relayed
from hub.core.down.subtree import Subtree
from hub.core.enrollment import Enrollment
from hub.core.failover.failover import Failover
from hub.core.hearing import Hearing, child_of
from hub.core.operations import Operations
from hub.core.registry import Node, Registry
from hub.core.rehome.arrivals import Arrivals
from hub.core.rehome.family import Family
from hub.core.rehome.lodging import Lodging
from hub.core.rehome.orders import Orders
from hub.core.restore import Restore, mended
from hub.core.rollup import Rollup
from hub.core.streams import OwnStreams
from hub.core.up.certificate import AnsweredApart, CertificateStored, CsrMade
from hub.core.up.fetching import Fetching
from hub.core.up.questions import Questions
from hub.core.up.relay import Relay
from hub.core.up.roster import RosterUp
from hub.core.up.seek import Sought
from hub.core.up.uplink import Uplink
from hub.core.upgrade.life import LastLife
from hub.core.upgrade.rollouts import Rollouts
from hub.core.work.artifacts import Artifacts
from hub.core.work.policies import Policies
from hub.core.work.resources import Resources
from hub.core.work.rooms import Rooms
from hub.core.work.runs import Runs
from hub.core.work.tasks import Tasks
from protocol import documents, limits, messages
from protocol.effects import Effects, Now
from protocol.entropy import Entropy
from protocol.errors import TrustError
from protocol.link import events
from protocol.link.child import Child
from protocol.link.parent import Parent
from protocol.link.room import pool
from protocol.snapshot import Snapshot
from protocol.trust import signing


@dataclass(frozen=True, kw_only=True)
class HubConfig:
    """What a hub is made with. `ticket_secret`: 32 random bytes that stay the same over restarts."""

    node: str
    signer: events.Signer
    ticket_secret: bytes
    parent: str = ""
    path: Sequence[str] = ()
    """The ids from the root down to this hub; empty: there is none but its parent and itself."""
    ca_dates: tuple[int, int] = (0, 0)
    """From when until when the certificate of this hub's CA holds (ms since 1970), which its parent renews; 0: not
    known."""
    trust: events.ChildTrust | None = None
    """What a hub with a parent trusts, and signs its own GAPs with: never None then."""
    relay_bytes: int = limits.RELAY_BYTES
    """Of what this hub relays and its parent has not, in its store; shared by the classes."""
    haven: documents.Haven | None = None
    """Where this hub listens, for nodes that are to turn to it; None: nobody can."""


class HubCore:
    """Everything a hub decides. Rebuilt from a snapshot at every start; the first input is Started."""

    def __init__(self, snapshot: Snapshot, config: HubConfig) -> None:
        self.node = config.node
        snapshot, lost = mended(snapshot)
        self.entropy = Entropy(b"")
        self._config = config
        self._wall = 0.0
        self._connections: dict[str, int] = {}
        self.up, child = None, None
        if config.trust is not None:
            shares = pool.relays(config.relay_bytes)
            child = Child(snapshot, node=config.node, parent=config.parent, trust=config.trust, shares=shares)
            self.up = Uplink(snapshot, self, child, config.parent)
        self.signer, self.haven = config.signer, config.haven
        self.streams = OwnStreams(snapshot, config.signer, child)
        self.registry = Registry(snapshot, config.path or [one for one in (config.parent, config.node) if one])
        self.parent = Parent(snapshot, node=config.node, signer=config.signer)
        self.parent.ticket_for = self._ticket_for
        self.parent.key_of = self.parent.couriers.key_of = lambda node: self.registry.get(node).key
        self.rollup, self.last_life = Rollup(snapshot, self.parent), LastLife(snapshot)
        self.enrollment = Enrollment(snapshot, self.registry, self.streams)
        self.resources = Resources(snapshot, self.registry, self.rollup.is_online)
        self.tasks = Tasks(snapshot)
        self.runs = Runs(snapshot)
        self.delegate = Delegate(snapshot, self.parent, self.registry, self.resources, self.tasks)
        self.delegated = Delegated(snapshot, self)
        self.family = Family(snapshot, self)
        self.orders, self.lodging = Orders(snapshot, self), Lodging(snapshot, self)
        self.arrivals = Arrivals(self, self.orders)
        self.failover = Failover(snapshot, self)
        self.rollouts = Rollouts(snapshot, self)
        self.overrides, self.recalls = Overrides(snapshot, self), Recalls(snapshot, self)
        also = (self.lodging.items, self.orders.items, self.failover.items, self.recalls.items)
        self.delegate.also = lambda node: {item: raw for of in also for item, raw in of(node).items()}
        self.policies = Policies(self)
        self.errands = Errands(self)
        self.artifacts = Artifacts(snapshot, self.streams, self._named)
        self.fetching = Fetching(self, child) if child is not None else None
        self.subtree = Subtree(self)
        self.rooms = Rooms(self)
        self.roster = RosterUp(self, child, config.parent) if child is not None else None
        self.relay = Relay(snapshot, self, config.trust)
        self.relayed = Relayed(snapshot, self, config.signer)
        self.restore = Restore(snapshot, self, lost)
        self.asking = Asking(self)
        self.questions = Questions(self, child) if child is not None else None
        self.operations, self.courier = Operations(self), Courier(self)
        self._hearing = Hearing(self)

    def handle(self, input: inputs.Input, now: Now) -> Effects:  # noqa: A002 - THE shape's word
        """Return the effects of one input."""
        fx = Effects()
        self._wall = now.wall
        self._route(input, now, fx)
        self._turn(now, fx)
        fx.wake_at = self._next_wake(now)
        return fx

    def _route(self, input: inputs.Input, now: Now, fx: Effects) -> None:  # noqa: A002
        match input:
            case inputs.Got():
                told = self.parent.got(input.node, input.connection, input.message, now, fx)
                self._hearing.take(told, now, fx)
            case inputs.Request():
                self.operations.request(input, now, fx)
            case inputs.Opened():
                self._opened(input, now, fx)
            case inputs.Closed():
                self._closed(input, now, fx)
            case inputs.CertificateIssued():
                self._issued(input, now, fx)
            case inputs.Bad():
                self._misheard(input, now, fx)
            case inputs.Started():
                self._started(input, now, fx)
            case inputs.Upgraded():
                self.last_life.tell(input, self.node, self.streams, now, fx)
            case inputs.ArtifactsFound(sizes=sizes):
                self.artifacts.found(sizes, now, fx)
            case inputs.Reachable():
                self.parent.look(now)
            case inputs.Strayed(node=node):
                self.parent.strayed(node, now, fx)
            case inputs.UpInput():
                self._looked_up(input, now, fx)
            case _:
                self._hearing.take(self.parent.tick(now, fx), now, fx)

    def _looked_up(self, input: inputs.UpInput, now: Now, fx: Effects) -> None:  # noqa: A002
        up = self.up
        match input:
            case inputs.UpGot(message=message) if up is not None:
                up.got(message, now, fx)
            case inputs.UpOpened(session=session) if up is not None:
                up.opened(session, now, fx)
            case inputs.UpClosed(session=session, reason=reason, turned_away=turned_away) if up is not None:
                up.closed(session, reason, turned_away, now, fx)
            case CsrMade() | CertificateStored() | AnsweredApart() | Sought() if up is not None:
                up.answered(input, now, fx)
            case inputs.ArtifactFetched() if self.fetching is not None:
                self.fetching.fetched(input, now, fx)
            case inputs.Stopping():
                self.last_life.end(now, fx)
                if up is not None:
                    up.stop(now, fx)
            case _:
                pass  # a root has nobody above it

    def _started(self, input: inputs.Started, now: Now, fx: Effects) -> None:  # noqa: A002
        self.entropy = Entropy(input.entropy)
        self.parent.start(self.entropy, input.incarnation, input.version, now, fx)
        for node in self.registry:
            if not node.revoked_ms:
                self.delegate.mark(node.name)
        self.artifacts.start(now)
        self.failover.start(now)
        self.rollouts.start(now)
        self.policies.follow()
        self.streams.start(fx)
        self.last_life.begin(fx)
        self.restore.started(now, fx)
        self.streams.audit("hub.started", self.node, {"version": input.version}, now, fx)
        if self.up is not None:
            self.up.start(self.entropy, input.version, self._config.ca_dates, now, fx)

    # -------------------------------------------------------------------------------------------- connections

    def _opened(self, input: inputs.Opened, now: Now, fx: Effects) -> None:  # noqa: A002
        self.lodging.welcome(input, now, fx)
        reason = self.registry.gate(input.node, input.key)
        if reason:
            node = self.registry.find(input.node)
            is_banned = node is not None and node.revoked_ms > 0
            fx.act.append(inputs.CloseChild(node=input.node, connection=input.connection, reason=reason, ban=is_banned))
            return
        self._connections[input.node] = input.connection
        expired = input.expired or self.registry.has_expired(input.node, now.wall * 1000)
        told = self.parent.opened(input.node, input.connection, input.key, expired, now, fx)
        self._hearing.take(told, now, fx)

    def _misheard(self, input: inputs.Bad, now: Now, fx: Effects) -> None:  # noqa: A002
        if self.registry.find(input.node) is not None:
            text = f"it sent what is no message: {input.error}"
            self.registry.alarm(input.node, "misbehaved", text, now, fx)

    def _closed(self, input: inputs.Closed, now: Now, fx: Effects) -> None:  # noqa: A002
        if self.registry.find(input.node) is None:
            return
        if self._connections.get(input.node) == input.connection:
            del self._connections[input.node]
        told = self.parent.closed(input.node, input.connection, input.session, input.nonce, input.reason, now, fx)
        self._hearing.take(told, now, fx)

    def hear(self, told: list[events.ParentEvent], now: Now, fx: Effects) -> None:
        """Act on what a child's bundle told."""
        self._hearing.take(told, now, fx)

    def cut(self, node: str, reason: str, now: Now, fx: Effects) -> None:
        """`node` was revoked: tell it, signed, and end its session at once (C5)."""
        self.parent.revoke(node, reason, now, fx)
        self.family.left(node, fx)
        self._hearing.away(node, f"revoked: {reason}", now, fx)
        self.failover.leases.given.leave(node)
        self.delegate.forget(node, fx)
        self.recalls.forget(node, f"{node} was revoked", now, fx)
        connection = self._connections.pop(node, 0)
        fx.act.append(inputs.CloseChild(node=node, connection=connection, reason=f"revoked: {reason}", ban=True))

    def farewell(self, node: str) -> messages.Revoked | None:
        """Return the signed word for a revoked `node` that comes back; None for any other. A pure view."""
        found = self.registry.find(node)
        return None if found is None else self.parent.farewell(node, found.revoked_ms)

    def standing(self, node: str) -> inputs.Standing:
        """Return what `node` is to hear that asks how it stands, and gets no certificate. A pure view."""
        revoked = self.farewell(node)
        return inputs.Standing(revoked=revoked, chain=self._config.signer.chain if revoked is not None else "")

    def accept(self, node: Node, now: Now, fx: Effects) -> None:
        """An operator has looked: end what the link holds back for `node`, and clear its alarms."""
        self.registry.put(msgspec.structs.replace(node, alarms=[]), fx)
        self.parent.release(node.name, now, fx)
        if self.parent.view(node.name).blocked:
            self.delegate.make(node.name, now, fx)  # a task that has ended since must not be asked for again (A14)
            self.parent.new_term(node.name, now, fx)
        self.relayed.origins.accept(node.name, fx)
        self.delegate.mark(node.name)

    # -------------------------------------------------------------------------------------------- certificates, tickets

    def _issued(self, input: inputs.CertificateIssued, now: Now, fx: Effects) -> None:  # noqa: A002
        outcome = self.enrollment.issued(input, now, fx)
        if outcome is None:
            return
        if not outcome.request:
            self.parent.renewed(outcome.node, input.certificate, outcome.error, now, fx)
            return
        if outcome.error:
            what = "renew its certificate" if outcome.renewal else "be enrolled"
            error = f"{outcome.node} cannot {what}: {outcome.error}"
            fx.act.append(inputs.Reply(request=outcome.request, error=error, status=422))
            return
        if outcome.renewal:
            standing = inputs.Standing(certificate=input.certificate)
            fx.act.append(inputs.Reply(request=outcome.request, data=msgspec.json.encode(standing)))
            return
        self.admit(outcome.node, now, fx)
        said = {"node": outcome.node, "certificate": input.certificate, "until_ms": input.until_ms}
        fx.act.append(inputs.Reply(request=outcome.request, data=msgspec.json.encode(said)))

    def admit(self, name: str, now: Now, fx: Effects) -> None:
        """A node is in the registry that was not, or is so anew: know it on the link, and place what it may run."""
        self.parent.add_child(name, now, fx, held=self.restore.waits)
        self.rollouts.look(now)
        for node in (name, *self.resources.settle(self.registry.get(name), fx)):
            self.delegate.mark(node)
        fx.act.append(inputs.Notify(topic=f"node/{name}"))

    def _named(self) -> set[str] | None:
        """Return the artifacts that anything names; None while an operator is waited for."""
        return None if self.restore.waits else self.resources.artifacts() | self.delegate.named.all()

    def _ticket_for(self, node: str, digest: str) -> str | None:
        known = self.registry.find(node)
        if known is None or known.revoked_ms or not self.delegate.needs(node, digest):
            return ""
        if self.fetching is not None and self.fetching.is_awaited(node, digest):
            return None
        expires_ms = int((self._wall + limits.TICKET_TTL_S) * 1000)
        return signing.ticket_make(self._config.ticket_secret, node, digest, expires_ms)

    def give_ticket(self, node: str, digest: str, fx: Effects) -> None:
        """An artifact that `node` asked for is here now."""
        ticket = self._ticket_for(node, digest)
        if ticket:
            self.parent.send_ticket(node, digest, ticket, fx)

    def ticket_holder(self, ticket: str, digest: str, wall: float) -> str:
        """Return the node that may fetch `digest` by `ticket` now. Raises TrustError; checked at every use (C5, C8)."""
        node = signing.ticket_check(self._config.ticket_secret, ticket, digest, int(wall * 1000))
        known = self.registry.find(node)
        if known is None or known.revoked_ms:
            raise TrustError(f"{node} is not part of this fleet (any more)")
        return node

    # -------------------------------------------------------------------------------------------- time

    def _turn(self, now: Now, fx: Effects) -> None:
        """Do what is due, some of it; the timer goes on with the rest."""
        for group, node in self.tasks.tick(now, fx):
            self.delegate.mark(child_of(node))
            self.errands.ended(group, node, now, fx)
            fx.act.append(inputs.Notify(topic=f"task/{group}"))
        self.asking.tick(now, fx)
        self.overrides.tick(now, fx)
        if not self.restore.waits:
            self.rooms.tick(now, fx)
        self.relay.tick(now, fx)
        self.restore.process(now, fx)
        self.failover.tick(now, fx)
        if not self.restore.waits:
            self.rollouts.tick(now, fx)
            self.delegate.process(now, fx)
        self.artifacts.tick(now, fx)
        changed, gone = self.subtree.noticed(fx, now)
        if self.roster is not None:
            self.roster.changed(changed, gone, now)
            self.roster.tick(now, fx)
        if self.up is not None and self.fetching is not None:
            self.fetching.tick(now, fx)
            self.up.tick(now, fx)

    def _next_wake(self, now: Now) -> float | None:
        wakes = (
            self.parent.next_wake(),
            self.tasks.next_wake(now),
            self.asking.next_wake(),
            self.overrides.next_wake(now),
            math.inf if self.restore.waits else self.rooms.next_wake(),
            self.relay.next_wake(),
            self.restore.next_wake(now),
            math.inf if self.restore.waits else self.delegate.next_wake(now),
            self.failover.next_wake(now),
            math.inf if self.restore.waits else self.rollouts.next_wake(),
            self.artifacts.next_wake(),
            None if self.up is None else self.up.next_wake(),
            None if self.roster is None else self.roster.next_wake(),
            None if self.fetching is None else self.fetching.next_wake(),
        )
        soonest = min((wake for wake in wakes if wake is not None), default=math.inf)
        return None if soonest == math.inf else soonest
