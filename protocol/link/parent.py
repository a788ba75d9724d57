"""The end of a link that looks down: all children of one hub. States and theory: protocol.link.table.

A plain object inside a core, as protocol.link.child is. It answers; it never opens a link. A child is known from
`add_child` on; of anyone else nothing is heard (INVARIANTS C1). The work for one input is bounded: timers of many
children lie in one heap, Looks go some at a time.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from protocol import effects, limits, messages
from protocol.effects import Effects, Now
from protocol.entropy import Entropy
from protocol.errors import RemoteProtocolError, TrustError
from protocol.link import events, parent_entries
from protocol.link.below import view
from protocol.link.below.child import CHILD, CLONE, STATUS, Child, Record
from protocol.link.below.courier import Couriers
from protocol.link.below.view import ChildView
from protocol.link.flow.agenda import Agenda
from protocol.link.flow.credit import Credit
from protocol.link.flow.looks import Looks
from protocol.link.flow.rate import Kind
from protocol.link.parent_desired import ASKED, Bodies
from protocol.link.parent_entries import CURSOR, Elsewhere, Reach
from protocol.link.room.losses import LOSS
from protocol.link.roster.parent import Rosters
from protocol.link.table import ParentCue, ParentState
from protocol.snapshot import Snapshot

Events = list[events.ParentEvent]


class Parent:
    """The parent's ends of the links to all children."""

    def __init__(self, snapshot: Snapshot, *, node: str, signer: events.Signer) -> None:
        self._node, self._signer = node, signer
        self._incarnation = self._version = ""
        self._children: dict[str, Child] = {}
        self._bodies = Bodies(snapshot)
        self._looks = Looks()
        self._agenda = Agenda()
        self._credit = Credit()
        self.rosters = Rosters(snapshot)
        self.couriers = Couriers(self._children, node, signer)
        self.ticket_for: Callable[[str, str], str | None] = lambda node, digest: ""
        """The ticket of an artifact for a child; "" when it gets none, None when it is to come by `send_ticket`."""
        self.elsewhere: Elsewhere = lambda node, stream, head, lowest, fx: (lowest, lowest, [])
        self.reach: Reach = lambda node, epoch, stream: 0
        """What came of a node by way of others, for one that comes here itself: where to go on, and how far it goes."""
        self.key_of: Callable[[str], str] = lambda node: ""
        """The SHA-256 (hex) of the key that a child was enrolled with: what its GAPs are signed with."""
        self._load(snapshot)

    def _load(self, snapshot: Snapshot) -> None:
        unstored = Effects()  # loading leads to no effect
        records = msgspec.json.Decoder(Record)
        statuses = msgspec.json.Decoder(messages.Status)
        for node, value in snapshot.spaces.get(CHILD, {}).items():
            child = self._children[node] = self._new(node)
            child.record = records.decode(value)
            if child.record.quarantined:
                child.state = ParentState.QUARANTINED
            if child.record.revoked:
                child.state = ParentState.REVOKED
            child.quiet = bool(child.record.contact_s) and child.state is ParentState.AWAY
        for key, value in snapshot.spaces.get(CURSOR, {}).items():
            node, stream = key.split("/")
            self._children[node].incoming.load(stream, value)
        for key, value in snapshot.spaces.get(LOSS, {}).items():
            node, stream = key.split("/")
            self._children[node].incoming.losses.load(stream, value)
        for node, value in snapshot.spaces.get(ASKED, {}).items():
            self._children[node].asked.load(value, unstored)
        for node, value in snapshot.spaces.get(STATUS, {}).items():
            child = self._children[node]
            child.status = statuses.decode(value)
            child.last_contact_wall = child.status.time_ms / 1000

    def _new(self, node: str) -> Child:
        return Child(node, self._bodies, self._signer, self._doubt, self._reached)

    def _doubt(self, node: str, epoch: str, stream: str, body: messages.GapBody) -> str:
        try:
            self._signer.check_gap(node, self.key_of(node), epoch, stream, body)
        except TrustError as error:
            return str(error)
        return ""

    def _reached(self, node: str, epoch: str, stream: str) -> int:
        return self.reach(node, epoch, stream)

    # -------------------------------------------------------------------------------------------- views

    def children(self) -> list[str]:
        """Return the ids of all children, in the order in which they came."""
        return list(self._children)

    def view(self, node: str) -> ChildView:
        """Return what is known of `node`. Raises KeyError for a stranger."""
        return view.of(self._children[node], self._credit.rows(node))

    def brought(self, node: str, epoch: str, stream: str) -> parent_entries.Record | None:
        """Return the cursor of a stream that `node` itself brings, or brought, in this epoch; None: it never did."""
        child = self._children.get(node)
        return child.incoming.brought(epoch, stream) if child is not None else None

    def next_wake(self) -> float | None:
        """Return when `tick` is due (mono), or None."""
        due = (self._agenda.next(), self._looks.due, self.rosters.next_wake())
        return min((one for one in due if one is not None), default=None)

    # -------------------------------------------------------------------------------------------- life

    def start(self, entropy: Entropy, incarnation: str, version: str, now: Now, fx: Effects) -> None:
        """Begin this life. `incarnation` names it, in every message."""
        self._incarnation, self._version = incarnation, version
        for child in self._children.values():
            if child.quiet:  # its last contact may have been just before this life
                self._agenda.put(child.node, now.mono + child.away_after_s)

    def look(self, now: Now) -> None:
        """Tell the children that are away to look again: an external broker kept them connected over our absence."""
        self._looks.begin((one.node for one in self._children.values() if one.state is ParentState.AWAY), now.mono)

    def add_child(self, node: str, now: Now, fx: Effects, *, held: bool = False) -> None:
        """Know `node` from now on, `held` as by `hold`; harmless when it is known."""
        if node not in self._children:
            child = self._children[node] = self._new(node)
            child.asked.waits = held
            child.save(fx)

    def adopt(self, node: str, fx: Effects) -> None:
        """`node`, which is known, comes from another parent: at its next Hello its streams go on from the lowest rows
        that it still holds, and what is asked of it has a new term."""
        child = self._children[node]
        child.record = msgspec.structs.replace(child.record, adopted=True, left=False)
        child.save(fx)

    def leave(self, node: str, fx: Effects) -> None:
        """`node` is to go to another parent: once that has asked more of it, it is heard here when it is adopted. One
        that is still on its way here is heard when it comes: here it hears where to go on to."""
        child = self._children[node]
        child.record = msgspec.structs.replace(child.record, left=True)
        child.save(fx)

    def opened(self, node: str, connection: int, key: str, expired: bool, now: Now, fx: Effects) -> Events:
        """The transport of `node` is connected. `expired`: on this connection only Renew is served."""
        child = self._children.get(node)
        if child is None or child.state is ParentState.REVOKED:
            return [events.CloseAsked(node=node, connection=connection, reason="not enrolled here", ban=True)]
        child.expired_on = connection if expired else None
        return []

    def closed(
        self, node: str, connection: int, session: int, nonce: str, reason: str, now: Now, fx: Effects
    ) -> Events:
        """The socket ended (`connection`), or a will came (`session`, `nonce`); of an older one: no effect (A13)."""
        child = self._children.get(node)
        if child is None or not child.greeted:
            return []
        if session:
            ours = (session, nonce) == (child.record.session, child.record.nonce)
        else:
            ours = connection == child.connection
        return self._leave(child, reason, now, may_be_quiet=True) if ours else []

    def _leave(self, child: Child, reason: str, now: Now, *, may_be_quiet: bool = False) -> Events:
        """Its session is over. `may_be_quiet`: nobody decided that; what a network forgets in the long time between
        two contacts of a metered child says nothing of the child."""
        child.move(ParentCue.CLOSED)
        child.asked.forget_session()
        child.since_wall, child.postponed = now.wall, None
        self._credit.note(child.node, 0)
        child.quiet = may_be_quiet and child.record.contact_s > 0
        if child.quiet:
            self._queue(child)
            return []
        return [events.ChildAway(node=child.node, reason=reason)]

    # -------------------------------------------------------------------------------------------- messages

    def got(self, node: str, connection: int, message: messages.AnyMessage, now: Now, fx: Effects) -> Events:
        """Take a message of a child. What belongs to no current session changes nothing (A13)."""
        child = self._children.get(node)
        if child is None or child.state is ParentState.REVOKED:
            return []
        match message:
            case messages.Hello():
                return self._hello(child, connection, message, now, fx)
            case messages.Bye():
                ours = child.greeted and (message.session, message.nonce) == (child.record.session, child.record.nonce)
                return self._leave(child, message.reason, now) if ours else []
            case (
                messages.Status()
                | messages.Roster()
                | messages.Entries()
                | messages.Need()
                | messages.Renew()
                | messages.Answer()
            ):
                if not child.greeted or message.session != child.session or connection != child.connection:
                    self._look_again(child, message.session, now, fx)
                    return []
                child.last_contact_wall, child.contact_mono = now.wall, now.mono
                if child.state is ParentState.RENEWING and not isinstance(message, messages.Renew):
                    return []
                return self._served(child, message, now, fx)
            case _:
                return [events.Misbehaved(node=node, reason=f"{type(message).__name__} is a parent's word")]

    def _look_again(self, child: Child, session: int, now: Now, fx: Effects) -> None:
        """A child speaks in a session that we ended or never saw: say so, seldom."""
        if child.state is not ParentState.AWAY or session < child.record.session:
            return
        if child.looked_at is None or now.mono >= child.looked_at + limits.LOOK_AGAIN_S:
            child.looked_at = now.mono
            look = messages.Look(incarnation=self._incarnation, ended=child.record.session)
            fx.send.append(effects.Send(child.node, look))

    def strayed(self, node: str, now: Now, fx: Effects) -> None:
        """Something came in the name of `node` for a session that is not open here; nothing else is known of it."""
        child = self._children.get(node)
        if child is not None:
            self._look_again(child, child.record.session, now, fx)

    def _served(
        self,
        child: Child,
        message: messages.Status
        | messages.Roster
        | messages.Entries
        | messages.Need
        | messages.Renew
        | messages.Answer,
        now: Now,
        fx: Effects,
    ) -> Events:
        match message:
            case messages.Entries():
                return self._entries(child, message, fx)
            case messages.Status():
                return self._status(child, message, now, fx)
            case messages.Roster():
                return self._roster(child, message, now, fx)
            case messages.Need():
                if child.rates.take(Kind.NEED, now.mono):  # else it asks again
                    self._need(child, message, now, fx)
                return []
            case messages.Renew():
                return self._renew(child, message, now)
            case messages.Answer():
                return [events.ChildAnswer(node=child.node, answer=message)]

    def _renew(self, child: Child, message: messages.Renew, now: Now) -> Events:
        if not child.rates.take(Kind.RENEW, now.mono):
            return []
        if len(message.csr) > limits.CSR_BYTES_MAX:
            return [events.Misbehaved(node=child.node, reason="a CSR over its bound")]
        return [events.RenewAsked(node=child.node, csr=message.csr)]

    def _entries(self, child: Child, message: messages.Entries, fx: Effects) -> Events:
        ack, told = child.incoming.take(message, fx)
        if ack is not None:
            self._credit.note(child.node, child.incoming.waiting(child.heads))
            self._send_ack(child, ack, fx)
        return told

    def _send_ack(self, child: Child, ack: messages.EntriesAck, fx: Effects) -> None:
        credit = 0 if child.incoming.waits(ack.stream) else self._credit.rows(child.node)[ack.stream]
        ack = msgspec.structs.replace(ack, incarnation=self._incarnation, session=child.session, credit=credit)
        fx.send.append(effects.Send(child.node, ack))

    def _status(self, child: Child, message: messages.Status, now: Now, fx: Effects) -> Events:
        if message.count <= child.status_count:
            return []  # older never overwrites newer (A12)
        child.status_count = message.count
        if child.rates.take(Kind.STATUS, now.mono):
            return self._take_status(child, message, fx)
        child.postponed = message  # a level: only the newest counts
        self._queue(child)
        return []

    def _take_status(self, child: Child, message: messages.Status, fx: Effects) -> Events:
        child.heads, child.postponed = message.heads, None  # one that waits is older (A12)
        self._credit.note(child.node, child.incoming.waiting(child.heads))
        fx.lazy = not (fx.store or fx.send or fx.act)
        child.status = message
        fx.store.append(effects.Put(STATUS, child.node, msgspec.json.encode(message)))
        told: Events = [events.ChildStatus(node=child.node, status=message)]
        was_blocked = child.asked.blocked
        if not child.asked.note_held(message.held) and not was_blocked:
            told.append(child.asked.restored())
        return told

    def _roster(self, child: Child, message: messages.Roster, now: Now, fx: Effects) -> Events:
        ack, told = self.rosters.take(child.node, message, now)
        if ack is not None:
            ack = msgspec.structs.replace(ack, incarnation=self._incarnation)
            fx.send.append(effects.Send(child.node, ack))
        return told

    def _need(self, child: Child, message: messages.Need, now: Now, fx: Effects) -> None:
        if message.manifest:
            self._send_desired(child, now, fx, whole=True)
        asked = message.tickets[: limits.NEED_DIGESTS_MAX]
        tickets = {one: ticket for one in asked if (ticket := self.ticket_for(child.node, one)) is not None}
        for reply in child.asked.replies(message.documents, tickets, self._incarnation, child.session, now):
            fx.send.append(effects.Send(child.node, reply))

    # -------------------------------------------------------------------------------------------- sessions

    def _hello(self, child: Child, connection: int, hello: messages.Hello, now: Now, fx: Effects) -> Events:
        record = child.record
        if hello.node != child.node or hello.session < 1 or not hello.nonce:
            return [events.Misbehaved(node=child.node, reason=f"a Hello of {hello.node[:64]!r} that makes no sense")]
        if not child.rates.take(Kind.HELLO, now.mono):
            return []  # it waits HELLO_WAIT_S, and comes again with growing backoff
        if child.state is ParentState.QUARANTINED:
            self._refuse(child, hello, record.quarantined, now, fx)
            return [events.CloseAsked(node=child.node, connection=connection, reason=record.quarantined)]
        if hello.session < record.session:
            return self._behind(child, connection, hello, fx)
        if hello.session == record.session:
            if hello.nonce != record.nonce:
                return self._clone(child, connection, hello, now, fx)
            if child.greeted and connection == child.connection:
                self._send_welcome(child, hello, now, fx)  # a copy of the Hello: the same answer
            return []
        if record.left and not record.adopted and not child.asked.reaches(hello.held):
            return [events.CloseAsked(node=child.node, connection=connection, reason="it belongs to another parent")]
        return self._greet(child, connection, hello, now, fx)

    def _behind(self, child: Child, connection: int, hello: messages.Hello, fx: Effects) -> Events:
        """A Hello below the newest session: late, or the child runs on an old copy of its store. Let it mint above."""
        newest = child.record.session
        fx.send.append(effects.Send(child.node, messages.Look(incarnation=self._incarnation, session=newest)))
        if child.greeted and connection == child.connection:
            return []
        return [events.ChildRestored(node=child.node, session=hello.session, newest=newest)]

    def _clone(self, child: Child, connection: int, hello: messages.Hello, now: Now, fx: Effects) -> Events:
        told: Events = [events.CloseAsked(node=child.node, connection=connection, reason=CLONE)]
        was_connected = child.greeted
        if was_connected or child.quiet:
            told += self._leave(child, CLONE, now)
        if was_connected and child.connection != connection:
            told.append(events.CloseAsked(node=child.node, connection=child.connection, reason=CLONE))
        child.quarantine(fx)
        self._refuse(child, hello, CLONE, now, fx)
        return [events.CloneSeen(node=child.node, session=hello.session), *told]

    def _refuse(self, child: Child, hello: messages.Hello, reason: str, now: Now, fx: Effects) -> None:
        welcome = messages.Welcome(
            incarnation=self._incarnation,
            session=hello.session,
            nonce=hello.nonce,
            parent=self._node,
            cursors={},
            time_ms=int(now.wall * 1000),
            contact_s=child.contact_s,
            refused=reason,
        )
        fx.send.append(effects.Send(child.node, welcome))

    def _greet(self, child: Child, connection: int, hello: messages.Hello, now: Now, fx: Effects) -> Events:
        expired = connection == child.expired_on
        told: Events = []
        try:
            adopted = self.elsewhere if child.record.adopted else None
            negotiated = [] if expired else child.incoming.greet(hello.streams, fx, adopted=adopted)
        except RemoteProtocolError as error:
            return [events.Misbehaved(node=child.node, reason=str(error))]
        if child.greeted and child.connection != connection:
            told.append(events.CloseAsked(node=child.node, connection=child.connection, reason="superseded"))
        if not child.greeted:
            child.since_wall = now.wall
        self._begin(child, hello, expired, fx)
        child.move(ParentCue.GREETED_EXPIRED if expired else ParentCue.GREETED)
        child.session, child.connection, child.status_count = hello.session, connection, 0
        child.version, child.postponed = hello.version, None
        child.heads = {stream: head.seq for stream, head in hello.streams.items()}
        self._credit.note(child.node, child.incoming.waiting(child.heads))
        child.last_contact_wall, child.contact_mono = now.wall, now.mono
        self._send_welcome(child, hello, now, fx)
        self._queue(child)
        told.append(events.ChildLive(node=child.node, hello=hello, renew_only=expired))
        told += negotiated
        if not expired:
            if not child.asked.greet(hello.held):
                told.append(child.asked.restored())
            self._send_desired(child, now, fx)
        return told

    def _begin(self, child: Child, hello: messages.Hello, expired: bool, fx: Effects) -> None:
        """Store the session; what another parent asked of the child is taken over, but by nobody who waits for an
        operator: who knows whether that was not this parent, in a past that it lost (A17)."""
        adopted = child.record.adopted
        if adopted and not expired and not child.asked.waits:
            child.asked.succeed(hello.held, fx)
        child.record = msgspec.structs.replace(
            child.record,
            session=hello.session,
            nonce=hello.nonce,
            adopted=adopted and (expired or child.asked.waits),
            contact_s=min(hello.contact_s, limits.CONTACT_S_MAX) if hello.contact_s >= limits.CONTACT_S_MIN else 0.0,
        )
        child.save(fx)

    def _send_welcome(self, child: Child, hello: messages.Hello, now: Now, fx: Effects) -> None:
        renew_only = child.state is ParentState.RENEWING
        welcome = messages.Welcome(
            incarnation=self._incarnation,
            session=hello.session,
            nonce=hello.nonce,
            parent=self._node,
            cursors={} if renew_only else child.incoming.given(self._credit.rows(child.node)),
            time_ms=int(now.wall * 1000),
            contact_s=child.contact_s,
            chain=self._signer.chain,
            version=self._version,
            renew_only=renew_only,
        )
        fx.send.append(effects.Send(child.node, welcome))

    # -------------------------------------------------------------------------------------------- desired

    def _send_desired(self, child: Child, now: Now, fx: Effects, *, whole: bool = False) -> None:
        """Send what is asked, if that is due. Every Desired goes through here."""
        if child.asked.due:
            message = child.asked.message(self._incarnation, child.session, now, whole=whole)
            fx.send.append(effects.Send(child.node, message))
            self._queue(child)

    def set_desired(self, node: str, items: dict[str, bytes], now: Now, fx: Effects) -> bool:
        """Ask `node` for exactly `items` (document id -> canonical bytes). Return False when nothing changed."""
        child = self._children[node]
        if not child.asked.change(items, fx):
            return False
        if child.state is ParentState.LIVE:
            self._send_desired(child, now, fx)
        return True

    def hold(self) -> None:
        """Send none of the children what is asked of it, before `resume` or `new_term` says so for that one (A17)."""
        for child in self._children.values():
            child.asked.waits = True

    def resume(self, node: str, now: Now, fx: Effects) -> None:
        """Send `node` again what is asked of it; harmless when it was not held."""
        child = self._children[node]
        was_held, child.asked.waits = child.asked.waits, False
        if was_held and child.state is ParentState.LIVE:
            self._send_desired(child, now, fx)

    def new_term(self, node: str, now: Now, fx: Effects) -> None:
        """An operator confirms that this hub was restored, or the node re-homed: ask beyond all that was seen (A17)."""
        child = self._children[node]
        child.asked.new_term(fx)
        if child.state is ParentState.LIVE:
            self._send_desired(child, now, fx)

    # -------------------------------------------------------------------------------------------- what the core says

    def revoke(self, node: str, reason: str, now: Now, fx: Effects) -> Events:
        """Let go of `node` for ever: tell it, signed, then cut it off (C5)."""
        child = self._children[node]
        if not child.move(ParentCue.REVOKED):
            return []
        child.record = msgspec.structs.replace(child.record, revoked=reason or "revoked")
        child.asked.forget_session()
        child.since_wall = now.wall
        self._credit.note(node, 0)
        child.save(fx)
        signed = self._signer.revoked(node, int(now.wall * 1000), reason, self._incarnation)
        fx.send.append(effects.Send(node, signed))
        return [events.CloseAsked(node=node, connection=child.connection, reason="revoked", ban=True)]

    def farewell(self, node: str, time_ms: int) -> messages.Revoked | None:
        """Return the signed word for a revoked `node` that comes back (`time_ms`: since when); None for any other."""
        child = self._children.get(node)
        if child is None or child.state is not ParentState.REVOKED:
            return None
        return self._signer.revoked(node, time_ms, child.record.revoked, self._incarnation)

    def release(self, node: str, now: Now, fx: Effects) -> None:
        """An operator has decided: the clone of `node` is gone, let the node in again; holes that its streams wait
        before are accepted, and the streams go on."""
        child = self._children[node]
        if child.move(ParentCue.RELEASED):
            child.record = msgspec.structs.replace(child.record, quarantined="")
            child.save(fx)
        for stream in child.incoming.accept(fx):
            if child.state is ParentState.LIVE:
                self._send_ack(child, child.incoming.resume(stream), fx)

    def renewed(self, node: str, certificate: str, refused: str, now: Now, fx: Effects) -> None:
        """Answer RenewAsked with a certificate chain (PEM), or with why there is none."""
        child = self._children[node]
        if child.greeted:
            message = messages.Renewed(
                incarnation=self._incarnation, session=child.session, certificate=certificate, refused=refused
            )
            fx.send.append(effects.Send(node, message))

    def lease(self, node: str, count: int, granted: dict[str, float], fx: Effects) -> None:
        """Answer the Status `count` of a live child: each of these services may run for so many seconds (A20)."""
        child = self._children[node]
        if child.state is ParentState.LIVE:
            message = messages.Leases(
                incarnation=self._incarnation, session=child.session, count=count, granted=granted
            )
            fx.send.append(effects.Send(node, message))

    def send_ticket(self, node: str, digest: str, ticket: str, fx: Effects) -> None:
        """Give `node` the ticket that it asked for when there was none yet; one that is away asks again."""
        child = self._children[node]
        if child.state is ParentState.LIVE:
            message = messages.Documents(incarnation=self._incarnation, session=child.session, tickets={digest: ticket})
            fx.send.append(effects.Send(node, message))

    def ask(
        self,
        node: str,
        ask: str,
        deadline_ms: int,
        what: str,
        params: dict[str, str],
        now: Now,
        fx: Effects,
        *,
        at: str = "",
    ) -> bool:
        """Put a question to a live child; ChildAnswer follows, or nothing. Return False when it is not live.

        `at`: the address below the child of the node that it is for.
        """
        child = self._children[node]
        if child.state is not ParentState.LIVE:
            return False
        message = messages.Ask(
            incarnation=self._incarnation,
            session=child.session,
            id=ask,
            deadline_ms=deadline_ms,
            what=what,
            params=params,
            at=at,
        )
        fx.send.append(effects.Send(node, message))
        return True

    # -------------------------------------------------------------------------------------------- time

    def _queue(self, child: Child) -> None:
        """Have `tick` look at `child` when its next timer is due."""
        due = child.contact_mono + child.away_after_s
        if child.asked.retry_at is not None:
            due = min(due, child.asked.retry_at)
        if child.postponed is not None:
            due = min(due, child.rates.free_at(Kind.STATUS))
        self._agenda.put(child.node, due)

    def tick(self, now: Now, fx: Effects) -> Events:
        """Do what is due; calling it early or late is harmless."""
        told: Events = []
        for _ in range(limits.BATCH_INPUTS_MAX):
            node = self._agenda.pop(now.mono)
            if node is None:
                break
            child = self._children[node]
            if child.greeted or child.quiet:
                told += self._check(child, now, fx)
        self.rosters.tick(now, fx)
        for node in self._looks.some(now.mono):
            if self._children[node].state is ParentState.AWAY:
                fx.send.append(effects.Send(node, messages.Look(incarnation=self._incarnation)))
        return told

    def _check(self, child: Child, now: Now, fx: Effects) -> Events:
        if now.mono >= child.contact_mono + child.away_after_s:
            silent = [events.CloseAsked(node=child.node, connection=child.connection, reason="silent")]
            close = silent if child.greeted else []
            return [*self._leave(child, "nothing heard for too long", now), *close]
        told: Events = []
        if child.postponed is not None and child.rates.take(Kind.STATUS, now.mono):
            told += self._take_status(child, child.postponed, fx)
        retry_at = child.asked.retry_at
        if retry_at is not None and now.mono >= retry_at:
            self._send_desired(child, now, fx, whole=True)
        else:
            self._queue(child)
        return told
