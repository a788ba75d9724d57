"""The hub's own journal: a hub is a node too, and its operators' deeds are entries (who, what, when).

`audit` holds what was done to the fleet, `state` what happened to it. With no parent above, the rows stay here; the
oldest segments go when the two are over their quota, under a GAP that the hub signs (A16). The hash chain goes on, so
that the tail still proves itself (C16).
"""

from __future__ import annotations

from typing import Any

import msgspec

from protocol import limits
from protocol.effects import Effects, Now
from protocol.link.events import GapSigner
from protocol.link.own_stream import OwnStream
from protocol.link.room.pool import Pool
from protocol.snapshot import Snapshot

NAMES = ("audit", "state")


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

    def __init__(self, snapshot: Snapshot, signer: GapSigner) -> None:
        self._streams = {name: OwnStream(snapshot.node, name, snapshot, signer) for name in NAMES}
        shared = Pool(list(self._streams.values()))
        for stream in self._streams.values():
            stream.pool = shared
        self._allowances: dict[str, _Allowance] = {}

    def start(self, fx: Effects) -> None:
        """A life begins: store what a later epoch must know, and sign what a recovery found missing."""
        for stream in self._streams.values():
            stream.save_once(fx)

    def note(self, stream: str, kind: str, node: str, body: dict[str, Any], now: Now, fx: Effects) -> None:
        """Record what `node` brought about by itself, in bounds: a device that means harm erases no trail.

        What goes beyond is counted, and stands as `unsaid` in the next note of the node.
        """
        allowance = self._allowances.setdefault(node, _Allowance(now.mono))
        if allowance.take(now.mono):
            said = {**body, "unsaid": allowance.unsaid} if allowance.unsaid else body
            allowance.unsaid = 0
            self._streams[stream].append([(kind, node, msgspec.json.encode(said))], now, fx)

    def audit(self, kind: str, key: str, body: dict[str, Any], now: Now, fx: Effects) -> None:
        """Record what was done: `body` names who and what, never a secret (C11)."""
        self._streams["audit"].append([(kind, key, msgspec.json.encode(body))], now, fx)

    @property
    def lost(self) -> dict[str, int]:
        """Rows that were let go of or lost, by stream; only streams that lost any."""
        return {name: stream.lost for name, stream in self._streams.items() if stream.lost}

    def heads(self) -> dict[str, tuple[str, int]]:
        """Return (epoch, last seq) of each stream."""
        return {name: (stream.epoch, stream.last) for name, stream in self._streams.items()}
