"""The hub's own journal: a hub is a node too, and its operators' deeds are entries (who, what, when).

`audit` holds what was done to the fleet, `state` what happened to it. With no parent above, the rows stay here and the
oldest segments go when a stream is over its quota; the hash chain goes on, so that the tail still proves itself (C16).
"""

from __future__ import annotations

from typing import Any

import msgspec

from protocol import effects, limits
from protocol.effects import Effects, Now
from protocol.link import cursor
from protocol.snapshot import Snapshot, StreamState

NAMES = ("audit", "state")


class _Stream:
    """One own stream: its head, and the sizes of its segments `[first, last, bytes]`."""

    def __init__(self, name: str, state: StreamState, node: str) -> None:
        self.name = name
        self.epoch = state.epoch
        self.seq = state.last
        self.hash = state.hash or cursor.genesis(node, state.epoch, name)
        self._segments = [list(segment) for segment in state.segments]

    def append(self, kind: str, key: str, body: bytes, now: Now, fx: Effects) -> None:
        rows = cursor.encode_rows(self.seq, self.hash, True, int(now.wall * 1000), [(kind, key, body)])
        self.seq, raw, self.hash = rows[-1]
        fx.store.append(effects.Rows(self.name, self.epoch, rows))
        self._count(len(raw))
        while len(self._segments) > 1 and sum(size for _, _, size in self._segments) > limits.QUOTA_BYTES[self.name]:
            fx.store.append(effects.Trim(self.name, self.epoch, self._segments.pop(0)[1]))

    def _count(self, size: int) -> None:
        tail = self._segments[-1] if self._segments else None
        if tail is None or tail[1] - tail[0] + 1 >= limits.SEGMENT_ROWS:
            self._segments.append([self.seq, self.seq, size])
        else:
            tail[1], tail[2] = self.seq, tail[2] + size


class _Allowance:
    """How many notes one node may still bring about, and how many it brought about beyond."""

    __slots__ = ("at", "left", "unsaid")

    def __init__(self, mono: float) -> None:
        self.left, self.at, self.unsaid = float(limits.NOTES_OF_NODE_BURST), mono, 0

    def take(self, mono: float) -> bool:
        grown = self.left + (mono - self.at) / limits.NOTES_OF_NODE_EVERY_S
        self.left, self.at = min(float(limits.NOTES_OF_NODE_BURST), grown), mono
        if self.left < 1:
            self.unsaid += 1
            return False
        self.left -= 1
        return True


class OwnStreams:
    """The streams `audit` and `state` of this hub; the journal opens both and names their epochs."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._streams = {name: _Stream(name, snapshot.streams[name], snapshot.node) for name in NAMES}
        self._allowances: dict[str, _Allowance] = {}

    def note(self, stream: str, kind: str, node: str, body: dict[str, Any], now: Now, fx: Effects) -> None:
        """Record what `node` brought about by itself, in bounds: a device that means harm erases no trail.

        What goes beyond is counted, and stands as `unsaid` in the next note of the node.
        """
        allowance = self._allowances.setdefault(node, _Allowance(now.mono))
        if allowance.take(now.mono):
            said = {**body, "unsaid": allowance.unsaid} if allowance.unsaid else body
            allowance.unsaid = 0
            self._streams[stream].append(kind, node, msgspec.json.encode(said), now, fx)

    def audit(self, kind: str, key: str, body: dict[str, Any], now: Now, fx: Effects) -> None:
        """Record what was done: `body` names who and what, never a secret (C11)."""
        self._streams["audit"].append(kind, key, msgspec.json.encode(body), now, fx)

    def heads(self) -> dict[str, tuple[str, int]]:
        """Return (epoch, last seq) of each stream."""
        return {name: (stream.epoch, stream.seq) for name, stream in self._streams.items()}
