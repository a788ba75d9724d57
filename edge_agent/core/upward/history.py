"""The device's vitals as entries: one a minute in the end, but a commit and a message for several of them."""

from __future__ import annotations

from edge_agent.core import context
from edge_agent.core.context import Context
from protocol import limits, status
from protocol.effects import Effects, Now


class History:
    """Samples that wait. The first one of a life does not, and on a metered link there are none: each costs bytes on
    the card and on the wire. What a sudden end takes of those that wait the status has told."""

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        self._waiting = list[tuple[str, str, bytes]]()
        self._room = 1

    def sampled(self, vitals: status.Vitals, now: Now, fx: Effects) -> None:
        """Keep a sample; make entries when limits.VITALS_TOGETHER wait."""
        if self._ctx.child.metered_s:
            return
        self._waiting.append(("vitals", "", context.encoded(vitals)))
        if len(self._waiting) >= self._room:
            self.record(now, fx)

    def record(self, now: Now, fx: Effects) -> None:
        """Make entries of what waits."""
        if self._waiting:
            self._ctx.child.append("metrics", self._waiting, now, fx)
            self._waiting, self._room = [], limits.VITALS_TOGETHER
