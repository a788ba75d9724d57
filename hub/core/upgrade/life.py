"""When the last life of this hub ended in order, so that the next one knows who was online to its end."""

from __future__ import annotations

import msgspec

from hub.core.rollup import Seen
from protocol.effects import Effects, Now, Put
from protocol.snapshot import Snapshot

SPACE, _LEFT = "life", "left"


class LastLife:
    """Of the life before this one; 0: it was cut off."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._left_ms = msgspec.json.decode(snapshot.spaces.get(SPACE, {}).get(_LEFT, b"0"), type=int)

    def begin(self, fx: Effects) -> None:
        """This life begins; it may be cut off, too."""
        if self._left_ms:
            self._keep(0, fx)

    def end(self, now: Now, fx: Effects) -> None:
        """This life ends in order: who goes away from now on was online to its end."""
        self._keep(int(now.wall * 1000), fx)

    def was_online(self, seen: Seen) -> bool:
        """Tell, before this life began, whether a node was online when the last one ended."""
        return seen.live or 0 < self._left_ms <= seen.since_ms

    def _keep(self, left_ms: int, fx: Effects) -> None:
        self._left_ms = left_ms
        fx.store.append(Put(SPACE, _LEFT, msgspec.json.encode(left_ms)))
