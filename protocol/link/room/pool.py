"""Streams that share the room of one file: who gives way when it is full (INVARIANTS A16).

Each class has a share that no other takes from it: a class at or below its share loses nothing to the others, so that a
flood of audit entries erases no state. What a class does not use of its share, the others may. Of what is beyond its
share, rows that the parent has go before any that it has not: they stay only to refill a parent that was restored (A3).
Of each the oldest of the lowest class go first (decision 0046).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from protocol import limits
from protocol.effects import Effects, Now

FILES = (("relay_audit", "relay_state", "relay_metrics", "relay_logs"), ("audit", "state"), ("metrics", "logs"))
"""The streams that lie in one file, the highest class first; telemetry has a file of its own (DESIGN 5)."""


class Member(Protocol):
    """What a stream is to its pool."""

    name: str
    bytes: int
    share: int

    def drop(self, *, is_acked: bool) -> bool: ...
    def declare(self, now: Now, fx: Effects) -> None: ...


class Pool:
    """The streams of one file. Rows go a segment at a time, before the rows that need their room come."""

    def __init__(self, members: Sequence[Member]) -> None:
        """`members`: the highest class first."""
        self._members = list(reversed(members))
        self._room = sum(one.share for one in members)

    def make_room(self, grows: Member, size: int, now: Now, fx: Effects) -> None:
        """Let go of what must go so that `grows` can take `size` bytes more; what was unacked is declared."""
        over = sum(one.bytes for one in self._members) + size - self._room
        if over <= 0:
            return
        for is_acked in (True, False):
            for one in self._members:
                dropped = False
                needs = size if one is grows else 0
                while over > 0 and one.bytes + needs > one.share:
                    before = one.bytes
                    if not one.drop(is_acked=is_acked):
                        break
                    over -= before - one.bytes
                    dropped = True
                if dropped:
                    one.declare(now, fx)


def relays(total: int) -> dict[str, int]:
    """Return the share of each class in the `total` bytes of what a hub relays."""
    return {name: total * limits.QUOTA_BYTES[name] // limits.RELAY_BYTES for name in FILES[0]}


def split(total: int) -> dict[str, int]:
    """Return the share of each class in a device's `total` bytes on disk (limits.QUOTA_SHARES)."""
    whole = sum(limits.QUOTA_SHARES.values())
    return {name: total * part // whole for name, part in limits.QUOTA_SHARES.items()}
