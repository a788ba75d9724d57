"""The waiting room: a bounded rate, and turns for each source."""

from __future__ import annotations

from hub.shell.door.admission import Admission


def room(*, per_s: float = 10, burst: int = 1, waiting_max: int = 100, wait_s: float = 10) -> Admission[str]:
    admission = Admission[str](per_s=per_s, burst=burst, waiting_max=waiting_max, wait_s=wait_s)
    admission.admit(0.0)
    return admission


def test_a_quiet_door_admits_at_once() -> None:
    admission = room()
    assert admission.arrive("a", "1.1.1.1", 5.0) is None
    assert admission.admit(5.0) == (["a"], [])
    assert admission.next_wake() is None


def test_a_storm_is_admitted_at_the_rate_and_all_return() -> None:
    admission = room(per_s=10, burst=5, wait_s=100)
    for guest in range(50):
        admission.arrive(str(guest), f"source {guest}", 0.0)
    came, now = list[str](), 0.0
    times = list[float]()
    while (wake := admission.next_wake()) is not None:
        now = max(now + 0.001, wake)
        admitted, _ = admission.admit(now)
        came += admitted
        times += [now] * len(admitted)
    assert came == [str(guest) for guest in range(50)]
    assert all(sum(t <= moment for t in times) <= 5 + 10 * moment + 1 for moment in times)
    assert 4.0 < now < 5.0


def test_who_opens_many_sockets_waits_behind_who_opens_one() -> None:
    admission = room(per_s=1, burst=1)
    for guest in range(10):
        admission.arrive(f"greedy {guest}", "6.6.6.6", 0.0)
    admission.arrive("modest", "1.1.1.1", 0.0)
    admitted = [guest for second in range(4) for guest in admission.admit(float(second))[0]]
    assert admitted.index("modest") <= 1


def test_a_full_room_turns_away_from_the_longest_line() -> None:
    admission = room(waiting_max=3)
    for guest in range(3):
        assert admission.arrive(f"greedy {guest}", "6.6.6.6", 0.0) is None
    assert admission.arrive("greedy 3", "6.6.6.6", 0.0) == "greedy 3"
    assert admission.arrive("modest", "1.1.1.1", 0.0) == "greedy 2"
    assert admission.waiting == 3


def test_a_full_room_of_single_guests_turns_the_newcomer_away() -> None:
    admission = room(waiting_max=2)
    admission.arrive("a", "1.1.1.1", 0.0)
    admission.arrive("b", "2.2.2.2", 0.0)
    assert admission.arrive("c", "3.3.3.3", 0.0) == "c"


def test_who_waited_too_long_costs_no_handshake() -> None:
    admission = room(wait_s=2)
    admission.arrive("old", "1.1.1.1", 0.0)
    admission.arrive("new", "2.2.2.2", 9.0)
    assert admission.admit(10.0) == (["new"], ["old"])
