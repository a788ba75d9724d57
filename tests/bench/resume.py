"""A device whose wire is cut and heals: when the hub knows again how it is."""

from __future__ import annotations

import asyncio
import json

from tests.support.fleet import READY_WAIT_S, Fleet


async def cut(it: Fleet, name: str) -> None:
    """Cut the wire of `name`, and wait until the hub has it away."""
    it.agents[name].wire.cut()

    async def is_away() -> bool:
        return not await it.online(name)

    await it.until(is_away, f"{name} is away")


async def heal(it: Fleet, name: str, written: int) -> tuple[float, float]:
    """Heal the wire. Return when (monotonic) the hub's word of the node was current, and when the wire took the child.

    Current: the node is online and its status tells of all the entries, `written`, that it made while it was away.
    """
    wire = it.agents[name].wire
    async with it.stream("GET", f"/v1/watch?topic=node/{name}") as words:
        wire.heal()
        async with asyncio.timeout(2 * READY_WAIT_S):  # the backoff of a long absence is up to a minute
            async for word in words:
                if word and json.loads(word) and await _is_current(it, name, written):
                    return asyncio.get_running_loop().time(), wire.joined_at
    raise AssertionError("the hub stopped to tell")


async def _is_current(it: Fleet, name: str, written: int) -> bool:
    node = await it.node(name)
    return node["state"] == "online" and node["cursors"]["state"]["last"] > written
