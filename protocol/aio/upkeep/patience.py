"""Starting on a disk that is full or fails: whoever needs its store waits, says so, and goes on when there is room."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

from protocol import limits
from protocol.errors import StoreStuck

T = TypeVar("T")


async def until_it_can(begin: Callable[[], Awaitable[T]], log: logging.Logger) -> T:
    """Return what `begin` does, tried again as long as the disk is what forbids it; each new reason is said once.

    Raises whatever else `begin` raises.
    """
    delay, said = limits.STORE_RETRY_S_MIN, ""
    while True:
        try:
            return await begin()
        except StoreStuck as error:
            if str(error) != said:
                said = str(error)
                log.error("%s; waiting for it, workloads run on", said)
        await asyncio.sleep(delay)
        delay = min(delay * 2, limits.STORE_RETRY_S_MAX)
