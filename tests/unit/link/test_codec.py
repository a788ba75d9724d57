"""Bytes of the wire: pinned for every message; bounded, and never an odd error, for whatever comes."""

from __future__ import annotations

import typing

import msgspec
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from protocol import codec, ids, limits, messages, topics
from protocol.errors import BadId, LocalProtocolError, RemoteProtocolError, TooLarge
from tests.golden import samples


@pytest.mark.parametrize("message", samples.SAMPLES, ids=samples.name)
def test_the_bytes_of_every_message_are_pinned(message: messages.AnyMessage) -> None:
    assert (samples.HERE / samples.name(message)).read_bytes() == samples.plain(message)


@pytest.mark.parametrize("message", samples.SAMPLES, ids=samples.name)
def test_every_message_comes_back_whole(message: messages.AnyMessage) -> None:
    direction, _ = topics.CHANNELS[type(message)]
    again = codec.decode(codec.encode(message), direction)
    assert codec.encode(again) == codec.encode(message)


def test_every_message_has_a_sample_and_a_channel() -> None:
    every = set(typing.get_args(messages.AnyMessage))
    assert {type(one) for one in samples.SAMPLES} == every == set(topics.CHANNELS)


def test_a_message_of_the_wrong_direction_is_refused() -> None:
    with pytest.raises(RemoteProtocolError, match="downwards"):
        codec.decode(codec.encode(samples.SAMPLES[0]), codec.DOWN)


def test_a_large_message_crosses_compressed() -> None:
    row = msgspec.Raw(b'[1,0,"k","","' + b"x" * 5_000 + b'"]')
    entries = messages.Entries(session=1, stream="state", epoch="0" * 16, prev=0, rows=[row])
    payload = codec.encode(entries)
    assert len(payload) < 500
    again = codec.decode(payload, codec.UP)
    assert isinstance(again, messages.Entries)
    assert bytes(again.rows[0]) == bytes(row)


def test_a_message_over_the_bound_is_not_sent() -> None:
    with pytest.raises(LocalProtocolError, match="in parts"):
        codec.encode(messages.Renew(session=1, csr="x" * limits.MESSAGE_BYTES_MAX))


def test_sizes_are_checked_before_parsing() -> None:
    with pytest.raises(TooLarge):
        codec.decode(b"{" * (limits.MESSAGE_BYTES_MAX + 1), codec.UP)
    bomb = zstandard.ZstdCompressor().compress(b" " * (limits.MESSAGE_BYTES_MAX + 1))
    with pytest.raises(TooLarge, match="decompressed"):
        codec.decode(bomb, codec.UP)
    streamed = zstandard.ZstdCompressor(write_content_size=False).compress(b" " * 100)
    with pytest.raises(RemoteProtocolError, match="declare its size"):
        codec.decode(streamed, codec.UP)
    with pytest.raises(RemoteProtocolError, match="does not decompress"):
        codec.decode(bomb[:4] + b"\xff" * 20, codec.UP)


@given(st.binary(max_size=300))
def test_whatever_comes_is_a_message_or_one_clear_error(payload: bytes) -> None:
    for start in (b"", b"{", b"\x28\xb5\x2f\xfd", b'{"is":"hello"'):
        with pytest.raises((RemoteProtocolError, TooLarge)):
            codec.decode(start + payload + b"\x00", codec.UP)


def test_topics_say_who_and_which_way() -> None:
    topic = topics.of("cloud", "gw-1", samples.SAMPLES[0])
    assert topic == topics.up("cloud", "gw-1", "hello") == "skerry/1/cloud/gw-1/up/hello"
    parsed = topics.parse(topic)
    assert (parsed.parent, parsed.child, parsed.direction) == ("cloud", "gw-1", codec.UP)
    assert parsed.channel == topics.channel_of(samples.SAMPLES[0]) == "hello"
    assert topics.child_filter("cloud", "gw-1") == "skerry/1/cloud/gw-1/down/+"
    assert topics.parent_filter("cloud") == "skerry/1/cloud/+/up/+"


@pytest.mark.parametrize(
    "topic",
    [
        "",
        "skerry/2/cloud/gw-1/up/hello",
        "skerry/1/cloud/gw-1/up/desired",
        "skerry/1/cloud/gw-1/side/hello",
        "skerry/1/cloud/gw-1/up/hello/more",
        "skerry/1/cloud/#/up/hello",
        "skerry/1/cloud/../up/hello",
        "x" * 300,
    ],
)
def test_a_foreign_topic_is_refused(topic: str) -> None:
    with pytest.raises((RemoteProtocolError, BadId)):
        topics.parse(topic)


def test_a_few_bytes_never_become_a_megabyte() -> None:
    row = msgspec.Raw(b'[1,0,"k","","' + b"x" * 500_000 + b'"]')
    entries = messages.Entries(session=1, stream="state", epoch="0" * 16, prev=0, rows=[row])
    payload = codec.encode(entries)
    assert payload.startswith(b"{")  # what would shrink so much crosses as it is
    assert codec.decode(payload, codec.UP) == entries
    bomb = zstandard.ZstdCompressor().compress(payload)
    assert codec.size_of(bomb) == codec.size_of(payload) == len(payload)
    with pytest.raises(RemoteProtocolError, match="crosses plain"):
        codec.decode(bomb, codec.UP)
    assert codec.size_of(b"\x28\xb5\x2f\xfd") == 4


@pytest.mark.parametrize(
    "odd",
    [
        b'"time_ms":1%s' % (b"0" * 400),
        b'"heads":{"state":-1}',
        b'"heads":{%s}' % b",".join(b'"s%d":1' % one for one in range(limits.LINK_STREAMS_MAX + 1)),
        b'"held":{"generation":1%s}' % (b"0" * 30),
        b'"held":{"digest":"%s"}' % (b"d" * (limits.WORD_CHARS_MAX + 1)),
        b'"body":%s1%s' % (b"[" * (limits.JSON_DEPTH_MAX + 1), b"]" * (limits.JSON_DEPTH_MAX + 1)),
    ],
)
def test_what_a_child_claims_stays_within_bounds(odd: bytes) -> None:
    fields = b'"is":"status","session":1,"count":1,"held":{},"heads":{},"time_ms":1,"body":{}'
    codec.decode(b"{%s}" % fields, codec.UP)
    with pytest.raises(RemoteProtocolError):
        codec.decode(b"{%s,%s}" % (fields, odd), codec.UP)


def test_the_address_of_the_deepest_node_crosses_and_a_longer_one_does_not() -> None:
    deepest = ids.address("/".join(["n" * 63] * limits.TIERS_MAX))
    roster = messages.Roster(session=1, number=1, put={deepest: msgspec.Raw(b"{}")}, gone=[deepest])
    assert codec.decode(codec.encode(roster), codec.UP) == roster
    for longer in (
        msgspec.structs.replace(roster, put={f"{deepest}n": msgspec.Raw(b"{}")}),
        msgspec.structs.replace(roster, gone=[f"{deepest}n"]),
    ):
        with pytest.raises(RemoteProtocolError):
            codec.decode(codec.encode(longer), codec.UP)


def test_depth_is_that_of_the_value_and_not_of_its_texts() -> None:
    deepest = limits.JSON_DEPTH_MAX
    assert not codec.is_deep(b"[" * deepest + b"]" * deepest)
    assert codec.is_deep(b'{"a":' * (deepest + 1) + b"1" + b"}" * (deepest + 1))
    assert not codec.is_deep(b'["' + b"[" * 500 + b'","\\"' + b"{" * 500 + b'"]')
    assert not codec.is_deep(b"[" + b'{"a":[]},' * 500 + b"1]")
