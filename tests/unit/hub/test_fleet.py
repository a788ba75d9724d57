"""The main road through the hub: devices come in, get work, do it, tell of it."""

import msgspec
import pytest

from hub.core import inputs, views
from protocol import effects, messages, status
from tests.unit.hub.world import World, key_of, only, service, topics, workflow


@pytest.fixture
def world() -> World:
    return World()


def test_a_service_reaches_the_devices_that_match_and_is_seen_running(world: World) -> None:
    devices = world.fleet(oslo_1={"site": "oslo"}, oslo_2={"site": "oslo"}, bergen_1={"site": "bergen"})
    fx = world.request(inputs.Apply(documents=[service("line", "site=oslo")]))
    for device in devices.values():
        device.see(fx)
    results = msgspec.json.decode(only(fx, inputs.Reply).data)["results"]
    assert [(one["action"], one["generation"], one["nodes"]) for one in results] == [
        ("created", 1, ["oslo-1", "oslo-2"])
    ]
    assert "resource/service/line" in topics(fx)
    assert list(devices["oslo-1"].items) == ["assignment/line"]
    assert devices["bergen-1"].items == {}

    digest = views.resource(world.core, "service", "line")["digest"]
    running = status.ServiceReport(state="running", digest=digest, healthy=True, pid=7)
    fx = devices["oslo-1"].report(status.Report(services={"line": running}))
    assert "node/oslo-1" in topics(fx)
    seen = views.service(world.core, "line", world.now)
    assert (seen["placed"], seen["running"], seen["current"], seen["away"]) == (2, 1, 1, 0)
    on = views.on(world.core, "service/line").nodes
    assert [(one["node"], one["current"], one["report"] and one["report"]["pid"]) for one in on] == [
        ("oslo-1", True, 7),
        ("oslo-2", False, None),
    ]
    node = world.node("oslo-1")
    assert node["observed_generation"] == node["desired_generation"] == 2
    assert node["services"]["line"]["state"] == "running"


def test_a_command_runs_on_those_who_are_here_and_waits_for_those_who_are_not(world: World) -> None:
    devices = world.fleet(oslo_1={"site": "oslo"}, oslo_2={"site": "oslo"})
    devices["oslo-2"].leave()
    fx = world.request(inputs.CreateTasks(selector="site=oslo", command=["df", "-h"], deadline_s=60.0))
    reply = msgspec.json.decode(only(fx, inputs.Reply).data)
    group = reply["group"]
    assert [(task["node"], task["state"]) for task in reply["tasks"]] == [("oslo-1", "pending"), ("oslo-2", "away")]
    assert reply["tasks"][1]["since_ms"] == int(world.wall * 1000)
    devices["oslo-1"].see(fx)
    assert list(devices["oslo-1"].items) == [f"task/{group}"]

    devices["oslo-1"].entries(("task.started", group, {"id": group}))
    assert views.task_group(world.core, group, world.now)["tasks"][0]["state"] == "running"
    ended = {"id": group, "state": "ok", "exit_code": 0, "stdout": "29G\n", "duration_s": 0.02}
    fx = devices["oslo-1"].entries(("task.ended", group, ended))
    assert topics(fx) == [f"task/{group}", "entries"]
    first = views.task_group(world.core, group, world.now)["tasks"][0]
    assert (first["state"], first["exit_code"], first["stdout"]) == ("ok", 0, "29G\n")
    devices["oslo-1"].settle()
    assert devices["oslo-1"].items == {}

    world.later(120.0)
    devices["oslo-2"].connect()
    assert list(devices["oslo-2"].items) == [f"task/{group}"]
    refused = {"id": group, "state": "refused", "reason": "the deadline has passed"}
    devices["oslo-2"].entries(("task.ended", group, refused))
    second = views.task_group(world.core, group, world.now)["tasks"][1]
    assert (second["state"], second["reason"]) == ("refused", "the deadline has passed")


def test_a_run_is_told_by_entries_and_by_status_and_history_never_overwrites_live(world: World) -> None:
    device = world.fleet(oslo_1={"site": "oslo"})["oslo-1"]
    world.ask(inputs.Apply(documents=[workflow("report", "site=oslo")]))
    last = status.RunReport(
        id="r1",
        workflow="report",
        state="ok",
        started_ms=5,
        ended_ms=9,
        steps=[status.StepReport(name="collect", state="ok", attempts=2, exit_code=0)],
    )
    device.report(status.Report(workflows={"report": status.WorkflowReport(last=last)}), seq=4)
    live = views.run(world.core, "r1")
    assert (live["state"], live["steps"][0]["attempts"]) == ("ok", 2)
    device.entries(
        ("run.started", "r1", {"id": "r1", "workflow": "report", "trigger": "cron", "params": {"a": "b"}}),
        ("step.started", "r1", {"run": "r1", "step": "collect", "attempt": 1}),
        ("step.ended", "r1", {"run": "r1", "step": "collect", "state": "failed", "attempt": 1, "exit_code": 3}),
        ("run.ended", "r1", {"id": "r1", "state": "ok"}),
    )
    assert views.run(world.core, "r1") == live
    fx = device.entries(("run.started", "r2", {"id": "r2", "workflow": "report", "trigger": "manual"}))
    assert "run/r2" in topics(fx)
    assert [run["id"] for run in views.runs(world.core, workflow="report")] == ["r2", "r1"]
    assert views.runs(world.core, node="bergen-1") == []


def test_a_hub_that_is_killed_knows_it_all_again_and_sends_what_it_had_not(world: World) -> None:
    device = world.fleet(oslo_1={"site": "oslo"})["oslo-1"]
    world.later(10.0)
    device.take(inputs.Closed(node="oslo-1", connection=1, reason="reset"))
    world.ask(inputs.Apply(documents=[service("line", "site=oslo")]))
    left, contact = world.node("oslo-1")["since_ms"], world.node("oslo-1")["last_contact_ms"]
    world.later(500.0)
    world.restart()
    node = world.node("oslo-1")
    assert (node["state"], node["since_ms"], node["last_contact_ms"]) == ("away", left, contact)
    device.connect()
    assert list(device.items) == ["assignment/line"]
    assert world.node("oslo-1")["state"] == "online"
    contact = world.node("oslo-1")["last_contact_ms"]
    world.later(50.0)
    world.restart()
    node = world.node("oslo-1")
    assert (node["state"], node["since_ms"]) == ("away", contact)


def test_an_unknown_device_and_one_with_another_key_are_turned_away(world: World) -> None:
    fx = world.take(inputs.Opened(node="stranger", connection=1, key="0" * 64))
    assert "not enrolled" in only(fx, inputs.CloseChild).reason
    world.enroll("oslo-1")
    fx = world.take(inputs.Opened(node="oslo-1", connection=1, key="0" * 64))
    assert "another key" in only(fx, inputs.CloseChild).reason
    assert not only(fx, inputs.CloseChild).ban
    assert not world.take(inputs.Closed(node="stranger", connection=1)).act
    assert not world.take(inputs.Bad(node="stranger", connection=1, error="x")).act


def test_a_revoked_node_is_told_cut_off_and_kept_out(world: World) -> None:
    devices = world.fleet(oslo_1={"site": "oslo"}, oslo_2={"site": "oslo"})
    world.ask(inputs.Apply(documents=[service("line", "site=oslo", count=1)]))
    holder = views.resource(world.core, "service", "line")["placement"]["nodes"][0]
    other = "oslo-2" if holder == "oslo-1" else "oslo-1"
    group = world.ask(inputs.CreateTasks(nodes=[holder], command=["true"]))["group"]
    fx = world.request(inputs.RevokeNode(node=holder, reason="stolen"))
    told = [send.message for send in fx.send if isinstance(send, effects.Send) and send.peer == holder]
    assert [type(message) for message in told] == [messages.Revoked]
    close = only(fx, inputs.CloseChild)
    assert (close.node, close.connection, close.ban) == (holder, devices[holder].connection, True)
    assert views.resource(world.core, "service", "line")["placement"]["nodes"] == [other]
    node = world.node(holder)
    assert (node["state"], node["revoked_reason"]) == ("revoked", "stolen")
    task = views.task_group(world.core, group, world.now)["tasks"][0]
    assert (task["state"], "was revoked" in task["reason"]) == ("unknown", True)
    fx = world.take(inputs.Opened(node=holder, connection=9, key=key_of(holder)))
    assert only(fx, inputs.CloseChild).ban
    assert "revoked" in world.refused(inputs.LabelNode(node=holder, set={"a": "b"})).error
    assert ("node.revoked", holder) in [row[:2] for row in world.store.rows["audit"]]
