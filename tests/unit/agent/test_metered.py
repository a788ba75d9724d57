"""A device whose bytes cost: what it says in an hour, and what it says at once."""

from __future__ import annotations

import pytest

from edge_agent.core import inputs
from edge_agent.core.agent import STREAMS
from protocol import documents, effects, limits, messages, status
from protocol.effects import Effects
from tests.unit.agent.world import World, exited, only, running, sent, service

_HOUR_S = 3_600.0


@pytest.fixture
def world() -> World:
    world = World(contact_s=_HOUR_S)
    world.start()
    world.online(cursors={name: messages.Cursor(epoch="0" * 16, seq=0, credit=100) for name in STREAMS})
    world.desire(service("web"))
    running(world, "s-web-1")
    hour(world, limits.CONTACT_OPEN_S + 1)
    return world


def hour(world: World, seconds: float = _HOUR_S) -> list[str]:
    """Let time pass, with a sample of vitals a minute; return what is sent."""
    found: list[str] = []
    until = world.mono + seconds
    while world.mono < until:
        step = min(limits.VITALS_EVERY_S, until - world.mono)
        if world.wake_at is not None:
            step = min(step, max(0.0, world.wake_at - world.mono))
        world.mono, world.wall = world.mono + step, world.wall + step
        due = world.wake_at is not None and world.mono >= world.wake_at
        tick = inputs.Tick() if due else inputs.Sampled(vitals=status.Vitals(cpu=world.mono))
        found += names(world.do(tick))
        if found and found[-1] != "Status":
            acked(world)
    return found


def acked(world: World) -> None:
    """The parent acks all rows of `state` and `audit`."""
    for stream in ("state", "audit"):
        at = world.store.streams[stream]
        world.got(messages.EntriesAck, stream=stream, epoch=at.epoch, seq=at.last, hash=at.hash.hex(), credit=100)


def names(fx: Effects) -> list[str]:
    return [one.stream if isinstance(one, effects.SendRows) else type(one.message).__name__ for one in fx.send]


def test_an_idle_hour_is_one_status(world: World) -> None:
    acked(world)
    assert hour(world) == ["Status"]
    assert not world.entries("metrics"), "nor is anything written for it"


def test_what_happens_is_told_with_the_hour(world: World) -> None:
    acked(world)
    told = names(world.do(exited("s-web-1", 1))) + hour(world, _HOUR_S / 2)
    assert not told
    assert world.entries("state", "service.exited")
    assert hour(world, _HOUR_S / 2 + 60) == ["Status", "state"]


def test_a_task_is_run_and_answered_at_once(world: World) -> None:
    acked(world)
    task = documents.Task(id="t1", command=["true"], deadline_ms=int(world.wall * 1000) + 4_000_000)
    started = names(world.desire(service("web"), task))
    assert started[-1] == "state"
    hour(world, limits.CONTACT_OPEN_S * 2)
    assert names(world.do(exited("t-t1", 0, stdout="42"))) == ["state"]
    assert world.last("task.ended")["stdout"] == "42"


def test_a_question_is_answered_at_once(world: World) -> None:
    acked(world)
    fx = world.got(messages.Ask, id="q", deadline_ms=2**52, what="status", params={})
    (answer,) = sent(fx, messages.Answer)
    assert b"web" in bytes(answer.data)


def test_a_person_at_the_device_decides_and_the_hub_hears_it_with_the_hour(world: World) -> None:
    acked(world)
    told = names(world.do(inputs.Local(request=1, user="ada", uid=1, command=inputs.LocalStop(service="web"))))
    assert not told
    assert "audit" in hour(world)


def test_a_device_that_says_nothing_of_its_link_is_not_metered() -> None:
    world = World()
    world.start()
    assert only(world.fx, inputs.Connect)
    (hello,) = sent(world.do(inputs.Opened(session=world.session())), messages.Hello)
    assert hello.contact_s == 0.0
