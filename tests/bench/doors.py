"""What a connection costs the hub's memory: a thousand children with keys and certificates of their own."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path
from typing import Any

import mqtt5
import msgspec
from cryptography.hazmat.primitives.asymmetric import ec

from protocol import codec, limits, messages, topics
from protocol.aio import tls
from protocol.trust import certificates
from tests.bench.registry import Bench, Target, figure
from tests.support.fleet import Fleet, fleet

_CONNECTIONS = 1_000
_AT_ONCE = 20
_WAIT_S = 60.0


@figure("conn_kb", unit="KiB", targets={"each": Target(at_most=64)})
async def conn_kb(bench: Bench) -> dict[str, float]:
    """The hub's Rss with 1,000 children connected and greeted, less its Rss with all of them enrolled and away.

    Each is a real MQTT 5 connection over mutual TLS whose session is live: Hello, Welcome, a Status. `node`: what an
    enrolled node costs that is away.
    """
    async with fleet(bench.folder) as it:
        bare = _rss_kib(it)
        children = await _enroll(it, bench.folder / "children")
        await it.ask("GET", "/v1/nodes")
        before = _rss_kib(it)
        gate = asyncio.Semaphore(_AT_ONCE)
        writers = await asyncio.gather(*(_join(it.mqtt_port, gate, *child) for child in children))
        await it.until(lambda: _all_online(it), "all are online", _WAIT_S)
        each = (_rss_kib(it) - before) / _CONNECTIONS
        for writer in writers:
            writer.transport.abort()
    return {"each": each, "node": (before - bare) / _CONNECTIONS}


async def _enroll(it: Fleet, folder: Path) -> list[tuple[str, str, ssl.SSLContext]]:
    """Return hub, name and TLS context of each new child; no faster than the hub lets them in."""
    folder.mkdir()
    made = await it.ask("POST", "/v1/tokens", {"ttl_s": 3_600, "uses": _CONNECTIONS, "labels": {}})
    children: list[tuple[str, str, ssl.SSLContext]] = []
    for number in range(_CONNECTIONS):
        name = f"n{number}"
        key = certificates.make_key()
        csr = certificates.make_csr(key, name).decode()
        issued = await it.ask("POST", "/v1/enroll", {"token": made["token"], "csr": csr, "name": name})
        await asyncio.sleep(1 / limits.ENROLLMENTS_PER_S)
        children.append((issued["hub"], name, _context(folder / name, key, issued)))
    return children


def _context(place: Path, key: ec.EllipticCurvePrivateKey, issued: dict[str, Any]) -> ssl.SSLContext:
    paths = {name: place.with_suffix(f".{name}") for name in ("pem", "key", "root")}
    paths["pem"].write_text(issued["certificate"])
    paths["key"].write_bytes(certificates.key_pem(key))
    paths["root"].write_text(issued["root"])
    return tls.child_context(chain=paths["pem"], key=paths["key"], root=paths["root"], name=issued["hub"])


async def _join(
    port: int, gate: asyncio.Semaphore, hub: str, name: str, context: ssl.SSLContext
) -> asyncio.StreamWriter:
    """Connect as a child does, say Hello, hear the Welcome, tell a Status, and stay."""
    async with gate, asyncio.timeout(_WAIT_S):
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname="hub")
        hello = messages.Hello(session=1, nonce="aa", node=name, version="1")
        _say(
            writer,
            mqtt5.ConnectPacket(name, clean_start=True, keep_alive=300),
            mqtt5.SubscribePacket(1, [mqtt5.TopicFilter(topics.child_filter(hub, name))]),
            _publish(hub, name, hello),
        )
        await _welcomed(reader)
        status = messages.Status(session=1, count=1, held=messages.Held(), heads={}, time_ms=0, body=msgspec.Raw(b"{}"))
        _say(writer, _publish(hub, name, status))
        return writer


def _publish(hub: str, name: str, message: messages.AnyMessage) -> mqtt5.PublishPacket:
    return mqtt5.PublishPacket(topics.of(hub, name, message), codec.encode(message))


def _say(writer: asyncio.StreamWriter, *packets: mqtt5.Packet) -> None:
    writer.write(b"".join(packet.write() for packet in packets))


async def _welcomed(reader: asyncio.StreamReader) -> None:
    data = b""
    while True:
        try:
            packet, size = mqtt5.read(memoryview(data))
        except IndexError:
            data += await reader.read(65_536)
            continue
        data = data[size:]
        if isinstance(packet, mqtt5.PublishPacket):
            message = codec.decode(packet.payload or b"", codec.DOWN)
            assert isinstance(message, messages.Welcome)
            return


async def _all_online(it: Fleet) -> bool:
    nodes = await it.nodes()
    return sum(node["state"] == "online" for node in nodes) == _CONNECTIONS


def _rss_kib(it: Fleet) -> int:
    rollup = Path(f"/proc/{it.hub.pid}/smaps_rollup").read_text().splitlines()[1:]
    return next(int(line.split()[1]) for line in rollup if line.startswith("Rss:"))
