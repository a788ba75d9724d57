"""An in-memory twin of the journal: applies Store operations, gives a Snapshot back. What it holds is "on the disk"."""

from __future__ import annotations

import copy
from collections import Counter
from dataclasses import dataclass, field

from protocol import effects, limits, messages
from protocol.link import cursor
from protocol.snapshot import Snapshot, StreamState


@dataclass
class OwnRows:
    """One own stream on the disk: rows by seq as (raw, hash)."""

    epoch: str
    rows: dict[int, tuple[bytes, bytes]] = field(default_factory=dict[int, tuple[bytes, bytes]])
    last: int = 0
    hash: bytes = b""
    acked: int = 0
    former: messages.FormerEpoch | None = None


@dataclass
class MemoryStore:
    """One node's store. `entries` are a hub's rows of its children, in the order of their arrival."""

    node: str
    streams: dict[str, OwnRows] = field(default_factory=dict[str, OwnRows])
    spaces: dict[str, dict[str, bytes]] = field(default_factory=dict[str, dict[str, bytes]])
    entries: list[tuple[str, str, str, int, bytes, bytes]] = field(
        default_factory=list[tuple[str, str, str, int, bytes, bytes]]
    )
    aside: list[effects.SetAside] = field(default_factory=list[effects.SetAside])

    def copy(self) -> MemoryStore:
        """Return an old copy, as a backup would be."""
        return copy.deepcopy(self)

    def commit(self, ops: list[effects.Store]) -> None:
        """Apply `ops`, all or nothing as far as a test can tell."""
        for op in ops:
            self._apply(op)
        if any(isinstance(op, effects.SetAside) for op in ops):
            self._bound_aside()

    def _bound_aside(self) -> None:
        """Whose rows set aside are most gives way first, its oldest."""
        places, of_node = list[tuple[int, int]](), Counter[str]()
        for at, one in enumerate(reversed(self.aside)):
            of_node[one.node] += 1
            places.append((of_node[one.node], at))
        kept = sorted(one for one in places if one[0] <= limits.ASIDE_KEPT_OF_NODE_ROWS)[: limits.ASIDE_KEPT_ROWS]
        self.aside = [self.aside[-1 - at] for at in sorted((at for _, at in kept), reverse=True)]

    def _apply(self, op: effects.Store) -> None:
        match op:
            case effects.Put():
                self.spaces.setdefault(op.space, {})[op.key] = op.value
            case effects.Delete():
                self.spaces.get(op.space, {}).pop(op.key, None)
            case effects.Received():
                its = [row for row in self.entries if (row[0], row[2]) == (op.node, op.stream)]
                known = [epoch for epoch in dict.fromkeys(row[1] for row in its) if epoch != op.epoch]
                looked_at = {op.epoch, *known[-limits.EPOCHS_KEPT_MAX :]}
                stands = {row[3:] for row in its if row[3] <= op.again and row[1] in looked_at}
                if op.over:  # a GAP row gives way to what it declared lost
                    gaps = {row for row in its if row[3] in {one[0] for one in op.rows} and _is_gap(row[4])}
                    self.entries = [row for row in self.entries if row not in gaps]
                for seq, raw, tip, *_ in op.rows:
                    if (seq, raw, tip) not in stands:
                        self.entries.append((op.node, op.epoch, op.stream, seq, raw, tip))
            case effects.SetAside():
                self.aside.append(op)
            case _:
                self._apply_own(op, self.streams[op.stream])

    def _apply_own(
        self, op: effects.Rows | effects.Acked | effects.Trim | effects.Gap | effects.NewEpoch, own: OwnRows
    ) -> None:
        if isinstance(op, effects.NewEpoch):
            own.rows = {seq: row for seq, row in own.rows.items() if seq > op.base}
            own.epoch, own.former, own.acked = op.epoch, op.former, op.base
            return
        assert op.epoch == own.epoch, "an operation of another epoch reached the store"
        match op:
            case effects.Rows():
                for seq, raw, tip in op.rows:
                    assert seq == own.last + 1, "a seq was skipped or used again (A6)"
                    own.rows[seq] = (raw, tip)
                    own.last, own.hash = seq, tip
            case effects.Acked():
                own.acked = op.seq
            case effects.Trim():
                own.rows = {seq: row for seq, row in own.rows.items() if seq > op.upto}
            case effects.Gap():
                own.rows = {seq: row for seq, row in own.rows.items() if not op.first <= seq <= op.last}
                own.rows[op.last] = (op.raw, op.hash)
                own.rows = dict(sorted(own.rows.items()))

    def snapshot(self) -> Snapshot:
        """Return what a core is built from."""
        streams = {
            name: StreamState(
                epoch=own.epoch,
                first=min(own.rows, default=own.last + 1),
                last=own.last,
                hash=own.hash,
                acked=own.acked,
                segments=_segments(own),
                former=own.former,
            )
            for name, own in self.streams.items()
        }
        spaces = {space: dict(values) for space, values in self.spaces.items()}
        return Snapshot(node=self.node, streams=streams, spaces=spaces)

    def turn(self, mint: list[str], reason: str) -> None:
        """Do what the journal does when it finds that its file is a copy: a new epoch for each stream."""
        for own in self.streams.values():
            own.former = messages.FormerEpoch(epoch=own.epoch, seq=own.last, hash=own.hash.hex(), reason=reason)
            own.epoch = mint.pop()

    def read(self, ask: effects.SendRows) -> messages.Entries | None:
        """Return the Entries for a SendRows, as the driver makes it; None when there is nothing to send."""
        own = self.streams[ask.stream]
        if own.epoch != ask.epoch:
            return None
        rows: list[bytes] = []
        size, tip = 0, b""
        for seq, (raw, one) in own.rows.items():
            if not ask.after < seq <= ask.upto:
                continue
            size += len(raw)
            if rows and (size > limits.ENTRIES_BYTES_MAX or len(rows) >= limits.ENTRIES_COUNT_MAX):
                break
            rows.append(raw)
            tip = one
        if not rows:
            return None
        return messages.Entries(
            session=ask.session,
            stream=ask.stream,
            epoch=ask.epoch,
            prev=ask.after,
            rows=[messages.msgspec.Raw(raw) for raw in rows],
            hash=tip.hex(),
        )


def _segments(own: OwnRows) -> list[tuple[int, int, int]]:
    groups: dict[int, tuple[int, int, int]] = {}
    for seq, (raw, _) in own.rows.items():
        group = (seq - 1) // limits.SEGMENT_ROWS
        first, _, size = groups.get(group, (seq, seq, 0))
        groups[group] = (first, seq, size + len(raw))
    return list(groups.values())


def _is_gap(raw: bytes) -> bool:
    return cursor.decode_gap(raw) is not None
