"""What the streams lost, told to the people here and in the audit: at once, and then seldom (A16).

The GAPs themselves declare each row. A device that is away and full loses some every few seconds: an audit entry for
each would fill the very stream that is to outlast the others.
"""

from __future__ import annotations

import msgspec

from edge_agent.core.context import Context
from protocol import limits
from protocol.effects import Effects, Now
from protocol.snapshot import Snapshot

_KEY = "losses"


class Losses:
    """Compares what the link's end has lost with what was noted of it; kept in space `agent`."""

    def __init__(self, snapshot: Snapshot, ctx: Context) -> None:
        self._ctx = ctx
        stored = snapshot.spaces.get("agent", {}).get(_KEY)
        self._noted = ctx.child.lost if stored is None else msgspec.json.decode(stored, type=dict[str, int])
        self._due: dict[str, float] = {}

    def told(self, stream: str, fx: Effects) -> None:
        """Somebody else has put on record what `stream` lost by now."""
        self._noted[stream] = self._ctx.child.lost.get(stream, 0)
        self._ctx.put("agent", _KEY, self._noted, fx)

    def due(self, now: Now, fx: Effects) -> list[tuple[str, int]]:
        """Return (stream, rows) of what is to be put on record now; it counts as noted."""
        found: list[tuple[str, int]] = []
        for stream, count in self._ctx.child.lost.items():
            new = count - self._noted.get(stream, 0)
            if new and now.mono >= self._due.get(stream, now.mono):
                found.append((stream, new))
                self._noted[stream] = count
                self._due[stream] = now.mono + limits.LOSS_NOTED_EVERY_S
        if found:
            self._ctx.put("agent", _KEY, self._noted, fx)
        return found

    def next_wake(self) -> float | None:
        """Return when (mono) something is due."""
        lost = self._ctx.child.lost
        return min((at for stream, at in self._due.items() if lost[stream] != self._noted[stream]), default=None)
