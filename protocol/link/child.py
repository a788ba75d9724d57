"""The end of a link that looks up: one for each node that has a parent. States and theory: protocol.link.table.

A plain object inside a core. Methods take the moment and the Effects they add to; those that can lead to something the
core must know return events. `next_wake` says when `tick` wants to be called.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from protocol import effects, limits, messages
from protocol.bundle import head
from protocol.effects import Effects, Now
from protocol.entropy import Entropy
from protocol.errors import TrustError
from protocol.link import events, table
from protocol.link.child_desired import Intake
from protocol.link.child_entries import Outbox
from protocol.link.flow.contacts import Contacts
from protocol.link.flow.leases import Requests
from protocol.link.own_stream import Gap
from protocol.link.table import ChildCue, ChildState
from protocol.snapshot import Snapshot, doubt

SPACE = "link"
_SESSION = "session"
REVOKED = "revoked"
_TOLD = "told"
_NONCE_BYTES = 16
_EPOCH_BYTES = 8
_JUMP_BYTES = 4
_NEGOTIATIONS_AT_ONCE = 2


_InSession = (
    messages.Desired
    | messages.Documents
    | messages.EntriesAck
    | messages.RosterAck
    | messages.Leases
    | messages.Renewed
    | messages.Ask
)
"""What a parent says within a session."""

_Awaited = messages.Desired | messages.Documents | messages.Ask
"""What it says because somebody above wants something: what comes of it is waited for."""


class Child:
    """The child's end. The core calls `start` once, and tells it all that the transport and the clock say."""

    def __init__(
        self,
        snapshot: Snapshot,
        *,
        node: str,
        parent: str,
        trust: events.ChildTrust,
        shares: dict[str, int] | None = None,
        contact_s: float = 0.0,
    ) -> None:
        """`shares`: bytes on disk of each stream (protocol.link.room.pool.split), else limits.QUOTA_BYTES. `contact_s`:
        of a metered link (protocol.link.flow.contacts); 0.0: it is none."""
        self._node, self._parent, self._trust = node, parent, trust
        stored = snapshot.spaces.get(SPACE, {})
        self.state = ChildState.IDLE
        self.session = int(stored.get(_SESSION, b"0"))
        self._told = msgspec.json.decode(stored.get(_TOLD, b"null"), type=tuple[int, int] | None)
        found = doubt(snapshot)
        self._is_behind = found is not None and found.in_place
        self.revoked = self.refusal = stored.get(REVOKED, b"").decode()
        self.last_contact_wall: float | None = None
        self.offset_ms = 0
        self.contact_s, self.renew_only, self._contacts = limits.CONTACT_EVERY_S, False, Contacts(contact_s)
        self._outbox = Outbox(node, parent, snapshot, trust, lambda: self._entropy.hex(_EPOCH_BYTES), shares or {})
        self._intake = Intake(node, parent, trust, snapshot)
        self._entropy, self._leases = Entropy(b""), Requests()
        self._hello = messages.Hello(session=0, nonce="", node=node, version="")
        self._nonce = self._incarnation = ""
        self._backoff_s, self._report = limits.BACKOFF_S_MIN, b"{}"
        self._timer: float | None = None
        self._status_at: float | None = None
        self._greeted_at, self._live_at, self._negotiations, self._status_count = 0.0, 0.0, 0, 0

    # -------------------------------------------------------------------------------------------- views

    @property
    def live(self) -> bool:
        """Tell whether entries and status flow."""
        return self.state is ChildState.LIVE and not self.renew_only

    @property
    def metered_s(self) -> float:
        """The contact interval of a link on which bytes cost; 0.0: they do not."""
        return self._contacts.every_s

    @property
    def held(self) -> messages.Held:
        """The manifest in force."""
        return self._intake.held

    @property
    def lost(self) -> dict[str, int]:
        """Rows declared lost, by stream; only streams that lost any."""
        return {name: one.lost for name, one in self._outbox.streams.items() if one.lost}

    @property
    def gaps(self) -> dict[str, Gap]:
        """The GAP that stands at the lower end of a stream, by stream; only streams that have one."""
        return {name: one.gap for name, one in self._outbox.streams.items() if one.gap is not None}

    def shares(self) -> dict[str, int]:
        """Return the bytes of the file that are each stream's own."""
        return {name: one.share for name, one in self._outbox.streams.items()}

    def synced(self, stream: str) -> bool:
        """Tell whether the parent has acked all of `stream`."""
        one = self._outbox.streams[stream]
        return one.acked >= one.last

    def heads(self) -> dict[str, tuple[str, int, int, int, int]]:
        """Return for each stream (epoch, last, acked, the seq before the first row held, bytes held), for people."""
        return {
            name: (one.epoch, one.last, one.acked, one.floor, one.bytes) for name, one in self._outbox.streams.items()
        }

    @property
    def retry_at(self) -> float | None:
        """When (mono) the next try to connect begins, or None while one is made, or none will be."""
        return self._timer if self.state is ChildState.WAITING else None

    def next_wake(self) -> float | None:
        """Return when `tick` is due (mono), or None."""
        due = [self._timer]
        if self.live:
            due += [self._status_at, self._outbox.next_wake(), self._intake.next_wake()]
        return min((one for one in due if one is not None), default=None)

    # -------------------------------------------------------------------------------------------- the transport

    def start(
        self,
        entropy: Entropy,
        version: str,
        capabilities: Sequence[str],
        labels: dict[str, str],
        now: Now,
        fx: Effects,
    ) -> list[events.ChildEvent]:
        """Begin this life: connect, and tell what is held from the last one."""
        self._entropy = entropy
        self._hello = messages.Hello(
            session=0, nonce="", node=self._node, version=version, capabilities=list(capabilities), labels=labels
        )
        if self._is_behind:  # our counter may be behind: mint beyond all that was, or we pass for a clone (A13)
            self.session += 1 + int(entropy.hex(_JUMP_BYTES), 16)
        self._outbox.begin(fx)
        if self.revoked:
            self._move(ChildCue.TURNED_AWAY)
        elif self._move(ChildCue.START):
            self._connect(now, fx)
        return self._intake.wanted()

    def stop(self, now: Now, fx: Effects) -> None:
        """End in order: say Bye when connected."""
        self._outbox.save(fx)
        greeted = self.state in (ChildState.GREETING, ChildState.LIVE)
        if self._move(ChildCue.STOP):
            self._timer = None
            if greeted:
                bye = messages.Bye(session=self.session, nonce=self._nonce, reason="stopped")
                fx.send.append(effects.Send(self._parent, bye))
            fx.act.append(table.Disconnect(session=self.session, reason="stopped"))

    def opened(self, session: int, now: Now, fx: Effects) -> None:
        """The transport of `session` is connected: say Hello."""
        if session != self.session or not self._move(ChildCue.OPENED):
            return
        self._timer = now.mono + limits.HELLO_WAIT_S
        self._greeted_at = now.mono
        fx.send.append(effects.Send(self._parent, self._greeting(now)))

    def _greeting(self, now: Now) -> messages.Hello:
        return msgspec.structs.replace(
            self._hello,
            session=self.session,
            nonce=self._nonce,
            streams=self._outbox.heads(),
            held=self._intake.held,
            time_ms=int(now.wall * 1000),
            contact_s=self._contacts.every_s,
        )

    def hand_over(self, parent: str, now: Now, fx: Effects) -> None:
        """The next life looks up to `parent`: what the present one asked stays in force there. `stop` follows.

        The present one hears what is held before that, and so lets go, though nobody else can tell it.
        """
        if self.live:
            self._send_status(now, fx)
        self._intake.hand_over(parent, fx)

    def hurry(self, now: Now) -> None:
        """There is a reason to think that the parent can be reached now: end the wait between two tries."""
        if self.state is ChildState.WAITING:
            self._timer = now.mono

    def closed(self, session: int, reason: str, now: Now, fx: Effects) -> list[events.ChildEvent]:
        """The transport of `session` ended or could not be connected; of an older one: no effect (A13)."""
        return [] if session != self.session else self._leave(ChildCue.CLOSED, reason, now)

    def _leave(self, cue: ChildCue, reason: str, now: Now) -> list[events.ChildEvent]:
        was_live = self.state is ChildState.LIVE
        if not self._move(cue):
            return []
        self._intake.forget_session()
        if was_live and now.mono - self._live_at >= self._backoff_s:
            self._backoff_s = limits.BACKOFF_S_MIN  # it lasted: what cut it off is no sign of a parent that is overrun
        if self.state is ChildState.WAITING:
            self._timer = now.mono + self._next_backoff_s()
        return [events.WentOffline(reason=reason)] if was_live else []

    def _next_backoff_s(self) -> float:
        """Draw a wait between the least and three times the last one: decorrelated jitter."""
        span = self._backoff_s * 3 - limits.BACKOFF_S_MIN
        self._backoff_s = min(self._contacts.backoff_s_max, limits.BACKOFF_S_MIN + self._entropy.fraction() * span)
        return self._backoff_s

    def _connect(self, now: Now, fx: Effects) -> None:
        self.session, self._status_count = self.session + 1, 0  # a bundle may be made before anybody welcomes it
        self._nonce = self._entropy.hex(_NONCE_BYTES)
        self._timer = now.mono + limits.CONNECT_WAIT_S
        fx.store.append(effects.Put(SPACE, _SESSION, str(self.session).encode()))
        fx.act.append(table.Connect(session=self.session, nonce=self._nonce))

    def _again(self, reason: str, now: Now, fx: Effects, above: int = 0) -> list[events.ChildEvent]:
        told = self._leave(ChildCue.AGAIN, reason, now)
        fx.act.append(table.Disconnect(session=self.session, reason=reason))
        self.session = max(self.session, above)  # above ours: our store is an old copy (A13, A17)
        self._connect(now, fx)
        return told

    def _negotiate(self, now: Now, fx: Effects) -> list[events.ChildEvent]:
        """A new epoch was begun: say Hello with it, at once the first time, with backoff when it does not settle."""
        fx.lazy = False
        self._negotiations += 1
        reason = "a new epoch is to be negotiated"
        if self._negotiations <= _NEGOTIATIONS_AT_ONCE:
            return self._again(reason, now, fx)
        fx.act.append(table.Disconnect(session=self.session, reason=reason))
        return self._leave(ChildCue.CLOSED, reason, now)

    def _move(self, cue: ChildCue) -> bool:
        after = table.CHILD[self.state].get(cue)
        if after is None:
            return False
        self.state = after
        return True

    # -------------------------------------------------------------------------------------------- messages

    def got(self, message: messages.AnyMessage, now: Now, fx: Effects) -> list[events.ChildEvent]:
        """Take a message of the parent. What belongs to no current session changes nothing (A13)."""
        match message:
            case messages.Welcome():
                return self._welcome(message, now, fx)
            case messages.Look():
                return self._look(message, now, fx)
            case messages.Revoked():
                return self._revoked(message, fx)
            case _ if isinstance(message, _InSession):
                if self.state is not ChildState.LIVE or message.session != self.session:
                    return []
                if message.incarnation != self._incarnation:
                    return []
                self.last_contact_wall = now.wall
                if isinstance(message, _Awaited):
                    self.speak(now, fx)
                return self._served(message, now, fx)
            case _:
                return []  # a child's own words, come back

    def _served(
        self,
        message: _InSession,
        now: Now,
        fx: Effects,
    ) -> list[events.ChildEvent]:
        match message:
            case messages.EntriesAck():
                return self._acked(message, now, fx)
            case messages.Desired():
                return self._note_held(self._intake.desired(message, self.session, now, fx), now)
            case messages.Documents():
                told = [events.Ticket(digest=one, ticket=ticket) for one, ticket in message.tickets.items()]
                more = self._intake.documents(message, self.session, now, fx)
                return [*told, *self._note_held(more, now)]
            case messages.Renewed():
                if message.certificate:
                    return [events.Renewed(certificate=message.certificate)]
                return [events.RenewRefused(reason=message.refused)]
            case messages.RosterAck():
                return [events.RosterAcked(session=message.session, number=message.number)]
            case messages.Leases():
                asked = self._leases.asked_at(message.count)
                return [] if asked is None else [events.Leased(granted=message.granted, asked=asked)]
            case messages.Ask():
                return [events.Asked(ask=message)]

    def _acked(self, message: messages.EntriesAck, now: Now, fx: Effects) -> list[events.ChildEvent]:
        fx.lazy = not (fx.store or fx.send or fx.act)  # a lost ack costs one row sent twice: not worth a commit
        told = self._outbox.acked(message, now, fx)
        if any(isinstance(one, events.EpochBegun) for one in told):
            return told + self._negotiate(now, fx)
        self._outbox.pump(self.session, now, fx)
        return told

    def _note_held(self, told: list[events.ChildEvent], now: Now) -> list[events.ChildEvent]:
        if told:
            self._settle(now)
        return told

    def _welcome(self, message: messages.Welcome, now: Now, fx: Effects) -> list[events.ChildEvent]:
        if self.state is not ChildState.GREETING or (message.session, message.nonce) != (self.session, self._nonce):
            return []
        self.last_contact_wall = now.wall
        if message.refused:
            return self._turned_away(message.refused, now, fx)
        told = self._learn(message.chain)
        trip_s = now.mono - self._greeted_at
        self.offset_ms = message.time_ms + int(trip_s * 500) - int(now.wall * 1000)
        self._incarnation, self.contact_s, self.renew_only = message.incarnation, message.contact_s, message.renew_only
        self._move(ChildCue.WELCOMED)
        self._timer, self._live_at, self.refusal = None, now.mono, ""
        self._leases.begin()
        self._contacts.open(now.mono)
        self._note_told((self.session, self._status_count), fx, only_if_kept=True)
        told.append(events.WentLive(renew_only=message.renew_only))
        if message.renew_only:
            return told
        resumed = self._outbox.resume(message.cursors, now, fx)
        told += resumed
        if any(isinstance(one, events.EpochBegun) for one in resumed):
            return told + self._negotiate(now, fx)
        self._negotiations = 0
        self._send_status(now, fx)
        self._outbox.pump(self.session, now, fx)
        return told

    def _learn(self, chain: str) -> list[events.ChildEvent]:
        try:
            if chain:
                self._trust.learn(chain, self._parent)
        except TrustError as error:
            return [events.DesiredRefused(reason=str(error))]
        return []

    def _turned_away(self, reason: str, now: Now, fx: Effects) -> list[events.ChildEvent]:
        self._move(ChildCue.TURNED_AWAY)
        self.refusal = reason
        self._timer = now.mono + limits.REFUSED_RETRY_S
        fx.act.append(table.Disconnect(session=self.session, reason=reason))
        return [events.Quarantined(reason=reason)]

    def _look(self, message: messages.Look, now: Now, fx: Effects) -> list[events.ChildEvent]:
        if self.state not in (ChildState.GREETING, ChildState.LIVE):
            return []
        if message.session and message.session <= self.session:
            return []  # answers a Hello that was late
        if not message.session and message.incarnation == self._incarnation and message.ended != self.session:
            return []  # late
        return self._again("the parent says look again", now, fx, above=message.session)

    def _revoked(self, message: messages.Revoked, fx: Effects) -> list[events.ChildEvent]:
        try:
            self._trust.check_revoked(message, self._parent, self._node)
        except TrustError:
            return []  # forged, or not for us
        if not self._move(ChildCue.TURNED_AWAY):
            return []
        self._timer = None
        self.revoked = self.refusal = message.reason or "revoked"
        fx.store.append(effects.Put(SPACE, REVOKED, self.revoked.encode()))
        fx.act.append(table.Disconnect(session=self.session, reason="revoked"))
        return [events.RevokedBy(reason=self.revoked)]

    # -------------------------------------------------------------------------------------------- time

    def tick(self, now: Now, fx: Effects) -> list[events.ChildEvent]:
        """Do what is due; calling it early or late is harmless."""
        told: list[events.ChildEvent] = []
        if self._timer is not None and now.mono >= self._timer:
            told += self._timeout(now, fx)
        if not self.live:
            return told
        if not self._outbox.tick(now):
            fx.act.append(table.Disconnect(session=self.session, reason="no acks"))
            return told + self._leave(ChildCue.TIMEOUT, "the parent acks nothing", now)
        self._outbox.pump(self.session, now, fx)
        self._intake.tick(self.session, now, fx)
        if self._status_at is not None and now.mono >= self._status_at:
            self._send_status(now, fx)
            self._outbox.release()
            self._outbox.pump(self.session, now, fx)
        return told

    def _timeout(self, now: Now, fx: Effects) -> list[events.ChildEvent]:
        waited = self.state
        self._timer = None
        told = self._leave(ChildCue.TIMEOUT, "no answer", now)
        if self.state is ChildState.CONNECTING:
            self._connect(now, fx)
        elif waited in (ChildState.CONNECTING, ChildState.GREETING):
            fx.act.append(table.Disconnect(session=self.session, reason="no answer"))
        return told

    def _settle(self, now: Now) -> None:
        if not self._contacts.is_open(now.mono):
            self._contacts.unsaid = True
            return  # it goes with the next contact
        due = now.mono + limits.STATUS_SETTLE_S
        self._status_at = due if self._status_at is None else min(self._status_at, due)

    def _send_status(self, now: Now, fx: Effects) -> None:
        status = self._status(self._leases.names, now)
        self._contacts.unsaid = False
        self._status_at = now.mono + min(self.contact_s, self._contacts.status_s, self._leases.every_s)
        self._leases.sent(status.count, now.mono)
        fx.send.append(effects.Send(self._parent, status))

    def _status(self, leases: list[str], now: Now) -> messages.Status:
        self._status_count += 1
        return messages.Status(
            session=self.session,
            count=self._status_count,
            held=self._intake.held,
            heads={name: one.last for name, one in self._outbox.streams.items()},
            time_ms=int(now.wall * 1000),
            body=msgspec.Raw(self._report),
            leases=leases,
        )

    # -------------------------------------------------------------------------------------------- without a session

    def carried(self, down: head.Down, documents: Sequence[bytes], now: Now, fx: Effects) -> list[events.ChildEvent]:
        """Take a bundle of the parent, whose proof is checked, with its documents; a link may be live or not."""
        is_newest = self._told is not None and down.seen > self._told
        if is_newest:
            self._note_told(down.seen, fx)
        told = self._outbox.carried(down.cursors, now, fx, is_newest=is_newest)
        is_behind = down.session > self.session
        if is_behind or any(isinstance(one, events.EpochBegun) for one in told):
            told += self._overtake(down.session, now, fx)
        if down.desired is not None:
            bodies = [msgspec.Raw(one) for one in documents]
            wanted = self._intake.carried(msgspec.structs.replace(down.desired, documents=bodies), now, fx)
            told += self._note_held(wanted, now)
        return told

    def _overtake(self, session: int, now: Now, fx: Effects) -> list[events.ChildEvent]:
        """Our store may be behind its own past, or holds a new epoch: what is said next is of a session above all."""
        if self.state in (ChildState.CONNECTING, ChildState.GREETING, ChildState.LIVE):
            return self._again("a bundle of the parent knows of a later session", now, fx, above=session)
        self.session, self._status_count = max(self.session, session) + 1, 0
        self._nonce = self._entropy.hex(_NONCE_BYTES)
        fx.store.append(effects.Put(SPACE, _SESSION, str(self.session).encode()))
        return []

    def _note_told(self, seen: tuple[int, int], fx: Effects, *, only_if_kept: bool = False) -> None:
        """Keep session and count of our newest Status that the parent spoke of, from our first bundle on."""
        if only_if_kept and self._told is None:
            return
        self._told = seen
        fx.store.append(effects.Put(SPACE, _TOLD, msgspec.json.encode(seen)))

    def carry(self, now: Now, fx: Effects) -> tuple[messages.Hello, messages.Status, list[effects.SendRows]]:
        """Return what a bundle for the parent says: how all stands, and the rows that it is not known to have."""
        if self._told is None:
            self._note_told((0, 0), fx)
        return self._greeting(now), self._status([], now), self._outbox.plan()

    # -------------------------------------------------------------------------------------------- what the core says

    def append(
        self, stream: str, items: Sequence[tuple[str, str, bytes]], now: Now, fx: Effects, *, hold: bool = False
    ) -> int:
        """Append `(kind, key, body)` items, bodies one JSON value each, to `stream`; return its last seq.

        `hold`: they may wait for the next `pump`, so that several appends share a commit and a message. On a metered
        link they wait for the next contact.
        """
        hold = hold or not self._contacts.is_open(now.mono)
        last = self._outbox.append(stream, items, now, fx, hold=hold)
        if not hold and self.live:
            self._outbox.pump(self.session, now, fx)
        return last

    def pump(self, now: Now, fx: Effects) -> None:
        """Send what was appended and is not on its way, what was held back too, as far as credit allows."""
        if self._contacts.is_open(now.mono):
            self._outbox.release()
        if self.live:
            self._outbox.pump(self.session, now, fx)

    def speak(self, now: Now, fx: Effects) -> None:
        """Somebody above waits for what is new here: it goes now, however seldom a metered link has a contact."""
        if not self.metered_s:
            return
        self._contacts.open(now.mono)
        self.pump(now, fx)
        if self._contacts.unsaid:
            self._settle(now)

    def set_report(self, report: bytes, now: Now, fx: Effects) -> None:
        """Set what Status says (JSON); it goes when it has settled, and first of all on every reconnect."""
        if report != self._report:
            self._report = report
            self._settle(now)

    def want_leases(self, names: list[str], every_s: float, now: Now) -> None:
        """Ask for the leases of `names` with each Status, and so at least every `every_s`; Leased follows."""
        if self._leases.want(names, every_s):
            self._settle(now)

    def need_ticket(self, digest: str, now: Now, fx: Effects) -> None:
        """Ask for the ticket of an artifact; Ticket follows. Nothing happens while not live: ask again on WentLive."""
        if self.live:
            fx.send.append(effects.Send(self._parent, messages.Need(session=self.session, tickets=[digest])))

    def renew(self, csr: str, now: Now, fx: Effects) -> None:
        """Ask for a new certificate; Renewed or RenewRefused follows. Nothing happens while not greeted."""
        if self.state is ChildState.LIVE:
            fx.send.append(effects.Send(self._parent, messages.Renew(session=self.session, csr=csr)))

    def certified(self, now: Now, fx: Effects) -> list[events.ChildEvent]:
        """The new certificate is in place: where only renewal was served (C15), greet again with it."""
        if self.state is ChildState.LIVE and self.renew_only:
            return self._again("the certificate was renewed", now, fx)
        return []

    def answer(self, ask: str, part: int, last: bool, data: bytes, now: Now, fx: Effects) -> None:
        """Send one part of an answer; not durable, dropped while not live."""
        if self.live:
            message = messages.Answer(session=self.session, id=ask, part=part, last=last, data=msgspec.Raw(data))
            fx.send.append(effects.Send(self._parent, message))
