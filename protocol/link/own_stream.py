"""One of our own streams, as its core knows it: cursors, hashes at a few places, and how many bytes it takes.

Bodies are never here. Rows lie in segments (at most limits.SEGMENT_ROWS rows, and a sixteenth of the quota); the hash
at the end of each is kept: rows go whole segments at a time, and a GAP needs the hash of the last row it covers.

    base       where the numbering begins: 0, or what a distrusted past was given up to
    floor      the highest seq whose row is gone (or is a GAP row, which stands at the floor)
    acked      the parent's cursor as last heard; may be below the floor when the parent was restored
    safe       the highest (seq, hash) that this journal shares with its own past: see `begin_epoch`
    last       the newest row

How an epoch ends and the next one begins: protocol/decisions/0001-epochs-go-on-in-their-file.md.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterator, Sequence

import msgspec

from protocol import effects, limits
from protocol.effects import Effects, Now
from protocol.link import cursor, events
from protocol.link.room.holes import Hole, Holes
from protocol.link.room.pages import HASH_BYTES, ROW_BYTES, Pages
from protocol.link.room.pool import Pool
from protocol.messages import CHAINED, RELAYS, FormerEpoch, GapBody, StreamHead
from protocol.snapshot import Snapshot, StreamState

SPACE = "stream"
SEGMENTS = "segment"

_GAP_BYTES = 512  # of a GAP row, about
_SEGMENTS_PER_QUOTA = 16
_PAGES_PART_FULL = 1.05  # of rows whose cost was not reckoned as they came
_MESSAGE_BYTES = limits.ENTRIES_BYTES_MAX * 6 // 10  # rows are of many sizes
_encode = msgspec.json.Encoder().encode


class Gap(msgspec.Struct, frozen=True, kw_only=True):
    """Rows `first`..`last` are gone, and the parent has not heard of all of it when this was declared; for people."""

    first: int
    last: int
    count: int
    reason: str
    declared_ms: int


class Segment(msgspec.Struct, array_like=True):
    """Rows `first`..`last`, their bytes, and the hash of `last` (hex; "" when the stream is not chained)."""

    first: int
    last: int
    bytes: int
    hash: str


class Record(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is stored of a stream beside its rows, in space `stream`. Hashes are hex.

    `base_hash` stands before row `base` + 1: the genesis of the first epoch of this numbering, if `base` is 0.
    """

    epoch: str
    base: int = 0
    base_hash: str = ""
    floor: int = 0
    floor_hash: str = ""
    gap_first: int = 0
    """The GAP row at `floor` covers from here; 0 when there is none."""
    gap_ms: int = 0
    gap_reason: str = ""
    lost: int = 0


_decode_record = msgspec.json.Decoder(Record).decode
_decode_segment = msgspec.json.Decoder(Segment).decode


class OwnStream:
    """A stream of this node: appends, trims, declares what is lost. All effects go to `fx`."""

    def __init__(
        self, node: str, name: str, snapshot: Snapshot, trust: events.GapSigner, share: int | None = None
    ) -> None:
        """`share`: bytes of the file that are this stream's (limits.QUOTA_BYTES); `pool` says who else is in there."""
        state = snapshot.streams[name]
        self.node, self.name, self.chained = node, name, name in CHAINED
        self._trust = trust
        self.epoch, self.last, self.acked, self.former = state.epoch, state.last, state.acked, state.former
        self._stored_acked = state.acked
        record = self._record(state, snapshot)
        self._saved = SPACE in snapshot.spaces and name in snapshot.spaces[SPACE] and record.epoch == state.epoch
        self.base, self.base_hash = record.base, bytes.fromhex(record.base_hash)
        self.floor, self.floor_hash = record.floor, bytes.fromhex(record.floor_hash)
        self.gap_first, self.lost = record.gap_first, record.lost
        self.gap_ms, self.gap_reason = record.gap_ms, record.gap_reason
        if self.floor < state.first - 1:  # the journal let go of rows by itself: their hash is not known
            self.floor, self.floor_hash, self.gap_first = state.first - 1, b"", 0
        self.hash = state.hash
        if self.chained and not self.hash:
            self.hash = self.base_hash
        self.safe: tuple[int, bytes] = (self.last, self.hash)
        self.share = limits.QUOTA_BYTES[name] if share is None else share
        self.pool = Pool([self])
        self._pages = Pages()
        self._body_bytes_max = limits.RELAY_BODY_BYTES_MAX if name in RELAYS else limits.ENTRY_BYTES_MAX
        self._around = ROW_BYTES + HASH_BYTES if self.chained else ROW_BYTES
        self._dropped: list[Segment] = []
        self._holes = Holes(name, self.floor, snapshot)
        self._segments: list[Segment] = []
        self._load_segments(state, snapshot.spaces.get(SEGMENTS, {}))

    def _record(self, state: StreamState, snapshot: Snapshot) -> Record:
        stored = snapshot.spaces.get(SPACE, {}).get(self.name)
        fresh = cursor.genesis(self.node, state.epoch, self.name).hex() if self.chained else ""
        if stored is None:
            return Record(epoch=state.epoch, base_hash=fresh, floor_hash=fresh)
        record = _decode_record(stored)
        if record.epoch == state.epoch or state.former is not None:
            return record
        return Record(epoch=state.epoch, base_hash=fresh, floor_hash=fresh, lost=record.lost)

    def save_once(self, fx: Effects) -> None:
        """Store the record when the store has none for this epoch: a later epoch must know where the chain began.

        A GAP that came over from the epoch before is signed anew: its signature is bound to the epoch.
        """
        if not self._saved:
            self._write_gaps(fx)
            self._save(fx)

    def _load_segments(self, state: StreamState, stored: dict[str, bytes]) -> None:
        prefix = f"{self.name}/"
        if self.chained:
            keys = sorted(key for key in stored if key.startswith(prefix))
            closed = [_decode_segment(stored[key]) for key in keys]
            self._segments = [one for one in closed if self.floor < one.last <= self.last]
        else:
            self._segments = [Segment(*one[:2], _share_above(one, 1), "") for one in state.segments]
        closed_bytes = sum(one.bytes for one in self._segments)
        self._open_first = self._segments[-1].last + 1 if self._segments else self.floor + 1
        self._open_bytes = sum(_share_above(one, self._open_first) for one in state.segments)
        self.bytes = closed_bytes + self._open_bytes

    # -------------------------------------------------------------------------------------------- growing

    def append(self, items: Sequence[tuple[str, str, bytes]], now: Now, fx: Effects) -> int:
        """Append `(kind, key, body)` items; return the last seq. A body over the bound is set aside (A21).

        Room is made first: within a commit too, the file never holds more than its quota.
        """
        if any(len(item[2]) > self._body_bytes_max for item in items):
            items = self._without_oversized(items, fx)
        rows = cursor.encode_rows(self.last, self.hash, self.chained, int(now.wall * 1000), items)
        around = self._around
        sizes = [len(raw) + around for _, raw, _ in rows]
        start = 0
        for end in self._pieces(sizes):
            self._grow(rows[start:end], sizes[start:end], now, fx)
            start = end
        return self.last

    def _pieces(self, sizes: list[int]) -> Iterator[int]:
        """Yield the ends of pieces, each at most a segment's worth, or one row."""
        most = max(1, self.share // _SEGMENTS_PER_QUOTA)
        if sum(sizes) > most:
            start = total = 0
            for index, size in enumerate(sizes):
                total += size
                if total > most and index > start:
                    yield index
                    start, total = index, size
        yield len(sizes)

    def _grow(self, rows: list[effects.StoredRow], sizes: list[int], now: Now, fx: Effects) -> None:
        size = self._pages.take(sizes)
        self.pool.make_room(self, size, now, fx)
        fx.store.append(effects.Rows(self.name, self.epoch, rows))
        self.last, _, self.hash = rows[-1]
        self.bytes += size
        self._open_bytes += size
        if self.last - self._open_first + 1 >= limits.SEGMENT_ROWS or (
            self._open_bytes * _SEGMENTS_PER_QUOTA >= self.share
        ):
            self._close_segment(fx)

    def _without_oversized(self, items: Sequence[tuple[str, str, bytes]], fx: Effects) -> list[tuple[str, str, bytes]]:
        kept: list[tuple[str, str, bytes]] = []
        for index, (kind, key, body) in enumerate(items):
            if len(body) > self._body_bytes_max:
                seq = self.last + 1 + index
                reason = f"a body of {len(body)} bytes is over {self._body_bytes_max}"
                fx.store.append(
                    effects.SetAside(self.node, self.epoch, self.name, seq, body[: limits.ENTRY_BYTES_MAX], reason)
                )
                body = _encode({"set_aside": reason})
            kept.append((kind, key, body))
        return kept

    def _close_segment(self, fx: Effects) -> None:
        segment = Segment(self._open_first, self.last, self._open_bytes, self.hash.hex())
        self._segments.append(segment)
        self._open_first, self._open_bytes = self.last + 1, 0
        if self.chained:
            fx.store.append(effects.Put(SEGMENTS, self._key(segment), _encode(segment)))

    # -------------------------------------------------------------------------------------------- shrinking

    def drop(self, *, is_acked: bool) -> bool:
        """Let go of the oldest segment, `is_acked`: if the parent has it; `declare` follows. False: there is none."""
        if not self._segments or (is_acked and self._segments[0].last > self.acked):
            return False
        self._dropped.append(self._segments.pop(0))
        self.bytes -= self._dropped[-1].bytes
        return True

    def declare(self, now: Now, fx: Effects) -> None:
        """Store what was dropped: acked rows go without a word, others under a GAP (A3, A16)."""
        if self.chained:
            fx.store += [effects.Delete(SEGMENTS, self._key(one)) for one in self._dropped]
        newest = self._dropped[-1]
        self._dropped.clear()
        self._raise_floor(newest.last, bytes.fromhex(newest.hash), now, fx)

    def _raise_floor(self, floor: int, floor_hash: bytes, now: Now, fx: Effects) -> None:
        self.floor_hash = floor_hash
        self.save_acked(fx)
        if floor <= self.acked:
            self.floor, self.gap_first = floor, 0
            fx.store.append(effects.Trim(self.name, self.epoch, floor))
        else:
            lost = floor - max(self.acked, self.floor)
            if not (self.gap_first and self.floor > self.acked):
                self.gap_first = self.acked + 1
                fx.store.append(effects.Trim(self.name, self.epoch, self.acked))
            self.floor = floor
            self._declare(lost, "the quota of the stream is full", now, fx)
        self._holes.forget(floor, fx)
        self._save(fx)

    def refill_gap(self, seq: int, now: Now, fx: Effects) -> int:
        """Declare what a restored parent, which stands at `seq`, lacks and we hold no more; return how many rows."""
        covered = self.gap_first if self.gap_first else self.floor + 1
        if seq + 1 >= covered:
            return 0
        lost = covered - seq - 1
        if self.chained and not self.floor_hash:  # no row can be chained on what is left: give up to the newest one
            lost += self.last - self.floor
            self.floor, self.floor_hash = self.last, self.hash
            self._holes.forget(self.floor, fx)
        self.gap_first = seq + 1
        self._declare(lost, "the parent had acked these rows before it was restored", now, fx)
        self._save(fx)
        return lost

    @property
    def gap(self) -> Gap | None:
        """The GAP at the floor; None when there is none."""
        if not self.gap_first:
            return None
        return Gap(
            first=self.gap_first,
            last=self.floor,
            count=self.floor - self.gap_first + 1,
            reason=self.gap_reason,
            declared_ms=self.gap_ms,
        )

    def _declare(self, lost: int, reason: str, now: Now, fx: Effects) -> None:
        self.lost += lost
        self.gap_ms, self.gap_reason = int(now.wall * 1000), reason
        self._write_gap(fx)

    def _write_gaps(self, fx: Effects) -> None:
        if self.gap_first:
            self._write_gap(fx)
        for hole in self._holes.all:
            self._write(hole, fx)

    def _write_gap(self, fx: Effects) -> None:
        self._write(Hole(self.gap_first, self.floor, self.floor_hash.hex(), self.gap_ms, self.gap_reason), fx)

    def _write(self, hole: Hole, fx: Effects) -> None:
        first, last = hole.first, hole.last
        body = GapBody(first=first, last=last, count=last - first + 1, reason=hole.reason, hash=hole.hash)
        signed = self._trust.sign_gap(self.node, self.epoch, self.name, body)
        raw = cursor.encode_gap(last, hole.time_ms, signed)
        fx.store.append(effects.Gap(self.name, self.epoch, first, last, raw, bytes.fromhex(hole.hash)))

    # -------------------------------------------------------------------------------------------- cursors

    def chunk(self, after: int, upto: int, room: int) -> tuple[int, int]:
        """Return up to which seq, at most `upto`, one Entries should go that begins after `after` (< last), so that it
        takes about `room` bytes and never too many; and its bytes, reckoned by the mean row's size."""
        if after < self.floor:
            return self.floor, _GAP_BYTES
        place = bisect.bisect_left(self._segments, after + 1, key=lambda one: one.last)
        if place < len(self._segments):
            one = self._segments[place]
            first, last, size = one.first, one.last, one.bytes
        else:
            first, last, size = self._open_first, self.last, self._open_bytes
        mean = max(1, size // max(1, last - first + 1) + 1 - self._around)
        rows = max(1, min(limits.ENTRIES_COUNT_MAX, min(room, _MESSAGE_BYTES) // mean))
        rows = min(last - after, upto - after, rows)
        return self._holes.stop(after, after + rows), rows * mean

    def note_acked(self, seq: int, fx: Effects) -> None:
        """The parent says that it stands at `seq` <= last. Stored seldom: what a crash forgets, Welcome tells."""
        self.acked = seq
        if not 0 <= seq - self._stored_acked < limits.ACKED_APART_ROWS:
            self.save_acked(fx)

    def save_acked(self, fx: Effects) -> None:
        """Store the parent's cursor, if it is another than what is stored. Always before rows go because of it (A3)."""
        if self.acked != self._stored_acked:
            self._stored_acked = self.acked
            fx.store.append(effects.Acked(self.name, self.epoch, self.acked))

    def note_verified(self, seq: int, tip: bytes) -> None:
        """The parent has checked the chain up to `seq`, and came to `tip`: its past is ours up to there."""
        if seq > self.safe[0]:
            self.safe = (seq, tip)

    def head(self) -> StreamHead:
        """Return how this stream stands in a Hello."""
        return StreamHead(
            epoch=self.epoch,
            seq=self.last,
            hash=self.hash.hex(),
            first=self.gap_first or self.floor + 1,
            before="" if self.gap_first or self.floor == self.base else self.floor_hash.hex(),
            was=self.former,
            base=self.base,
            base_hash=self.base_hash.hex(),
        )

    def begin_epoch(self, epoch: str, reason: str, fx: Effects, *, forked_at: int | None = None) -> int:
        """Go on in a new epoch: the parent's past under the old one is not ours (A6, A9, A17).

        Rows keep seq, bytes and hash; up to `safe`, where this life of the process began or what a parent has verified
        since, both epochs have the same rows, so that nothing is taken twice. When the parent's cursor `forked_at` is
        below that and its chain is not ours all the same, no shared past can be named: everything up to `safe` is given
        up and declared. Return how many rows these are.
        """
        seq, tip = self.safe
        lost = 0
        if forked_at is not None and forked_at <= seq:
            lost = seq - min(forked_at, self.acked)
            self.base, self.base_hash = seq, tip
            self._forget_up_to(seq, tip, fx)
        self.lost += lost
        former = FormerEpoch(epoch=self.epoch, seq=seq, hash=tip.hex(), reason=reason, lost=lost)
        self.epoch, self.former = epoch, former
        below = self.floor - 1 if self.gap_first else self.floor
        fx.store.append(effects.NewEpoch(self.name, epoch, former, below))
        self.acked = max(min(self.acked, seq), self.gap_first - 1 if self.gap_first else self.floor)
        self._stored_acked = below
        self._write_gaps(fx)
        self.save_acked(fx)
        self._save(fx)
        return lost

    def _forget_up_to(self, seq: int, tip: bytes, fx: Effects) -> None:
        while self._segments and self._segments[0].last <= seq:
            gone = self._segments.pop(0)
            self.bytes -= gone.bytes
            if self.chained:
                fx.store.append(effects.Delete(SEGMENTS, self._key(gone)))
        if self.floor <= seq:
            self.floor, self.floor_hash, self.gap_first = seq, tip, 0
        self._holes.forget(seq, fx)

    def _save(self, fx: Effects) -> None:
        record = Record(
            epoch=self.epoch,
            base=self.base,
            base_hash=self.base_hash.hex(),
            floor=self.floor,
            floor_hash=self.floor_hash.hex(),
            gap_first=self.gap_first,
            gap_ms=self.gap_ms,
            gap_reason=self.gap_reason,
            lost=self.lost,
        )
        fx.store.append(effects.Put(SPACE, self.name, _encode(record)))

    def _key(self, segment: Segment) -> str:
        return segment_key(self.name, segment)


def segment_key(stream: str, segment: Segment) -> str:
    """Return the key of `segment` in space `segment`; keys sort as the segments lie."""
    return f"{stream}/{segment.last:016d}"


def _share_above(stored: tuple[int, int, int], begin: int) -> int:
    """Return what the rows from `begin` on of a stored segment take, about."""
    first, last, size = stored
    if begin > last:
        return 0
    rows = last - max(first, begin) + 1
    return int(((size * rows // (last - first + 1)) + rows * ROW_BYTES) * _PAGES_PART_FULL)
