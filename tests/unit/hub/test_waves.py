"""Waves: each waits for the one before, the absent hold up nobody, and enough that went back stop the rest."""

from __future__ import annotations

import pytest

from hub.core.upgrade import waves
from hub.core.upgrade.waves import BACK, PENDING, RUNNING, SILENT, SPARED, Rollout

NODES = [f"n{number}" for number in range(10)]
PLAN = ["1", "50%", "all"]


def step(former: Rollout, states: dict[str, str], online: list[str] | None = None, stop_after: int = 0) -> Rollout:
    return waves.step(former, PLAN, stop_after, NODES, states, NODES if online is None else online)


def test_each_wave_starts_when_every_node_of_the_one_before_is_well() -> None:
    first = step(Rollout(number=1), {})
    assert (first.wave, first.given) == (0, ["n0"])
    assert step(first, {"n0": PENDING}) == first
    second = step(first, {"n0": RUNNING})
    assert (second.wave, second.given) == (1, NODES[:5])
    assert step(second, dict.fromkeys(NODES[:4], RUNNING) | {"n4": PENDING}) == second
    last = step(second, dict.fromkeys(NODES[:5], RUNNING))
    assert (last.wave, last.given) == (2, NODES)
    assert step(last, dict.fromkeys(NODES, RUNNING)) == last


def test_the_absent_and_the_held_hold_up_nobody_and_others_take_their_place() -> None:
    first = step(Rollout(number=1), {}, ["n3", "n4"])
    assert first.given == ["n3"]
    again = step(first, {"n3": SPARED}, ["n4"])
    assert (again.wave, again.given) == (0, ["n3", "n4"])
    done = step(again, {"n3": SPARED, "n4": RUNNING}, ["n4"])
    assert (done.wave, sorted(done.given)) == (2, NODES), "who else is there is in the last one, for its return"


def test_what_nobody_has_tried_proves_nothing() -> None:
    nobody = step(Rollout(number=1), {}, [])
    assert (nobody.wave, nobody.given) == (0, [])
    held = step(Rollout(number=1, given=["n0"]), {"n0": SPARED}, ["n0"])
    assert (held.wave, held.given) == (0, ["n0"])


@pytest.mark.parametrize(("bad", "words"), [(BACK, "n1 went back; 0 may"), (SILENT, "n1 fell silent; 0 may")])
def test_more_than_may_go_back_stop_it_and_who_has_not_begun_is_left_as_it_is(bad: str, words: str) -> None:
    second = Rollout(number=1, wave=1, given=NODES[:5])
    states = {"n0": RUNNING, "n1": bad, "n2": PENDING, "n3": RUNNING, "n4": SPARED}
    stopped = step(second, states)
    assert (stopped.stopped, stopped.given) == (words, ["n0", "n1", "n3"])
    assert step(stopped, dict.fromkeys(NODES, RUNNING)).stopped == words, "it is not taken up again by itself"
    allowed = step(second, states | {"n2": RUNNING}, stop_after=1)
    assert (allowed.wave, allowed.given, allowed.stopped) == (1, NODES[:6], ""), "another one is in n4's place"
    assert step(allowed, states | {"n2": RUNNING, "n5": RUNNING}, stop_after=1).wave == 2


def test_many_that_went_back_are_named_by_a_few() -> None:
    last = Rollout(number=1, wave=2, given=NODES)
    stopped = step(last, dict.fromkeys(NODES[:6], BACK), stop_after=2)
    assert stopped.stopped == "n0 went back, n1 went back, n2 went back, n3 went back and 2 more; 2 may"


def test_who_matches_no_more_is_in_no_wave_and_sizes_are_of_those_who_do() -> None:
    assert [waves.size(wave, 10) for wave in ("1", "25%", "100%", "all", "40")] == [1, 3, 10, 10, 10]
    gone = waves.step(Rollout(number=1, given=["n0", "x"]), ["2"], 0, NODES, {"n0": PENDING}, NODES)
    assert gone.given == ["n0", "n1"]
