"""Questions that reach down: through every tier to the device, part by part; which tier is away is said."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from hub.core import inputs
from protocol import effects, limits, messages
from protocol.effects import Effects
from tests.support.tree import Hub, Tree
from tests.unit.hub.world import Device

LOGS = {"service": "vision", "tail": "10"}


class Asked:
    """A tree of three tiers with one device at its end, and what that device is asked."""

    def __init__(self) -> None:
        self.tree = Tree()
        self.cloud = self.tree.add("cloud")
        self.north = self.tree.add("eu-north", "cloud")
        self.oslo = self.tree.add("oslo", "eu-north")
        self.device = Listening(self.oslo.device("gw-7"), self.oslo)
        self.tree.later(2.0)
        self.asks = 0

    def ask(self, node: str = "eu-north/oslo/gw-7", what: str = "logs", **more: Any) -> str:
        self.asks += 1
        name = f"q{self.asks}"
        self.cloud.request(inputs.AskNode(id=name, node=node, what=what, params=LOGS, **more))
        self.tree.run()
        return name

    def answers(self, name: str) -> list[tuple[Any, bool, str]]:
        """Return the parts of an answer that the operator got: (data, last, error)."""
        found = [act for act in self.cloud.acts if isinstance(act, inputs.Answered) and act.ask == name]
        return [(msgspec.json.decode(one.data), one.last, one.error) for one in found]


class Listening:
    """The device: what it is asked is kept; it answers by hand."""

    def __init__(self, device: Device, hub: Hub) -> None:
        self.device, self.hub = device, hub
        self.asked: list[messages.Ask] = []
        performed = hub.perform

        def perform(fx: Effects) -> None:
            for send in fx.send:
                if isinstance(send, effects.Send) and send.peer == device.name:
                    self.asked += [send.message] if isinstance(send.message, messages.Ask) else []
            performed(fx)

        hub.perform = perform

    def answer(self, data: object, *, part: int = 0, last: bool = True, ask: messages.Ask | None = None) -> None:
        found = ask or self.asked[-1]
        raw = msgspec.Raw(data if isinstance(data, bytes) else msgspec.json.encode(data))
        self.device.got(messages.Answer(session=self.device.session, id=found.id, part=part, last=last, data=raw))
        self.hub.tree.run()


@pytest.fixture
def asked() -> Asked:
    return Asked()


def test_a_question_reaches_a_device_two_tiers_down_and_its_parts_come_back(asked: Asked) -> None:
    name = asked.ask()
    (ask,) = asked.device.asked
    assert (ask.what, ask.params, ask.at) == ("logs", LOGS, "")
    assert ask.deadline_ms == pytest.approx((asked.tree.wall + limits.ASK_WAIT_S) * 1000, abs=2)
    asked.device.answer(["one"], last=False)
    asked.device.answer(["two"], part=1)
    assert asked.answers(name) == [(["one"], False, ""), (["two"], True, "")]
    asked.device.answer(["three"], part=2)
    assert len(asked.answers(name)) == 2


@pytest.mark.parametrize("node", ["gw-7", "cloud/eu-north/oslo/gw-7"])
def test_a_question_goes_to_a_node_however_it_is_named(asked: Asked, node: str) -> None:
    asked.ask(node)
    assert len(asked.device.asked) == 1


def test_what_the_device_cannot_answer_is_said_by_it(asked: Asked) -> None:
    name = asked.ask()
    asked.device.answer({"error": "this agent cannot answer that"})
    assert asked.answers(name) == [(None, True, "this agent cannot answer that")]
    name = asked.ask()
    asked.device.answer(b'{"error":7}')
    assert "another version" in asked.answers(name)[0][2]


def test_a_tier_that_is_away_is_named_with_since_when(asked: Asked) -> None:
    asked.north.cut()
    since = int(asked.tree.wall * 1000)
    asked.tree.later(60.0)
    ((_, last, text),) = asked.answers(asked.ask())
    assert last
    assert text.startswith(f"eu-north is away (since_ms {since})")
    assert "gw-7 was online then, last heard" in text
    assert not asked.device.asked


def test_a_tier_further_down_that_is_away_is_named_too(asked: Asked) -> None:
    asked.oslo.cut()
    asked.tree.later(5.0)
    ((_, _, text),) = asked.answers(asked.ask())
    assert text.startswith("eu-north/oslo is away")


def test_a_device_that_is_away_is_told_from_its_hub(asked: Asked) -> None:
    asked.device.device.leave()
    asked.tree.later(2.0)
    ((_, _, text),) = asked.answers(asked.ask())
    assert text.startswith("gw-7 is away (since_ms")


def test_what_the_root_does_not_know_yet_the_region_says(asked: Asked) -> None:
    asked.device.device.leave()  # oslo knows; its parents not yet
    ((_, last, text),) = asked.answers(asked.ask())
    assert last
    assert text.startswith("gw-7 is away")


def test_a_tier_that_goes_away_meanwhile_ends_the_question(asked: Asked) -> None:
    name = asked.ask()
    asked.north.cut()
    assert asked.answers(name) == [(None, True, "eu-north went away before eu-north/oslo/gw-7 had answered")]
    name = asked.ask()
    asked.north.heal()
    asked.tree.later(2.0)
    name = asked.ask()
    asked.oslo.cut()
    assert asked.answers(name) == [(None, True, "oslo went away before oslo/gw-7 had answered")]


def test_an_answer_that_comes_after_the_session_ended_goes_nowhere(asked: Asked) -> None:
    asked.ask()
    old = asked.device.asked[-1]
    asked.north.cut()
    asked.north.heal()
    asked.tree.later(2.0)
    name = asked.ask()
    asked.device.answer(["late"], ask=old)
    assert asked.answers(name) == []
    asked.device.answer(["now"])
    assert asked.answers(name) == [(["now"], True, "")]


def test_time_runs_out_at_every_tier(asked: Asked) -> None:
    name = asked.ask(wait_s=5.0)
    asked.tree.later(6.0)
    assert asked.answers(name)[0][2].endswith("did not answer within 5 s")
    asked.device.answer(["late"])
    assert len(asked.answers(name)) == 1
    assert asked.north.core.asking.next_wake() == float("inf")


def test_a_hub_answers_for_itself(asked: Asked) -> None:
    name = asked.ask("eu-north", "status")
    ((said, last, error),) = asked.answers(name)
    assert (said["nodes"], last, error) == ({"online": 1}, True, "")
    assert asked.answers(asked.ask("eu-north", "runs")) == [([], True, "")]
    ((_, _, text),) = asked.answers(asked.ask("eu-north"))
    assert "eu-north is a hub, and has no 'logs' of its own" in text
    ((said, _, _),) = asked.answers(asked.ask("oslo", "status"))
    assert said["nodes"] == {"online": 1}


def test_only_so_many_pass_through_a_hub(asked: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "ASKS_PASSED_MAX", 1)
    asked.ask()
    ((_, _, text),) = asked.answers(asked.ask())
    assert "pass through eu-north already" in text


def test_a_question_for_nobody_is_answered_so(asked: Asked) -> None:
    up = asked.north.core.up
    assert up is not None
    ask = messages.Ask(
        incarnation="cloud-1", session=up.child.session, id="x", deadline_ms=0, what="logs", at="oslo/gw-9"
    )
    fx = asked.north.take(inputs.UpGot(message=ask))
    (send,) = fx.send
    assert isinstance(send, effects.Send)
    assert isinstance(send.message, messages.Answer)
    assert "knows no node 'oslo/gw-9'" in bytes(send.message.data).decode()
