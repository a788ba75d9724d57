"""Another version of the agent: fetched, asked for, tried, and judged by whether the work went on."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from edge_agent.core import inputs
from protocol import documents, limits, status
from protocol.upgrade.words import Kept, Outcome, Stage
from tests.unit.agent.world import World, acts, body, exited, only, running, service

OLD, NEW = "0.1.0+deb12", "0.2.0+deb12"
PACKAGE = "sha256:" + 64 * "d"
THIS = documents.Package(release="12", arch="arm64", artifact=PACKAGE)
THAT = documents.Package(release="12", arch="amd64", artifact="sha256:" + 64 * "e")
TO = documents.Upgrade(name="agents", version="0.2.0", packages=[THAT, THIS], number=4, by="cloud", signature="s")
TRIAL = Kept(number=4, version=NEW, stage=Stage.TRIAL, tries=1, confirm_s=120.0)


def slots(version: str = OLD, kept: Kept | None = None) -> inputs.Slots:
    return inputs.Slots(version=version, release="12", arch="arm64", kept=kept or Kept())


def device(*wanted: documents.AnyDocument, is_here: bool = True) -> World:
    """A device that runs `web`, with its package of the new version fetched already."""
    world = World()
    world.start(slots=slots())
    world.online()
    world.desire(service("web"))
    running(world, "s-web-1")
    world.desire(service("web"), *(wanted or (TO,)))
    if is_here:
        world.do(inputs.Fetched(digest=PACKAGE))
    return world


def shown(world: World) -> status.UpgradeReport:
    report = world.core.status(world.now()).upgrade
    assert report is not None
    return report


def told(world: World) -> list[str]:
    return [entry.kind for entry in world.entries("audit", "upgrade.")]


def found(instance: str = "s-web-1", exit: inputs.Exit | None = None) -> inputs.Found:  # noqa: A002
    return inputs.Found(instance=instance, pid=41, exit=exit)


def test_a_package_is_fetched_then_root_is_asked_once_and_what_runs_is_remembered() -> None:
    world = device(is_here=False)
    assert (shown(world).state, shown(world).running) == ("fetching", OLD)
    assert not world.all(inputs.Install)
    fx = world.do(inputs.Fetched(digest=PACKAGE))
    assert only(fx, inputs.Install) == inputs.Install(number=4, request=documents.encode(TO))
    assert shown(world).state == "asked"
    assert world.last("upgrade.asked", "audit") == {"version": NEW, "former": OLD, "by": "cloud", "number": 4}
    world.wait(600)
    assert len(world.all(inputs.Install)) == 1
    assert not [act for act in world.all(inputs.Collect) if PACKAGE not in act.keep], "root needs the package"


@pytest.mark.parametrize("is_heard", [True, False])
def test_a_version_on_trial_that_meets_its_work_again_is_well_with_a_hub_and_without(is_heard: bool) -> None:
    world = device()
    fx = world.start(found(), slots=slots(NEW, TRIAL))
    assert not acts(fx, inputs.Stop)
    assert not acts(fx, inputs.Vouch)
    assert shown(world).state == "trying"
    if is_heard:
        world.online()
    else:
        world.offline()
        world.wait(limits.UPGRADE_OFFLINE_S)
    (vouch,) = world.all(inputs.Vouch)
    assert vouch == inputs.Vouch(number=4)
    world.do(inputs.Installed(kept=Kept(number=4, version=NEW, outcome=Outcome.DONE)))
    assert shown(world) == status.UpgradeReport(number=4, version=NEW, running=NEW, state="running")
    assert told(world) == ["upgrade.asked", "upgrade.done"]
    world.wait(600)
    world.start(found(), slots=slots(NEW, Kept(number=4, version=NEW, outcome=Outcome.DONE)))
    world.online()
    world.wait(600)
    assert len(world.all(inputs.Install)) == len(world.all(inputs.Vouch)) == 1
    assert told(world) == ["upgrade.asked", "upgrade.done"], "it is told once"


def test_a_device_without_a_hub_is_well_before_its_trial_is_over_however_short_that_is() -> None:
    world = device()
    world.start(found(), slots=slots(NEW, msgspec.structs.replace(TRIAL, confirm_s=10.0)))
    world.offline()
    world.wait(5.0)
    assert world.all(inputs.Vouch) == [inputs.Vouch(number=4)]


def test_a_service_that_is_not_met_again_makes_the_trial_fail_at_once() -> None:
    world = device()
    fx = world.start(slots=slots(NEW, TRIAL))
    assert only(fx, inputs.Vouch).fault == "service web, which ran, was not found again"
    world.online()
    assert len(world.all(inputs.Vouch)) == 1, "it has spoken"


def test_a_version_that_stops_what_ran_fails_and_one_whose_service_ended_by_itself_does_not() -> None:
    world = device()
    world.store.spaces["service"]["web"] = b'{"stage":"running","instance":"s-web-1","process":"of another reading"}'
    fx = world.start(found(), slots=slots(NEW, TRIAL))
    assert only(fx, inputs.Vouch).fault == "service web, which ran, was not left as it was"
    world = device()
    fx = world.start(found(exit=inputs.Exit(code=1)), slots=slots(NEW, TRIAL))
    assert not acts(fx, inputs.Vouch)
    world.online()
    assert world.all(inputs.Vouch)[-1].fault == ""


def test_after_a_power_cut_in_the_trial_the_work_begins_anew_and_that_is_no_fault() -> None:
    world = device()
    world.start(slots=slots(NEW, TRIAL), reboot=True)
    world.online()
    assert world.all(inputs.Vouch)[-1].fault == ""


def test_who_is_turned_away_in_the_trial_is_not_well() -> None:
    world = device()
    world.start(found(), slots=slots(NEW, TRIAL))
    world.do(inputs.Closed(session=world.session(), reason="certificate unknown", turned_away=True))
    world.wait(limits.UPGRADE_OFFLINE_S)
    assert world.all(inputs.Vouch)[-1].fault == "it was turned away: certificate unknown"


def test_what_was_gone_back_from_is_told_and_not_tried_again_until_another_is_asked_for() -> None:
    world = device()
    back = Kept(number=4, version=NEW, outcome=Outcome.BACK, reason="it ended 3 times by itself")
    world.start(found(), slots=slots(OLD, back), artifacts=(PACKAGE,))
    world.online()
    world.wait(600)
    assert len(world.all(inputs.Install)) == 1
    assert (shown(world).state, shown(world).reason) == ("back", "it ended 3 times by itself")
    assert told(world) == ["upgrade.asked", "upgrade.back"]
    (condition,) = [one for one in world.core.status(world.now()).conditions if one.what == "upgrade"]
    assert condition.text == f"{NEW} is asked for, {OLD} runs: it ended 3 times by itself"
    again = msgspec.structs.replace(TO, number=5)
    world.desire(service("web"), again)
    assert only(world.do(inputs.Fetched(digest=PACKAGE)), inputs.Install).number == 5


def test_a_life_that_begins_while_root_is_at_it_waits_for_what_comes_of_it() -> None:
    world = device()
    failed = Kept(number=4, version=NEW, stage=Stage.FAILED, tries=1, reason="it ended 3 times by itself")
    fx = world.start(found(), slots=slots(OLD, failed))
    assert acts(fx, inputs.AwaitInstalled)
    world.online()
    assert (shown(world).state, world.all(inputs.Vouch)) == ("trying", [])
    world.do(inputs.Installed(kept=msgspec.structs.replace(failed, stage=Stage.IDLE, outcome=Outcome.BACK)))
    assert (shown(world).state, shown(world).reason) == ("back", "it ended 3 times by itself")
    assert told(world)[-1] == "upgrade.back"


def test_what_root_refuses_or_does_not_answer_is_told() -> None:
    world = device()
    full = Kept(number=4, version=NEW, outcome=Outcome.REFUSED, reason="90 MB are needed, 12 are free: make room")
    world.do(inputs.Installed(kept=full))
    assert (shown(world).state, shown(world).reason) == ("refused", full.reason)
    assert told(world) == ["upgrade.asked", "upgrade.refused"]
    world = device()
    world.do(inputs.Installed(kept=Kept(), error="what installs here did nothing"))
    world.wait(600)
    assert (shown(world).state, shown(world).reason) == ("refused", "what installs here did nothing")
    assert len(world.all(inputs.Install)) == 1
    older = msgspec.structs.replace(TO, number=3)
    world.start(found(), slots=slots(OLD, full))
    world.online()
    world.desire(service("web"), older)
    assert (shown(world).state, shown(world).reason) == ("refused", "a newer one was asked for here before")


def test_a_held_device_stays_as_it_is_until_it_is_let_go() -> None:
    world = World()
    world.start(slots=slots(), artifacts=(PACKAGE,))
    world.online()
    world.desire(service("web"))
    running(world, "s-web-1")
    world.local(inputs.LocalHold(reason="night shift"))
    world.desire(service("web"), TO)
    world.wait(600)
    assert world.core.status(world.now()).upgrade is None
    hold = world.core.status(world.now()).hold
    assert hold is not None
    assert hold.waiting == 1
    world.do(inputs.Fetched(digest=PACKAGE))
    assert not world.all(inputs.Install)
    world.local(inputs.LocalUnhold())
    world.do(inputs.Fetched(digest=PACKAGE))
    assert len(world.all(inputs.Install)) == 1


def test_a_device_that_is_held_while_it_fetches_asks_for_nothing_before_it_is_let_go() -> None:
    world = device(is_here=False)
    world.local(inputs.LocalHold(reason="night shift"))
    world.do(inputs.Fetched(digest=PACKAGE))
    world.wait(600)
    assert not world.all(inputs.Install)
    assert shown(world).state == "fetching"
    world.local(inputs.LocalUnhold())
    assert len(world.all(inputs.Install)) == 1


def test_the_newest_that_is_for_this_device_counts_and_one_that_runs_asks_for_nothing() -> None:
    other = msgspec.structs.replace(TO, name="other", packages=[THAT], number=9)
    newer = msgspec.structs.replace(TO, name="newer", version="0.3.0", number=6)
    world = device(TO, other, newer)
    assert only(world.fx, inputs.Install).number == 6
    world.desire(service("web"), other)
    said = "it is for Debian 12 on amd64; this device has Debian 12 on arm64"
    assert (shown(world).state, shown(world).reason) == ("refused", said)
    world = device(msgspec.structs.replace(TO, version="0.1.0"))
    assert (shown(world).state, world.all(inputs.Install)) == ("running", [])
    world.desire(service("web"))
    assert world.core.status(world.now()).upgrade is None


def test_an_agent_that_is_no_package_says_so() -> None:
    world = World()
    world.start(artifacts=(PACKAGE,))
    world.online()
    world.desire(TO)
    assert shown(world).reason == "this agent was not installed from its package: install that first"
    assert not world.all(inputs.Install)


def test_who_starts_again_before_root_answered_asks_again() -> None:
    world = device()
    world.start(found(), slots=slots(), artifacts=(PACKAGE,))
    assert len(world.all(inputs.Install)) == 2
    assert told(world) == ["upgrade.asked"]
    world.do(exited("s-web-1", 0))
    noted: Any = body(world.entries("audit", "upgrade.asked")[-1])
    assert noted["number"] == 4
