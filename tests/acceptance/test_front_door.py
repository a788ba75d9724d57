"""D: `#`, foreign topics, huge packets, QoS 2, garbage, slow-loris at a real door: denied; neighbours unaffected."""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import mqtt5

from edge_agent.shell import identity
from protocol import codec, limits, messages, topics
from tests.support import deeds
from tests.support.fleet import Fleet, fleet
from tests.support.recorded import Record

WAIT_S = 15.0
LORISES = 40
QUIET = (ConnectionError, ssl.SSLError, asyncio.IncompleteReadError)


class Mallory:
    """An enrolled device whose key somebody misuses: any bytes, over real TLS."""

    def __init__(self, it: Fleet) -> None:
        self._data = it.agents["mallory"].data
        self._file = identity.load(self._data)
        self._port = it.mqtt_port

    @asynccontextmanager
    async def socket(self) -> AsyncGenerator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        """A TLS connection with the device's certificate."""
        context = identity.link_context(self._data, self._file)
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port, ssl=context, server_hostname="cloud")
        try:
            yield reader, writer
        finally:
            writer.transport.abort()

    async def answer(self, *packets: bytes, connect: bool = True) -> bytes:
        """Say `packets`, after a CONNECT; return all that the hub says until it hangs up, or falls silent."""
        heard = b""
        async with self.socket() as (reader, writer):
            hello = mqtt5.ConnectPacket("mallory", clean_start=True, keep_alive=30).write() if connect else b""
            try:
                writer.write(hello + b"".join(packets))
                async with asyncio.timeout(WAIT_S):
                    while part := await reader.read(65_536):
                        heard += part
                        if _kinds(heard)[-1:] == [mqtt5.SubAckPacket]:
                            break
            except QUIET:
                pass
        return heard


def _kinds(heard: bytes) -> list[type]:
    return [type(packet) for packet in _packets(heard)]


def _packets(heard: bytes) -> list[object]:
    found: list[object] = []
    while heard:
        packet, used = mqtt5.read(memoryview(heard))
        found.append(packet)
        heard = heard[used:]
    return found


def _publish(topic: str, payload: bytes, qos: mqtt5.QoS = mqtt5.QoS.AT_MOST_ONCE) -> bytes:
    return mqtt5.PublishPacket(topic, payload, qos=qos, packet_id=None if qos is mqtt5.QoS.AT_MOST_ONCE else 7).write()


async def _is_cut(mallory: Mallory, *packets: bytes, connect: bool = True) -> None:
    heard = await mallory.answer(*packets, connect=connect)
    assert mqtt5.SubAckPacket not in _kinds(heard)


async def _garbage(mallory: Mallory) -> None:
    endless = b"\x10\xff\xff\xff\xff" + os.urandom(4_096)  # a length that never ends: no need to wait for the rest
    for junk in (endless, b"\x00\x02??" + os.urandom(4_096), b"\xf0\x02" + os.urandom(4_096)):
        await _is_cut(mallory, junk, connect=False)
        await _is_cut(mallory, junk)


async def _huge_packet(mallory: Mallory) -> None:
    await _is_cut(mallory, b"\x30\xff\xff\xff\x7f" + bytes(limits.PACKET_BYTES_MAX))


async def _qos_2(mallory: Mallory) -> None:
    topic = topics.up("cloud", "mallory", "status")
    await _is_cut(mallory, *[_publish(topic, b"{}", mqtt5.QoS.EXACTLY_ONCE)] * 50)


async def _other_name(mallory: Mallory) -> None:
    await _is_cut(mallory, mqtt5.ConnectPacket("oslo", clean_start=True, keep_alive=30).write(), connect=False)


async def _other_topics(mallory: Mallory) -> None:
    for topic in (topics.up("cloud", "oslo", "hello"), topics.down("cloud", "oslo", "ctl"), "$SYS/x"):
        await _is_cut(mallory, _publish(topic, codec.encode(_forged())))


async def _other_node_in_own_topic(mallory: Mallory) -> None:
    own = topics.up("cloud", "mallory", "hello")
    await _is_cut(mallory, *[_publish(own, codec.encode(_forged()))] * (limits.DENIALS_MAX + 1))


async def _wide_subscriptions(mallory: Mallory) -> None:
    patterns = ("#", "+/#", "skerry/1/cloud/+/down/+", topics.child_filter("cloud", "oslo"), "$share/x/#", "$SYS/#")
    for pattern in patterns:
        heard = await mallory.answer(mqtt5.SubscribePacket(1, [mqtt5.TopicFilter(pattern)]).write())
        for packet in _packets(heard):
            if isinstance(packet, mqtt5.SubAckPacket):
                assert all(code.value >= 128 for code in packet.reason_codes), pattern


def _forged() -> messages.Hello:
    return messages.Hello(session=10**6, nonce="ff" * 8, node="oslo", version="9")


ATTACKS = (_garbage, _huge_packet, _qos_2, _other_name, _other_topics, _other_node_in_own_topic, _wide_subscriptions)


async def test_foreign_topic_huge_packet_qos_2_flood_and_garbage_are_denied_and_a_neighbour_loses_nothing(
    tmp_path: Path,
    record: Record,
) -> None:
    ledger = record.ledger
    async with deeds.site(tmp_path / "f", "oslo", "mallory") as it:
        await it.agents["mallory"].daemon.stop()
        await deeds.declare(it, deeds.producer("numbers", ledger))
        pid = await deeds.pid_of(it, "oslo", "numbers")
        since_ms, mallory = (await it.node("oslo"))["since_ms"], Mallory(it)
        for attack in ATTACKS:
            before = deeds.kept(ledger, "oslo")
            await attack(mallory)

            async def goes_on(before: int = before) -> bool:
                return deeds.kept(ledger, "oslo") > before

            await it.until(goes_on, f"the neighbour works on through {attack.__name__}")
        assert await it.online("oslo")
        assert (await it.node("oslo"))["since_ms"] == since_ms, "the neighbour's link was cut"
        assert await deeds.pid_of(it, "oslo", "numbers") == pid
        await it.agents["mallory"].daemon.start()
        await it.until(lambda: it.online("mallory"), "the device itself is welcome again")
        await deeds.take_away(it, "service/numbers")
        await deeds.settled(it)
        record.calm()
        (await deeds.tally(it, ledger, "oslo")).check()


async def test_slow_loris_holds_nobody_up(tmp_path: Path, record: Record) -> None:
    async with deeds.site(tmp_path / "f", "oslo") as it:
        slow = [await asyncio.open_connection("127.0.0.1", it.mqtt_port) for _ in range(LORISES)]
        slow += [await asyncio.open_connection("127.0.0.1", it.api_port) for _ in range(LORISES)]
        try:
            for _, writer in slow:
                writer.write(b"\x16")  # the first byte of a TLS handshake, and no more
            await it.agents["oslo"].daemon.kill()
            await it.agents["oslo"].daemon.start()
            session = (await it.node("oslo"))["since_ms"]

            async def back() -> bool:
                node = await it.node("oslo")
                return node["state"] == "online" and node["since_ms"] >= session

            await it.until(back, "a device gets in between")
            await deeds.declare(it, deeds.service("s", ["sleep", "600"]))
            await deeds.pid_of(it, "oslo", "s")
        finally:
            for _, writer in slow:
                writer.transport.abort()


async def test_garbage_that_is_no_tls_gets_nothing(tmp_path: Path) -> None:
    """Not recorded: there is no device."""
    plain = b"\x10\x0c\x00\x04MQTT\x05\x02\x00\x3c\x00\x00"
    async with fleet(tmp_path / "f") as it:
        for first in (bytes(64), b"GET / HTTP/1.1\r\n\r\n", plain):
            reader, writer = await asyncio.open_connection("127.0.0.1", it.mqtt_port)
            writer.write(first)
            try:
                async with asyncio.timeout(WAIT_S):
                    heard = await reader.read()
            except ConnectionError:
                heard = b""
            assert len(heard) < 16, heard  # at most a TLS alert
            writer.transport.abort()
        assert await it.answers()
