"""Where one MQTT packet ends."""

from __future__ import annotations

import mqtt5
import pytest

from hub.shell.door import packets
from protocol.errors import TooLarge


@pytest.mark.parametrize("size", [0, 1, 100, 127, 128, 16_383, 16_384, 300_000])
def test_the_length_is_known_from_the_header(size: int) -> None:
    data = mqtt5.PublishPacket("t", bytes(size)).write()
    assert packets.frame(memoryview(data[:5]), 1 << 20) == len(data)
    assert packets.frame(memoryview(data[:1]), 1 << 20) == 0


def test_too_large_is_said_before_anything_is_kept() -> None:
    data = mqtt5.PublishPacket("t", bytes(2_000)).write()
    with pytest.raises(TooLarge, match="over 1000"):
        packets.frame(memoryview(data[:5]), 1_000)


def test_a_length_of_five_bytes_is_malformed() -> None:
    with pytest.raises(ValueError, match="at most 4"):
        packets.frame(memoryview(b"\x30\xff\xff\xff\xff"), 1 << 30)


def test_the_protocol_level_of_a_connect() -> None:
    assert packets.protocol_level(memoryview(mqtt5.ConnectPacket("a" * 200).write())) == 5
    assert packets.protocol_level(memoryview(bytes.fromhex("101000044d5154540402003c000474657374"))) == 4
    assert packets.protocol_level(memoryview(b"\x10\x02\x00\x04")) == 0
