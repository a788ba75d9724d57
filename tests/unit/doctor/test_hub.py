"""What the operator's doctor makes of a hub's folder, of a context and of a fleet."""

from __future__ import annotations

from typing import Any

import pytest

from hub.core.doctor import fleet, folder
from hub.core.doctor.facts import Named, Node, Port, Waiting
from protocol.doctor import findings, words
from protocol.doctor.facts import File, Key, Paper, Step
from protocol.doctor.findings import State, Unseen
from tests.unit.doctor.facts import ANSWER, CONTEXT, DAY_MS, FILE, FLEET, HUB, KEY, NOW_MS, ROOT, WAY, node
from tests.unit.doctor.test_device import GONE, OK, PROBLEM, WARNING, bad, but


def _at(what: str, pids: list[int], *, listening: bool = True) -> Port:
    return Port(what=what, where="h:1", listening=listening, pids=pids)


def test_a_well_hub_has_nothing_to_say() -> None:
    assert bad(folder.folder(HUB)) == []
    assert bad(folder.folder(but(HUB, **REGION))) == []
    assert bad(fleet.fleet(FLEET)) == []
    assert fleet.beside("cloud", "cd" * 32, CONTEXT).state is OK


RESTING = but(HUB.store, holder=0)
FREE = [_at("API", [], listening=False)]


KEYS = {"ca.key": Key(file=FILE, public="ef" * 32), "hub.key": KEY}
CA = Paper(path="/h/ca.pem", role="ca", id="cloud", public="ef" * 32, from_ms=NOW_MS, until_ms=NOW_MS + DAY_MS * 300)
REGION: dict[str, object] = {"keys": KEYS, "ca": CA}


@pytest.mark.parametrize(
    ("changes", "expected", "says"),
    [
        ({"named": GONE}, [("hub", PROBLEM)], "nobody knows"),
        ({"folder": GONE}, [("folder", PROBLEM), ("keys", PROBLEM)], "nobody knows"),
        (
            {"keys": HUB.keys | {"hub.key": Key(file=but(FILE, mode=0o644))}},
            [("keys", PROBLEM)],
            "read by others (644)",
        ),
        (
            {"keys": dict.fromkeys(HUB.keys, Key(file=File(path="/h/k", present=False)))},
            [("keys", PROBLEM)],
            "2 more of the keys",
        ),
        ({"keys": HUB.keys | {"root.key": KEY}}, [("root", PROBLEM)], "not a pair"),
        ({"keys": HUB.keys | {"hub.key": but(KEY, public="ee" * 32)}}, [("tls", PROBLEM)], "not a pair"),
        ({"root": but(ROOT, flaw="torn")}, [("root", PROBLEM)], "torn"),
        (REGION | {"ca": but(CA, until_ms=NOW_MS - DAY_MS)}, [("ca", PROBLEM)], "expired 1 d ago"),
        (REGION | {"ca": but(CA, id="eu-south")}, [("ca", PROBLEM)], "not of ca cloud"),
        ({"tls": but(HUB.tls, until_ms=NOW_MS - DAY_MS)}, [("tls", PROBLEM)], "expired 1 d ago"),
        ({"signer": but(HUB.signer, flaw="torn")}, [("signer", PROBLEM)], "torn"),
        ({"signer": but(HUB.signer, role="hub")}, [("signer", PROBLEM)], "not of signer cloud"),
        ({"store": but(HUB.store, present=False)}, [("store", PROBLEM)], "is missing"),
        ({"store": but(HUB.store, damage="torn")}, [("store", PROBLEM)], "torn"),
        ({"aside": ["hub.db.damaged-1"]}, [("set aside", WARNING)], "hub.db.damaged-1"),
        ({"artifacts": File(path="/h/artifacts", present=False)}, [("artifacts", PROBLEM)], "is missing"),
        ({"room": but(HUB.room, open_files=1_024)}, [("limits", WARNING)], "1024 open files"),
        ({"store": RESTING, "ports": FREE}, [("serving", PROBLEM)], "no hub serves"),
        ({"store": RESTING}, [("serving", PROBLEM), ("ports", PROBLEM)], "no hub serves"),
        ({"store": GONE, "ports": FREE}, [("store", PROBLEM), ("serving", PROBLEM)], "nobody knows"),
        ({"ports": [_at("API", [9])]}, [("ports", PROBLEM)], "taken by process 9"),
        ({"ports": [_at("API", [7, 9])]}, [], ""),
        ({"ports": [_at("API", [])]}, [], ""),
        ({"ports": [_at("MQTT", [], listening=False)]}, [("ports", WARNING)], "nobody listens on h:1 (MQTT)"),
        ({"store": but(HUB.store, holder=-1)}, [], ""),
        ({"answer": but(ANSWER, error="refused", time_ms=0)}, [("api", PROBLEM)], "does not answer"),
        ({"broker": but(WAY, reached=Step.NOWHERE, error="refused")}, [("broker", PROBLEM)], "cannot be reached"),
        ({"broker": WAY, "named": Named(id="cloud", broker="broker.cloud.skerry")}, [], ""),
    ],
)
def test_a_fact_of_a_hubs_folder_turns_its_own_finding(
    changes: dict[str, Any], expected: list[tuple[str, State]], says: str
) -> None:
    found = folder.folder(but(HUB, **changes))
    assert bad(found) == expected
    assert says in next((one.says for one in found if one.state is not OK), "")


def test_a_port_that_somebody_unseen_has_is_taken_by_another_process() -> None:
    found = folder.folder(but(HUB, store=RESTING, ports=[_at("API", [])]))
    assert "taken by another process" in next(one.says for one in found if one.check == "ports")


@pytest.mark.parametrize(
    ("changes", "expected", "code"),
    [
        ({"context": GONE, "answer": GONE, "nodes": GONE}, [("context", PROBLEM)], 1),
        ({"context": but(CONTEXT, file=but(FILE, mode=0o644))}, [("context", PROBLEM)], 1),
        ({"answer": but(ANSWER, hub="", error="refused", time_ms=0), "nodes": GONE}, [("hub", PROBLEM)], 1),
        ({"nodes": Unseen(why="no such token", next="x")}, [("token", PROBLEM)], 1),
        ({"nodes": [node(state="quarantined")]}, [("nodes", PROBLEM)], 1),
        ({"nodes": [node(alarms=["the clock is off"])]}, [("alarms", WARNING)], 0),
        ({"nodes": [node(offset_s=-400.0)]}, [("clocks", WARNING)], 0),
        ({"nodes": [node(lost=7)]}, [("losses", WARNING)], 0),
        ({"nodes": [node(aside=1)]}, [("refused", WARNING)], 0),
        ({"nodes": [node(certificate_until_ms=NOW_MS - 1)]}, [("certificates", WARNING)], 0),
        ({"nodes": [node(version="0.0.9")]}, [("agents", WARNING)], 0),
        ({"nodes": [node(state="revoked", lost=7, version="0.0.9")]}, [], 0),
        ({"nodes": []}, [], 0),
    ],
)
def test_a_fact_of_the_fleet_turns_its_own_finding(
    changes: dict[str, Any], expected: list[tuple[str, State]], code: int
) -> None:
    found = fleet.fleet(but(FLEET, **changes))
    assert bad(found) == expected
    away = {"hub"} & {one.check for one in found if one.away}
    assert findings.code(found) == (3 if away else code)


EU = node("eu", kind="hub", state="away", last_contact_ms=NOW_MS - 3 * 3_600_000)
BEHIND = node("eu/oslo", state="unheard", silent="eu", last_contact_ms=NOW_MS - 3 * 3_600_000)


@pytest.mark.parametrize(
    ("nodes", "expected", "says"),
    [
        ([node("eu", kind="hub"), node("eu/oslo")], [], ""),
        (
            [EU, BEHIND],
            ["regions"],
            "1 of 1 not heard: eu (last heard 2026-11-18 08:06 UTC, 3 h ago; 1 device behind it)",
        ),
        ([node(state="away", last_contact_ms=NOW_MS - 60_000)], ["devices"], "oslo (last heard 2026-11-18 11:05 UTC"),
        ([node(state="away")], ["devices"], "1 of 1 not heard: oslo (it has never connected)"),
        ([EU, node("b", state="away")], ["regions", "devices"], "it has never connected"),
        ([EU, BEHIND], ["regions"], "0 of 1 heard, and 1 behind a region that is away"),
        ([EU, BEHIND, node("b")], ["regions"], "1 of 2 heard, and 1 behind a region that is away"),
        (
            [EU, BEHIND, node("b", state="away"), node("c")],
            ["regions", "devices"],
            "1 of 3 not heard, and 1 behind a region that is away: b (",
        ),
    ],
)
def test_who_is_not_heard_is_a_problem_with_since_when(nodes: list[Node], expected: list[str], says: str) -> None:
    found = fleet.fleet(but(FLEET, nodes=nodes))
    assert [check for check, state in bad(found) if state is PROBLEM] == expected
    assert says in " ".join(one.says for one in found)
    assert findings.code(found) == (3 if expected else 0)


def test_many_nodes_are_told_in_short() -> None:
    nodes = [node(f"n{number}", lost=number) for number in range(6)]
    one = next(one for one in fleet.fleet(but(FLEET, nodes=nodes)) if one.check == "losses")
    assert one.says == "5 of 6 nodes lost entries: n1 (1), n2 (2), n3 (3) and 2 more"


def test_a_context_of_another_hub_beside_a_folder_is_only_a_warning() -> None:
    assert fleet.beside("cloud", "ee" * 32, CONTEXT).state is WARNING
    assert fleet.beside("other", "cd" * 32, CONTEXT).state is WARNING
    assert fleet.beside("cloud", "cd" * 32, GONE).state is WARNING
    assert fleet.beside("cloud", "cd" * 32, but(CONTEXT, file=but(FILE, mode=0o640))).state is PROBLEM


def test_words() -> None:
    assert [words.duration(seconds) for seconds in (0.02, -9, 41, 125, 7_300, 200_000)] == [
        "0.02 s",
        "0 s",
        "41 s",
        "2 m 5 s",
        "2 h 1 m",
        "2 d 7 h",
    ]
    assert [words.size(count) for count in (12, 3_100, 250_000, 9e6, 9e9, 2e15)] == [
        "12 B",
        "3.1 kB",
        "250 kB",
        "9.0 MB",
        "9.0 GB",
        "2000.0 TB",
    ]
    assert words.moment(10**20).startswith("9999")
    assert words.names(["a", "b"]) == "a, b"


def test_a_hub_that_waits_for_an_operator_is_not_well_and_strangers_are_named() -> None:
    doubted = folder.folder(but(HUB, doubt="it was restored"))
    assert [(one.check, one.state) for one in doubted if one.next] == [("restore", State.PROBLEM)]
    waits = Waiting(alarm="this hub's store is not the one it last had", knocks=["gw-4 (key 9f3c2a1b…)"])
    found = {one.check: one for one in fleet.fleet(but(FLEET, waiting=waits)) if one.next}
    assert {check: one.state for check, one in found.items()} == {
        "restore": State.PROBLEM,
        "strangers": State.WARNING,
    }
    assert "gw-4" in found["strangers"].says
    assert all(word in found["restore"].next for word in ("accept-restore", "node accept", "enrolled again"))
