"""A device declares what it lost: the hub believes the device's own key, nobody else's, and shows what it believed."""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from hub.core import inputs
from hub.core.down.known import brief
from protocol import effects, limits, messages
from protocol.effects import Effects
from protocol.link import cursor
from protocol.link.roster import brief as told
from protocol.trust.gaps import GapSigner
from tests.unit.hub import world as worlds
from tests.unit.hub.world import Device, World, only

KEY = ec.derive_private_key(7, ec.SECP256R1())
SPKI = KEY.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
SIGNER = GapSigner(
    KEY.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
)
TIP = "ab" * 32


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch) -> Device:
    monkeypatch.setattr(worlds, "key_of", key_of)
    return World().fleet(oslo_1={})["oslo-1"]


def key_of(name: str) -> str:
    return hashlib.sha256(SPKI).hexdigest()


def gap(device: Device, *, signed_for: str = "oslo-1", stream: str = "state", last: int = 40) -> Effects:
    """Declare rows 1 to `last` lost."""
    body = messages.GapBody(first=1, last=last, count=last, reason="the quota of the stream is full", hash=TIP)
    signed = SIGNER.sign(signed_for, device.epoch, stream, body) if signed_for else body
    rows = [msgspec.Raw(cursor.encode_gap(last, 1_000, signed))]
    return device.got(
        messages.Entries(session=device.session, stream=stream, epoch=device.epoch, prev=0, rows=rows, hash=TIP)
    )


def acks(fx: Effects) -> list[messages.EntriesAck]:
    sent = [send.message for send in fx.send if isinstance(send, effects.Send)]
    return [message for message in sent if isinstance(message, messages.EntriesAck)]


def shown(device: Device) -> dict[str, Any]:
    return device.world.node(device.name)


def test_a_loss_is_counted_and_listed(device: Device) -> None:
    [ack] = acks(gap(device))
    assert (ack.seq, ack.credit > 0) == (40, True)
    assert shown(device)["lost"] == {"state": 40}
    [loss] = shown(device)["losses"]["state"]
    assert (loss["first"], loss["last"], loss["count"], loss["time_ms"]) == (1, 40, 40, 1_000)
    assert [alarm["what"] for alarm in shown(device)["alarms"]] == ["loss-declared"]


@pytest.mark.parametrize("signed_for", ["", "oslo-2"])
def test_a_loss_that_nobody_vouches_for_waits_for_the_operator(device: Device, signed_for: str) -> None:
    [ack] = acks(gap(device, signed_for=signed_for))
    assert (ack.seq, ack.credit, ack.refill) == (0, 0, True)
    assert (shown(device)["lost"], shown(device)["waiting"], shown(device)["aside"]) == ({}, ["state"], {"state": 1})
    [alarm] = shown(device)["alarms"]
    assert alarm["what"] == "gap-refused"
    assert "nobody can vouch for that" in alarm["text"]
    fx = device.world.request(inputs.AcceptNode(node="oslo-1", reason="the disk was swapped"))
    assert not only(fx, inputs.Reply).error
    [ack] = acks(fx)
    assert (ack.seq, ack.credit > 0, ack.refill) == (0, True, True)
    [ack] = acks(gap(device, signed_for=signed_for))
    assert ack.seq == 40
    assert (shown(device)["lost"], shown(device)["waiting"]) == ({"state": 40}, [])
    assert "accepted by an operator" in shown(device)["losses"]["state"][0]["reason"]


def test_who_says_that_it_lost_more_than_there_are_numbers_for_is_still_seen_above(
    device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    streams = device.hello().streams | {"audit": messages.StreamHead(epoch=device.epoch, seq=0, hash="")}
    hello = msgspec.structs.replace(device.hello(), session=device.session + 1, streams=streams)
    monkeypatch.setattr(device, "hello", lambda: hello)
    device.connect()
    for stream in ("audit", "state"):
        gap(device, stream=stream, last=limits.INTEGER_MAX)
    core = device.world.core
    assert told.decode(brief.raw(core, core.registry.get("oslo-1"))).lost == limits.INTEGER_MAX
