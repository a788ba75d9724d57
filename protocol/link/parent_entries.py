"""The parent's end, entries: one cursor (epoch, seq, hash) for each stream of a child, moved with the rows.

Rows, cursor and the ack that tells of them leave in the same Effects: one transaction, then the ack (INVARIANTS A2,
A5). Only what follows the cursor is applied; what lies below is acked again without effect; what lies beyond gets
"resume from" (A4). The chain is computed here from the raw bytes and must come to what the child says (A7).

A GAP whose signature does not hold is a hole that nobody answers for: it is set aside, and the stream waits before it
with no credit, alone, until the child sends one that holds or an operator takes the hole upon himself (`accept`).
Decision 0013.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping

import msgspec

from protocol import effects, ids, limits
from protocol.effects import Effects
from protocol.errors import BadId, RemoteProtocolError
from protocol.link import cursor, events
from protocol.link.below.walk import Refused, Walk, cut
from protocol.link.room.losses import Losses
from protocol.messages import CHAINED, RELAYS, STREAMS, Cursor, Entries, EntriesAck, GapBody, StreamHead

CURSOR = "cursor"

Doubt = Callable[[str, str, str, GapBody], str]
"""(node, epoch, stream, GAP) -> why its signature does not hold, or an empty text."""

Place = tuple[int, str]
"""A row's seq and its hash."""

Met = tuple[Place, Place, list[events.ParentEvent]]
"""Where a stream goes on that came by way of others, where of this very epoch, and what is told of it."""

Elsewhere = Callable[[str, str, StreamHead, Place, Effects], Met]
"""(node, stream, its head, the place before the lowest row that the node still holds) -> the place up to which its rows
are here, or will be, by way of others, and the one up to which they are of this very epoch: at least that one."""

Reach = Callable[[str, str, str], int]
"""(node, epoch, stream) -> the row up to which the same ones may be here, by way of child hubs."""

_REASON = "the rows do not follow from what is held under the same epoch"


class FormerCursor(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where an epoch was fenced. Hashes are hex.

    `heir` is the epoch that went on from it and has the same rows up to `shared`: what the heir brought of them counts
    for this epoch too.
    """

    epoch: str
    seq: int
    hash: str
    heir: str = ""
    shared: int = 0
    shared_hash: str = ""


class Record(msgspec.Struct, kw_only=True, omit_defaults=True):
    """The cursor of one stream, as stored in space `cursor` under `NODE/STREAM`. The hash is hex."""

    epoch: str
    seq: int
    hash: str
    forked: bool = False
    refused: str = ""
    """The SHA-256 of the GAP row that was refused here; the stream waits."""
    accepted: bool = False
    """An operator accepts the next GAP, signed or not."""
    lost: int = 0
    aside: int = 0
    former: list[FormerCursor] = []
    again: int = 0
    """Rows up to here, beyond `seq`, came under former epochs, brought by a copy of the child: this epoch's may be the
    same ones, and then they are not stored a second time."""
    base: int = 0
    base_hash: str = ""
    """Rows up to here the child told another parent, which may have them still to bring by way of a hub."""


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Record).decode


class Incoming:
    """The streams of one child, as its parent holds them."""

    def __init__(self, node: str, doubt: Doubt, reach: Reach = lambda node, epoch, stream: 0) -> None:
        self._node, self._doubt, self._reach = node, doubt, reach
        self.cursors: dict[str, Record] = {}
        self.losses = Losses(node)

    def load(self, stream: str, value: bytes) -> None:
        """Take a stored cursor back."""
        self.cursors[stream] = _decode(value)

    def _save(self, stream: str, fx: Effects) -> None:
        fx.store.append(effects.Put(CURSOR, f"{self._node}/{stream}", _encode(self.cursors[stream])))

    def given(self, credit: Mapping[str, int]) -> dict[str, Cursor]:
        """Return the cursors for a Welcome."""
        return {
            stream: Cursor(epoch=one.epoch, seq=one.seq, hash=one.hash, credit=credit[stream])
            for stream, one in self.cursors.items()
        }

    def brought(self, epoch: str, stream: str) -> Record | None:
        """Return the cursor of `stream` in `epoch`; None: the child was never in it here. Of a former one it tells no
        more than `again`: up to where its rows may have come."""
        held = self.cursors.get(stream)
        if held is None or held.epoch == epoch:
            return held
        former = next((one for one in held.former if one.epoch == epoch), None)
        if former is None:
            return None
        again = max(held.seq, held.again) if stream in CHAINED else former.seq
        return Record(epoch=epoch, seq=0, hash="", again=again)

    def waiting(self, heads: Mapping[str, int]) -> int:
        """Return how many rows up to `heads` are not here yet, of all streams together."""
        cursors = self.cursors
        return sum(max(0, seq - cursors[stream].seq) for stream, seq in heads.items() if stream in cursors)

    def waits(self, stream: str) -> bool:
        """Tell whether `stream` waits before a GAP that was refused: it gets no credit."""
        held = self.cursors[stream]
        return bool(held.refused) and not held.accepted

    def accept(self, fx: Effects) -> list[str]:
        """An operator accepts the holes that streams wait before; return these streams."""
        waiting = [stream for stream in self.cursors if self.waits(stream)]
        for stream in waiting:
            self.cursors[stream].accepted = True
            self._save(stream, fx)
        return waiting

    def resume(self, stream: str) -> EntriesAck:
        """Return the word that lets `stream` go on from its cursor, still without incarnation, session and credit."""
        held = self.cursors[stream]
        return EntriesAck(
            incarnation="", session=0, stream=stream, epoch=held.epoch, seq=held.seq, hash=held.hash, refill=True
        )

    # -------------------------------------------------------------------------------------------- negotiation

    def greet(
        self, heads: dict[str, StreamHead], fx: Effects, *, adopted: Elsewhere | None = None
    ) -> list[events.ParentEvent]:
        """Negotiate every stream of a Hello: go on, accept a new epoch, or tell the child to take one (A6, A9).

        `adopted`: the child comes from another parent, which has what lies below the lowest row that it still holds:
        its streams go on from there, or from where `adopted` says, and nothing of that is lost. Raises
        RemoteProtocolError when a head makes no sense; then nothing is done.
        """
        for stream, head in heads.items():
            _check(stream, head)
        told: list[events.ParentEvent] = []
        for stream, head in heads.items():
            held = self.cursors.get(stream)
            place = self._elsewhere(stream, head, adopted, fx)
            told += place[2] if place is not None else []
            if place is not None and (held is None or held.seq < place[0][0]):
                was = head.was.seq if head.was is not None else 0  # so far the rows may be here under the former epoch
                self._adopt(stream, head.epoch, place[0], _before(held, head), 0, fx, base=place[1], again=was)
                told += self._met(stream, head) if head.was is not None else []
                told += self._same(stream, self.cursors[stream], head, fx)
            elif held is None:
                self._adopt(stream, head.epoch, self._base(stream, head), [], 0, fx)
                told += self._met(stream, head)
            elif head.epoch == held.epoch:
                told += self._same(stream, held, head, fx)
            elif any(one.epoch == head.epoch for one in held.former):
                told += self._fork(stream, held, head.seq, f"the epoch {head.epoch}, which is fenced, came back", fx)
            else:
                told += self._change(stream, held, head, fx)
        return told

    def _elsewhere(self, stream: str, head: StreamHead, adopted: Elsewhere | None, fx: Effects) -> Met | None:
        """Return where the stream of a child that another parent had goes on, and its base; None: as it did here."""
        held = self.cursors.get(stream)
        if adopted is None or (held is not None and held.epoch != head.epoch):
            return None
        return adopted(self._node, stream, head, self._lowest(stream, head), fx)

    def _adopt(
        self,
        stream: str,
        epoch: str,
        place: tuple[int, str],
        former: list[FormerCursor],
        lost: int,
        fx: Effects,
        *,
        base: tuple[int, str] = (0, ""),
        again: int = 0,
    ) -> None:
        had = self.cursors.get(stream)
        seq, tip = place
        reach = max(again, had.seq, had.again) if had is not None else again
        self.cursors[stream] = Record(
            epoch=epoch,
            seq=seq,
            hash=tip,
            former=former,
            lost=min(lost + (had.lost if had is not None else 0), limits.INTEGER_MAX),
            aside=had.aside if had is not None else 0,
            again=reach if reach > seq and stream in CHAINED else 0,
            base=base[0],
            base_hash=base[1],
        )
        self._save(stream, fx)

    def _met(self, stream: str, head: StreamHead) -> list[events.ParentEvent]:
        """Tell of a stream that does not begin here: who stands above knows it from where it was before."""
        if head.was is None and not head.base:
            return []
        held, former = self.cursors[stream], head.was.epoch if head.was is not None else ""
        return [
            events.StreamMet(
                node=self._node,
                stream=stream,
                epoch=head.epoch,
                former=former,
                place=held.seq,
                place_hash=held.hash,
                again=held.again,
            )
        ]

    def _lowest(self, stream: str, head: StreamHead) -> tuple[int, str]:
        """Return where the rows that the child still holds begin."""
        return self._base(stream, head) if head.first - 1 <= head.base else (head.first - 1, head.before)

    def _base(self, stream: str, head: StreamHead) -> tuple[int, str]:
        if stream not in CHAINED:
            return head.base, ""
        return head.base, head.base_hash or cursor.genesis(self._node, head.epoch, stream).hex()

    def _same(self, stream: str, held: Record, head: StreamHead, fx: Effects) -> list[events.ParentEvent]:
        if head.seq < held.seq:
            reason = f"the child's newest row is {head.seq}, we hold {held.seq}: its journal is an old copy"
            return self._fork(stream, held, head.seq, reason, fx)
        if head.seq == held.seq and head.hash and held.hash and head.hash != held.hash:
            return self._fork(stream, held, head.seq, "the child has other bytes in its newest row", fx)
        return []

    def _change(self, stream: str, held: Record, head: StreamHead, fx: Effects) -> list[events.ParentEvent]:
        was, former = head.was, _fenced(held, head)
        reason = was.reason if was is not None else "a new journal: what the former one still held is unknown"
        place, lost = _met_at(held, head, self._base(stream, head))
        if lost:
            gone = GapBody(first=place[0] - lost + 1, last=place[0], count=lost, reason=reason, hash="")
            self.losses.add(stream, head.epoch, gone, 0, fx)
        self._adopt(stream, head.epoch, place, former, lost, fx)
        told: list[events.ParentEvent] = [
            events.EpochChanged(
                node=self._node,
                stream=stream,
                epoch=head.epoch,
                former=held.epoch,
                seq=held.seq,
                hash=held.hash,
                place=place[0],
                place_hash=place[1],
                again=self.cursors[stream].again,
                lost=lost,
                reason=reason,
            )
        ]
        if lost or (was is None and held.seq):
            told.append(
                events.LossDeclared(node=self._node, stream=stream, epoch=held.epoch, count=lost, reason=reason)
            )
        return told

    def _fork(self, stream: str, held: Record, seq: int, reason: str, fx: Effects) -> list[events.ParentEvent]:
        if held.forked:
            return []  # told once, until the child has taken a new epoch
        held.forked = True
        self._save(stream, fx)
        if stream not in CHAINED:
            return []
        return [events.Fork(node=self._node, stream=stream, epoch=held.epoch, seq=seq, reason=reason)]

    # -------------------------------------------------------------------------------------------- rows

    def take(self, message: Entries, fx: Effects) -> tuple[EntriesAck | None, list[events.ParentEvent]]:
        """Apply what follows the cursor. Return the ack, still without incarnation and credit; None: a fenced epoch."""
        held = self.cursors.get(message.stream)
        if held is None or held.epoch != message.epoch:
            return None, []
        if message.prev > held.seq:
            return _ack(message, held, refill=True), []
        if len(message.rows) > limits.ENTRIES_COUNT_MAX:
            reason = f"{len(message.rows)} rows in one message are over {limits.ENTRIES_COUNT_MAX}"
            return _ack(message, held, refill=True), [events.Misbehaved(node=self._node, reason=reason)]
        walk = Walk(message.stream, message.prev, message.rows, held.seq, bytes.fromhex(held.hash))
        if not walk.run():
            reason = f"{message.stream}: row {walk.seq} is not followed by row {walk.seq + 1}"
            return _ack(message, held, refill=True), [events.Misbehaved(node=self._node, reason=reason)]
        refused, gone = walk.prove(
            lambda body: self._doubt(self._node, message.epoch, message.stream, body), accepted=held.accepted
        )
        if refused is not None:
            return self._refuse(message, held, refused, fx)
        if not walk.is_whole(message.hash):
            return self._set_aside(message, held, walk, fx)
        if walk.seq == held.seq:
            return _ack(message, held), []
        return self._apply(message, held, walk, gone, fx)

    def _apply(
        self, message: Entries, held: Record, walk: Walk, gone: list[tuple[GapBody, int]], fx: Effects
    ) -> tuple[EntriesAck, list[events.ParentEvent]]:
        held.seq, held.hash, held.forked = walk.seq, walk.tip.hex(), False
        held.refused, held.accepted = "", False
        told = self._poison(message, held, walk, fx)
        told += self._declared(message, held, gone, fx)
        if walk.rows and message.stream not in RELAYS:  # what is relayed is stored as its origin's (link/relay)
            again = self._again(message.stream, held)
            fx.store.append(effects.Received(self._node, message.epoch, message.stream, walk.rows, again))
        told.append(entries_of(self._node, message.stream, message.epoch, walk))
        if held.seq >= held.again:
            held.again = 0
        self._save(message.stream, fx)
        return _ack(message, held), told

    def _again(self, stream: str, held: Record) -> int:
        """Return up to which row the same ones may be here, under former epochs or by way of child hubs (A8).

        Of an unchained stream no former epoch has the same ones: each begins at row 1.
        """
        epochs = held.epoch, *(one.epoch for one in held.former if stream in CHAINED)
        return max(held.again, *(self._reach(self._node, epoch, stream) for epoch in epochs))

    def _poison(self, message: Entries, held: Record, walk: Walk, fx: Effects) -> list[events.ParentEvent]:
        """Count the rows that are no entries, and keep the first of them for people (A21)."""
        if not walk.poison:
            return []
        count = len(walk.poison)
        held.aside = min(held.aside + count, limits.INTEGER_MAX)
        fx.store += [
            effects.SetAside(self._node, message.epoch, message.stream, seq, cut(raw), "the row is no entry")
            for seq, raw, _ in walk.poison[: limits.ENTRIES_POISON_KEPT]
        ]
        seq = walk.poison[0][0]
        return [events.Poison(node=self._node, stream=message.stream, epoch=message.epoch, seq=seq, count=count)]

    def _declared(
        self, message: Entries, held: Record, declared: list[tuple[GapBody, int]], fx: Effects
    ) -> list[events.ParentEvent]:
        """Count and list what the GAPs of a message declare lost."""
        told: list[events.ParentEvent] = []
        for gone, time_ms in declared:
            held.lost = min(held.lost + gone.count, limits.INTEGER_MAX)
            self.losses.add(message.stream, message.epoch, gone, time_ms, fx)
            told.append(
                events.LossDeclared(
                    node=self._node,
                    stream=message.stream,
                    epoch=message.epoch,
                    count=gone.count,
                    reason=gone.reason,
                )
            )
        return told

    def _refuse(
        self, message: Entries, held: Record, refused: Refused, fx: Effects
    ) -> tuple[EntriesAck, list[events.ParentEvent]]:
        """Set a GAP aside, once, and let its stream wait; the cursor stays before the hole (A4)."""
        (body, raw), reason = (refused[0].body, refused[0].raw), refused[1]
        digest = hashlib.sha256(raw).hexdigest()
        told: list[events.ParentEvent] = []
        if held.refused != digest:
            held.refused, held.accepted = digest, False
            held.aside += 1
            fx.store.append(effects.SetAside(self._node, message.epoch, message.stream, body.last, raw, reason))
            self._save(message.stream, fx)
            told.append(
                events.GapRefused(
                    node=self._node,
                    stream=message.stream,
                    epoch=message.epoch,
                    first=body.first,
                    last=body.last,
                    reason=reason,
                )
            )
        return _ack(message, held, refill=True), told

    def _set_aside(
        self, message: Entries, held: Record, walk: Walk, fx: Effects
    ) -> tuple[EntriesAck, list[events.ParentEvent]]:
        if not held.forked:
            for seq, raw, *_ in walk.rows[: limits.ASIDE_KEPT_OF_NODE_ROWS]:
                fx.store.append(effects.SetAside(self._node, message.epoch, message.stream, seq, raw, _REASON))
            held.aside += len(walk.rows)
        told = self._fork(message.stream, held, held.seq + 1, _REASON, fx)
        return _ack(message, held, refill=True, fork=True), told


def entries_of(node: str, stream: str, epoch: str, walk: Walk) -> events.ChildEntries:
    """Return what a walk found new, as it is told."""
    prev, before = walk.begin
    return events.ChildEntries(
        node=node,
        stream=stream,
        epoch=epoch,
        rows=walk.rows,
        prev=prev,
        before=before,
        last=walk.seq,
        hash=walk.tip,
        poison=walk.poison,
    )


def _covered(held: Record, epoch: str) -> tuple[int, str]:
    """Return how far the rows of `epoch` came here, under its own name or an heir's; of a stranger, the present one."""
    one = next((one for one in held.former if one.epoch == epoch), None)
    if one is None:
        return held.seq, held.hash
    if one.heir:
        seq, tip = _covered(held, one.heir)
        if seq >= one.shared:
            seq, tip = one.shared, one.shared_hash
        if seq > one.seq:
            return seq, tip
    return one.seq, one.hash


def _met_at(held: Record, head: StreamHead, base: tuple[int, str]) -> tuple[tuple[int, str], int]:
    """Return where a new epoch is taken up whose rows begin after `base`, and how many rows before that are lost."""
    if head.was is None:
        return base, 0
    seq, tip = _covered(held, head.was.epoch)
    if seq <= base[0]:
        return base, base[0] - seq
    return ((seq, tip) if seq <= head.was.seq else max(base, (head.was.seq, head.was.hash))), 0


def _fenced(held: Record, head: StreamHead) -> list[FormerCursor]:
    """Return the former epochs when `head` begins a new one; that which it goes on from, with any rows, is one, be it
    of a stranger."""
    known = [*held.former, FormerCursor(epoch=held.epoch, seq=held.seq, hash=held.hash)]
    former, was = {one.epoch: one for one in known}, head.was
    if was is not None and (was.epoch in former or was.seq):
        seq, tip = _covered(held, was.epoch) if was.epoch in former else (0, "")
        former[was.epoch] = FormerCursor(
            epoch=was.epoch, seq=seq, hash=tip, heir=head.epoch, shared=was.seq, shared_hash=was.hash
        )
    return list(former.values())[-limits.EPOCHS_KEPT_MAX :]


def _before(held: Record | None, head: StreamHead) -> list[FormerCursor]:
    """Return the former epochs of a stream another parent had: of that which it goes on from rows may come late."""
    known, was = list(held.former) if held is not None else [], head.was
    if was is not None and was.seq and all(one.epoch != was.epoch for one in known):
        shared = FormerCursor(epoch=was.epoch, seq=0, hash="", heir=head.epoch, shared=was.seq, shared_hash=was.hash)
        known.append(shared)
    return known[-limits.EPOCHS_KEPT_MAX :]


def _ack(message: Entries, held: Record, *, refill: bool = False, fork: bool = False) -> EntriesAck:
    return EntriesAck(
        incarnation="",
        session=message.session,
        stream=message.stream,
        epoch=held.epoch,
        seq=held.seq,
        hash=held.hash,
        refill=refill,
        fork=fork,
    )


def _check(stream: str, head: StreamHead) -> None:
    try:
        ids.epoch(head.epoch)
    except BadId as error:
        raise RemoteProtocolError(f"stream {stream[:40]!r}: {error}") from error
    whole = stream in STREAMS and 0 <= head.base <= head.seq <= limits.INTEGER_MAX
    was = head.was
    if was is not None:
        whole = whole and 0 <= was.seq <= limits.INTEGER_MAX and cursor.is_hash(was.hash)
    if not whole or not all(cursor.is_hash(one) for one in (head.hash, head.base_hash, head.before)):
        raise RemoteProtocolError(f"stream {stream[:40]!r}: its head in Hello makes no sense")
