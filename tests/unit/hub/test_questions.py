"""Questions to nodes: asked, answered in parts, or not at all."""

import msgspec
import pytest

from hub.core import inputs
from protocol import effects, limits, messages
from tests.unit.hub.world import Device, World, acts, only


@pytest.fixture
def world() -> World:
    return World()


def ask(node: str = "oslo-1", name: str = "q1", what: str = "logs") -> inputs.AskNode:
    return inputs.AskNode(id=name, node=node, what=what, params={"service": "line"}, wait_s=30.0)


def answer(device: Device, part: int, last: bool, name: str = "q1") -> list[inputs.Answered]:
    said = messages.Answer(session=device.session, id=name, part=part, last=last, data=msgspec.Raw(b'["line"]'))
    return acts(device.got(said), inputs.Answered)


def test_an_answer_comes_in_parts_until_the_last(world: World) -> None:
    devices = world.fleet(oslo_1={"site": "oslo"}, oslo_2={"site": "oslo"})
    device = devices["oslo-1"]
    fx = world.request(ask())
    (asked,) = [send.message for send in fx.send if isinstance(send, effects.Send)]
    assert isinstance(asked, messages.Ask)
    assert (asked.id, asked.what, asked.params) == ("q1", "logs", {"service": "line"})
    assert asked.deadline_ms == int((world.wall + 30.0) * 1000)
    assert answer(devices["oslo-2"], 0, True) == []
    assert [part.data for part in answer(device, 0, False)] == [b'["line"]']
    assert [part.last for part in answer(device, 1, True)] == [True]
    assert answer(device, 2, True) == []


def test_a_node_that_is_away_is_said_to_be_away_since_when(world: World) -> None:
    device = world.fleet(oslo_1={"site": "oslo"})["oslo-1"]
    device.leave()
    fx = world.request(ask())
    said = only(fx, inputs.Answered)
    assert (said.last, f"since_ms {int(world.wall * 1000)}" in said.error) == (True, True)
    assert only(fx, inputs.Reply).error == said.error


def test_a_question_ends_when_its_time_is_over_or_its_node_leaves(world: World) -> None:
    device = world.fleet(oslo_1={"site": "oslo"})["oslo-1"]
    world.ask(ask())
    assert world.core.asking.next_wake() == world.mono + 30.0
    (late,) = acts(world.later(30.0), inputs.Answered)
    assert "did not answer within 30 s" in late.error
    world.ask(ask(name="q2"))
    (left,) = acts(device.leave(), inputs.Answered)
    assert (left.ask, "went away" in left.error) == ("q2", True)


def test_only_known_questions_and_only_so_many(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.fleet(oslo_1={"site": "oslo"})
    assert world.refused(ask(what="reboot")).status == 422
    assert world.refused(ask(node="nope")).status == 404
    monkeypatch.setattr(limits, "ASKS_OPEN_MAX", 1)
    world.ask(ask())
    assert world.refused(ask(name="q2")).status == 503
