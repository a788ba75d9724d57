"""What the device's doctor makes of each fact: one is changed, and its finding turns, and no other."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from edge_agent.core import isolation
from edge_agent.core.doctor import judge
from edge_agent.core.doctor.facts import Enrolled, People, Resting, Tools, Work
from protocol.doctor import findings, ways
from protocol.doctor.facts import Disk, File, Key, Step
from protocol.doctor.findings import State, Unseen
from tests.unit.doctor.facts import (
    ANSWER,
    CLOCK,
    DAY_MS,
    DEVICE,
    DISK,
    FILE,
    KEY,
    NOW_MS,
    PAPER,
    ROOM,
    ROOT,
    RUNNING,
    STORE,
    WAY,
)

PROBLEM, WARNING, OK = State.PROBLEM, State.WARNING, State.OK


def but(struct: Any, **changes: Any) -> Any:
    """Return `struct` with these fields changed."""
    return msgspec.structs.replace(struct, **changes)


def bad(found: list[findings.Finding]) -> list[tuple[str, State]]:
    """Return (check, state) of what is not ok, or not known."""
    return [(one.check, one.state) for one in found if one.state in (WARNING, PROBLEM)]


def test_a_well_device_has_nothing_to_say() -> None:
    found = judge.device(DEVICE)
    assert bad(found) == []
    assert findings.code(found) == 0
    assert findings.lines(found)[-1] == ("All 21 checks are well.", "green")


GONE = Unseen(why="nobody knows", next="look")
CASES: list[tuple[str, Any, State, str]] = [
    ("folder", File(path="/d", present=True, mode=0o711, owner=0), OK, "uid 0"),
    ("key", GONE, PROBLEM, "nobody knows"),
    ("key", but(KEY, file=but(FILE, owner=5)), PROBLEM, "uid 5"),
    ("key", but(KEY, flaw="no key"), PROBLEM, "no key"),
    ("root", but(ROOT, public="ee" * 32), PROBLEM, "not the root that was pinned"),
    ("root", but(ROOT, flaw="torn"), PROBLEM, "torn"),
    ("root", but(ROOT, until_ms=NOW_MS - DAY_MS), PROBLEM, "ended 1 d ago"),
    ("root", but(ROOT, until_ms=NOW_MS + 90 * DAY_MS), WARNING, "ends in 90 d"),
    ("certificate", but(PAPER, until_ms=NOW_MS), PROBLEM, "expired 0 s ago"),
    ("certificate", but(PAPER, from_ms=NOW_MS + 1), PROBLEM, "holds only from"),
    ("certificate", but(PAPER, from_ms=NOW_MS - 89 * DAY_MS, until_ms=NOW_MS + DAY_MS), WARNING, "expires in 1 d"),
    ("certificate", but(PAPER, flaw="torn"), PROBLEM, "torn"),
    ("certificate", but(PAPER, role="hub"), PROBLEM, "of hub oslo"),
    ("certificate", but(PAPER, public="ef" * 32), PROBLEM, "not a pair"),
    ("journal", but(STORE, damage="row 7 is missing"), PROBLEM, "row 7 is missing"),
    ("journal", but(STORE, version=2, oldest=2), PROBLEM, "newer Skerry (store version 2, this one knows 1)"),
    ("journal", but(STORE, node="bergen"), PROBLEM, "belongs to node bergen"),
    ("journal", but(STORE, present=False), OK, "made by the first start"),
    ("journal", but(STORE, whole=False), OK, "no flaw in what was read"),
    ("journal", but(STORE, clean=False), OK, "not closed in order"),
    ("telemetry", but(STORE, damage="torn"), PROBLEM, "torn"),
    ("aside", ["journal.db.damaged-1"], WARNING, "journal.db.damaged-1"),
    ("disk", Disk(path="/d", free=0, total=9, inodes_free=9, inodes=0, read_only=True), PROBLEM, "read-only"),
    ("disk", but(DISK, inodes_free=3), PROBLEM, "3 inodes left"),
    ("disk", but(DISK, inodes_free=500), WARNING, "500 inodes left"),
    ("disk", but(DISK, free=10_000_000), PROBLEM, "is full: 10.0 MB free"),
    ("disk", but(DISK, free=100_000_000), WARNING, "little room: 100 MB"),
    ("room", but(ROOM, open_files=256), WARNING, "256 open files"),
    ("room", but(ROOM, memory_free=1), WARNING, "1 B of memory left"),
    ("tools", Tools(missing=["setsid", "setpriv"]), PROBLEM, "no setsid, setpriv"),
    ("tools", Tools(missing=["setpriv"]), WARNING, "no setpriv"),
    ("work", Work(count=5, lost=["a", "b", "c", "d"]), WARNING, "a, b, c and 1 more"),
    ("people", People(error="/etc/skerry/agent.toml is wrong: x"), PROBLEM, "is wrong: x: only root may ask"),
    ("people", People(read="a", act="b", missing=["b"]), OK, "only root decides here: there is no group b"),
    ("people", People(read="", act="b"), OK, "the group b decides here"),
    ("people", People(read="a", act="b"), OK, "the group b decides here, a looks"),
    ("people", People(read="a", act=""), OK, "only root decides here, a looks"),
    ("people", People(read="a", act="b", missing=["a"]), OK, "b decides here; nobody only looks: there is no group a"),
    ("people", People(read="a", act="b", missing=["a"], is_said=True), WARNING, "there is no group a"),
    ("people", People(act="b", missing=["b"], is_said=True), WARNING, "only root decides here: there is no group b"),
    ("clock", but(CLOCK, jumped_s=-7.0), WARNING, "jumped 7 s"),
    ("answer", but(ANSWER, error="Connection refused"), PROBLEM, "does not answer: Connection refused"),
    ("answer", but(ANSWER, error="self-signed", stranger=True), PROBLEM, "not hub cloud under our root"),
    ("answer", but(ANSWER, hub="other"), PROBLEM, "hub other answers"),
    ("way", but(WAY, reached=Step.NOWHERE, error="no route"), PROBLEM, "cannot be reached: no route"),
    ("way", but(WAY, reached=Step.TCP, error="eof", cut=True), PROBLEM, "cuts them off"),
    ("way", but(WAY, reached=Step.TCP, error="alert"), PROBLEM, "but TLS fails there: alert"),
    ("way", but(WAY, reached=Step.TLS, error="eof"), PROBLEM, "but MQTT fails there: eof"),
    ("way", but(WAY, error="unable to get issuer", stranger=True), PROBLEM, "is not hub cloud under our root"),
    ("way", but(WAY, refused=0x87), PROBLEM, "does not let us in"),
    ("way", but(WAY, refused=0x9F), PROBLEM, "reason code 0x9F"),
    ("way", but(WAY, refused=ways.CLIENT_ID_NOT_VALID), OK, "answers at h:8883 (MQTT"),
    ("way", but(WAY, reached=Step.TLS), OK, "answers at h:8883 (mutual TLS"),
]
NAMES = {"aside": "set aside", "room": "limits", "work": "workloads", "answer": "hub"}


@pytest.mark.parametrize(("field", "fact", "state", "says"), CASES)
def test_each_fact_turns_its_own_finding(field: str, fact: Any, state: State, says: str) -> None:
    found = judge.device(but(DEVICE, **{field: fact}))
    check = NAMES.get(field, field)

    one = next(one for one in found if one.check == check)
    assert (one.state, bool(one.next)) == (state, state is not OK)
    assert says in one.says
    assert bad(found) == ([] if state is OK else [(check, state)])


@pytest.mark.parametrize(
    ("behind_s", "state", "says"),
    [
        (0, OK, "as the hub's"),
        (-9, OK, "as the hub's"),
        (60, WARNING, "1 m behind the hub's"),
        (-4_000, PROBLEM, "1 h 6 m ahead of the hub's"),
    ],
)
def test_the_clock_is_judged_by_the_hubs(behind_s: int, state: State, says: str) -> None:
    seen = but(DEVICE, answer=but(ANSWER, time_ms=NOW_MS + behind_s * 1000))
    one = next(one for one in judge.device(seen) if one.check == "clock")
    assert (one.state, says in one.says) == (state, True)


def test_without_a_hub_the_newest_entry_shows_a_clock_that_went_back() -> None:
    seen = but(DEVICE, answer=GONE, journal=but(STORE, newest_ms=NOW_MS + 60_000))
    one = next(one for one in judge.device(seen) if one.check == "clock")
    assert (one.state, "it went back" in one.says) == (WARNING, True)


def test_a_certificate_is_judged_by_the_hubs_time() -> None:
    in_1970 = but(DEVICE, clock=but(CLOCK, now_ms=0), answer=but(ANSWER, at_ms=0))
    found = judge.device(in_1970)
    assert bad(found) == [("clock", PROBLEM)]
    assert "1970-01-01 00:00 UTC: it was never set" in next(one.says for one in found if one.check == "clock")


@pytest.mark.parametrize(
    ("agent", "expected", "code"),
    [
        (but(RUNNING, link="offline", reason="no route", waiting_rows=9, waiting_bytes=99), [("link", PROBLEM)], 3),
        (but(RUNNING, link="refused", reason="revoked: stolen"), [("link", PROBLEM)], 1),
        (but(RUNNING, lost={"metrics": 1_200, "state": 0}), [("losses", WARNING)], 0),
        (but(RUNNING, conditions=["a manifest was refused"]), [("to look at", WARNING)], 0),
        (but(RUNNING, version="0.0.9"), [("versions", WARNING)], 0),
        (Resting(why="away"), [("agent", PROBLEM), ("link", WARNING)], 3),
        (Resting(why="away", contact_ms=NOW_MS), [("agent", PROBLEM), ("link", WARNING)], 3),
        (Resting(why="away", holder=9), [("agent", PROBLEM), ("link", WARNING)], 1),
        (Resting(why="away", holder=-1), [("agent", PROBLEM), ("link", WARNING)], 1),
        (Resting(why="away", standing="quarantined"), [("agent", PROBLEM), ("link", PROBLEM)], 1),
        (GONE, [("agent", PROBLEM), ("link", WARNING)], 1),
    ],
)
def test_what_the_agent_says_of_itself(agent: Any, expected: list[tuple[str, State]], code: int) -> None:
    found = judge.device(but(DEVICE, agent=agent))
    assert bad(found) == expected
    assert findings.code(found) == code


@pytest.mark.parametrize(("theirs", "who"), [("0.2.0", "the hub is newer"), ("0.0.9", "this side is newer")])
def test_versions_apart_say_who_is_newer(theirs: str, who: str) -> None:
    found = judge.device(but(DEVICE, answer=but(ANSWER, version=theirs)))
    assert bad(found) == [("versions", WARNING)]
    assert who in found[-1].says


def test_through_a_broker_the_way_has_its_name() -> None:
    sealed = Enrolled(node="oslo", hub="cloud", root_pin="cd" * 32, broker="broker", sealed=True)
    found = judge.device(but(DEVICE, enrolled=sealed, way=but(WAY, refused=0x8A)))
    assert bad(found) == [("broker", PROBLEM)]


@pytest.mark.parametrize(
    ("folder", "user", "state"),
    [
        (File(path="/d", present=True, mode=0o722, owner=0), 0, PROBLEM),
        (File(path="/d", present=True, mode=0o755, owner=0), 0, WARNING),
        (File(path="/d", present=True, mode=0o711, owner=5), 6, WARNING),
        (File(path="/d", present=True, mode=0o711, owner=0), 0, OK),
    ],
)
def test_the_folder_is_its_owners(folder: File, user: int, state: State) -> None:
    one = judge.device(but(DEVICE, folder=folder, user=user))[1]
    assert (one.check, one.state) == ("folder", state)


def test_a_device_that_is_not_enrolled_has_three_findings() -> None:
    nowhere = but(DEVICE, enrolled=GONE)
    assert [one.check for one in judge.device(nowhere)] == ["enrolled", "tools", "clock"]
    empty = judge.device(but(DEVICE, folder=File(path="/d", present=False)))
    assert "does not exist" in empty[0].says
    assert judge.device(but(DEVICE, folder=GONE))[0].says == "nobody knows"


def test_a_key_that_nobody_saw_is_no_reason_to_doubt_the_certificate() -> None:
    assert bad(judge.device(but(DEVICE, key=GONE, journal=GONE))) == [("key", PROBLEM), ("journal", PROBLEM)]
    assert bad(judge.device(but(DEVICE, key=Key(file=File(path="/d/key.pem", present=False))))) == [("key", PROBLEM)]


def test_lines_and_json_carry_no_control_characters_and_sum_up() -> None:
    found = [
        findings.ok("a", "well\x1b[2J"),
        findings.warning("b", "hm", "look"),
        findings.problem("c", "no", "do", away=True),
        findings.problem("d", "no", "do"),
    ]
    assert findings.as_json(found)[0] == {"check": "a", "state": "ok", "says": "well [2J", "next": ""}
    lines = findings.lines(found)
    assert lines[0] == ("ok    a              well [2J", "green")
    assert [line.split()[0] for line, _ in lines] == ["ok", "warn", "→", "bad", "→", "bad", "→", "2"]
    assert lines[-1] == ("2 problems, 1 warning, 1 ok.", "red")
    assert findings.lines(found[:2])[-1] == ("1 warning, 1 ok.", "yellow")
    assert [findings.code(found), findings.code(found[:3]), findings.code(found[:2])] == [1, 3, 0]


def test_what_nobody_can_tell_is_neither_well_nor_wrong() -> None:
    found = judge.device(but(DEVICE, agent=Resting(why="away")))
    assert [one.check for one in found if one.state is State.UNKNOWN] == ["isolation", "losses"]
    assert findings.lines(found)[-1][0].endswith(", 2 not known.")


@pytest.mark.parametrize(
    ("agent", "says"),
    [
        (RUNNING, "this device enforces all of it"),
        (but(RUNNING, able=isolation.nobody("no launcher")), "this device enforces nothing of it (no launcher)"),
        (but(RUNNING, able=isolation.Able(waits="nobody answers")), "nobody answers"),
        (Resting(why="no agent"), "nobody can tell while no agent answers"),
    ],
)
def test_what_the_device_can_enforce_the_agent_says(agent: Any, says: str) -> None:
    one = next(one for one in judge.device(but(DEVICE, agent=agent)) if one.check == "isolation")
    assert one.says == says
