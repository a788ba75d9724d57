"""A device of the fleet that means harm: it may harm itself, and no other node, no trail, no memory of the hub."""

from __future__ import annotations

import msgspec
import pytest

from hub.core import inputs, views
from hub.core.work.runs import Runs
from protocol import limits, messages, status
from protocol.snapshot import Snapshot
from tests.unit.hub.world import Device, World, acts


@pytest.fixture
def world() -> World:
    return World(rebuild=False)


def epochs(world: World, device: Device, count: int) -> None:
    """Say Hello as often as a hub listens to it, each time with a journal that is new."""
    for number in range(count):
        world.later(limits.HELLOS_EVERY_S)
        device.session += 1
        device.epoch = f"{number + 1:016x}"
        device.got(device.hello())


def test_no_device_fills_the_fleets_trail_with_what_its_link_does(world: World) -> None:
    device = world.fleet(oslo_1={}, oslo_2={})["oslo-1"]
    before = len(world.store.rows["audit"])
    count = limits.NOTES_OF_NODE_BURST * 4
    epochs(world, device, count)
    most = limits.NOTES_OF_NODE_BURST + count * limits.HELLOS_EVERY_S / limits.NOTES_OF_NODE_EVERY_S
    assert len(world.store.rows["audit"]) - before <= most
    for _ in range(limits.NOTES_OF_NODE_BURST):
        world.later(limits.HELLOS_EVERY_S)
        device.leave()
        device.connect()
    assert sum(1 for _, key, _ in world.store.rows["state"] if key == "oslo-1") <= 2 * limits.NOTES_OF_NODE_BURST
    world.later(limits.NOTES_OF_NODE_EVERY_S * 10)
    device.leave()
    (kind, _, said) = world.store.rows["state"][-1]
    assert (kind, said["unsaid"] > 0) == ("node.away", True)


def test_poison_of_one_message_is_one_alarm_and_one_notice(world: World) -> None:
    device = world.fleet(oslo_1={})["oslo-1"]
    rows = [msgspec.Raw(b"0")] * limits.ENTRIES_COUNT_MAX
    heard = device.got(
        messages.Entries(session=device.session, stream="state", epoch=device.epoch, prev=device.seq, rows=rows)
    )
    notices = [one for one in acts(heard, inputs.Notify) if one.topic == "node/oslo-1"]
    assert len(notices) == 1
    [alarm] = world.node("oslo-1")["alarms"]
    assert f"{limits.ENTRIES_COUNT_MAX} rows of its state" in alarm["text"]


def test_statuses_without_end_lead_to_few_commits(world: World) -> None:
    device = world.fleet(oslo_1={})["oslo-1"]
    reports = [status.Report(platform={"os": str(number)}) for number in range(1_000)]
    stored = sum(bool(device.report(report).store) for report in reports)
    assert stored <= limits.STATUSES_BURST
    world.later(limits.STATUSES_EVERY_S * 2)
    assert world.node("oslo-1")["platform"] == {"os": "999"}, "and the newest is what is shown"


def test_renewals_without_end_fill_no_trail_either(world: World) -> None:
    device = world.fleet(oslo_1={})["oslo-1"]
    for _ in range(limits.NOTES_OF_NODE_BURST * 2):
        fx = device.got(messages.Renew(session=device.session, csr="CSR"))
        for issue in acts(fx, inputs.IssueCertificate):
            device.take(inputs.CertificateIssued(request=issue.request, node=issue.node, certificate="C", until_ms=1))
    renewed = [kind for kind, _, _ in world.store.rows["audit"] if kind == "certificate.renewed"]
    assert 1 <= len(renewed) <= limits.NOTES_OF_NODE_BURST


def test_a_run_does_not_grow_without_end(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "STEPS_MAX", 10)
    device = world.fleet(oslo_1={})["oslo-1"]
    device.entries(*[("step.started", "r1", {"run": "r1", "step": f"s{number}"}) for number in range(50)])
    assert len(views.run(world.core, "oslo-1/r1")["steps"]) == 10
    assert [alarm["what"] for alarm in world.node("oslo-1")["alarms"]] == ["odd-entry"]
    long = "x" * (limits.WORD_CHARS_MAX + 1)
    device.entries(("run.started", long, {}), ("step.started", "r2", {"run": "r2", "step": long}))
    steps = [status.StepReport(name=f"s{number}", state="ok") for number in range(500)]
    for name in ("r3", long):
        last = status.RunReport(id=name, workflow="w", state="ok", started_ms=1, steps=steps)
        device.report(status.Report(workflows={"w": status.WorkflowReport(last=last)}), seq=device.seq + 1)
    assert [run.id for run in world.core.runs] == ["r1", "r3"]
    assert len(views.run(world.core, "r3")["steps"]) == limits.REPORT_STEPS_MAX


def test_no_device_pushes_the_runs_of_others_out(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "RUNS_KEPT_AT_HUB_MAX", 30)
    monkeypatch.setattr(limits, "RUNS_KEPT_OF_NODE_MAX", 20)
    devices = world.fleet(oslo_1={}, oslo_2={})
    devices["oslo-2"].entries(("run.started", "good", {"workflow": "w"}))
    devices["oslo-1"].entries(*[("run.started", f"r{number}", {"workflow": "w"}) for number in range(100)])
    kept = [run.place for run in world.core.runs]
    assert kept == ["oslo-2/good", *(f"oslo-1/r{number}" for number in range(80, 100))]
    world.restart()
    assert [run.place for run in world.core.runs if run.node == "oslo-2"] == ["oslo-2/good"]
    assert len(kept) == len(world.store.spaces["run"])


def test_no_region_pushes_the_runs_of_others_out_by_devices_that_it_invents(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "RUNS_KEPT_AT_HUB_MAX", 20)
    runs = Runs(Snapshot(node="cloud"))
    for number in range(5):
        runs.entry("eu/oslo/gw-1", "e" * 16, number + 1, 0, "run.started", f"r{number}", b'{"workflow":"w"}')
    for number in range(60):
        runs.entry(f"eu/evil/{number}/x", "e" * 16, 1, 0, "run.started", f"x{number}", b'{"workflow":"w"}')
    assert [run.id for run in runs if run.node == "eu/oslo/gw-1"] == [f"r{number}" for number in range(5)]
    assert [run.id for run in runs if run.node != "eu/oslo/gw-1"] == [f"x{number}" for number in range(45, 60)]


def test_an_answer_that_is_too_large_ends_its_question(world: World) -> None:
    device = world.fleet(oslo_1={})["oslo-1"]
    world.request(inputs.AskNode(id="q1", node="oslo-1", what="logs", params={"service": "line"}))
    data = msgspec.Raw(msgspec.json.encode(["x" * limits.ANSWER_BYTES_MAX]))
    fx = device.got(messages.Answer(session=device.session, id="q1", part=0, last=False, data=data))
    (said,) = acts(fx, inputs.Answered)
    assert (said.last, "not passed on" in said.error, said.data) == (True, True, b"null")
    assert not acts(device.got(messages.Answer(session=1, id="q1", part=1, last=True, data=data)), inputs.Answered)


@pytest.mark.parametrize("odd", [{"attempt": -1}, {"attempt": 2**53}, {"exit_code": 2**53}])
def test_a_number_in_a_step_that_no_report_holds_keeps_no_hub_from_starting(odd: dict[str, int]) -> None:
    world = World()
    device = world.fleet(oslo_1={})["oslo-1"]
    device.entries(("step.ended", "r1", {"run": "r1", "step": "a", "state": "ok", **odd}))
    device.entries(("run.started", "r1", {"id": "r1", "started_ms": 2**53}))
    world.restart()
    assert not list(world.core.runs)
    assert [alarm["what"] for alarm in world.node("oslo-1")["alarms"]] == ["odd-entry"]
