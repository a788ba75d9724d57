"""A node that is not heard for long is replaced, and its return decided; leases bound what may run meanwhile."""

from __future__ import annotations

import math
from typing import Any

import msgspec
import pytest

from hub.core import inputs, views
from hub.core.failover import rules
from hub.core.failover.waiting import Waiting
from protocol import documents, effects, limits, messages, status
from protocol.effects import Effects, Now
from tests.unit.hub.world import World, only, service

AFTER_S = 600.0
GRACE_S = 10.0
BOUND_S = rules.bound_s(
    rules.lease_s(documents.Disconnect(replace_after_s=AFTER_S, at_most_one=True), GRACE_S), GRACE_S
)
KEY = "service/line"


def line(on_return: str = "keep_original", *, count: int = 1, one: bool = False, hub: Any = None, **more: Any) -> Any:
    disconnect = {"hub": hub or {"replace_after": "10m"}, "on_return": on_return, "at_most_one": one}
    return service("line", "site", count=count, disconnect=disconnect, **more)


class Fleet:
    """Devices a, b and c that run what they are asked for, under a lease where they need one."""

    def __init__(self, *names: str, sites: dict[str, str] | None = None) -> None:
        self.world = World()
        labels = {name: {"site": (sites or {}).get(name, "oslo")} for name in names or ("a", "b", "c")}
        self.devices = self.world.fleet(**labels)
        self.granted: dict[str, float] = {}
        self.away: set[str] = set()

    def apply(self, document: dict[str, Any]) -> list[str]:
        self.do(inputs.Apply(documents=[document], dry_run=False))
        return self.placed()

    def do(self, op: inputs.AnyOp) -> None:
        """An operator's deed."""
        fx = self.world.request(op)
        assert not only(fx, inputs.Reply).error
        self.see(fx)
        self.see_all()

    def see(self, fx: Effects) -> None:
        for device in self.devices.values():
            device.see(fx)
        self.note(fx)

    def placed(self) -> list[str]:
        return views.resource(self.world.core, "service", "line")["placement"]["nodes"]

    def asked(self) -> list[str]:
        """Return the devices that have it in their manifest."""
        return sorted(name for name, one in self.devices.items() if "assignment/line" in one.items)

    def fence(self, name: str) -> int:
        return self.world.core.failover.fence(KEY, name)

    def see_all(self) -> None:
        for fx in self.world.settle():
            self.see(fx)

    def say(self, name: str, state: str = "running", *, asks: bool = False, digest: str = "") -> Effects:
        """`name` reports what it has: the service in `state`, if it is asked for it."""
        device = self.devices[name]
        found = digest or self.world.core.resources.document(KEY)[2]
        has_it = "assignment/line" in device.items and state
        services = {"line": status.ServiceReport(state=state, digest=found)} if has_it else {}
        device.count += 1
        said = messages.Status(
            session=device.session,
            count=device.count,
            held=device.held,
            heads={},
            time_ms=1,
            body=msgspec.Raw(status.encode(status.Report(services=services))),
            leases=["line"] if asks and has_it else [],
        )
        fx = device.got(said)
        self.see(fx)
        self.see_all()
        return fx

    def note(self, fx: Effects) -> None:
        for send in fx.send:
            if isinstance(send, effects.Send) and isinstance(send.message, messages.Leases):
                self.granted[send.peer] = send.message.granted["line"]
                assert any(isinstance(op, effects.Put) for op in fx.store) or self.is_stored(send.peer)

    def is_stored(self, name: str) -> bool:
        return f"line/{name}" in self.world.store.spaces.get("lease", {})

    def leave(self, name: str) -> None:
        self.away.add(name)
        self.devices[name].leave()

    def back(self, name: str) -> None:
        self.away.discard(name)
        self.devices[name].connect()

    def wait(self, seconds: float) -> None:
        """Time passes; who is connected says something now and then, and hears what is said."""
        until = self.world.mono + seconds
        while self.world.mono < until - 1e-6:
            for name, device in self.devices.items():
                if name not in self.away:
                    device.got(messages.Need(session=device.session))
            step = min(60.0, until - self.world.mono)
            if self.world.wake_at is not None and self.world.mono < self.world.wake_at:
                step = min(step, self.world.wake_at - self.world.mono)
            self.see(self.world.later(step))
            self.see_all()

    def decided(self) -> list[dict[str, Any]]:
        return [body for kind, _, body in self.world.store.rows["audit"] if kind == "failover.decided"]


def cut(fleet: Fleet, document: Any) -> tuple[str, str]:
    """Declare it, let its node be away until another one has taken over; return both."""
    (first,) = fleet.apply(document)
    fleet.say(first)
    fleet.leave(first)
    fleet.wait(AFTER_S + 1)
    (second,) = fleet.placed()
    assert second != first
    return first, second


def test_a_node_that_is_away_is_replaced_after_the_wait_and_not_before() -> None:
    fleet = Fleet()
    (first,) = fleet.apply(line())
    fleet.leave(first)

    fleet.wait(AFTER_S - 5)
    assert fleet.placed() == [first]
    fleet.wait(6)
    (second,) = fleet.placed()

    assert second != first
    assert fleet.asked() == sorted([first, second])  # nothing of the first one stops because it was cut off
    assert fleet.fence(second) > fleet.fence(first) > 0
    assert "fence/line" in fleet.devices[second].items


def test_to_wait_is_to_wait() -> None:
    fleet = Fleet()
    (first,) = fleet.apply(line(hub="wait"))
    fleet.leave(first)
    fleet.wait(10 * AFTER_S)
    assert fleet.placed() == [first]
    assert not fleet.decided()


def test_a_short_absence_changes_nothing_and_begins_anew() -> None:
    fleet = Fleet()
    (first,) = fleet.apply(line())
    for _ in range(3):
        fleet.leave(first)
        fleet.wait(AFTER_S * 0.8)
        fleet.back(first)
        fleet.say(first)
    assert fleet.placed() == [first]


def test_after_a_restart_of_the_hub_the_wait_begins_anew() -> None:
    fleet = Fleet()
    (first,) = fleet.apply(line())
    fleet.leave(first)
    fleet.wait(AFTER_S * 0.8)
    fleet.world.restart()
    for name in fleet.devices.keys() - {first}:
        fleet.back(name)
    fleet.wait(AFTER_S * 0.8)
    assert fleet.placed() == [first]
    fleet.wait(AFTER_S * 0.3)
    assert fleet.placed() != [first]


def test_nobody_is_parked_as_long_as_nobody_can_take_over() -> None:
    fleet = Fleet("a")
    fleet.apply(line())
    fleet.leave("a")
    fleet.wait(AFTER_S * 2)
    assert (fleet.placed(), fleet.decided()) == (["a"], [])

    fleet.devices |= fleet.world.fleet(b={"site": "oslo"})
    fleet.wait(limits.FAILOVER_RETRY_S + 1)
    assert fleet.placed() == ["b"]


def test_keep_original_lets_it_run_on_and_sends_the_replacement_away() -> None:
    fleet = Fleet()
    first, second = cut(fleet, line("keep_original"))
    fence = fleet.fence(first)
    held = fleet.devices[first].items["assignment/line"]
    fleet.back(first)
    assert fleet.placed() == [second]
    fleet.say(first)

    assert fleet.placed() == fleet.asked() == [first]
    assert fleet.fence(first) == fence
    assert fleet.devices[first].items["assignment/line"] == held
    assert [one["decided"] for one in fleet.decided()] == ["replaced", "back"]


def test_keep_original_waits_until_the_original_runs() -> None:
    fleet = Fleet()
    first, second = cut(fleet, line("keep_original"))
    fleet.say(second)
    fleet.back(first)
    fleet.say(first, "starting")
    assert fleet.asked() == sorted([first, second])
    fleet.say(first)
    assert fleet.asked() == [first]


def test_keep_replacement_sends_the_original_away_once_the_replacement_runs() -> None:
    fleet = Fleet()
    first, second = cut(fleet, line("keep_replacement"))
    fleet.back(first)
    fleet.say(first)
    assert fleet.asked() == sorted([first, second])
    fleet.say(second)

    assert fleet.placed() == fleet.asked() == [second]


def test_keep_newest_keeps_who_has_what_is_asked_for_now() -> None:
    fleet = Fleet()
    first, second = cut(fleet, line("keep_newest"))
    fleet.say(second)
    old = fleet.world.core.resources.document(KEY)[2]
    fleet.apply(line("keep_newest", process={"command": ["sleep", "2000"]}))
    fleet.say(second)
    fleet.back(first)
    fleet.say(first, digest=old)

    assert fleet.asked() == [second]


def test_keep_both_keeps_both_and_a_copy_that_is_lost_then_is_made_good_by_the_other() -> None:
    fleet = Fleet("a", "b")
    first, second = cut(fleet, line("keep_both"))
    fleet.back(first)
    fleet.say(first)
    fleet.say(second)
    assert (fleet.placed(), fleet.asked()) == ([second], sorted([first, second]))

    fleet.leave(second)
    fleet.wait(AFTER_S + 1)
    assert fleet.placed() == [first]
    assert fleet.fence(first) < fleet.fence(second)


def test_a_node_that_is_placed_anew_is_another_copy() -> None:
    fleet = Fleet("a", "b")
    first, second = cut(fleet, line("keep_replacement"))
    before = fleet.fence(first)
    fleet.say(second)
    fleet.back(first)
    fleet.say(first)
    assert fleet.fence(first) == 0
    fleet.leave(second)
    fleet.wait(AFTER_S + 1)

    assert fleet.placed() == [first]
    assert fleet.fence(first) > fleet.fence(second) > before


def test_who_replaced_the_replacement_answers_for_both_of_them() -> None:
    fleet = Fleet()
    first, second = cut(fleet, line("keep_original"))
    fleet.leave(second)
    fleet.wait(AFTER_S + 1)
    (third,) = fleet.placed()
    assert len({first, second, third}) == 3
    fleet.back(first)
    fleet.say(first)
    assert fleet.asked() == sorted([first, second])
    fleet.back(second)
    fleet.say(second)
    assert fleet.placed() == fleet.asked() == [first]


def test_several_copies_each_have_their_own_replacement() -> None:
    fleet = Fleet("a", "b", "c", "d")
    two = fleet.apply(line(count=2))
    for name in two:
        fleet.say(name)
        fleet.leave(name)
    fleet.wait(AFTER_S + 1)
    assert not set(fleet.placed()) & set(two)
    for name in two:
        fleet.back(name)
        fleet.say(name)
    assert fleet.placed() == fleet.asked() == two


def test_one_that_is_drained_deleted_or_revoked_meanwhile_is_not_asked_for_when_it_returns() -> None:
    fleet = Fleet()
    first, second = cut(fleet, line())
    fleet.do(inputs.DrainNode(node=first))
    fleet.back(first)
    fleet.see_all()
    assert fleet.asked() == [second]

    fleet = Fleet()
    first, second = cut(fleet, line())
    fleet.do(inputs.DeleteResource(kind="service", name="line"))
    fleet.back(first)
    fleet.see_all()
    assert fleet.asked() == []
    fence = fleet.world.core.failover
    fleet.apply(line())
    assert fence.fence(KEY, fleet.placed()[0]) > 2  # the count survives delete and recreate


def test_a_lease_that_was_over_before_a_restart_keeps_nobody_from_going_on_after_it() -> None:
    fleet = Fleet()
    (first,) = fleet.apply(line(one=True))
    fleet.say(first, asks=True)
    fleet.leave(first)
    fleet.wait(AFTER_S + BOUND_S)
    (second,) = fleet.placed()
    fleet.say(second, asks=True)
    assert fleet.granted.keys() == {first, second}

    fleet.world.restart()
    fleet.granted.clear()
    fleet.back(second)
    fleet.say(second, asks=True)
    assert second in fleet.granted, "it runs, and who had the lease before it is long gone"


def test_one_that_never_had_a_lease_keeps_all_others_waiting_until_it_is_revoked() -> None:
    fleet = Fleet()
    first, second = cut(fleet, line(one=True))  # it said that it runs, and asked for nothing
    fleet.say(second, asks=True)
    fleet.wait(10 * BOUND_S)
    assert not fleet.granted
    told = views.service(fleet.world.core, "line", fleet.world.now)["copies"]
    since = views.node(fleet.world.core, first, fleet.world.now)["since_ms"]
    assert (told["waiting"], told["unleased"][first]) == ([second], {"state": "away", "since_ms": since})

    fleet.do(inputs.RevokeNode(node=first))
    fleet.say(second, asks=True)
    assert list(fleet.granted) == [second]
    told = views.service(fleet.world.core, "line", fleet.world.now)["copies"]
    assert (told["waiting"], told["unleased"], list(told["leases"])) == ([], {}, [second])


def test_who_waits_for_a_lease_is_looked_at_when_one_ends_or_something_has_changed() -> None:
    waiting = Waiting()
    for number in range(limits.FAILOVERS_PER_INPUT_MAX + 1):
        waiting.put(f"s{number}", {"a": 1, "b": 2}, again=200.0)
    waiting.put("never", {"a": 1}, again=math.inf)
    assert (waiting.due(Now(199.0, 0.0)), waiting.next_wake()) == ([], 200.0)
    waiting.hurry("never", "unknown")
    assert waiting.due(Now(199.0, 0.0)) == ["never"]
    assert len(waiting.due(Now(200.0, 0.0))) == limits.FAILOVERS_PER_INPUT_MAX
    assert len(waiting.due(Now(200.0, 0.0))) == 1
    assert waiting.next_wake() == math.inf

    waiting.forget("a")
    assert [waiting.pop(name) for name in ("s1", "s1", "never")] == [{"b": 2}, {}, {}]


def test_a_fence_that_a_device_names_beyond_ours_is_never_given_again() -> None:
    fleet = Fleet("a")
    fleet.apply(line())
    report = status.Report(services={"line": status.ServiceReport(state="running", fence=40)})
    fleet.devices["a"].report(report)
    fleet.devices |= fleet.world.fleet(b={"site": "oslo"})
    fleet.leave("a")
    fleet.wait(AFTER_S + 1)
    assert fleet.fence("b") == 41


def test_what_was_known_is_on_record() -> None:
    fleet = Fleet("a", "b", "c", sites={"a": "oslo", "b": "oslo", "c": "rome"})
    first, second = cut(fleet, line())
    (decided,) = fleet.decided()
    assert (decided["child"], decided["by"], decided["reason"]) == (first, {second: 1}, "stopped")
    assert decided["away_s"] >= AFTER_S
    assert decided["status_ms"] > 0


# ------------------------------------------------------------------------------------------------ at most one


def leased(on_return: str = "keep_original", **more: Any) -> tuple[Fleet, str]:
    fleet = Fleet()
    (first,) = fleet.apply(line(on_return, one=True, **more))
    fleet.say(first, "waiting", asks=True)
    assert first in fleet.granted
    fleet.say(first, asks=True)
    return fleet, first


def test_a_lease_goes_to_who_is_asked_to_run_it_and_to_nobody_else() -> None:
    fleet, first = leased()
    assert set(fleet.granted) == {first}
    assert fleet.granted[first] == rules.lease_s(documents.Disconnect(replace_after_s=AFTER_S), GRACE_S)
    other = next(name for name in fleet.devices if name != first)
    fleet.devices[other].items["assignment/line"] = "forged"
    fleet.say(other, "waiting", asks=True)
    assert set(fleet.granted) == {first}


def test_the_next_one_waits_until_the_lease_of_the_first_is_over() -> None:
    fleet, first = leased()
    granted_at = fleet.world.mono
    fleet.leave(first)
    fleet.wait(AFTER_S - 5)
    assert fleet.placed() == [first]
    fleet.wait(6)
    (second,) = fleet.placed()
    fleet.granted.clear()
    fleet.say(second, "waiting", asks=True)
    if fleet.granted:
        assert fleet.world.mono >= granted_at + BOUND_S
    else:
        fleet.wait(BOUND_S - (fleet.world.mono - granted_at) + 0.1)
    assert set(fleet.granted) == {second}
    assert fleet.world.mono >= granted_at + BOUND_S


def test_a_drained_node_s_lease_binds_until_it_says_that_nothing_runs_there() -> None:
    fleet, first = leased()
    fleet.do(inputs.DrainNode(node=first))
    (second,) = fleet.placed()
    fleet.granted.clear()
    fleet.say(second, "waiting", asks=True)
    assert fleet.granted == {}
    fleet.say(first, "")

    assert set(fleet.granted) == {second}  # at once, on the request that it made in vain
    assert not fleet.is_stored(first)


def test_a_drained_node_that_is_away_binds_for_the_whole_lease() -> None:
    fleet, first = leased()
    granted_at = fleet.world.mono
    fleet.leave(first)
    fleet.do(inputs.DrainNode(node=first))
    (second,) = fleet.placed()
    fleet.granted.clear()
    fleet.say(second, "waiting", asks=True)
    fleet.wait(BOUND_S - (fleet.world.mono - granted_at) - 5)
    assert fleet.granted == {}
    fleet.wait(6)
    assert set(fleet.granted) == {second}


def test_after_a_restart_of_the_hub_a_lease_binds_for_its_whole_length_again() -> None:
    fleet, first = leased()
    fleet.leave(first)
    fleet.wait(BOUND_S / 2)
    fleet.do(inputs.DrainNode(node=first))
    fleet.world.restart()
    (second,) = fleet.placed()
    fleet.back(second)
    fleet.granted.clear()
    fleet.say(second, "waiting", asks=True)
    fleet.wait(BOUND_S - 5)
    assert fleet.granted == {}
    fleet.wait(6)
    assert set(fleet.granted) == {second}


def test_the_original_gets_its_lease_when_the_replacement_says_that_it_has_stopped() -> None:
    fleet, first = leased()
    fleet.leave(first)
    fleet.wait(AFTER_S + 1)
    (second,) = fleet.placed()
    fleet.say(second, "waiting", asks=True)
    fleet.say(second, asks=True)
    assert second in fleet.granted
    fleet.granted.clear()

    fleet.back(first)
    fleet.say(first, "waiting", asks=True)
    assert (fleet.placed(), fleet.asked(), fleet.granted) == ([first], [first], {})
    fleet.say(second, "")
    assert set(fleet.granted) == {first}


def test_one_that_ran_before_it_needed_a_lease_binds_as_long_as_it_says_so() -> None:
    fleet = Fleet()
    (first,) = fleet.apply(line())
    fleet.say(first)
    fleet.leave(first)
    fleet.apply(line(one=True))
    fleet.wait(AFTER_S + 1)
    (second,) = fleet.placed()
    fleet.say(second, "waiting", asks=True)
    fleet.wait(AFTER_S * 2)
    assert fleet.granted == {}

    fleet.back(first)
    fleet.say(first, asks=True)
    assert fleet.placed() == [first]
    fleet.say(first, asks=True)
    assert set(fleet.granted) == {first}


def test_a_hub_that_waits_for_its_operator_gives_no_lease(monkeypatch: pytest.MonkeyPatch) -> None:
    fleet, first = leased()
    fleet.granted.clear()
    monkeypatch.setattr(type(fleet.world.core.restore), "waits", property(lambda self: True))
    fleet.say(first, asks=True)
    assert fleet.granted == {}
