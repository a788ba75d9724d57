"""How often a child is heard: so many at once, then one in so many seconds, for each kind of costly message.

A device with a good certificate may still be broken, or hostile; what it says too often is not worth the parent's core.
Pure; one for each child, which outlives its sessions.
"""

from __future__ import annotations

import enum

from protocol import limits
from protocol.link.flow.bucket import Bucket


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
    """The buckets of one child."""

    __slots__ = ("_buckets",)

    def __init__(self) -> None:
        self._buckets = [Bucket(*_RATES[kind]) for kind in Kind]

    def take(self, kind: Kind, now: float) -> bool:
        """Count one of `kind`, if it may be heard now (mono seconds)."""
        return self._buckets[kind].take(now)

    def free_at(self, kind: Kind) -> float:
        """Return from when on one of `kind` may be heard."""
        return self._buckets[kind].free_at
