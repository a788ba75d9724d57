"""The front door with real sockets and TLS: what it bears, and what it does when the hub is slow or full."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import AsyncGenerator
from pathlib import Path

import mqtt5
import msgspec
import pytest
from mqtt5 import DisconnectReasonCode as Reason

from hub.core import inputs
from hub.shell.door.admission import Admission
from hub.shell.door.connection import Connection
from hub.shell.front_door import FrontDoor, Verdict
from protocol import codec, limits, messages, topics
from protocol.errors import Refused
from tests.support.door import WAIT_S, Inbox
from tests.support.pki import Pki


class Raw:
    """A socket with TLS that speaks MQTT packet by packet."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer, self._data = reader, writer, b""

    def send(self, *packets: mqtt5.Packet) -> None:
        self.writer.write(b"".join(packet.write() for packet in packets))

    async def receive(self) -> mqtt5.Packet | None:
        """The next packet, or None when the door closed the connection."""
        async with asyncio.timeout(WAIT_S):
            while True:
                with contextlib.suppress(IndexError):
                    packet, size = mqtt5.read(memoryview(self._data))
                    self._data = self._data[size:]
                    return packet
                with contextlib.suppress(ConnectionError):
                    if data := await self.reader.read(65_536):
                        self._data += data
                        continue
                return None

    async def close(self) -> None:
        self.writer.close()
        with contextlib.suppress(OSError):
            await self.writer.wait_closed()


class Hub:
    def __init__(self, folder: Path) -> None:
        self.pki = Pki(folder)
        self.inbox = Inbox()
        self.raws: list[Raw] = []
        self.admission = Admission[Connection]()
        self.wall = 0.0
        self.port = 0

    async def open(self) -> FrontDoor:
        self.door = FrontDoor(
            host="127.0.0.1",
            port=self.port,
            context=self.pki.parent_context(),
            hub="hub",
            inbox=self.inbox,
            gate=lambda who: Verdict.ADMITTED if who.role == "node" else Verdict.UNKNOWN,
            wall=lambda: self.wall,
            admission=self.admission,
        )
        await self.door.open()
        return self.door

    @property
    def place(self) -> tuple[str, int]:
        return "127.0.0.1", self.door.port

    async def raw(self, node: str = "a1") -> Raw:
        context = self.pki.device(node).context()
        async with asyncio.timeout(WAIT_S):
            raw = Raw(*await asyncio.open_connection(*self.place, ssl=context, server_hostname="hub.skerry"))
        self.raws.append(raw)
        return raw

    async def join(self, node: str = "a1", keep_alive: int = 30, will: mqtt5.Will | None = None) -> Raw:
        raw = await self.raw(node)
        raw.send(
            mqtt5.ConnectPacket(node, keep_alive=keep_alive, will=will),
            mqtt5.SubscribePacket(1, [mqtt5.TopicFilter(topics.child_filter("hub", node))]),
        )
        assert isinstance(await raw.receive(), mqtt5.ConnAckPacket)
        assert isinstance(await raw.receive(), mqtt5.SubAckPacket)
        return raw


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncGenerator[Hub]:
    made = Hub(tmp_path)
    await made.open()
    yield made
    for raw in made.raws:
        await raw.close()
    await made.door.close()


def entries(size: int) -> bytes:
    row = msgspec.Raw(b'"' + b"x" * size + b'"')
    message = messages.Entries(session=1, stream="state", epoch="0" * 16, prev=0, rows=[row])
    return msgspec.json.encode(message)


def publish(payload: bytes, packet: int | None = None, *, node: str = "a1") -> mqtt5.PublishPacket:
    qos = mqtt5.QoS.AT_MOST_ONCE if packet is None else mqtt5.QoS.AT_LEAST_ONCE
    return mqtt5.PublishPacket(topics.up("hub", node, "entries"), payload, qos=qos, packet_id=packet)


async def test_a_port_in_use_is_one_clear_error(hub: Hub) -> None:
    other = Hub(hub.pki.folder)
    other.port = hub.door.port
    with pytest.raises(Refused, match="another process has it; choose another with --mqtt"):
        await other.open()


async def test_an_expired_certificate_comes_in_and_is_called_expired(hub: Hub) -> None:
    hub.pki.device("old", days=1, issued_s=10 * 86_400.0)
    await hub.join("old")
    hub.wall = 4e9
    await hub.join("a1")
    assert (await hub.inbox.wait(inputs.Opened, 1, "a1")).expired
    opened = hub.inbox.of(inputs.Opened, "old")[0]
    assert not opened.expired  # judged by the hub's time, which stood at 0 then


async def test_a_hub_that_is_no_child_is_not_let_in(hub: Hub) -> None:
    context = hub.pki.hub_client_context("hub")
    raw = Raw(*await asyncio.open_connection("127.0.0.1", hub.door.port, ssl=context, server_hostname="hub.skerry"))
    hub.raws.append(raw)
    raw.send(mqtt5.ConnectPacket("hub"))
    packet = await raw.receive()
    assert isinstance(packet, mqtt5.ConnAckPacket)
    assert packet.reason_code == mqtt5.ConnAckReasonCode.NOT_AUTHORIZED
    assert hub.inbox.all == []


async def test_what_is_no_tls_is_closed_and_harms_nobody(hub: Hub) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", hub.door.port)
    writer.write(b"GET / HTTP/1.1\r\n\r\n")
    with contextlib.suppress(ConnectionError):
        await reader.read()
    writer.close()
    await hub.join()


async def test_a_silent_socket_is_closed_after_its_time(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "HANDSHAKE_WAIT_S", 0.2)
    for step in ("nothing", "handshake", "half a connect"):
        if step == "nothing":
            reader, writer = await asyncio.open_connection("127.0.0.1", hub.door.port)
            raw = Raw(reader, writer)
            hub.raws.append(raw)
        else:
            raw = await hub.raw()
        if step == "half a connect":
            raw.writer.write(mqtt5.ConnectPacket("a1").write()[:5])
        assert await raw.receive() is None
    assert hub.inbox.all == []


async def test_a_silent_child_is_closed_after_one_and_a_half_keep_alives(hub: Hub) -> None:
    raw = await hub.join(keep_alive=1)
    packet = await raw.receive()
    assert isinstance(packet, mqtt5.DisconnectPacket)
    assert packet.reason_code == Reason.KEEP_ALIVE_TIMEOUT
    assert "silent" in (await hub.inbox.wait(inputs.Closed)).reason


async def test_a_child_that_pings_stays(hub: Hub) -> None:
    raw, other = await hub.join("a1", keep_alive=1), await hub.join("a2", keep_alive=1)
    while not hub.inbox.of(inputs.Closed, "a2"):
        raw.send(mqtt5.PingReqPacket())
        assert isinstance(await raw.receive(), mqtt5.PingRespPacket)
        await asyncio.sleep(0.05)  # bounded poll
    assert hub.inbox.of(inputs.Closed, "a1") == []
    assert await other.receive() is not None


async def test_a_hub_that_is_behind_holds_its_children_back_one_by_one(hub: Hub) -> None:
    hub.inbox.hold = True
    greedy, modest = await hub.join("a1"), await hub.join("a2")
    payload = entries(900_000)
    sending = asyncio.ensure_future(_pour(greedy, payload, 40))
    async with asyncio.timeout(WAIT_S):
        while hub.door.inflight <= limits.CHILD_INFLIGHT_BYTES_MAX:
            await asyncio.sleep(0.01)  # bounded poll
    modest.send(mqtt5.PublishPacket(topics.up("hub", "a2", "entries"), entries(1)))
    await hub.inbox.wait(inputs.Got, 1, "a2")
    assert len(hub.inbox.of(inputs.Got, "a1")) == 1, "the others wait for their turn"
    assert hub.door.inflight < limits.CHILD_INFLIGHT_BYTES_MAX + 2 * len(payload)
    assert not sending.done()
    hub.inbox.hold = False
    hub.inbox.commit()
    await hub.inbox.wait(inputs.Got, 40, "a1")
    await sending


async def test_a_crowded_door_serves_who_is_in_and_has_little_to_say(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "DOOR_INFLIGHT_BYTES_MAX", 4 * limits.MIB)
    hub.inbox.hold = True
    names, modest = ("g0", "g1", "g2"), await hub.join("a2")
    greedy = [await hub.join(name) for name in names]
    payload = entries(200_000)
    sending = [asyncio.ensure_future(_pour(raw, payload, 20, name)) for raw, name in zip(greedy, names, strict=True)]
    async with asyncio.timeout(WAIT_S):
        while hub.door.inflight <= 2 * limits.MIB:
            await asyncio.sleep(0.01)  # bounded poll
    newcomer = asyncio.ensure_future(hub.join("a3"))
    for count in range(1, 6):
        modest.send(publish(entries(1), node="a2"))
        await hub.inbox.wait(inputs.Got, count, "a2")
    assert hub.door.inflight <= 2 * limits.MIB + len(greedy) * 2 * len(payload)
    assert not newcomer.done()
    hub.inbox.hold = False
    hub.inbox.commit()
    for name in names:
        await hub.inbox.wait(inputs.Got, 20, name)
    await asyncio.gather(*sending)
    await newcomer


async def _pour(raw: Raw, payload: bytes, count: int, node: str = "a1") -> None:
    for _ in range(count):
        raw.send(publish(payload, node=node))
        await raw.writer.drain()


async def test_a_child_that_does_not_read_is_cut_off_for_the_reason_that_the_door_saw(hub: Hub) -> None:
    last_word = messages.Bye(session=1, nonce="n", reason="the connection broke")
    will = mqtt5.Will(topics.of("hub", "a1", last_word), payload=codec.encode(last_word), qos=mqtt5.QoS.AT_LEAST_ONCE)
    raw = await hub.join(will=will)
    transport = raw.writer.transport
    assert isinstance(transport, asyncio.Transport)
    transport.pause_reading()
    missing = [secrets.token_hex(400_000)]
    while not hub.inbox.of(inputs.Closed):
        hub.door.send("a1", messages.Documents(incarnation="i", session=1, missing=missing))
        await asyncio.sleep(0)
    assert "unread" in hub.inbox.of(inputs.Closed)[0].reason
    await hub.join()


async def test_pubacks_come_after_the_commit_in_one_write(hub: Hub) -> None:
    hub.inbox.hold = True
    raw = await hub.join()
    raw.send(*(publish(entries(1), packet) for packet in range(1, 21)))
    await hub.inbox.wait(inputs.Got, 20)
    raw.send(mqtt5.PingReqPacket())
    assert isinstance(await raw.receive(), mqtt5.PingRespPacket)
    hub.inbox.commit()
    acked = [await raw.receive() for _ in range(20)]
    assert [packet.packet_id for packet in acked if isinstance(packet, mqtt5.PubAckPacket)] == list(range(1, 21))


async def test_a_failed_store_closes_all_so_that_they_send_again(hub: Hub) -> None:
    hub.inbox.hold = True
    raw = await hub.join()
    raw.send(publish(entries(1), 1))
    await hub.inbox.wait(inputs.Got)
    hub.door.store_failed()
    packet = await raw.receive()
    assert isinstance(packet, mqtt5.DisconnectPacket)
    await hub.inbox.wait(inputs.Closed)
    hub.inbox.commit()
    await hub.join()


async def test_a_hub_that_stops_says_so(hub: Hub) -> None:
    raw = await hub.join()
    serving = asyncio.ensure_future(hub.door.serve())
    await asyncio.sleep(0)
    serving.cancel()
    packet = await raw.receive()
    assert isinstance(packet, mqtt5.DisconnectPacket)
    assert packet.reason_code == Reason.SERVER_SHUTTING_DOWN
    with contextlib.suppress(asyncio.CancelledError):
        await serving
    assert hub.door.connected == 0


async def test_a_child_can_be_closed_without_being_banned(hub: Hub) -> None:
    raw = await hub.join()
    number = hub.inbox.of(inputs.Opened)[0].connection
    hub.door.close_child("a1", number + 1, "an older one")
    hub.door.send("a1", messages.Look(incarnation="i"))
    assert isinstance(await raw.receive(), mqtt5.PublishPacket)
    hub.door.close_child("a1", number, "quarantined")
    packet = await raw.receive()
    assert isinstance(packet, mqtt5.DisconnectPacket)
    assert packet.reason_code == Reason.ADMINISTRATIVE_ACTION
    await hub.join()


async def test_a_message_over_its_bound_is_not_sent_and_said_in_the_log(
    hub: Hub, caplog: pytest.LogCaptureFixture
) -> None:
    raw = await hub.join()
    huge = messages.Documents(incarnation="i", session=1, missing=["x" * limits.MESSAGE_BYTES_MAX])
    hub.door.send("a1", huge)
    hub.door.send("a1", messages.Look(incarnation="i"))
    packet = await raw.receive()
    assert isinstance(packet, mqtt5.PublishPacket)
    assert packet.payload == codec.encode(messages.Look(incarnation="i"))
    assert "not sent to a1" in caplog.text


async def test_a_storm_waits_for_its_turn_and_all_come_in(hub: Hub) -> None:
    hub.admission = Admission(per_s=50, burst=5)
    await hub.door.close()
    await hub.open()
    raws = await asyncio.gather(*(hub.join(f"n{number}") for number in range(30)))
    assert len(raws) == 30
    assert hub.door.connected == 30


async def test_a_full_waiting_room_turns_away_and_a_full_house_too(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.admission = Admission(per_s=0.001, burst=1, waiting_max=1)
    await hub.door.close()
    await hub.open()
    await hub.join()
    waiting = asyncio.ensure_future(asyncio.open_connection("127.0.0.1", hub.door.port))
    hub.raws.append(Raw(*await waiting))
    with pytest.raises((OSError, asyncio.IncompleteReadError)):
        await hub.raw("a2")
    monkeypatch.setattr(limits, "CONNECTIONS_MAX", 0)
    with pytest.raises((OSError, asyncio.IncompleteReadError)):
        await hub.raw("a3")
