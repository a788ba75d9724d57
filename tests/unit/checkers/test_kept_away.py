"""The checker of what a person at a device decided."""

from __future__ import annotations

import msgspec
import pytest

from edge_agent.core import inputs
from edge_agent.core.person import hold, own
from protocol import documents, effects
from tests.checkers.b_kept_away import KeptAway
from tests.unit.checkers import telling
from tests.unit.checkers.telling import Tale


def eye(rate: str) -> bytes:
    process = documents.Process(command=["eye"], env={"RATE": rate})
    return documents.encode(documents.Assignment(service="eye", process=process))


def in_force(raw: bytes) -> effects.Put:
    return effects.Put("assignment", "eye", raw)


def said(command: inputs.LocalCommand) -> inputs.Local:
    return inputs.Local(request=1, user="ada", uid=7, command=command)


@pytest.fixture
def held() -> Tale:
    """Somebody keeps updates away, until 90 s by the device's clock."""
    tale = Tale()
    kept = {"assignment/eye": msgspec.Raw(eye("1"))}
    tale.stored(telling.put("agent", "hold", hold.Kept(user="ada", uid=7, until_ms=90_000, documents=kept)))
    return tale


@pytest.fixture
def declared() -> Tale:
    """Somebody has declared a service."""
    tale = Tale()
    tale.stored(telling.put("own", "assignment/eye", own.Declared(user="ada", uid=7, document=msgspec.Raw(eye("1")))))
    return tale


def test_what_is_kept_is_in_force_until_somebody_ends_the_hold(held: Tale) -> None:
    held.stored(in_force(eye("1")))
    held.took(said(inputs.LocalUnhold()))
    held.stored(effects.Delete("agent", "hold"), in_force(eye("2")))
    assert held.judged(KeptAway) == 2


def test_a_hold_ends_when_its_life_is_over(held: Tale) -> None:
    held.took(inputs.Tick(), wall=91.0)
    held.stored(effects.Delete("agent", "hold"))
    assert held.judged(KeptAway) == 1


def test_a_hold_that_ends_by_itself(held: Tale) -> None:
    held.took(inputs.Tick(), wall=89.0)
    held.stored(effects.Delete("agent", "hold"))
    held.breaks(KeptAway, "oslo ends a hold that nobody ended")


def test_an_update_that_comes_through(held: Tale) -> None:
    held.stored(in_force(eye("2")))
    held.breaks(KeptAway, "oslo puts another eye in force than the person there keeps")


def test_a_service_that_goes_while_it_is_kept(held: Tale) -> None:
    held.stored(effects.Delete("assignment", "eye"))
    held.breaks(KeptAway, "oslo forgets eye, which the person there keeps")


def test_a_version_that_is_installed_meanwhile(held: Tale) -> None:
    held.acted(inputs.Install(number=3, request=b"{}"))
    held.breaks(KeptAway, "oslo installs what came while updates are kept away")


def test_a_devices_own_goes_when_somebody_there_says_so(declared: Tale) -> None:
    declared.stored(in_force(eye("1")))
    declared.took(said(inputs.LocalDelete(kind="service", name="eye")))
    declared.stored(effects.Delete("own", "assignment/eye"), in_force(eye("2")))
    assert declared.judged(KeptAway) == 2


def test_a_devices_own_that_the_hub_overrules(declared: Tale) -> None:
    declared.stored(in_force(eye("2")))
    declared.breaks(KeptAway, "oslo puts another eye in force")


def test_a_devices_own_that_nobody_deleted(declared: Tale) -> None:
    declared.stored(effects.Delete("own", "assignment/eye"))
    declared.breaks(KeptAway, "oslo lets go of its own assignment/eye, and nobody there said so")
