"""A metered child's messages in few bytes: they come back whole, are bounded, and never read with other words."""

from __future__ import annotations

import zlib

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol import codec, limits, messages, status, topics
from protocol.errors import RemoteProtocolError, TooLarge
from protocol.link.flow import dense
from tests.golden import samples

_SERVICES = {
    f"line-{n}": status.ServiceReport(
        state="running", digest=f"sha256:{n:064x}", pid=4_000 + n, since_ms=17 * 10**11 + n
    )
    for n in range(3)
}


def _status() -> messages.Status:
    report = status.Report(services=_SERVICES, vitals=status.Vitals(cpu=0.25, memory_total=2**31), platform={"os": "x"})
    base = messages.Status(session=3, count=2, held=messages.Held(), heads={"state": 9}, time_ms=1, body=msgspec.Raw())
    return msgspec.structs.replace(base, body=msgspec.Raw(status.encode(report)))


@pytest.mark.parametrize("message", samples.SAMPLES, ids=samples.name)
def test_every_message_comes_back_whole(message: messages.AnyMessage) -> None:
    direction, _ = topics.CHANNELS[type(message)]
    again = codec.decode(codec.encode(message, costly=True), direction)
    assert codec.encode(again) == codec.encode(message)


def test_a_status_takes_a_third_of_its_bytes() -> None:
    plain, packed = codec.encode(_status()), codec.encode(_status(), costly=True)
    assert packed.startswith(dense.MAGIC)
    assert len(packed) * 3 < len(plain)
    assert codec.size_of(packed) == limits.DENSE_BYTES_MAX >= len(plain)
    assert codec.decode(packed, codec.UP) == _status()


def test_the_words_are_pinned() -> None:
    packed = codec.encode(_status(), costly=True)
    assert packed[2:6].hex() == "7dcb4c51", "other words are another wire: both ends must change"


def test_what_is_large_crosses_as_ever_and_what_gains_nothing_plain() -> None:
    large = messages.Renew(session=1, csr="x" * limits.DENSE_BYTES_MAX)
    assert codec.encode(large, costly=True) == codec.encode(large)
    assert dense.pack(b"\x00\xff") == b"\x00\xff"


def test_a_packed_message_is_bounded_and_whole_or_refused() -> None:
    packed = dense.pack(b'"' + b"x" * 1_000 + b'"')
    made = zlib.compressobj(9, zdict=b"other words")
    with pytest.raises(RemoteProtocolError, match="does not unpack"):
        dense.unpack(made.compress(b"x" * 100) + made.flush())
    with pytest.raises(TooLarge, match="more than"):
        dense.unpack(zlib.compress(b" " * (limits.DENSE_BYTES_MAX + 1)))
    for odd in (packed[:-1], packed + b"x"):
        with pytest.raises(RemoteProtocolError, match="does not end"):
            dense.unpack(odd)
    assert dense.unpack(zlib.compress(b" " * limits.DENSE_BYTES_MAX)) == b" " * limits.DENSE_BYTES_MAX


@given(st.binary(max_size=300))
def test_whatever_comes_is_a_message_or_one_clear_error(payload: bytes) -> None:
    for start in (dense.MAGIC, dense.pack(b'{"is":"hello","session":1,"nonce":"","node":""')[:20]):
        with pytest.raises((RemoteProtocolError, TooLarge)):
            codec.decode(start + payload, codec.UP)
