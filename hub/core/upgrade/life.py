"""What one life of this hub leaves to the next: whether it ended in order, and what was told of its own upgrades."""

from __future__ import annotations

import msgspec

from hub.core import inputs
from hub.core.rollup import Seen
from hub.core.streams import OwnStreams
from protocol.effects import Effects, Now, Put
from protocol.snapshot import Snapshot

SPACE, _LEFT, _TOLD = "life", "left", "told"


class LastLife:
    """Of the life before this one; `_left_ms` 0: it was cut off."""

    def __init__(self, snapshot: Snapshot) -> None:
        kept = snapshot.spaces.get(SPACE, {})
        self._left_ms = msgspec.json.decode(kept.get(_LEFT, b"0"), type=int)
        self._told = msgspec.json.decode(kept.get(_TOLD, b"0"), type=int)

    def begin(self, fx: Effects) -> None:
        """This life begins; it may be cut off, too."""
        if self._left_ms:
            self._left_ms = self._keep(_LEFT, 0, fx)

    def end(self, now: Now, fx: Effects) -> None:
        """This life ends in order: who goes away from now on was online to its end."""
        self._left_ms = self._keep(_LEFT, int(now.wall * 1000), fx)

    def was_online(self, seen: Seen) -> bool:
        """Tell, before this life began, whether a node was online when the last one ended."""
        return seen.live or 0 < self._left_ms <= seen.since_ms

    def tell(self, told: inputs.Upgraded, node: str, streams: OwnStreams, now: Now, fx: Effects) -> None:
        """Record, once, what became of another version of this hub."""
        if told.number != self._told:
            self._told = self._keep(_TOLD, told.number, fx)
            body = {"number": told.number, "version": told.version, "reason": told.reason}
            streams.audit(f"upgrade.{told.outcome}", node, body, now, fx)

    def _keep(self, key: str, value: int, fx: Effects) -> int:
        fx.store.append(Put(SPACE, key, msgspec.json.encode(value)))
        return value
