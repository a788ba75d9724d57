"""Who holds most of what a hub keeps of all below it: counted tier by tier, so that nobody hides behind many names."""

from __future__ import annotations

Holder = tuple[int, int, str]
"""What a node holds, how many rows that is, and its address."""


def most(holders: list[Holder], room: int) -> tuple[Holder, int]:
    """Return who gives way, and how much it may keep of `room`: tiers share it, and so do those below each of them."""
    tier = 0
    while len(holders) > 1:
        below: dict[str, list[Holder]] = {}
        for one in holders:
            below.setdefault("/".join(one[2].split("/")[: tier + 1]), []).append(one)
        holders = max(below.values(), key=lambda some: sum(one[0] for one in some))
        room, tier = room // len(below), tier + 1
    return holders[0], room
