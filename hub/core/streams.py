"""The hub's own journal: a hub is a node too, and its operators' deeds are entries (who, what, when).

`audit` holds what was done to the fleet, `state` what happened to it; with a parent above there are `relay_CLASS`
too, what the children told (DESIGN 4). At a root the rows stay here; the oldest segments go when the two are over their
quota, under a GAP that the hub signs (A16). The hash chain goes on, so that the tail still proves itself (C16). With a
parent the link's own end of the streams holds them (hub.core.up.uplink).
"""

from __future__ import annotations

from typing import Any

import msgspec

from protocol import limits
from protocol.effects import Effects, Now
from protocol.link.child import Child
from protocol.link.events import GapSigner
from protocol.link.flow.bucket import Bucket
from protocol.link.own_stream import OwnStream
from protocol.link.room.pool import Pool
from protocol.messages import RELAYS
from protocol.snapshot import Snapshot

NAMES = ("audit", "state")


class OwnStreams:
    """The streams `audit` and `state` of this hub; the journal opens both and names their epochs."""

    def __init__(self, snapshot: Snapshot, signer: GapSigner, child: Child | None) -> None:
        self._child = child
        names = NAMES if child is None else ()
        self._streams = {name: OwnStream(snapshot.node, name, snapshot, signer) for name in names}
        shared = Pool(list(self._streams.values()))
        for stream in self._streams.values():
            stream.pool = shared
        self._notes: dict[str, Bucket] = {}
        self._unsaid: dict[str, int] = {}

    def start(self, fx: Effects) -> None:
        """A life begins: store what a later epoch must know, and sign what a recovery found missing."""
        for stream in self._streams.values():
            stream.save_once(fx)

    def note(self, stream: str, kind: str, node: str, body: dict[str, Any], now: Now, fx: Effects) -> None:
        """Record what `node` brought about by itself, in bounds: a device that means harm erases no trail.

        What goes beyond is counted, and stands as `unsaid` in the next note of the node.
        """
        notes = self._notes.setdefault(node, Bucket(limits.NOTES_OF_NODE_BURST, limits.NOTES_OF_NODE_EVERY_S))
        if not notes.take(now.mono):
            self._unsaid[node] = self._unsaid.get(node, 0) + 1
            return
        unsaid = self._unsaid.pop(node, 0)
        said = {**body, "unsaid": unsaid} if unsaid else body
        self._append(stream, (kind, node, msgspec.json.encode(said)), now, fx)

    def audit(self, kind: str, key: str, body: dict[str, Any], now: Now, fx: Effects) -> None:
        """Record what was done: `body` names who and what, never a secret (C11)."""
        self._append("audit", (kind, key, msgspec.json.encode(body)), now, fx)

    def state(self, kind: str, key: str, body: dict[str, Any], now: Now, fx: Effects) -> None:
        """Record what happened, as this hub itself knows it."""
        self._append("state", (kind, key, msgspec.json.encode(body)), now, fx)

    def _append(self, stream: str, item: tuple[str, str, bytes], now: Now, fx: Effects) -> None:
        if self._child is not None:
            self._child.append(stream, [item], now, fx)
        else:
            self._streams[stream].append([item], now, fx)

    @property
    def lost(self) -> dict[str, int]:
        """Rows that were let go of or lost, by stream; only streams that lost any."""
        if self._child is not None:
            return self._child.lost
        return {name: stream.lost for name, stream in self._streams.items() if stream.lost}

    def heads(self) -> dict[str, tuple[str, int]]:
        """Return (epoch, last seq) of each stream."""
        if self._child is not None:
            return {name: (epoch, last) for name, (epoch, last, *_) in self._child.heads().items()}
        return {name: (stream.epoch, stream.last) for name, stream in self._streams.items()}


def names(*, has_parent: bool) -> tuple[str, ...]:
    """Return the streams that the journal of a hub opens."""
    return (*NAMES, *RELAYS) if has_parent else NAMES
