"""How many agents of a region a selector matches: counted once, and mended by who changed."""

from __future__ import annotations

import random
from collections.abc import Mapping

import pytest

from hub.core.work.declared import Live, Resource
from hub.core.work.matched import Agent, Matched
from protocol import limits, selector


def live(text: str) -> Live:
    """Return a resource with this selector, as far as it is looked at here."""
    made = Live.__new__(Live)
    made.record = Resource(kind="service", name="s", generation=1, changed_ms=0, by="x", selector=text)
    made.selector = selector.parse(text)
    return made


def seen(matched: Matched, text: str) -> tuple[int, dict[str, int], list[str]]:
    able = matched.able(live(text), "site")
    return able.open, dict(sorted(able.places.items())), sorted(able.closed)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """One for each question whether a selector matches."""
    found: list[int] = []
    real = selector.Selector.matches

    def counted(one: selector.Selector, labels: Mapping[str, str]) -> bool:
        found.append(1)
        return real(one, labels)

    monkeypatch.setattr(selector.Selector, "matches", counted)
    return found


def test_a_change_of_one_agent_costs_that_agent(asked: list[int]) -> None:
    matched = Matched()
    for at in range(200):
        matched.put(f"n{at}", Agent({"site": f"s{at % 3}", "gpu": ""}, closed=at == 5))
    assert seen(matched, "gpu") == (199, {"s0": 67, "s1": 67, "s2": 65}, ["n5"])
    asked.clear()
    assert not matched.put("n7", Agent({"site": "s1", "gpu": ""}, closed=False)), "it is as it was"
    assert seen(matched, "gpu")[0] == 199
    assert not asked
    assert matched.put("n7", Agent({"site": "s1"}, closed=False))
    assert matched.put("n5", None)
    assert seen(matched, "gpu") == (198, {"s0": 67, "s1": 66, "s2": 65}, [])
    assert len(asked) == 3


@pytest.mark.parametrize("most", [3, limits.ROOM_CHANGES_MAX])
def test_what_is_kept_is_what_is_counted_anew(monkeypatch: pytest.MonkeyPatch, most: int) -> None:
    monkeypatch.setattr(limits, "ROOM_CHANGES_MAX", most)
    monkeypatch.setattr(limits, "SERVICES_MAX", 3)
    draw, matched, agents = random.Random(3), Matched(), dict[str, Agent]()
    for _ in range(300):
        name = f"n{draw.randrange(12)}"
        if draw.random() < 0.2:
            agents.pop(name, None)
            matched.put(name, None)
        else:
            labels = {"site": f"s{draw.randrange(3)}", **({"gpu": ""} if draw.random() < 0.5 else {})}
            agents[name] = Agent(labels, closed=draw.random() < 0.3)
            matched.put(name, agents[name])
        text = draw.choice(("gpu", "*", "site=s1", "!gpu,site!=s0"))
        anew = Matched()
        for one, agent in agents.items():
            anew.put(one, agent)
        assert seen(matched, text) == seen(anew, text)
