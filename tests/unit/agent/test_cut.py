"""What being cut off means to a service here: it runs on, stops after a time, or runs under a lease."""

from __future__ import annotations

import math

import pytest

from edge_agent.core import inputs
from protocol import documents, limits, messages
from tests.unit.agent.world import World, acts, exited, only, running, sent, service

ONE = documents.Lease(at_most_one=True)
HOUR_S = 3_600.0


@pytest.fixture
def world() -> World:
    world = World()
    world.start()
    world.online()
    return world


def statuses(world: World) -> list[messages.Status]:
    """Return the Status that the last input led to, at once or after the time that settles it."""
    at_once = sent(world.fx, messages.Status)
    if at_once:
        return at_once
    world.mono += limits.STATUS_SETTLE_S
    return sent(world.do(inputs.Tick()), messages.Status)


def grant(world: World, seconds: float = 60.0, late_s: float = 0.0) -> None:
    """The hub answers the newest request, `late_s` after it was sent."""
    (status,) = statuses(world)
    assert status.leases == ["web"]
    world.mono += late_s
    world.got(messages.Leases, count=status.count, granted={"web": seconds})


def started(world: World, lease: documents.Lease = ONE, seconds: float = 60.0, **more: str) -> float:
    """Return until when "web", which now runs, may run."""
    world.desire(service("web", lease=lease, **more))
    grant(world, seconds)
    instance = world.all(inputs.Launch)[-1].instance
    running(world, instance)
    return world.all(inputs.Launch)[-1].lease_until


# ------------------------------------------------------------------------------------------------ the lease


def test_without_a_lease_it_waits_and_says_so(world: World) -> None:
    assert not acts(world.desire(service("web", lease=ONE)), inputs.Launch)

    assert world.service("web")["state"] == "waiting"
    assert "at_most_one" in world.service("web")["reason"]
    (status,) = statuses(world)
    assert status.leases == ["web"]


def test_it_is_launched_under_a_lease_that_counts_from_the_request(world: World) -> None:
    world.desire(service("web", lease=ONE))
    (status,) = statuses(world)
    asked = world.mono
    world.mono += 20

    fx = world.got(messages.Leases, count=status.count, granted={"web": 60.0})

    assert only(fx, inputs.Launch).lease_until == asked + 60


@pytest.mark.parametrize("granted", [{}, {"db": 60.0}, {"web": 0.0}, {"web": -1.0}])
def test_what_is_not_granted_does_not_run(world: World, granted: dict[str, float]) -> None:
    world.desire(service("web", lease=ONE))
    (status,) = statuses(world)

    assert not acts(world.got(messages.Leases, count=status.count, granted=granted), inputs.Launch)
    assert not acts(world.got(messages.Leases, count=status.count + 1, granted={"web": 60.0}), inputs.Launch)


def test_a_lease_is_renewed_within_a_third_of_it_and_the_warden_told_what_is_worth_it(world: World) -> None:
    until = started(world)

    world.mono += 1
    (soon,) = statuses(world)
    assert not acts(world.got(messages.Leases, count=soon.count, granted={"web": 60.0}), inputs.Extend)
    world.mono += 60 / limits.LEASE_ASKED_SHARE
    (later,) = sent(world.do(inputs.Tick()), messages.Status)
    fx = world.got(messages.Leases, count=later.count, granted={"web": 60.0})

    assert only(fx, inputs.Extend) == inputs.Extend(instance="s-web-1", until=world.mono + 60)
    assert world.mono + 60 > until + 15


def test_a_late_answer_shortens_no_lease_and_one_of_an_older_session_is_none(world: World) -> None:
    world.desire(service("web", lease=ONE))
    (first,) = statuses(world)
    fx = world.got(messages.Leases, count=first.count, granted={"web": 60.0})
    until = only(fx, inputs.Launch).lease_until
    running(world, "s-web-1")
    world.got(messages.Leases, count=first.count, granted={"web": 20.0})
    world.offline()
    world.online()
    world.got(messages.Leases, count=50, granted={"web": 600.0})

    world.wait(until - world.mono - 0.1)
    assert not world.all(inputs.Stop)
    world.wait(0.2)
    assert world.all(inputs.Stop)


def test_when_it_runs_out_it_is_stopped_here_too_and_starts_again_with_a_new_one(world: World) -> None:
    until = started(world)
    world.offline()

    acted = world.wait(until - world.mono)
    assert inputs.Stop(instance="s-web-1", grace_s=limits.STOP_GRACE_S) in acted
    world.do(exited("s-web-1", None, 15))
    assert world.last("service.stopped")["cause"] == "lease"
    assert world.service("web")["state"] == "waiting"
    assert len(world.all(inputs.Launch)) == 1
    world.online()
    grant(world)
    assert [one.instance for one in world.all(inputs.Launch)] == ["s-web-1", "s-web-2"]


def test_what_the_warden_ended_is_no_failure(world: World) -> None:
    started(world)
    world.offline()
    exit_ = inputs.Exit(signal=15, expired=True)

    world.mono += 60
    world.do(inputs.Ended(instance="s-web-1", exit=exit_))

    assert world.last("service.stopped")["cause"] == "lease"
    assert world.service("web")["state"] == "waiting"


def test_a_crash_within_the_lease_starts_again_without_the_hub(world: World) -> None:
    until = started(world, backoff=documents.Backoff(min_s=1.0, max_s=1.0))  # type: ignore[arg-type]
    world.offline()

    world.do(exited("s-web-1", 1))
    world.wait(1.0)

    assert world.all(inputs.Launch)[-1].instance == "s-web-2"
    assert world.all(inputs.Launch)[-1].lease_until == until


def test_an_agent_that_restarts_goes_on_with_the_lease_that_stands_in_the_folder(world: World) -> None:
    until = started(world)
    world.mono += 5

    fx = world.start(inputs.Found(instance="s-web-1", pid=41, lease_until=until))

    assert not acts(fx, inputs.Stop)
    acted = world.wait(until - world.mono)
    assert [type(one) for one in acted if isinstance(one, inputs.Stop | inputs.Launch)] == [inputs.Stop]


def test_after_a_boot_it_waits_for_contact(world: World) -> None:
    until = started(world)

    fx = world.start(inputs.Found(instance="s-web-1", pid=41, exit=inputs.Exit(), lease_until=until), reboot=True)
    assert not acts(fx, inputs.Launch)
    assert world.service("web")["state"] == "waiting"

    world.online()
    grant(world)
    assert world.all(inputs.Launch)[-1].instance == "s-web-2"


def test_one_that_was_stored_as_started_and_never_ran_asks_again(world: World) -> None:
    world.desire(service("web", lease=ONE))
    grant(world)
    assert len(world.all(inputs.Launch)) == 1

    fx = world.start()

    assert not acts(fx, inputs.Launch)
    assert world.service("web")["state"] == "waiting"


def test_a_running_service_that_needs_a_lease_from_now_on_gets_the_time_to_ask(world: World) -> None:
    world.desire(service("web"))
    running(world, "s-web-1")

    fx = world.desire(service("web", lease=ONE))
    assert not acts(fx, inputs.Stop)
    assert only(fx, inputs.Extend).until == world.mono + limits.LEASE_S_MIN
    world.offline()
    assert any(isinstance(one, inputs.Stop) for one in world.wait(limits.LEASE_S_MIN))


def test_a_service_that_needs_none_any_more_is_told_to_the_warden(world: World) -> None:
    started(world)

    fx = world.desire(service("web"))

    assert only(fx, inputs.Extend) == inputs.Extend(instance="s-web-1", until=math.inf)
    world.start(inputs.Found(instance="s-web-1", pid=41, lease_until=math.inf))
    assert not acts(world.do(inputs.Tick()), inputs.Extend)
    world.online()
    fx = world.desire(service("web", lease=ONE))
    assert only(fx, inputs.Extend).until == world.mono + limits.LEASE_S_MIN


def test_nobody_here_can_start_what_has_no_lease_and_one_that_is_stopped_here_asks_for_none(world: World) -> None:
    world.desire(service("web", lease=ONE))
    world.local(inputs.LocalStart(service="web"))
    assert not world.all(inputs.Launch)

    world.local(inputs.LocalStop(service="web"))
    (status,) = statuses(world)
    assert status.leases == []


def test_others_do_not_wait_for_a_lease(world: World) -> None:
    fx = world.desire(service("web", lease=ONE), service("db"))

    assert only(fx, inputs.Launch).key == "db"


# ------------------------------------------------------------------------------------------------ stop_after

SOME = documents.Lease(stop_after_s=HOUR_S)


def stopped(world: World) -> bool:
    return any(one.instance == "s-web-1" for one in world.all(inputs.Stop))


def test_it_stops_once_nothing_was_heard_for_so_long_and_starts_when_the_hub_is_heard(world: World) -> None:
    world.desire(service("web", lease=SOME))
    running(world, "s-web-1")
    world.offline()

    world.wait(HOUR_S - 1)
    assert not stopped(world)
    world.wait(2)
    assert stopped(world)
    world.do(exited("s-web-1", None, 15))
    assert world.last("service.stopped")["cause"] == "cut off"
    assert world.service("web")["state"] == "waiting"
    world.online()
    assert world.all(inputs.Launch)[-1].instance == "s-web-2"


def test_contact_begins_the_time_anew(world: World) -> None:
    world.desire(service("web", lease=SOME))
    running(world, "s-web-1")
    for _ in range(3):
        world.offline()
        world.wait(HOUR_S * 0.9)
        world.online()

    assert not stopped(world)


def test_a_wall_clock_that_jumps_decides_nothing(world: World) -> None:
    world.desire(service("web", lease=SOME))
    running(world, "s-web-1")
    world.offline()
    world.wall += 400 * 86_400

    world.wait(HOUR_S - 1)
    assert not stopped(world)


def test_the_time_goes_on_over_a_restart_of_the_agent(world: World) -> None:
    world.desire(service("web", lease=SOME))
    running(world, "s-web-1")
    world.offline()
    world.wait(HOUR_S / 2)

    world.mono += HOUR_S / 4
    world.start(inputs.Found(instance="s-web-1", pid=41))
    world.wait(HOUR_S / 4 - 1)
    assert not stopped(world)
    world.wait(2)
    assert stopped(world)


def test_a_life_that_ended_while_it_was_live_counts_from_when_that_was_last_noted(world: World) -> None:
    world.desire(service("web", lease=SOME))
    running(world, "s-web-1")

    world.mono += HOUR_S
    world.start(inputs.Found(instance="s-web-1", pid=41))
    assert not stopped(world)
    world.wait(HOUR_S / 20 + 1)
    assert stopped(world)


def test_the_time_goes_on_over_boots_and_forgets_a_step_of_it_at_most(world: World) -> None:
    world.desire(service("web", lease=SOME))
    running(world, "s-web-1")
    world.offline()
    world.wait(HOUR_S * 0.8)

    world.mono = 10.0
    world.start(reboot=True)
    launched = world.all(inputs.Launch)[-1].instance
    assert launched == "s-web-2"
    running(world, launched)
    world.wait(HOUR_S * 0.2 - 1)
    assert not [one for one in world.all(inputs.Stop) if one.instance == launched]
    world.wait(HOUR_S / 20 + 1)
    assert [one for one in world.all(inputs.Stop) if one.instance == launched]


def test_a_person_at_the_device_starts_it_all_the_same(world: World) -> None:
    world.desire(service("web", lease=SOME))
    running(world, "s-web-1")
    world.offline()
    world.wait(HOUR_S + 1)
    world.do(exited("s-web-1", None, 15))

    world.local(inputs.LocalStart(service="web"))

    assert world.all(inputs.Launch)[-1].instance == "s-web-2"


def test_a_device_where_nothing_stops_notes_nothing(world: World) -> None:
    world.desire(service("web"))
    world.offline()
    world.wait(HOUR_S)

    assert "absence" not in world.store.spaces["agent"]


# ------------------------------------------------------------------------------------------------ the term


def test_the_term_of_a_copy_stands_beside_its_assignment_and_restarts_nothing(world: World) -> None:
    fx = world.desire(service("web"), documents.Fence(service="web", fence=3))
    assert only(fx, inputs.Launch).fence == "0000000003"
    running(world, "s-web-1")

    fx = world.desire(service("web"), documents.Fence(service="web", fence=4))

    assert not fx.act
    assert world.service("web")["fence"] == 4
