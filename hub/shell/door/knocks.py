"""Who came with a certificate of this hub's own and is not known to it: a device enrolled after the backup, mostly.

Only what our own root has signed gets so far, so a name here is one that this hub, or its former self, once gave.
Bounded: limits.KNOCKS_MAX, the one that knocked longest ago goes first. In memory: who waits outside knocks again.
"""

from __future__ import annotations

import logging

import msgspec

from protocol import limits

_log = logging.getLogger(__name__)


class Knock(msgspec.Struct, frozen=True, kw_only=True):
    """One device that is turned away. `key`: the SHA-256 (hex) of its public key; times in ms of the hub's clock."""

    node: str
    key: str
    first_ms: int
    last_ms: int


class Knocks:
    """Who knocked within limits.KNOCK_KEPT_S, by name and key."""

    def __init__(self) -> None:
        self._all: dict[tuple[str, str], Knock] = {}

    def note(self, node: str, key: str, wall: float) -> None:
        """`node` came with `key` and is not known by it; the log says so once, not each time."""
        now_ms = int(wall * 1000)
        former = self._all.pop((node, key), None)
        if former is None:
            _log.warning("%s knocks with key %s, which is not known here: was this hub restored?", node, key)
            if len(self._all) >= limits.KNOCKS_MAX:
                del self._all[next(iter(self._all))]
        first_ms = now_ms if former is None else former.first_ms
        self._all[node, key] = Knock(node=node, key=key, first_ms=first_ms, last_ms=now_ms)

    def known(self, node: str, key: str) -> None:
        """`node` is let in with `key`: it does not wait any more."""
        self._all.pop((node, key), None)

    def recent(self, wall: float) -> list[Knock]:
        """Return who still knocks, the newest last."""
        since_ms = int((wall - limits.KNOCK_KEPT_S) * 1000)
        return [one for one in self._all.values() if one.last_ms >= since_ms]
