"""Thousands of children in one process: real cores of the link over mutual TLS and MQTT 5."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence

from tests.support.crowd_member import Member
from tests.support.enrolled import Papers

_LOOK_S = 0.01


class Crowd:
    """All of them."""

    def __init__(self, papers: Sequence[Papers], port: int, root: bytes) -> None:
        self.members = [Member(one, port, root) for one in papers]

    def start(self) -> None:
        """Begin all lives."""
        for member in self.members:
            member.start()

    async def all(self, asked: Callable[[Member], bool], what: str, wait_s: float) -> float:
        """Wait until the answer of every member is yes; return when. Raises AssertionError after `wait_s`."""
        left = list(self.members)
        try:
            async with asyncio.timeout(wait_s):
                while left := [one for one in left if not asked(one)]:
                    await asyncio.sleep(_LOOK_S)  # bounded poll
        except TimeoutError:
            raise AssertionError(f"{len(left)} of {len(self.members)} children are not {what}") from None
        return time.monotonic()

    def close(self) -> None:
        """End all."""
        for member in self.members:
            member.close()
