"""D: old, forged, tampered, retained documents, by a broker that says what it likes: refused, reported (A10, C3)."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import aiomqtt
import pytest

from hub.demo import broker as brokers
from hub.demo import fleet as demo
from protocol import topics
from tests.support import deeds
from tests.support.fleet import Fleet
from tests.support.recorded import Record

pytestmark = pytest.mark.mosquitto


class Hostile:
    """A client behind a door without rules: it keeps what was said on each topic, and says anything."""

    def __init__(self, client: aiomqtt.Client) -> None:
        self._client = client
        self.said: dict[str, list[bytes]] = {}

    async def listen(self) -> None:
        """Until the broker ends."""
        async for message in self._client.messages:
            assert isinstance(message.payload, bytes)
            self.said.setdefault(message.topic.value, []).append(message.payload)

    async def say(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        await self._client.publish(topic, payload, qos=1, retain=retain)


@contextlib.asynccontextmanager
async def _hostile(it: Fleet, broker: demo.Daemon) -> AsyncGenerator[Hostile]:
    """Let the broker begin a life with a back door."""
    (door,) = demo.free_ports(1)
    conf = it.folder / "broker" / "mosquitto.conf"
    text = conf.read_text().replace("per_listener_settings false", "per_listener_settings true")
    text = text.replace("retain_available false", "retain_available true")
    conf.write_text(f"{text}\nlistener {door} 127.0.0.1\nallow_anonymous true\n")
    await broker.kill()
    await broker.start()
    await brokers.opened(broker, door)
    async with aiomqtt.Client("127.0.0.1", door, protocol=aiomqtt.ProtocolVersion.V5) as client:
        await client.subscribe("skerry/#")
        hostile = Hostile(client)
        listening = asyncio.ensure_future(hostile.listen())
        try:
            yield hostile
        finally:
            listening.cancel()
            with contextlib.suppress(asyncio.CancelledError, aiomqtt.MqttError):
                await listening


def _desired(node: str) -> str:
    return topics.down("cloud", node, "desired")


async def _asked(it: Fleet, hostile: Hostile, name: str) -> bytes:
    """Ask for a service; return the message in which oslo heard of it, once it runs there."""
    await deeds.declare(it, deeds.service(name, ["sleep", "600"]))
    await deeds.pid_of(it, "oslo", name)
    return hostile.said[_desired("oslo")][-1]


async def test_old_forged_tampered_retained_document(tmp_path: Path, record: Record) -> None:
    async with deeds.brokered(tmp_path / "f", "oslo", "bergen") as (it, broker), _hostile(it, broker) as hostile:
        for name in it.agents:
            await it.until(lambda name=name: it.online(name), f"{name} is back")
        old, new = await _asked(it, hostile, "one"), await _asked(it, hostile, "two")
        before = await _held(it)
        middle = len(new) // 2
        tampered = new[:middle] + bytes((new[middle] ^ 1,)) + new[middle + 1 :]
        forged = new.rpartition(b"\n")[0]  # without the proof
        for payload in (old, new, tampered, forged, hostile.said[_desired("bergen")][-1], b"\xff{}"):
            await hostile.say(_desired("oslo"), payload)
        await hostile.say(_desired("oslo"), old, retain=True)
        assert await _held(it) == before
        await it.agents["oslo"].daemon.kill()
        await it.agents["oslo"].daemon.start()  # and hears what was retained, before anything else
        await it.until(lambda: it.online("oslo"), "oslo is back")
        assert await _held(it) == before, "a document that was not asked for is in force"
        await _asked(it, hostile, "three")  # came after all that: the way is open
        after = await _held(it)
        assert {name: after["pids"][name] for name in before["pids"]} == before["pids"], "healthy work was restarted"
        assert "was refused" in it.agents["oslo"].daemon.log.read_text()
        assert (await it.node("oslo"))["alarms"] == []


async def _held(it: Fleet) -> dict[str, Any]:
    said = await deeds.at_device(it, "oslo")
    return {
        "held": {key: said["link"]["held"][key] for key in ("term", "generation", "digest")},
        "pids": {name: one["pid"] for name, one in said["services"].items()},
    }
