"""Hubs that announce themselves, and devices that find them: real mDNS on loopback, real hubs, real agents.

What is announced is a hint: an impostor may say what he likes, and gets nothing for it.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest

from edge_agent.shell import identity
from edge_agent.shell.finding import choose, seeker, seeking
from hub.demo import fleet as demo
from protocol.aio.finding import mdns
from protocol.aio.finding.words import Announced
from protocol.errors import Refused, TrustError
from protocol.trust import signing
from tests.support import deeds
from tests.support.fleet import Fleet, fleet

_HASTY = "from protocol import limits; limits.DISCOVER_AFTER_S = limits.DISCOVER_S_MIN = limits.BACKOFF_S_MAX = 0.5;"
_AGENT = f"{_HASTY} from edge_agent.cli import main; main.main()"


class Announcing(Fleet):
    """A fleet whose hub announces itself, though it listens on loopback."""

    def serves(self) -> None:
        """Make the hub's next life one that announces itself."""
        serve = [str(demo.BIN / "skerry"), "hub", "serve", "--data", str(self.folder / "hub"), "--announce"]
        self.hub = demo.Daemon("the hub", serve, self.folder / "hub.log", self.env)

    async def token(self) -> str:
        """Make a token."""
        return (await self.ask("POST", "/v1/tokens", {"ttl_s": 3_600, "uses": 9}))["token"]

    async def move(self) -> None:
        """Serve the hub, which does not run, on other ports."""
        former, (self.mqtt_port, self.api_port) = self.api_port, demo.free_ports(2)
        ports = ("--mqtt", f"127.0.0.1:{self.mqtt_port}", "--api", f"127.0.0.1:{self.api_port}")
        serve = [str(demo.BIN / "skerry"), "hub", "serve", "--data", str(self.folder / "hub"), "--announce", *ports]
        self.hub = demo.Daemon("the hub", serve, self.folder / "hub.log", self.env)
        context = self.folder / "context.json"
        context.write_text(context.read_text().replace(f":{former}", f":{self.api_port}"))
        await self.api.aclose()
        await self.begin_made()

    def said(self, **more: object) -> Announced:
        """Return what the hub would say of itself, or a lie."""
        root = signing.spki_hash((self.folder / "hub" / "root.pem").read_bytes())
        said = Announced(hub="cloud", name="cloud.skerry", root=root, api=self.api_port, mqtt=str(self.mqtt_port))
        return msgspec.structs.replace(said, hosts=["127.0.0.1"], **more)


@asynccontextmanager
async def announcing(folder: Path) -> AsyncGenerator[Announcing]:
    """A hub that serves and announces itself."""
    folder.mkdir()
    made = Announcing(folder)
    made.serves()
    try:
        await made.begin()
        yield made
    finally:
        await made.close()


@asynccontextmanager
async def liar(said: Announced) -> AsyncGenerator[None]:
    """Somebody on this network who announces `said`."""
    announcer = mdns.Announcer(said, ["127.0.0.1"])
    await announcer.open()
    try:
        yield
    finally:
        await announcer.close()


async def enroll(it: Fleet, name: str, *words: str, check: bool = True) -> tuple[int, str]:
    place = ("--name", name, "--data", str(it.folder / name))
    return await it.command("enroll", *place, *words, program="skerry-agent", check=check)


async def start(it: Fleet, name: str) -> identity.AgentFile:
    """Run an agent that is quick to look for its hub."""
    data = it.folder / name
    run = [sys.executable, "-c", _AGENT, "run", "--data", str(data)]
    daemon = demo.Daemon(name, run, it.folder / f"{name}.log", it.env)
    it.agents[name] = demo.Agent(name=name, data=data, daemon=daemon, wire=demo.Wire("127.0.0.1", it.mqtt_port))
    await daemon.start()
    await it.until(lambda: it.online(name), f"{name} is online")
    return identity.load(data)


async def test_a_hub_that_announces_itself_is_found_by_the_token_s_pin(tmp_path: Path) -> None:
    async with announcing(tmp_path / "ours") as it, fleet(tmp_path / "other") as other:
        elsewhere = Announced(hub="cloud", name="cloud.skerry", root="ab" * 32, api=other.api_port, mqtt="1")
        async with liar(elsewhere):
            _, text = await enroll(it, "gw-1", "--discover", "--token", await it.token())

    assert "its fingerprint matches the token" in text
    file = identity.load(it.folder / "gw-1")
    assert (file.hub, file.api.port, file.mqtt.port) == ("cloud", it.api_port, it.mqtt_port)


async def test_who_takes_the_hub_s_name_and_fingerprint_does_not_get_the_token(tmp_path: Path) -> None:
    async with announcing(tmp_path / "ours") as it, fleet(tmp_path / "other") as other:
        token = await it.token()
        async with liar(it.said(api=other.api_port, mqtt=str(other.mqtt_port))):
            await enroll(it, "gw-1", "--discover", "--token", token)
            await it.hub.stop()
            code, text = await enroll(it, "gw-2", "--discover", "--token", token, check=False)

    assert identity.load(it.folder / "gw-1").api.port == it.api_port
    assert code == 1
    assert "none proves it: cloud at https://127.0.0.1" in text
    assert "its CA is another than the one it names" in text
    assert not (it.folder / "gw-2").exists()


async def test_the_token_chooses_among_hubs_and_when_none_fits_it_is_said_what_was_found(tmp_path: Path) -> None:
    async with fleet(tmp_path / "ours") as it:
        made = Announcing(it.folder)
        made.mqtt_port, made.api_port = it.mqtt_port, it.api_port
        token = (await it.ask("POST", "/v1/tokens", {}))["token"]
        ours, stranger = made.said(), made.said(hub="far", root="ab" * 32)
        sibling = made.said(hub="oslo", name="oslo.cloud.skerry")

        def ask(*heard: Announced) -> str:
            return choose.url(token, lambda wait_s: heard)

        def asking(*heard: Announced) -> str:
            with pytest.raises(Refused) as told:
                ask(*heard)
            return str(told.value)

        here = f"https://127.0.0.1:{it.api_port}"
        assert await asyncio.to_thread(ask, sibling, stranger, ours) == here
        assert "no hub answers on this network" in asking()
        assert f"found far at {here} (root abababab) on this network, and none is cloud.skerry" in asking(stranger)
        assert "and none is cloud.skerry, which made this token" in asking(sibling)
        with pytest.raises(TrustError, match="not an enrollment token"):
            choose.url("", listen=lambda wait_s: [ours])


async def test_a_hub_that_moved_to_other_ports_is_found_again_and_nothing_restarts(tmp_path: Path) -> None:
    async with announcing(tmp_path / "f") as it:
        await enroll(it, "oslo", "--hub", f"https://127.0.0.1:{it.api_port}", "--token", await it.token())
        before = await start(it, "oslo")
        await it.ask("POST", "/v1/nodes/oslo/labels", {"set": {"site": "oslo"}, "remove": []})
        await deeds.declare(it, deeds.service("beat", ["sleep", "1000"]))
        pid = await deeds.pid_of(it, "oslo", "beat")
        await it.hub.stop()

        lie = it.said(mqtt="9")
        await it.move()
        async with liar(lie):  # it is tried, and refused
            await it.until(lambda: it.online("oslo"), "the agent has found its hub")

        after = identity.load(it.folder / "oslo")
        assert (after.mqtt.port, after.api.port) == (it.mqtt_port, it.api_port)
        assert msgspec.structs.replace(after, mqtt=before.mqtt, api=before.api, names=before.names) == before
        assert await deeds.pid_of(it, "oslo", "beat") == pid
        _, text = await it.command("events", "--node", "oslo", "-o", "json")
        found = [row for row in map(json.loads, text.splitlines()) if row["kind"] == "hub.found"]
        assert [row["body"]["place"] for row in found] == [f"127.0.0.1:{it.mqtt_port}"]


async def test_an_impostor_with_another_ca_gets_no_device(tmp_path: Path) -> None:
    async with announcing(tmp_path / "f") as it, fleet(tmp_path / "other") as other:
        await enroll(it, "oslo", "--hub", f"https://127.0.0.1:{it.api_port}", "--token", await it.token())
        before = await start(it, "oslo")
        lie = it.said(api=other.api_port, mqtt=str(other.mqtt_port))
        async with liar(lie):
            await it.hub.stop()
            heard = await asyncio.to_thread(seeker.perform, seeking.Job(data=str(it.folder / "oslo")), mdns.listen)
            assert heard.mqtt is None
            assert f"cloud is not at 127.0.0.1:{other.mqtt_port}: its certificate does not hold" in heard.reason
            await other.until(lambda: _has_looked(it, "oslo"), "the agent itself has looked, and refused")

        assert identity.load(it.folder / "oslo") == msgspec.structs.replace(before, names=before.names)


async def _has_looked(it: Fleet, name: str) -> bool:
    said = await asyncio.to_thread(deeds.local, it, name)
    return bool(said) and "its certificate does not hold" in said["link"]["reason"]
