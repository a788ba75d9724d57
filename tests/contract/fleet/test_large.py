"""What is asked of a device may be far more than fits into one message: it crosses in parts, each of them once."""

from __future__ import annotations

import base64
import random
from pathlib import Path

from tests.support import deeds

_SERVICES, _FILE_BYTES = 60, 45_000  # 60 KB each as text, and 3.6 MB in all, of bytes that do not shrink
_AT_ONCE = 20  # of them in one `apply`


async def test_a_device_that_was_away_gets_more_than_may_wait_for_its_socket(tmp_path: Path) -> None:
    chance = random.Random(28)
    texts = [base64.b64encode(chance.randbytes(_FILE_BYTES)).decode() for _ in range(_SERVICES)]
    async with deeds.site(tmp_path / "f", "oslo") as it:
        await it.agents["oslo"].daemon.stop()
        services = [
            deeds.service(f"s{number}", ["sleep", "4711"], files=[{"path": "model.txt", "text": text}])
            for number, text in enumerate(texts)
        ]
        for start in range(0, _SERVICES, _AT_ONCE):
            await deeds.declare(it, *services[start : start + _AT_ONCE])
        await it.agents["oslo"].daemon.start()

        async def whole() -> bool:
            return len((await it.node("oslo"))["services"]) == _SERVICES

        await it.until(whole, "the device holds all its services")
        ended = await deeds.events(it, kind="node.away")
        assert [one for one in ended if "unread" in one["body"]["reason"]] == []
