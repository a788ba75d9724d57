"""How often a child is heard: so many at once, then one in so many seconds, for each kind of costly message.

A device with a good certificate may still be broken, or hostile; what it says too often is not worth the parent's core.
Pure; one for each child, which outlives its sessions.
"""

from __future__ import annotations

import enum

from protocol import limits


class Kind(enum.IntEnum):
    """What is counted."""

    HELLO = 0
    STATUS = 1
    NEED = 2
    RENEW = 3


_RATES = {
    Kind.HELLO: (limits.HELLOS_BURST, limits.HELLOS_EVERY_S),
    Kind.STATUS: (limits.STATUSES_BURST, limits.STATUSES_EVERY_S),
    Kind.NEED: (limits.NEEDS_BURST, limits.NEEDS_EVERY_S),
    Kind.RENEW: (limits.RENEWS_BURST, limits.RENEWS_EVERY_S),
}


class Rates:
    """The buckets of one child, one number each: when it will be full again (mono seconds)."""

    __slots__ = ("_full_at",)

    def __init__(self) -> None:
        self._full_at = [float("-inf")] * len(Kind)

    def take(self, kind: Kind, now: float) -> bool:
        """Count one of `kind`, if it may be heard now."""
        if now < self.free_at(kind):
            return False
        self._full_at[kind] = max(self._full_at[kind], now) + _RATES[kind][1]
        return True

    def free_at(self, kind: Kind) -> float:
        """Return from when on one of `kind` may be heard."""
        burst, every_s = _RATES[kind]
        return self._full_at[kind] - (burst - 1) * every_s
