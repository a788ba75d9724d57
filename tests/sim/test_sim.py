"""The simulator itself: one seed is one trace, each fault alone is survived, what breaks is found and made short."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from typing import Any, TypeGuard

import msgspec
import pytest

from edge_agent.core import inputs as at_device
from hub.core import inputs
from protocol import effects, limits
from protocol.aio.journal import Journal
from protocol.link import table
from tests.checkers import history
from tests.checkers.all import check
from tests.sim import chances, crossing, fleet, people, plan, run, shrink, transcript
from tests.sim.fleet import ROOT
from tests.sim.plan import AnyItem, Plan
from tests.sim.world import World

_WEB = plan.Operate(at=5.0, op=inputs.Apply(documents=[people.service("web", "steady", "fleet=sim")]))
_DAY_S = 86_400.0
_SMALL = 64 * limits.KIB

FAULTS: list[AnyItem] = [
    plan.Cut(at=60.0, node="gw-1", for_s=100.0),
    plan.Cut(at=60.0, node="gw-1", for_s=100.0, down=False),
    plan.Cut(at=60.0, node="gw-1", for_s=100.0, up=False),
    plan.Flap(at=60.0, node="gw-1", times=5, shut_s=10.0, open_s=5.0),
    plan.Clog(at=60.0, nodes=["gw-2", "gw-1"], each_s=30.0),
    plan.Slow(at=60.0, node="gw-1", for_s=100.0, delay_s=2.0, bytes_per_s=300.0),
    plan.Bad(at=60.0, node="gw-1", for_s=100.0, drop=0.3, double=0.3, late=0.3),
    plan.Reset(at=60.0, node="gw-1"),
    plan.KillBroker(at=60.0, for_s=20.0),
    *(
        plan.Kill(at=60.0, node=node, place=place, for_s=5.0)
        for node in ("gw-1", "cloud")
        for place in ("", "in-store")
    ),
    plan.Stop(at=60.0, node="gw-1", for_s=5.0),
    plan.Reboot(at=60.0, node="gw-1", for_s=30.0),
    plan.Reboot(at=60.0, node="gw-1", for_s=30.0, power=True),
    plan.Reboot(at=60.0, node="cloud", for_s=30.0, power=True),
    plan.SetClock(at=60.0, node="gw-1", offset_s=-56 * 365 * _DAY_S),
    plan.SetClock(at=60.0, node="cloud", offset_s=400 * _DAY_S),
    plan.Full(at=60.0, node="gw-1", for_s=30.0),
    plan.Full(at=60.0, node="cloud", for_s=30.0),
    plan.SlowDisk(at=60.0, node="cloud", for_s=60.0, commit_s=3.0),
    plan.Restore(at=120.0, node="gw-1", age_s=60.0),
    plan.Restore(at=120.0, node="gw-1", age_s=60.0, in_place=True, lock_too=True),
    plan.Restore(at=120.0, node="cloud", age_s=60.0),
    plan.Corrupt(at=60.0, node="gw-1", pages=2),
    plan.AtDevice(at=60.0, node="gw-1", command=at_device.LocalRestart(service="web")),
    *(plan.Behave(at=60.0, node="gw-1", service="web", verb=verb, for_s=30.0) for verb in ("oom", "crash", "hang")),
]

_TREE = Plan(seconds=300.0, items=[], hubs={"eu-north": "cloud"}, homes={"gw-1": "eu-north"})
"""A region between a device and the root; another device stands beside the region."""

REGION_FAULTS: list[AnyItem] = [
    plan.Cut(at=60.0, node="eu-north", for_s=100.0),
    plan.Cut(at=60.0, node="eu-north", for_s=100.0, down=False),
    plan.Flap(at=60.0, node="eu-north", times=5, shut_s=10.0, open_s=5.0),
    plan.Clog(at=60.0, nodes=["gw-1", "eu-north"], each_s=30.0),
    plan.Slow(at=60.0, node="eu-north", for_s=100.0, delay_s=2.0, bytes_per_s=2_000.0),
    plan.Bad(at=60.0, node="eu-north", for_s=100.0, drop=0.3, double=0.3, late=0.3),
    plan.KillBroker(at=60.0, for_s=20.0, node="eu-north"),
    *(plan.Kill(at=60.0, node="eu-north", place=place, for_s=5.0) for place in ("", "in-store", "after-store")),
    plan.Stop(at=60.0, node="eu-north", for_s=5.0),
    plan.Reboot(at=60.0, node="eu-north", for_s=30.0, power=True),
    plan.SetClock(at=60.0, node="eu-north", offset_s=-56 * 365 * _DAY_S),
    plan.Full(at=60.0, node="eu-north", for_s=30.0),
    plan.SlowDisk(at=60.0, node="eu-north", for_s=60.0, commit_s=3.0),
    plan.Restore(at=120.0, node="eu-north", age_s=60.0),
    plan.Restore(at=120.0, node="eu-north", age_s=60.0, in_place=True, lock_too=True),
    plan.Restore(at=120.0, node="cloud", age_s=60.0),
    plan.Kill(at=60.0, node="cloud", for_s=5.0),
    plan.Restore(at=120.0, node="gw-1", age_s=60.0),
]


def test_one_seed_is_one_trace_whatever_the_process() -> None:
    script = "from tests.sim.run import digest; print(*(digest(seed, agents=3, hours=0.15) for seed in (4, 8, 9)))"
    traces: list[str] = []
    for hashing in ("1", "77"):
        env = {**os.environ, "PYTHONHASHSEED": hashing}
        done = subprocess.run(
            [sys.executable, "-c", script], cwd=ROOT, env=env, capture_output=True, text=True, check=True
        )
        traces.append(done.stdout)
    assert len(set(traces[0].split())) == 3
    assert traces[0] == traces[1]


@pytest.mark.parametrize("external", [False, True], ids=["front door", "broker"])
@pytest.mark.parametrize("fault", FAULTS, ids=lambda one: f"{type(one).__name__} {getattr(one, 'node', '')}")
def test_each_fault_alone_is_survived(fault: AnyItem, external: bool) -> None:
    outcome = run.run(5, agents=2, hours=0.1, plan=Plan(seconds=300.0, items=[_WEB, fault], external=external))
    assert outcome.rule == "", outcome.text
    assert outcome.items > 20


@pytest.mark.parametrize("external", [False, True], ids=["front door", "broker"])
@pytest.mark.parametrize("fault", REGION_FAULTS, ids=lambda one: f"{type(one).__name__} {getattr(one, 'node', '')}")
def test_each_fault_alone_is_survived_by_a_tree(fault: AnyItem, external: bool) -> None:
    items = [_WEB, msgspec.structs.replace(_WEB, node="eu-north"), fault]
    tree = msgspec.structs.replace(_TREE, items=items, external=external)
    outcome = run.run(5, agents=2, hours=0.1, plan=tree)
    assert outcome.rule == "", outcome.text
    assert outcome.items > 20


@pytest.mark.parametrize("node", ["gw-1", "eu-north"])
def test_who_was_given_up_behind_a_broker_that_lost_everything_is_heard_again(node: str) -> None:
    bad = plan.Bad(at=30.0, node=node, for_s=300.0, drop=1.0, double=0.0, late=0.0)
    world = World(5, agents=2, plan=msgspec.structs.replace(_TREE, seconds=500.0, items=[bad], external=True))
    facts = list(world.run())
    check(facts, exact=True)
    again = [fact.at for fact in facts if isinstance(fact, history.Acted) and fact.node == node and _opens(fact.action)]
    assert len(again) == 2
    assert again[1] < 330.0 + 65.0, "at its next word, not when nothing was acknowledged for long"


def _opens(action: object) -> bool:
    return isinstance(action, table.Connect)


@pytest.mark.parametrize("tiers", [3, 4, 5])
def test_a_tree_of_any_depth_comes_to_rest(tiers: int) -> None:
    outcome = run.run(7, agents=4, hours=0.1, tiers=tiers)
    assert outcome.rule == "", outcome.text
    assert outcome.hubs == tiers


def test_who_was_moved_to_a_hub_after_its_backup_was_made_is_enrolled_there_again() -> None:
    move = crossing.move(70.0, _TREE.hubs, "gw-1", "eu-north", "cloud")
    world = World(
        5, agents=2, plan=msgspec.structs.replace(_TREE, items=[move, plan.Restore(at=140.0, node="cloud", age_s=80.0)])
    )
    world.run()
    assert world.rest_at is not None
    assert world.devices["gw-1"].parent == "cloud"


def test_a_device_comes_to_a_region_that_is_cut_off() -> None:
    cut, arrives = plan.Cut(at=60.0, node="eu-north", for_s=150.0), plan.Arrive(at=100.0, node="gw-1")
    items = [msgspec.structs.replace(_WEB, node="eu-north"), cut, arrives]
    world = World(5, agents=2, plan=msgspec.structs.replace(_TREE, items=items))
    facts = list(world.run())
    ran = [fact.at for fact in facts if isinstance(fact, history.Ran) and fact.node == "gw-1"]
    assert ran, "nothing ran on it"
    assert ran[0] < 210.0, "it waited for the link above"
    assert check(facts, exact=True)["A20 region"] > 1


_SIBLINGS = Plan(
    seconds=400.0,
    items=[],
    hubs={"eu-north": "cloud", "us-west": "cloud", "us-west-1": "us-west"},
    homes={"gw-1": "eu-north", "gw-2": "us-west-1"},
)


@pytest.mark.parametrize("external", [False, True], ids=["front door", "broker"])
@pytest.mark.parametrize(
    ("node", "home", "to"),
    [
        ("gw-1", "eu-north", "us-west"),
        ("gw-1", "eu-north", "cloud"),
        ("gw-2", "us-west-1", "us-west"),
        ("gw-3", "cloud", "eu-north"),
    ],
)
def test_a_device_moves_and_comes_home_again(node: str, home: str, to: str, external: bool) -> None:
    there = crossing.move(60.0, _SIBLINGS.hubs, node, home, to)
    back = crossing.move(200.0, _SIBLINGS.hubs, node, to, home)
    task = inputs.CreateTasks(nodes=["eu-north/gw-1"], command=["sim", "ok", "40"], timeout_s=120.0, deadline_s=None)
    items: list[AnyItem] = [_WEB, plan.Operate(at=59.0, op=task), there, back]
    world = World(5, agents=3, plan=msgspec.structs.replace(_SIBLINGS, items=items, external=external))
    facts = list(world.run())
    turned = [fact.action.to.id for fact in facts if isinstance(fact, history.Acted) and _is_turn(fact.action)]
    assert turned == [to, home]
    assert check(facts, exact=True)["moves"] > 5
    ran = [fact for fact in facts if isinstance(fact, history.Ran) and fact.node == node and "web" in fact.instance]
    assert len(ran) == 1, "what it runs goes on"


def _is_turn(action: object) -> TypeGuard[at_device.Turn]:
    return isinstance(action, at_device.Turn)


@pytest.mark.parametrize("place", ["in-store", "after-store", "after-send", "after-act"])
def test_a_device_dies_while_it_turns(place: str) -> None:
    kills = [plan.Kill(at=59.9, node="gw-1", place=place, nth=nth, for_s=5.0) for nth in (1, 2, 3)]
    for kill in kills:
        items: list[AnyItem] = [_WEB, kill, crossing.move(60.0, _SIBLINGS.hubs, "gw-1", "eu-north", "us-west")]
        outcome = run.run(5, agents=3, hours=0.1, plan=msgspec.structs.replace(_SIBLINGS, items=items))
        assert outcome.rule == "", outcome.text


def test_an_artifact_is_fetched_once_by_each_region_and_by_all_its_devices() -> None:
    packed = people.service("packed", "steady", "fleet=sim")
    packed["spec"]["artifact"] = "ab" * 32
    note = plan.Operate(at=6.0, op=inputs.NoteArtifact(digest="ab" * 32, size=1_000))
    items: list[AnyItem] = [note, plan.Operate(at=7.0, op=inputs.Apply(documents=[packed]))]
    facts = list(World(5, agents=3, plan=msgspec.structs.replace(_SIBLINGS, items=items)).run())
    check(facts, exact=True)
    fetched = sorted(fact.node for fact in facts if isinstance(fact, history.Acted) and _is_fetch(fact.action))
    assert fetched == ["eu-north", "gw-1", "gw-2", "gw-3", "us-west", "us-west-1"]


def _is_fetch(action: object) -> bool:
    return isinstance(action, inputs.FetchArtifact | at_device.Fetch)


def test_a_region_that_is_revoked_goes_on_by_itself() -> None:
    revoke = plan.Operate(at=60.0, op=inputs.RevokeNode(node="eu-north", reason="stolen"))
    apply = msgspec.structs.replace(_WEB, at=100.0, node="eu-north")
    outcome = run.run(5, agents=2, hours=0.1, plan=msgspec.structs.replace(_TREE, items=[revoke, apply]))
    assert outcome.rule == "", outcome.text
    assert outcome.judged["A20 region"] > 0


def test_a_month_without_power_and_a_certificate_that_expires_meanwhile() -> None:
    items: list[AnyItem] = [_WEB]
    items += [plan.Reboot(at=60.0, node=node, for_s=100 * _DAY_S, power=True) for node in ("gw-1", "cloud")]
    outcome = run.run(6, agents=1, hours=0.1, plan=Plan(seconds=100 * _DAY_S + 400.0, items=items))
    assert outcome.rule == "", outcome.text


def test_what_a_revoked_device_lets_go_for_want_of_room_is_declared_at_home() -> None:
    revoke = plan.Operate(at=60.0, op=inputs.RevokeNode(node="gw-1", reason="stolen"))
    tight = Plan(seconds=900.0, items=[_WEB, revoke], quota_bytes=_SMALL, say_every_s=0.5)
    outcome = run.run(5, agents=1, hours=0.1, plan=tight)
    assert outcome.rule == "", outcome.text


def test_what_a_hub_forgets_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    commit = Journal.commit

    async def forgetful(self: Journal, ops: Sequence[effects.Store]) -> None:
        await commit(self, [op for op in ops if not isinstance(op, effects.Received)])

    monkeypatch.setattr(Journal, "commit", forgetful)
    outcome = run.run(5, agents=1, hours=0.05, plan=Plan(seconds=100.0, items=[_WEB]))
    assert outcome.rule == "A1"


def test_a_plan_is_made_short() -> None:
    long = chances.make(1, 3, 0.5)
    culprits = {item.at for item in long.items[7:30:11]}

    def breaks(one: Plan) -> float | None:
        return 1_700.0 if culprits <= {item.at for item in one.items} else None

    short, at = shrink.shrink(long, 1_700.0, breaks, tries=400)
    assert {item.at for item in short.items} == culprits
    assert at == 1_700.0


def test_a_plan_can_be_written_down() -> None:
    made = chances.make(3, 3, 0.5)
    assert plan.decode(plan.encode(made)) == made


def test_a_transcript_can_be_read() -> None:
    lines: list[str] = []
    world = World(5, agents=1, plan=Plan(seconds=60.0, items=[_WEB]), record=False)
    world.listeners.append(lambda fact: lines.extend(transcript.lines(fact)))
    world.run()
    said: dict[str, Any] = {word: [line for line in lines if f" {word} " in line] for word in ("stored", "sent", "act")}
    assert all(said.values())
    assert not [line for line in lines if " object at 0x" in line]


def test_a_rule_that_judges_nothing_in_many_worlds_is_told() -> None:
    one = run.Outcome(seed=1, judged={"A1": 7, "A21": 0})
    other = run.Outcome(seed=2, judged={"A1": 5, "A20": 1, "A21": 0})
    assert fleet.idle([one, *[other] * 19]) == ["A21"]
    assert fleet.idle([one, other]) == [], "few worlds may lack what a rule concerns"


@pytest.mark.parametrize("words", [{"SEEDS": "0"}, {"SEEDS": "40-20"}, {"SEEDS": "2", "RULES": "A4,A99"}])
def test_words_that_would_judge_nothing_are_refused(words: dict[str, str]) -> None:
    env = {**os.environ, **words}
    done = subprocess.run([sys.executable, "-m", "tests.sim"], cwd=ROOT, env=env, capture_output=True, check=False)
    assert done.returncode == 2
    assert done.stdout


def test_a_fleet_of_seeds_reports_its_figures(tmp_path: Any) -> None:
    report = tmp_path / "sim.json"
    env = {**os.environ, "SEEDS": "2", "HOURS": "0.1", "JOBS": "1", "REPORT": str(report)}
    done = subprocess.run(
        [sys.executable, "-m", "tests.sim"], cwd=ROOT, env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    said = msgspec.json.decode(report.read_bytes())
    assert said["seeds"] == 2
    assert said["items"] > 0
    assert not said["failures"]


def test_a_region_that_is_cut_off_for_long_lets_metrics_go_and_nothing_else_and_every_rule_holds() -> None:
    cut = plan.Cut(at=60.0, node="eu-north", for_s=400.0)
    apply = msgspec.structs.replace(_WEB, at=40.0)
    tight = msgspec.structs.replace(
        _TREE, seconds=500.0, items=[apply, cut], relay_bytes=192 * limits.KIB, say_every_s=0.5, say_mostly="metrics"
    )
    lost: set[str] = set()

    def listen(fact: history.AnyFact) -> None:
        if isinstance(fact, history.Stored) and fact.node == "eu-north":
            lost.update(op.stream for op in fact.ops if isinstance(op, effects.Gap))

    outcome = run.run(5, agents=2, hours=0.1, plan=tight, listen=listen)
    assert outcome.rule == "", outcome.text
    assert lost == {"relay_metrics"}
