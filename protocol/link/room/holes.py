"""Rows that a damaged store lost from the middle of a stream: a hole becomes a GAP row between rows that stay (A16).

The journal's recovery leaves word of them in space `hole` (it holds no key to sign with); the stream writes the GAPs,
and writes them again in each new epoch, since a GAP's signature is bound to its epoch. The hole at the floor is not
here, but in the stream's own record.
"""

from __future__ import annotations

import msgspec

from protocol import effects, limits
from protocol.effects import Effects
from protocol.snapshot import Snapshot

HOLES = "hole"


class Hole(msgspec.Struct, frozen=True, array_like=True):
    """Rows `first`..`last` are gone; `hash` (hex) is that of row `last`, "" in an unchained stream."""

    first: int
    last: int
    hash: str
    time_ms: int
    reason: str


_decode = msgspec.json.Decoder(Hole).decode


def key(stream: str, hole: Hole) -> str:
    """Return the key of `hole` in space `hole`; keys sort as the holes lie."""
    return f"{stream}/{hole.last:016d}"


class Holes:
    """The holes of one stream, lowest first."""

    def __init__(self, stream: str, floor: int, snapshot: Snapshot) -> None:
        self._stream = stream
        prefix = f"{stream}/"
        stored = sorted(one for one in snapshot.spaces.get(HOLES, {}).items() if one[0].startswith(prefix))
        self.all = [hole for hole in (_decode(value) for _, value in stored) if hole.last > floor]

    def stop(self, after: int, upto: int) -> int:
        """Return where an Entries after `after` can stop that was to stop at `upto`: not inside a hole, and not beyond
        more of them than one message may have (limits.ENTRIES_GAPS_MAX)."""
        ahead = [hole.last for hole in self.all if after < hole.last <= upto]
        if len(ahead) > limits.ENTRIES_GAPS_MAX:
            return ahead[limits.ENTRIES_GAPS_MAX - 1]
        for hole in self.all:
            if hole.first <= upto < hole.last:
                return hole.last if after >= hole.first - 1 else hole.first - 1
        return upto

    def forget(self, floor: int, fx: Effects) -> None:
        """Rows up to `floor` are gone: so are the holes there."""
        while self.all and self.all[0].last <= floor:
            fx.store.append(effects.Delete(HOLES, key(self._stream, self.all.pop(0))))
