"""A real device with a metered link: connections come and go, the hub restarts, and it is never said to be away."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edge_agent.shell.people import rights
from tests.support import deeds
from tests.support.fleet import Fleet


async def _presence(it: Fleet, name: str) -> list[str]:
    told = ("node.live", "node.away")
    return [one["kind"] for one in await deeds.events(it) if one["kind"] in told and one["key"] == name]


async def _since(it: Fleet, name: str) -> int:
    """Since when it is connected, as it says itself."""
    return int((await deeds.at_device(it, name))["link"]["since_ms"])


async def _reconnected(it: Fleet, name: str, before: int) -> None:
    async def is_back() -> bool:
        link: Any = (await deeds.at_device(it, name))["link"]
        return link["state"] == "live" and link["since_ms"] > before

    await it.until(is_back, f"{name} is connected anew")


async def test_a_metered_device_is_there_between_its_contacts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    toml = tmp_path / "agent.toml"
    toml.write_text('[link]\nprofile = "metered"\ncontact_s = 300\n')
    async with deeds.site(tmp_path / "fleet", "plain", wire=True) as it:
        it.env[rights.VARIABLE] = str(toml)
        await it.join(["metered"], labels={"site": "oslo"})
        both = ("plain", "metered")
        assert [(await it.node(name))["contact_s"] for name in both] == [60.0, 300.0]

        before = {name: await _since(it, name) for name in both}
        for name in both:
            it.agents[name].wire.cut()
            it.agents[name].wire.heal()
        for name in both:
            await _reconnected(it, name, before[name])
        assert await _presence(it, "plain") == ["node.live", "node.away", "node.live"]
        assert await _presence(it, "metered") == ["node.live"]

        before = {name: await _since(it, name) for name in both}
        await it.hub.kill()
        await it.hub.start()
        await it.until(it.answers, "the hub answers again")
        assert (await it.node("metered"))["state"] == "online"
        for name in both:
            await _reconnected(it, name, before[name])
        assert await _presence(it, "metered") == ["node.live"]

        asked = {"nodes": ["metered"], "command": ["expr", "6", "*", "7"], "wait": True}
        async with it.stream("POST", "/v1/tasks", asked) as lines:
            told = [line async for line in lines if '"42\\n"' in line]
        assert told, "who asks is answered, though its contact is minutes away"

        await it.agents["metered"].daemon.stop()
        await it.until(lambda: _is_away(it), "who says goodbye is away")


async def _is_away(it: Fleet) -> bool:
    return (await it.node("metered"))["state"] == "away"
