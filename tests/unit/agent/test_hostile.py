"""A workload that means harm: what it says can end nothing but itself, here and above."""

from __future__ import annotations

import msgspec
import pytest

from edge_agent.core import inputs
from protocol import documents, limits
from protocol.link import cursor
from tests.support import single
from tests.unit.agent.world import World, only, running, service


@pytest.fixture
def world() -> World:
    world = World()
    world.start()
    world.online()
    world.desire(service("web"))
    running(world, "s-web-1")
    return world


def item(body: bytes, kind: str = "event", key: str = "", to: str = "state") -> inputs.Item:
    return inputs.Item(kind=kind, body=msgspec.Raw(body), key=key, to=to)


@pytest.mark.parametrize("to", ["state", "outputs"])
@pytest.mark.parametrize("body", [b"[" * 400 + b"]" * 400, b'{"a":' * 980 + b"1" + b"}" * 980, b'{"a":"\xff"}'])
def test_what_nobody_could_read_is_refused(world: World, to: str, body: bytes) -> None:
    fx = world.do(inputs.Emitted(connection=3, instance="s-web-1", items=[item(body, to=to)]))
    ack = only(fx, inputs.EmitAck)
    assert (ack.count, "nothing of its batch was kept" in ack.error or "outputs" in ack.error) == (0, True)
    assert not world.entries("state", "app.")


def test_what_is_acknowledged_is_an_entry_for_the_parent_too(world: World) -> None:
    """With its prefix a kind must still be one that a parent takes: else it is poison there, and lost."""
    kind = "k" * (limits.ENTRY_NAME_BYTES_MAX - len("app.") - 1)
    world.do(inputs.Emitted(connection=3, instance="s-web-1", items=[item(b"1", kind, "x"), item('"wörter"'.encode())]))
    one, _ = world.entries("state", "app.")
    raw = single.row(one.seq, one.time_ms, one.kind, one.key, bytes(one.body))
    assert cursor.decode_head(raw).kind == f"app.{kind}"
    fx = world.do(inputs.Emitted(connection=3, instance="s-web-1", items=[item(b"1", kind + "k", "x")]))
    assert [act.count for act in fx.act if isinstance(act, inputs.EmitAck)][-1] == 0


@pytest.mark.parametrize("number", ["9" * 400, "9" * 5_000])
def test_no_number_is_larger_than_a_store_keeps(number: str) -> None:
    with pytest.raises((msgspec.ValidationError, msgspec.DecodeError, ValueError)):
        msgspec.json.decode(f'{{"id": {number}}}', type=inputs.Item)


@pytest.mark.parametrize("do", ["stop", "start", "hold"])
def test_no_decision_lasts_longer_than_can_be_told(do: str) -> None:
    raw = msgspec.json.encode({"do": do, "service": "web", "reason": "", "until_ms": limits.INTEGER_MAX + 1})
    with pytest.raises(msgspec.ValidationError, match="until_ms"):
        msgspec.json.decode(raw, type=inputs.AnyLocalCommand)


def test_a_probe_that_is_over_before_it_began_is_run_no_oftener_than_others(world: World) -> None:
    probe = documents.Probe(exec=["true"], interval_s=-1e308, timeout_s=-1e308)
    world.desire(service("web", health=probe))
    world.wait(10 * limits.PROBE_INTERVAL_S_MIN)
    assert 1 <= len(world.all(inputs.RunProbe)) <= 11
