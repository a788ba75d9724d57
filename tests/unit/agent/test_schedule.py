"""When workflows fire, whatever the clock does."""

from __future__ import annotations

import datetime
import zoneinfo
from typing import Any

import msgspec
import pytest

from edge_agent.core import inputs
from edge_agent.core.workflows import schedule
from protocol import documents, limits
from protocol.errors import Refused
from tests.unit.agent.world import DAY_S, WALL, World, body

OSLO = "Europe/Oslo"


def at(text: str, zone: str = "UTC") -> int:
    moment = datetime.datetime.fromisoformat(text).replace(tzinfo=zoneinfo.ZoneInfo(zone))
    return int(moment.timestamp() * 1000)


def cron(text: str, zone: str = "UTC", catch_up: str = "none") -> documents.Cron:
    return documents.Cron(cron=text, timezone=zone, catch_up=catch_up)


def test_it_fires_in_its_time_zone_also_over_the_change_of_the_clocks() -> None:
    shift = cron("0 6,14,22 * * *", OSLO)
    assert schedule.next_after(shift, at("2026-03-28T22:00", OSLO)) == at("2026-03-29T06:00", OSLO)
    assert schedule.next_after(cron("30 2 * * *", OSLO), at("2026-03-28T03:00", OSLO)) == at("2026-03-29T03:00", OSLO)
    assert schedule.next_after(cron("*/10 * * * * *"), at("2026-01-01T00:00")) == at("2026-01-01T00:00:10")


@pytest.mark.parametrize(("text", "zone"), [("61 * * * *", "UTC"), ("* * *", "UTC"), ("* * * * *", "Mars/Base")])
def test_what_the_device_does_not_understand_is_refused(text: str, zone: str) -> None:
    with pytest.raises(Refused):
        schedule.arm(cron(text, zone), int(WALL * 1000))


def test_a_day_that_never_comes_never_fires() -> None:
    never = cron("0 0 */30 2 MON#5")
    assert schedule.look(schedule.arm(never, 0), never, at("2999-01-01T00:00")) is None


@pytest.mark.parametrize("wall_ms", [limits.CLOCK_MS_MAX + 1, 253_402_300_800_000, 1 << 53, 1 << 62])
@pytest.mark.parametrize("zone", ["UTC", OSLO, "Pacific/Kiritimati"])
def test_a_clock_beyond_all_calendars_fires_a_bounded_number_once_and_then_nothing(wall_ms: int, zone: str) -> None:
    hourly = cron("0 * * * *", zone, catch_up="all")
    due = schedule.look(schedule.arm(hourly, at("2026-01-01T00:30")), hourly, wall_ms)
    assert due is not None
    assert len(due.fire) == limits.CATCH_UP_FIRINGS_MAX
    assert schedule.look(due.trigger, hourly, wall_ms + 1) is None
    assert schedule.look(schedule.arm(hourly, wall_ms), hourly, wall_ms + 3_600_000) is None
    assert schedule.is_behind(due.trigger, at("2026-01-01T01:30")), "set right, it goes on by the clock"


@pytest.mark.parametrize("wall_ms", [-1, -62_135_596_800_001, -(1 << 60)])
def test_a_clock_before_all_calendars_fires_nothing(wall_ms: int) -> None:
    hourly = cron("0 * * * *", OSLO)
    assert schedule.next_after(hourly, wall_ms) == 3_600_000
    assert schedule.look(schedule.arm(hourly, wall_ms), hourly, wall_ms + 1) is None


@pytest.mark.parametrize("text", ["0 0 29 2 *", "0 0 1 1 *", "59 23 31 12 *"])
def test_at_the_end_of_the_calendar_the_next_firing_is_found(text: str) -> None:
    assert schedule.next_after(cron(text, OSLO), limits.CLOCK_MS_MAX) > limits.CLOCK_MS_MAX


@pytest.mark.parametrize(
    ("catch_up", "fired", "missed"),
    [("none", [], 3), ("last", ["02:00"], 2), ("all", ["00:00", "01:00", "02:00"], 0)],
)
def test_missed_firings_mean_what_was_declared(catch_up: str, fired: list[str], missed: int) -> None:
    hourly = cron("0 * * * *", catch_up=catch_up)
    armed = schedule.arm(hourly, at("2025-12-31T23:30"))
    due = schedule.look(armed, hourly, at("2026-01-01T02:30"))
    assert due is not None
    assert due.fire == [at(f"2026-01-01T{text}") for text in fired]
    assert due.missed == missed
    assert (due.trigger.last_ms, due.trigger.next_ms) == (at("2026-01-01T02:00"), at("2026-01-01T03:00"))


def test_one_that_is_a_little_late_still_fires() -> None:
    hourly = cron("0 * * * *")
    armed = schedule.arm(hourly, at("2026-01-01T00:30"))
    assert schedule.look(armed, hourly, at("2026-01-01T00:59:59")) is None
    due = schedule.look(armed, hourly, at("2026-01-01T01:00:20"))
    assert due is not None
    assert due.fire == [at("2026-01-01T01:00")]


def test_years_of_missed_seconds_are_a_bounded_number_of_firings() -> None:
    often = cron("* * * * * *", catch_up="all")
    due = schedule.look(schedule.arm(often, at("2026-01-01T00:00")), often, at("2036-01-01T00:00"))
    assert due is not None
    assert len(due.fire) == limits.CATCH_UP_FIRINGS_MAX
    assert due.fire[-1] == at("2036-01-01T00:00")
    assert due.missed >= 1


# ------------------------------------------------------------------------------------------------ on a device


def flow(*triggers: documents.Cron, **fields: Any) -> documents.Workflow:
    steps = fields.pop("steps", [documents.Step(name="a", set={"x": "1"})])
    return documents.Workflow(workflow="flow", steps=steps, triggers=list(triggers), **fields)


def device(*triggers: documents.Cron, **fields: Any) -> World:
    world = World()
    world.start()
    world.online()
    world.desire(flow(*triggers, **fields))
    world.offline()
    return world


def fired(world: World) -> int:
    return world.kinds().count("run.started")


def test_schedules_fire_with_no_network() -> None:
    world = device(cron("*/5 * * * *"))
    assert world.local(inputs.LocalStatus())["workflows"]["flow"]["next_ms"] == at("2026-01-01T00:05")
    world.wait(301)
    assert fired(world) == 1
    assert world.last("run.started")["trigger"] == "cron"
    world.wait(3_000)
    assert fired(world) == 11


def test_seconds_fire_too() -> None:
    world = device(cron("*/2 * * * * *"))
    world.wait(20.5)
    assert fired(world) == 10


def test_a_firing_counts_once_even_if_the_agent_restarts_right_after() -> None:
    world = device(cron("*/5 * * * *"))
    world.wait(300)
    world.start()
    world.wait(1)
    assert fired(world) == 1


@pytest.mark.parametrize(("catch_up", "count"), [("none", 0), ("last", 1), ("all", 24)])
def test_firings_missed_while_the_power_was_off_are_recognised(catch_up: str, count: int) -> None:
    world = device(cron("30 * * * *", catch_up=catch_up))
    world.wall += DAY_S
    world.start(reboot=True)
    world.wait(0)
    assert fired(world) == count
    assert [body(entry)["count"] for entry in world.entries(kind="run.missed")] == ([24 - count] if count < 24 else [])


def test_catching_up_waits_for_room() -> None:
    world = device(cron("0 * * * *", catch_up="all"), steps=[documents.Step(name="a", run=["./a"])])
    world.wall += 3 * 3_600 + 5
    world.start(reboot=True)
    for n in range(1, 4):
        assert fired(world) == n
        launch = world.all(inputs.Launch)[-1]
        if n == 1:
            world.start(inputs.Found(instance=launch.instance, pid=3))
        world.do(inputs.Ended(instance=launch.instance, exit=inputs.Exit(code=0)))
        world.wait(0)
    assert fired(world) == 3
    assert not world.entries(kind="run.skipped")


def test_catching_up_goes_on_when_the_clock_was_set_back_meanwhile() -> None:
    world = device(cron("0 * * * *", catch_up="all"), steps=[documents.Step(name="a", run=["./a"])])
    world.wall += 3 * 3_600 + 5
    world.start(reboot=True)
    world.wall -= 400 * DAY_S
    for n in range(1, 4):
        assert fired(world) == n
        world.do(inputs.Ended(instance=world.all(inputs.Launch)[-1].instance, exit=inputs.Exit(code=0)))
        world.wait(0)
    assert fired(world) == 3


def test_a_firing_beyond_the_concurrency_is_recorded_as_skipped() -> None:
    world = device(cron("* * * * *"), steps=[documents.Step(name="a", run=["./a"], timeout_s=9_000)])
    world.wait(121)
    assert fired(world) == 1
    assert world.last("run.skipped")["reason"] == "1 of at most 1 runs of 'flow' are in progress"


def test_a_clock_that_jumps_ahead_fires_no_thousands() -> None:
    world = device(cron("* * * * *", catch_up="all"))
    world.wall += 400 * DAY_S
    world.wait(200)
    assert fired(world) <= limits.CATCH_UP_FIRINGS_MAX + 4


def test_a_device_that_wakes_up_in_1970_fires_by_its_clock_and_misses_nothing_of_the_real_time() -> None:
    world = device(cron("0 * * * *", catch_up="all"))
    world.wait(3_601)  # what the clocks sum up to is a little off
    assert fired(world) == 1
    real = world.wall
    world.wall = 0.0
    world.start(reboot=True)
    world.wait(3_601)
    assert fired(world) == 2
    world.wall = real + 2 * 3_600 + 60
    world.wait(60)
    assert fired(world) == 4


def test_a_small_step_back_of_the_clock_fires_nothing_twice() -> None:
    world = device(cron("0 * * * *"))
    world.wait(3_601)
    world.wall -= 10
    world.wait(60)
    assert fired(world) == 1


def test_a_changed_schedule_is_armed_anew_and_a_removed_one_forgotten() -> None:
    world = device(cron("0 * * * *"), cron("30 * * * *"))
    world.online()
    world.desire(flow(cron("0 12 * * *")))
    assert list(world.store.spaces["trigger"]) == ["flow/0"]
    assert world.local(inputs.LocalStatus())["workflows"]["flow"]["next_ms"] == at("2026-01-01T12:00")


def test_a_schedule_that_is_not_understood_is_shown_and_the_others_go_on() -> None:
    world = device(cron("* * * * *", "Mars/Base"), cron("*/5 * * * *"))
    conditions = world.local(inputs.LocalStatus())["conditions"]
    assert conditions[0]["text"] == "this device knows no time zone 'Mars/Base'"
    world.wait(301)
    assert fired(world) == 1


@pytest.mark.parametrize("wall", [WALL, 0.0], ids=["in time", "in 1970"])
def test_a_schedule_whose_time_zone_is_gone_from_the_device_is_shown_and_the_others_go_on(wall: float) -> None:
    world = device(cron("* * * * *", "Mars/Base"), cron("*/5 * * * *"))
    armed = schedule.Trigger(cron="* * * * *", timezone="Mars/Base", last_ms=int(WALL * 1000), next_ms=int(WALL * 1000))
    world.store.spaces["trigger"]["flow/0"] = msgspec.json.encode(armed)
    world.wall = wall
    world.start(reboot=True)
    assert world.local(inputs.LocalStatus())["conditions"][0]["text"] == "this device knows no time zone 'Mars/Base'"
    world.wait(301)
    assert fired(world) == 1
    assert "flow/0" in world.store.spaces["trigger"], "it goes on when the device knows it again"


@pytest.mark.parametrize("text", ["61 * * * *", "* * *"])
def test_a_schedule_that_changes_to_one_that_is_not_understood_fires_no_more_and_is_shown(text: str) -> None:
    world = device(cron("0 * * * *"))
    world.online()
    world.desire(flow(cron(text)))
    world.wait(3_700)
    assert fired(world) == 0
    assert world.local(inputs.LocalStatus())["conditions"][0]["text"].startswith(f"'{text}' is no schedule")
