"""What a hub says of itself on the network: as short as it may be, and read by who expects nothing good."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as some

from protocol import limits
from protocol.aio.finding import words
from protocol.errors import RemoteProtocolError

SAID = words.Announced(hub="oslo", name="oslo.cloud.skerry", root="ab" * 32, api=8_443, mqtt="8883")


def text(**more: str) -> dict[str, str | None]:
    return {**words.encode(SAID), **more}


def test_what_is_said_is_what_is_heard_with_the_addresses_it_came_from():
    heard = words.decode(text(), ["10.0.0.5", "10.0.1.5"])

    assert heard == words.Announced(
        hub="oslo", name="oslo.cloud.skerry", root="ab" * 32, api=8_443, mqtt="8883", hosts=["10.0.0.5", "10.0.1.5"]
    )
    assert heard.children("10.0.0.5") == ("10.0.0.5", 8_883)


def test_its_name_tells_its_place_in_the_tree():
    assert SAID.path == "cloud/oslo"
    assert words.encode(SAID)["path"] == "cloud/oslo"


def test_behind_an_external_broker_children_connect_there():
    assert words.decode(text(mqtt="broker.example:8883"), ["10.0.0.5"]).children("10.0.0.5") == (
        "broker.example",
        8_883,
    )
    assert words.decode(text(mqtt="[fd00::2]:8883"), ["10.0.0.5"]).children("10.0.0.5") == ("fd00::2", 8_883)


@pytest.mark.parametrize(
    "wrong",
    [
        {"hub": "../etc"},
        {"hub": ""},
        {"root": "ab"},
        {"root": "Z" * 64},
        {"api": "0"},
        {"api": "65536"},
        {"api": "٣"},
        {"mqtt": "there"},
        {"mqtt": "broker:"},
    ],
)
def test_what_no_hub_would_say_is_no_announcement(wrong: dict[str, str]):
    with pytest.raises(RemoteProtocolError):
        words.decode(text(**wrong), ["10.0.0.5"])


@given(some.dictionaries(some.sampled_from(["hub", "name", "root", "api", "mqtt"]), some.none() | some.text()))
def test_whatever_is_said_is_read_or_refused(said: dict[str, str | None]):
    try:
        words.decode({**words.encode(SAID), **said}, ["h"] * 100).children("here")
    except RemoteProtocolError:
        return


def test_one_hub_has_only_so_many_addresses():
    assert len(words.decode(text(), ["10.0.0.5"] * 100).hosts) == limits.FOUND_HOSTS_MAX
