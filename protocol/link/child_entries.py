"""The child's end, entries: what was sent and what the parent has, for each stream.

Rows go in ranges (SendRows), several Entries in flight, up to the parent's credit and at the link's own pace
(protocol.link.flow.pace); classes in the order of table.ORDER.
An ack is cumulative and moves the cursor; a refill says "resume from". No ack within limits.ACK_WAIT_S: everything from
the cursor on is sent again, and the wait doubles, so that a slow parent gets no row twice for long;
limits.ACK_MISSES_MAX times in a row: the link is opened anew.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from protocol import effects, limits
from protocol.effects import Effects, Now
from protocol.link import events, table
from protocol.link.flow.pace import Pace
from protocol.link.own_stream import OwnStream
from protocol.link.room import pool
from protocol.messages import Cursor, EntriesAck, StreamHead
from protocol.snapshot import Snapshot

_FORKED = "the parent has other bytes in row {}: this journal is a copy that went its own way"


@dataclass(slots=True)
class _Flow:
    """One stream's flow within a session. `sent` is the highest seq under way, `refilled` the last refill obeyed.

    `held` counts the newest rows that wait to share a commit and a message; a session begins with none.
    """

    stream: OwnStream
    held: int = 0
    sent: int = 0
    credit: int = 0
    waits_since: float = 0.0
    wait_s: float = limits.ACK_WAIT_S
    misses: int = 0
    refilled: int = -1


class Outbox:
    """All own streams of a child, and how far each is at the parent."""

    def __init__(
        self,
        node: str,
        parent: str,
        snapshot: Snapshot,
        trust: events.ChildTrust,
        mint: Callable[[], str],
        shares: dict[str, int],
    ) -> None:
        self._parent, self._mint = parent, mint
        self._flows = {
            name: _Flow(OwnStream(node, name, snapshot, trust, shares.get(name)))
            for name in table.ORDER
            if name in snapshot.streams
        }
        self.streams = {name: flow.stream for name, flow in self._flows.items()}
        for file in pool.FILES:
            together = [self.streams[name] for name in file if name in self.streams]
            shared = pool.Pool(together)
            for stream in together:
                stream.pool = shared
        self._pace = Pace()

    def begin(self, fx: Effects) -> None:
        """Store, once in each epoch, what a later one must know of this one."""
        for stream in self.streams.values():
            stream.save_once(fx)

    def heads(self) -> dict[str, StreamHead]:
        """Return all streams as they stand in a Hello."""
        return {name: stream.head() for name, stream in self.streams.items()}

    def resume(self, cursors: dict[str, Cursor], now: Now, fx: Effects) -> list[events.ChildEvent]:
        """Take the parent's cursors: delta, full, or distrust (then EpochBegun is among the events)."""
        told: list[events.ChildEvent] = []
        self._pace.begin()
        for flow in self._flows.values():
            given = cursors.get(flow.stream.name)
            if given is None:
                flow.sent, flow.credit = flow.stream.last, 0  # not served: nothing is sent
            else:
                told += self._resume(flow, given, now, fx)
        return told

    def _resume(self, flow: _Flow, given: Cursor, now: Now, fx: Effects) -> list[events.ChildEvent]:
        distrust = _distrust(flow.stream, given)
        if distrust:
            return [self._begin_epoch(flow, distrust, fx, given)]
        flow.sent, flow.credit = given.seq, given.credit
        flow.misses, flow.refilled, flow.held = 0, -1, 0
        return _stands(flow.stream, given.seq, now, fx)

    def _begin_epoch(self, flow: _Flow, reason: str, fx: Effects, given: Cursor) -> events.ChildEvent:
        stream = flow.stream
        forked_at = given.seq if given.epoch == stream.epoch and given.seq <= stream.last else None
        lost = stream.begin_epoch(self._mint(), reason, fx, forked_at=forked_at)
        self._pace.forget(stream.name)
        flow.sent, flow.credit = stream.last, 0
        return events.EpochBegun(stream=stream.name, epoch=stream.epoch, reason=reason, lost=lost)

    def append(
        self, name: str, items: Sequence[tuple[str, str, bytes]], now: Now, fx: Effects, *, hold: bool = False
    ) -> int:
        """Append to the stream `name`; return its last seq. What the quota forces out is counted in the `lost` of the
        stream that gives way, which may be another one."""
        flow = self._flows[name]
        before = [(one, one.stream.lost) for one in self._flows.values()]
        last = flow.stream.append(items, now, fx)
        flow.held = flow.held + len(items) if hold else 0
        for one, lost in before:
            if one.stream.lost != lost:
                one.sent = one.stream.acked  # what is under way may be covered by the GAP now: send from the cursor
                self._pace.forget(one.stream.name)
        return last

    def save(self, fx: Effects) -> None:
        """Store what is stored seldom: this life ends in order."""
        for stream in self.streams.values():
            stream.save_acked(fx)

    def release(self) -> None:
        """Hold nothing back any more."""
        for flow in self._flows.values():
            flow.held = 0

    def pump(self, session: int, now: Now, fx: Effects) -> None:
        """Send what credit and the pace allow, class by class."""
        for flow in self._flows.values():
            stream = flow.stream
            limit = min(stream.last - flow.held, stream.acked + flow.credit)
            while flow.sent < limit:
                room = self._pace.room()
                if not room:
                    return
                if flow.sent == stream.acked:
                    flow.waits_since = now.mono
                upto, size = stream.chunk(flow.sent, limit, room)
                fx.send.append(effects.SendRows(self._parent, session, stream.name, stream.epoch, flow.sent, upto))
                self._pace.sent(stream.name, upto, size, now.mono)
                flow.sent = upto

    def acked(self, ack: EntriesAck, now: Now, fx: Effects) -> list[events.ChildEvent]:
        """Take an ack: move the cursor, obey a refill once, or begin a new epoch on a fork."""
        flow = self._flows.get(ack.stream)
        if flow is None or ack.epoch != flow.stream.epoch:
            return []
        stream = flow.stream
        given = Cursor(epoch=ack.epoch, seq=ack.seq, hash=ack.hash)
        distrust = _FORKED.format(ack.seq + 1) if ack.fork else _distrust(stream, given)
        if distrust:
            return [self._begin_epoch(flow, distrust, fx, given)]
        told: list[events.ChildEvent] = []
        flow.credit = ack.credit
        if ack.seq > stream.acked:
            stream.note_acked(ack.seq, fx)
            stream.note_verified(ack.seq, bytes.fromhex(ack.hash))
            flow.sent = max(flow.sent, ack.seq)
            self._pace.acked(stream.name, ack.seq, now.mono)
            if not flow.misses and flow.wait_s >= 4 * (now.mono - flow.waits_since):
                flow.wait_s = max(limits.ACK_WAIT_S, flow.wait_s / 2)
            flow.misses, flow.waits_since, flow.refilled = 0, now.mono, -1
            told.append(events.Acked(stream=stream.name, seq=ack.seq))
        if ack.refill and ack.seq == stream.acked and flow.refilled != ack.seq:
            flow.sent, flow.refilled = ack.seq, ack.seq
            self._pace.forget(stream.name)
        return told

    def carried(self, cursors: dict[str, Cursor], now: Now, fx: Effects, *, is_newest: bool) -> list[events.ChildEvent]:
        """Take cursors of the parent that came without a session: as acks, however old. Lower ones count only if they
        are its newest word (`is_newest`): then it was restored. One that is beyond us shows that our store is old; of
        another epoch than ours only a session can say which is the true one."""
        told: list[events.ChildEvent] = []
        for flow in self._flows.values():
            given = cursors.get(flow.stream.name)
            if given is None or given.epoch != flow.stream.epoch or given.seq == flow.stream.acked:
                continue
            distrust = _distrust(flow.stream, given)
            if distrust:
                told.append(self._begin_epoch(flow, distrust, fx, given))
            elif given.seq > flow.stream.acked or is_newest:
                flow.sent = max(flow.sent, given.seq) if given.seq > flow.stream.acked else given.seq
                told += _stands(flow.stream, given.seq, now, fx)
        return told

    def plan(self) -> list[effects.SendRows]:
        """Return what a bundle takes: all that the parent is not known to have, in parts, class by class."""
        found: list[effects.SendRows] = []
        for flow in self._flows.values():
            stream = flow.stream
            after = min(stream.acked, stream.last)
            while after < stream.last and len(found) < limits.BUNDLE_PARTS_MAX:
                upto, _ = stream.chunk(after, stream.last, limits.BUNDLE_ROWS_BYTES)
                found.append(effects.SendRows(self._parent, 0, stream.name, stream.epoch, after, upto))
                after = upto
        return found

    def tick(self, now: Now) -> bool:
        """Rewind the streams whose acks are overdue. Return False when the parent answers no more."""
        for flow in self._flows.values():
            if flow.sent > flow.stream.acked and now.mono >= flow.waits_since + flow.wait_s:
                flow.misses += 1
                flow.wait_s = min(2 * flow.wait_s, limits.ACK_WAIT_S_MAX)
                self._pace.slower(now.mono)
                if flow.misses > limits.ACK_MISSES_MAX:
                    return False
                flow.sent, flow.refilled, flow.waits_since = flow.stream.acked, -1, now.mono
                self._pace.forget(flow.stream.name)
        return True

    def next_wake(self) -> float | None:
        """Return when the next ack is overdue (mono), while a session is live."""
        due = [one.waits_since + one.wait_s for one in self._flows.values() if one.sent > one.stream.acked]
        return min(due, default=None)


def _stands(stream: OwnStream, seq: int, now: Now, fx: Effects) -> list[events.ChildEvent]:
    """The parent says where it stands; below what it acked it was restored, and what is gone here is declared lost."""
    told: list[events.ChildEvent] = []
    if seq < stream.acked:
        told.append(events.ParentBehind(stream=stream.name, seq=seq, acked=stream.acked))
    if seq > stream.acked:
        told.append(events.Acked(stream=stream.name, seq=seq))
    if seq != stream.acked:
        stream.note_acked(seq, fx)
    lost = stream.refill_gap(seq, now, fx)
    if lost:
        told.append(events.GapDeclared(stream=stream.name, count=lost, reason="the parent was restored"))
    return told


def _distrust(stream: OwnStream, given: Cursor) -> str:
    """Say why the parent's cursor cannot be of our past, or ""."""
    if given.epoch != stream.epoch:
        return f"the parent has fenced the epoch {stream.epoch}"
    if given.seq > stream.last:
        return f"the parent has row {given.seq}, our newest is {stream.last}: this journal is an old copy"
    if given.seq == stream.last and stream.chained and given.hash and given.hash != stream.hash.hex():
        return _FORKED.format(given.seq)
    return ""
