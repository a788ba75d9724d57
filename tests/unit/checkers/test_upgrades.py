"""The checker of other versions of the agent."""

from __future__ import annotations

import msgspec
import pytest

from edge_agent.core import inputs
from hub.core.upgrade import waves
from hub.core.work import declared
from protocol import effects, messages, status
from protocol.link import parent
from protocol.upgrade.words import Kept, Outcome, Stage
from tests.checkers.b_upgrades import Upgrades
from tests.unit.checkers import telling
from tests.unit.checkers.telling import HUB, Tale

TRIAL = Kept(number=1, version="2", stage=Stage.TRIAL)
DONE = Kept(number=1, version="2", outcome=Outcome.DONE)
BACK = Kept(number=1, version="2", outcome=Outcome.BACK)


class Device(Tale):
    """A device that runs version 1."""

    def __init__(self) -> None:
        super().__init__()
        self.begins("1", Kept())

    def begins(self, version: str, kept: Kept) -> None:
        """A life of a version begins."""
        slots = inputs.Slots(version=version, release="12", arch="amd64", kept=kept)
        started = inputs.Started(
            boot_id="b",
            entropy=b"",
            version=version,
            found=[],
            artifacts=[],
            platform={},
            certificate_until_ms=0,
            certificate_from_ms=0,
            slots=slots,
        )
        self.took(started)


def test_a_version_that_was_well_stays_and_the_next_one_goes_back_to_it() -> None:
    tale = Device()
    tale.begins("2", TRIAL)
    tale.acted(inputs.Vouch(number=1))
    tale.took(inputs.Installed(kept=DONE))
    tale.begins("3", Kept(number=2, version="3", stage=Stage.TRIAL))
    tale.begins("2", Kept(number=2, version="3", outcome=Outcome.BACK))
    assert tale.judged(Upgrades) == 2


def test_a_version_that_said_nothing_stays() -> None:
    tale = Device()
    tale.begins("2", TRIAL)
    tale.begins("2", DONE)
    tale.breaks(Upgrades, "oslo runs 2, which never said that all is well; 1 was the last that did")


def test_a_version_that_was_gone_back_from_stays() -> None:
    tale = Device()
    tale.begins("2", TRIAL)
    tale.acted(inputs.Vouch(number=1))
    tale.begins("2", BACK)
    tale.breaks(Upgrades, "oslo runs 2, which never said that all is well")


class Waves(Tale):
    """A hub with an Upgrade for four devices: two first, of which one may go back, then all."""

    def __init__(self) -> None:
        super().__init__()
        spec = msgspec.Raw(msgspec.json.encode({"spec": {"waves": [2, 3, "all"], "stop_after": 0}}))
        record = declared.Resource(kind="upgrade", name="agents", generation=1, changed_ms=0, by="ada", spec=spec)
        self.stored(telling.put("resource", "upgrade/agents", record), node=HUB)
        self.stored(*(telling.put("child", name, parent.Record()) for name in "abcd"), node=HUB)

    def gives(self, *nodes: str, wave: int = 0) -> None:
        """It goes on."""
        rollout = waves.Rollout(number=1, wave=wave, given=list(nodes))
        self.stored(telling.put("rollout", "upgrade/agents", rollout), node=HUB)

    def asks(self, node: str) -> None:
        """It asks a device for it."""
        asked = telling.asked(1, items={"upgrade/agents": "d"})
        self.stored(effects.Put(asked.space, node, asked.value), node=HUB)

    def says(self, **states: str) -> None:
        """Devices say how they stand to it."""
        for node, state in states.items():
            said = status.Report(
                upgrade=status.UpgradeReport(number=1, version="2", running="1", state=state), platform={}
            )
            body = msgspec.Raw(msgspec.json.encode(said))
            one = messages.Status(session=1, count=1, held=messages.Held(), heads={}, time_ms=0, body=body)
            self.stored(telling.put("status", node, one), node=HUB)


@pytest.fixture
def tale() -> Waves:
    return Waves()


def test_wave_by_wave(tale: Waves) -> None:
    tale.gives("a", "b")
    tale.asks("a")
    tale.says(a="running", b="running")
    tale.gives("a", "b", "c", wave=1)
    tale.says(c="running")
    tale.gives("a", "b", "c", "d", wave=2)
    assert tale.judged(Upgrades) > 5


def test_the_next_one_before_anybody_runs_it(tale: Waves) -> None:
    tale.gives("a", "b")
    tale.gives("a", "b", "c", wave=1)
    tale.breaks(Upgrades, "gives upgrade/agents to c as wave 2, and it runs nowhere yet")


def test_the_next_one_while_somebody_is_at_it(tale: Waves) -> None:
    tale.gives("a", "b")
    tale.says(a="running", b="trying")
    tale.gives("a", "b", "c", wave=1)
    tale.breaks(Upgrades, "gives upgrade/agents to c as wave 2, and 1 are at it still")


def test_more_though_one_went_back(tale: Waves) -> None:
    tale.gives("a", "b")
    tale.says(a="running", b="back")
    tale.gives("a", "b", "c")
    tale.breaks(Upgrades, "gives upgrade/agents to c, and 1 went back before")


def test_more_than_the_wave(tale: Waves) -> None:
    tale.says(a="trying", b="trying", c="trying")
    tale.gives("a", "b", "c")
    tale.breaks(Upgrades, "3 nodes of hub are at upgrade/agents; wave 1 has 2")


def test_one_whom_no_wave_has_reached(tale: Waves) -> None:
    tale.gives("a", "b")
    tale.asks("c")
    tale.breaks(Upgrades, "hub asks c for upgrade/agents, and no wave has reached it")
