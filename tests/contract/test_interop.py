"""Ordinary MQTT 5 clients with a device's certificate can speak to the front door, and only as that device."""

from __future__ import annotations

import asyncio
import shutil
import ssl
from dataclasses import dataclass

import aiomqtt
import msgspec
import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from hub.core import inputs
from protocol import codec, limits, messages, topics
from tests.contract.world import HUB, World, hello
from tests.support.door import WAIT_S

UP_HELLO = topics.up(HUB, "a1", "hello")
DOWN_ALL = topics.child_filter(HUB, "a1")


@dataclass
class Outcome:
    """How a command ended."""

    code: int
    out: str
    err: str


async def run(command: str, world: World, *options: str, certificate: bool = True) -> Outcome:
    """Run mosquitto_pub or mosquitto_sub as the device a1."""
    path = shutil.which(command)
    assert path is not None
    device = world.pki.device("a1")
    options = ("-V", "mqttv5", "-h", "127.0.0.1", "-p", str(world.port), "--cafile", str(world.pki.root_path), *options)
    if certificate:
        options += ("--cert", str(device.chain_path), "--key", str(device.key_path))
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(path, *options, stdout=pipe, stderr=pipe)
    async with asyncio.timeout(WAIT_S):
        out, err = await process.communicate()
    assert process.returncode is not None
    return Outcome(process.returncode, out.decode(), err.decode())


def text_of(message: messages.AnyMessage) -> str:
    return codec.encode(message).decode()


@pytest.mark.mosquitto
@pytest.mark.parametrize("qos", ["0", "1"])
async def test_mosquitto_pub_says_hello(door: World, qos: str) -> None:
    done = await run("mosquitto_pub", door, "-i", "a1", "-q", qos, "-t", UP_HELLO, "-m", text_of(hello("a1", 1)))
    assert done.code == 0, done.err
    got = await door.inbox.wait(inputs.Got)
    assert (got.node, got.message) == ("a1", hello("a1", 1))
    await door.inbox.wait(inputs.Closed)
    assert [type(item).__name__ for item in door.inbox.all] == ["Opened", "Got", "Closed"]


@pytest.mark.mosquitto
@pytest.mark.parametrize("topic", [DOWN_ALL, topics.down(HUB, "a1", "ctl")])
async def test_mosquitto_sub_hears_what_the_hub_says(door: World, topic: str) -> None:
    listening = asyncio.ensure_future(run("mosquitto_sub", door, "-i", "a1", "-q", "1", "-C", "1", "-t", topic))
    await door.inbox.wait(inputs.Opened)
    door.door.send("a1", messages.Look(incarnation="i1"))
    done = await listening
    assert (done.code, done.out.strip()) == (0, text_of(messages.Look(incarnation="i1")))


@pytest.mark.mosquitto
@pytest.mark.parametrize("topic", ["#", "skerry/#", "skerry/1/hub/+/down/+", "skerry/1/hub/a2/down/+", "$SYS/#"])
async def test_mosquitto_sub_is_refused_what_is_not_its_own(door: World, topic: str) -> None:
    done = await run("mosquitto_sub", door, "-i", "a1", "-t", topic)
    assert "All subscription requests were denied" in done.err
    assert done.out == ""


@pytest.mark.mosquitto
async def test_mosquitto_pub_is_refused_another_ones_topic(door: World) -> None:
    done = await run("mosquitto_pub", door, "-i", "a1", "-q", "1", "-t", topics.up(HUB, "a2", "hello"), "-m", "{}")
    assert "Not authorized" in done.err
    assert door.inbox.all == []


@pytest.mark.mosquitto
async def test_mosquitto_pub_is_refused_another_client_id(door: World) -> None:
    done = await run("mosquitto_pub", door, "-i", "a2", "-t", UP_HELLO, "-m", "{}")
    assert done.code != 0
    assert "Client Identifier not valid" in done.err
    assert door.inbox.all == []


@pytest.mark.mosquitto
async def test_mosquitto_pub_without_a_certificate_does_not_get_in(door: World) -> None:
    done = await run("mosquitto_pub", door, "-i", "a1", "-t", UP_HELLO, "-m", "{}", certificate=False)
    assert done.code != 0
    assert door.inbox.all == []


@pytest.mark.mosquitto
async def test_mosquitto_pub_is_told_that_qos_2_and_large_packets_are_not_served(door: World) -> None:
    large = door.pki.folder / "large"
    large.write_bytes(bytes(limits.PACKET_BYTES_MAX))
    done = await run("mosquitto_pub", door, "-i", "a1", "-t", UP_HELLO, "-q", "2", "-m", "{}")
    assert "QoS not supported" in done.err
    await run("mosquitto_pub", door, "-i", "a1", "-t", UP_HELLO, "-f", str(large))
    assert door.inbox.all == []


@pytest.mark.mosquitto
async def test_a_client_of_mqtt_3_is_told_so(door: World) -> None:
    done = await run("mosquitto_pub", door, "-V", "mqttv311", "-i", "a1", "-t", UP_HELLO, "-m", "{}")
    assert done.code != 0
    assert "protocol version" in done.err


class Paho:
    """paho as its users use it, with its own thread."""

    def __init__(self, world: World) -> None:
        self.loop = asyncio.get_running_loop()
        self.connected: asyncio.Future[ReasonCode] = self.loop.create_future()
        self.published: asyncio.Future[ReasonCode] = self.loop.create_future()
        self.disconnected: asyncio.Future[ReasonCode] = self.loop.create_future()
        self.client = paho.Client(CallbackAPIVersion.VERSION2, "a1", protocol=paho.MQTTv5, reconnect_on_failure=False)
        device = world.pki.device("a1")
        context = ssl.create_default_context(cafile=str(world.pki.root_path))
        context.load_cert_chain(device.chain_path, device.key_path)
        self.client.tls_set_context(context)  # pyright: ignore[reportUnknownMemberType] - paho has no type for it
        self.client.on_connect = lambda _c, _u, _f, code, _p: self._tell(self.connected, code)
        self.client.on_publish = lambda _c, _u, _m, code, _p: self._tell(self.published, code)
        self.client.on_disconnect = lambda _c, _u, _f, code, _p: self._tell(self.disconnected, code)

    async def open(self, world: World) -> ReasonCode:
        await asyncio.to_thread(self.client.connect, "127.0.0.1", world.port)
        self.client.loop_start()
        return await self.wait(self.connected)

    async def wait(self, future: asyncio.Future[ReasonCode]) -> ReasonCode:
        async with asyncio.timeout(WAIT_S):
            return await future

    async def close(self) -> None:
        self.client.disconnect()
        await asyncio.to_thread(self.client.loop_stop)

    def _tell(self, future: asyncio.Future[ReasonCode], code: ReasonCode) -> None:
        self.loop.call_soon_threadsafe(lambda: future.done() or future.set_result(code))


async def test_paho_gets_its_puback_only_after_the_commit(door: World) -> None:
    door.inbox.hold = True
    client = Paho(door)
    assert not (await client.open(door)).is_failure
    client.client.publish(UP_HELLO, codec.encode(hello("a1", 1)), qos=1)
    await door.inbox.wait(inputs.Got)
    assert not client.published.done()
    door.inbox.commit()
    assert not (await client.wait(client.published)).is_failure
    await client.close()


async def test_paho_is_cut_off_when_it_publishes_with_qos_2(door: World) -> None:
    client = Paho(door)
    await client.open(door)
    client.client.publish(UP_HELLO, codec.encode(hello("a1", 1)), qos=2)
    assert "QoS not supported" in str(await client.wait(client.disconnected))
    await client.close()
    assert door.inbox.of(inputs.Got) == []


async def test_paho_is_cut_off_when_it_asks_to_retain(door: World) -> None:
    client = Paho(door)
    await client.open(door)
    client.client.publish(UP_HELLO, codec.encode(hello("a1", 1)), retain=True)
    assert "Retain not supported" in str(await client.wait(client.disconnected))
    await client.close()


async def test_paho_learns_that_its_payload_was_no_message(door: World) -> None:
    client = Paho(door)
    await client.open(door)
    client.client.publish(UP_HELLO, b"{}", qos=1)
    assert "Payload format invalid" in str(await client.wait(client.published))
    await client.close()
    assert len(door.inbox.of(inputs.Bad)) == 1


async def test_aiomqtt_speaks_and_hears(door: World) -> None:
    properties = Properties(PacketTypes.CONNECT)
    properties.SessionExpiryInterval = 600
    device = door.pki.device("a1")
    async with aiomqtt.Client(
        "127.0.0.1",
        door.port,
        identifier="a1",
        protocol=aiomqtt.ProtocolVersion.V5,
        tls_context=device.context(),
        properties=properties,
    ) as client:
        await client.subscribe(DOWN_ALL, qos=1)
        await client.publish(topics.up(HUB, "a1", "status"), codec.encode(_status()), qos=1)
        got = await door.inbox.wait(inputs.Got)
        assert got.message == _status()
        door.door.send("a1", messages.Look(incarnation="i1"))
        async for message in client.messages:
            assert message.payload == codec.encode(messages.Look(incarnation="i1"))
            break


def _status() -> messages.Status:
    return messages.Status(session=1, count=1, held=messages.Held(), heads={}, time_ms=0, body=msgspec.Raw(b"{}"))
