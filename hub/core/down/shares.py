"""How many copies each region is asked for: pure, and the same answer for the same facts in whatever order they come.

    all             every region: all that match there, no number
    N per region    each region N, and this hub's own nodes N
    total N         spread evenly over the places (regions, and this hub's own nodes as one more) that have room

Who has a share keeps it (INVARIANTS B: nothing healthy moves because a link came back): only what is over is taken
away, from the fullest, and only what is missing is given, to the emptiest. A place that is connected goes before one
that is away; equals are told apart by rendezvous hashing. What a place has no room for goes to the others.
"""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Iterable

import msgspec

from protocol import limits

OWN = ""
"""The name of this hub's own nodes among the places."""


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """A region, or this hub's own nodes. `room`: how many copies fit there, None when nobody knows; `has`: are there.

    `weight`: how much of an even spread is its part (the number of its sites, where sites count before regions).
    """

    name: str
    room: int | None = None
    has: int = 0
    online: bool = True
    weight: int = 1


def split(resource: str, total: int, places: Iterable[Place]) -> dict[str, int]:
    """Return the share of each place that has one; they sum up to `total`, or to less when there is no more room."""
    total = min(total, limits.NODES_MAX)
    able = sorted((place for place in places if place.room != 0), key=lambda place: _rank(resource, place.name))
    shares = [min(place.has, _room(place, total)) for place in able]
    over = sum(shares) - total
    fullest = [(-share / place.weight, -at) for at, (share, place) in enumerate(zip(shares, able, strict=True))]
    heapq.heapify(fullest)
    for _ in range(over):
        at = -heapq.heappop(fullest)[1]
        shares[at] -= 1
        heapq.heappush(fullest, (-shares[at] / able[at].weight, -at))
    emptiest = [
        _next(place, share, at)
        for at, (share, place) in enumerate(zip(shares, able, strict=True))
        if share < _room(place, total)
    ]
    heapq.heapify(emptiest)
    for _ in range(-over):
        if not emptiest:
            break
        at = heapq.heappop(emptiest)[2]
        shares[at] += 1
        if shares[at] < _room(able[at], total):
            heapq.heappush(emptiest, _next(able[at], shares[at], at))
    return {place.name: share for place, share in zip(able, shares, strict=True) if share}


def _next(place: Place, share: int, at: int) -> tuple[bool, float, int]:
    """Return how urgently `place`, the `at`-th by rank, gets one more; the smallest goes first."""
    return not place.online, (share + 1) / place.weight, at


def _room(place: Place, total: int) -> int:
    return total if place.room is None else min(place.room, total)


def _rank(resource: str, place: str) -> bytes:
    return hashlib.sha256(f"{resource}|{place}".encode()).digest()
