"""How answers of the hub look to a person, and to a program."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from tests.unit.cli.conftest import Skerry
from tests.unit.cli.fake_api import FakeApi, node

HOUR_MS = 3_600_000


def now_ms() -> int:
    """Return this moment."""
    return int(time.time() * 1000)


def test_a_table_of_nodes_says_as_of_when_what_is_away_was_known(skerry: Skerry, api: FakeApi) -> None:
    away = now_ms() - 3 * HOUR_MS - 12 * 60_000
    api.says(
        "GET",
        "/v1/nodes",
        [
            node("oslo-gw-1", labels={"site": "oslo", "gpu": ""}),
            node("oslo-gw-2", state="away", since_ms=away, last_contact_ms=away, as_of_ms=away, observed_generation=11),
            node(
                "oslo-gw-3",
                cursors={"state": {"epoch": "0" * 16, "seq": 410_000, "last": 1_000_000}},
                services={"vision": {"state": "backoff", "restarts": 4}, "b": {"state": "running"}},
                lost={"logs": 7},
            ),
            node("oslo-gw-4", state="away", last_contact_ms=0, cursors={}, services={}, cordoned=True),
            node("bergen-gw-1", state="revoked", labels={}),
            node("roma-gw-1", state="moved", moved="eu-south", cordoned=True, drained=True),
            node("roma-gw-2", contact_s=3_600.0, last_contact_ms=now_ms() - 41 * 60_000),
        ],
    )
    code, out, err = skerry("get", "nodes")
    assert code == 0
    lines = out.splitlines()
    assert lines[0].split() == ["NODE", "STATE", "LABELS", "DESIRED", "SEEN", "WORK", "SYNCED"]
    assert lines[1].split("  ")[0] == "oslo-gw-1"
    assert "gpu site=oslo" in lines[1]
    assert lines[1].split()[-3:] == ["1/1", "healthy", "all"]
    assert "away 3 h 12 m" in lines[2]
    assert "1/1 (" in lines[2]
    assert lines[2].endswith(", 0 declared lost")
    assert "online, catching up" in lines[3]
    assert "1/2 (vision: crash looping)" in lines[3]
    assert "41 % of 1.0 M entries, 7 declared lost" in lines[3]
    assert "away, never connected, cordoned" in lines[4]
    assert "revoked" in lines[5]
    assert "  moved to eu-south  " in lines[6]
    assert "  online, heard 41 m ago  " in lines[7]
    assert err == "vision on oslo-gw-3: see `skerry describe service vision`, or `skerry logs vision`\n"


def test_json_of_nodes_has_its_stable_fields(skerry: Skerry, api: FakeApi) -> None:
    api.says("GET", "/v1/nodes", [node("a")])
    code, out, err = skerry("get", "nodes", "-o", "json")
    (found,) = json.loads(out)
    assert (code, err) == (0, "")
    stable = "name path kind labels state last_contact desired_generation observed_generation epoch cursors version"
    assert set(stable.split()) <= found.keys()
    assert found["last_contact"] == "2023-11-14T22:13:20.000+00:00"


def test_a_selector_is_checked_before_the_hub_is_asked(skerry: Skerry, api: FakeApi) -> None:
    code, _, err = skerry("get", "nodes", "-l", "site=oslo and gpu")
    assert (code, api.asked) == (2, [])
    assert 'write "site=oslo,gpu"' in err


def test_nothing_there_says_what_to_do(skerry: Skerry, api: FakeApi) -> None:
    for kind, hint in [
        ("nodes", "token create"),
        ("services", "apply -f"),
        ("runs", "workflow start"),
        ("tokens", "none"),
    ]:
        api.says("GET", f"/v1/{kind}", [])
        code, out, err = skerry("get", kind)
        assert (code, out) == (0, "")
        assert hint in err


def test_runs_tell_how_far_they_got(skerry: Skerry, api: FakeApi) -> None:
    steps = [{"name": "a", "state": "ok"}, {"name": "b", "state": "failed", "attempts": 3, "exit_code": 2}]
    run: dict[str, Any] = {
        "id": "r1",
        "workflow": "w",
        "node": "n",
        "state": "failed",
        "trigger": "cron",
        "params": {"p": "1"},
    }
    run |= {"started_ms": 1_700_000_000_000, "ended_ms": 1_700_000_041_000, "steps": steps}
    api.says("GET", "/v1/runs", [run])
    api.says("GET", "/v1/runs/r1", run)
    api.says("GET", "/v1/events", ())
    _, out, _ = skerry("get", "runs", "-o", "wide")
    assert "1/2 (b: failed)" in out
    assert "41 s" in out
    assert "p=1" in out
    _, out, _ = skerry("describe", "run", "r1")
    assert "failed, took 41 s" in out
    assert "failed, 3 attempts, exit code 2" in out


def test_describe_a_node_tells_all_and_why_something_fails(skerry: Skerry, api: FakeApi) -> None:
    override = {
        "decision": "stopped",
        "user": "kari",
        "uid": 1001,
        "reason": "belt jammed",
        "since_ms": 1_700_000_000_000,
    }
    services = {
        "vision": {"state": "backoff", "restarts": 4, "last_exit": "code 1", "reason": "again in 20 s"},
        "print": {"state": "stopped", "override": override},
        "probe": {"state": "running", "healthy": False, "pid": 7},
    }
    alarms = [{"what": "clone", "text": "two devices say they are a", "since_ms": 1_700_000_000_000}]
    flows = {"w": {"running": 1, "last": {"state": "ok", "started_ms": 1_700_000_000_000}}}
    hold = {"user": "ada", "uid": 7, "reason": "shift", "since_ms": 1_700_000_000_000, "waiting": 2, "generation": 12}
    more = {"services": services, "alarms": alarms, "workflows": flows, "hold": hold}
    api.says("GET", "/v1/nodes/a", node("a", revoked_reason="", **more))
    api.says("GET", "/v1/logs/vision", ({"node": "a", "line": "Trace\x1b[2Jback"},))
    api.says("GET", "/v1/logs/probe", ())
    api.says("GET", "/v1/logs/print", ())
    api.says("GET", "/v1/events", ({"time_ms": 1_700_000_000_000, "kind": "service.exited", "key": "vision"},))
    code, out, _ = skerry("describe", "node", "a")
    assert code == 0
    for said in (
        "backoff, 4 restarts, last exit code 1, again in 20 s",
        'stopped there by kari at 14 Nov 2023 22:13, until released; "belt jammed"',
        "running (unhealthy), pid 7",
        "ALARM, updates held, since",
        'held there by ada since 14 Nov 2023 22:13, until released; "shift"',
        "2 of what is asked waits, it follows generation 12      (skerry node release a)",
        "Trace�[2Jback",
        "(it printed nothing)",
        "two devices say they are a (since 14 Nov 2023 22:13)      (skerry node accept a)",
        "made 10, synced 10, declared lost 0",
        "1 running, last run ok",
        "service.exited  vision",
    ):
        assert said in out


def service(**more: Any) -> dict[str, Any]:
    """Return a service as the API shows it, on one node."""
    plain: dict[str, Any] = {
        "name": "vision",
        "kind": "service",
        "generation": 13,
        "owner": "cloud",
        "override": None,
        "changed_ms": 1_700_000_000_000,
        "by": "token:admin",
        "selector": "site=oslo",
        "count": None,
        "per_region": False,
        "digest": "sha256:0",
        "nodes": ["a"],
        "regions": {},
        "in": [],
        "short": [],
        "asked": 1,
        "placed": 1,
        "current": 1,
        "running": 1,
        "unhealthy": 0,
        "away": 0,
        "spec": {"spec": {}},
        "copies": None,
        "on": [on("a")],
        "has_more": False,
    }
    return plain | more


def on(name: str, **more: Any) -> dict[str, Any]:
    """Return what one node makes of a service."""
    when = {"since_ms": 1_700_000_000_000, "last_contact_ms": 1_700_000_000_000, "as_of_ms": 1_700_000_000_000}
    state = {
        "node": name,
        "region": "",
        "silent": "",
        "node_state": "online",
        "placed": True,
        "current": True,
        "report": {"state": "running"},
    }
    return state | when | more


def test_describe_a_service_node_by_node(skerry: Skerry, api: FakeApi) -> None:
    nodes = [
        on("a"),
        on("b", node_state="away", report={"state": "running"}, current=False),
        on("c", report=None),
        on("d", placed=False),
        on("e", report={"state": "failed", "reason": "no such command"}),
    ]
    api.says("GET", "/v1/services/vision", service(on=nodes))
    api.says("GET", "/v1/logs/vision", ({"node": "e", "line": "x"},))
    api.says("GET", "/v1/events", ())
    _, out, _ = skerry("describe", "service", "vision")
    assert "away since 14 Nov 2023 22:13; last known (14 Nov 2023 22:13): running; an older generation" in out
    assert "nothing heard of it yet" in out
    assert "no longer asked there" in out
    assert "failed, no such command" in out
    assert "last lines on e" in out


def test_run_shows_what_each_prints_and_ends_with_1_when_one_failed(skerry: Skerry, api: FakeApi) -> None:
    asked = [
        {"node": "a", "state": "pending"},
        {"node": "bb", "state": "away", "since_ms": now_ms(), "deadline_ms": now_ms()},
    ]
    done = {
        "node": "a",
        "state": "failed",
        "exit_code": 3,
        "stdout": "one\ntwo\n",
        "stderr": "bad\n",
        "duration_s": 0.02,
    }
    api.says("POST", "/v1/tasks", ({"group": "g", "nodes": asked}, {"node": "a", "state": "running"}, done))
    code, out, _ = skerry("run", "-l", "site=oslo", "--timeout", "5s", "--", "df", "-h", "--", "/")
    assert code == 1
    lines = out.splitlines()
    assert lines[0].startswith("bb │ away since ")
    assert "then refused there      (--no-deadline to keep asking)" in lines[0]
    assert lines[1:] == ["a  │ one", "a  │ two", "a  │ bad", "a  │ failed, exit code 3  after 0.02 s"]
    body = api.asked[0][2]
    assert body["command"] == ["df", "-h", "--", "/"]
    assert (body["selector"], body["timeout_s"], body["deadline_s"]) == ("site=oslo", 5.0, 600.0)


def test_run_on_nodes_that_are_away_has_not_failed(skerry: Skerry, api: FakeApi) -> None:
    asked = [{"node": "a", "state": "away", "since_ms": now_ms(), "deadline_ms": 0}]
    api.says("POST", "/v1/tasks", ({"group": "g", "nodes": asked},))
    code, out, _ = skerry("run", "--node", "a", "--no-deadline", "--", "true")
    assert code == 0
    assert "asked until it returns" in out
    assert api.asked[0][2]["deadline_s"] is None


def test_run_in_json_is_an_object_a_line(skerry: Skerry, api: FakeApi) -> None:
    asked = [{"node": "a", "state": "pending"}, {"node": "b", "state": "pending"}]
    api.says("POST", "/v1/tasks", ({"group": "g", "nodes": asked}, {"node": "a", "state": "ok", "exit_code": 0}))
    code, out, err = skerry("run", "--node", "a", "--node", "b", "-o", "json", "--", "true")
    assert [json.loads(line)["node"] for line in out.splitlines()] == ["a"]
    assert (code, err) == (1, "")  # b has not answered in time


def test_a_silent_success_says_ok(skerry: Skerry, api: FakeApi) -> None:
    api.says("POST", "/v1/tasks", ({"group": "g", "nodes": [{"node": "a", "state": "ok", "duration_s": 0.1}]},))
    assert skerry("run", "--node", "a", "--", "true")[:2] == (0, "a │ ok\n")


def test_run_without_a_network_is_run_so_or_not_at_all(skerry: Skerry, api: FakeApi) -> None:
    done = {"node": "a", "state": "refused", "reason": "refused: its isolation is required"}
    api.says("POST", "/v1/tasks", ({"group": "g", "nodes": [{"node": "a", "state": "pending"}]}, done))

    code, out, _ = skerry("run", "--node", "a", "--no-network", "--user", "bob", "--", "true")

    assert (code, out) == (1, "a │ refused, refused: its isolation is required\n")
    assert api.asked[0][2]["isolation"] == {"network": "none", "required": True}
    assert api.asked[0][2]["user"] == "bob"


def test_what_a_command_went_without_is_told_though_all_went_well(skerry: Skerry, api: FakeApi) -> None:
    done = {"node": "a", "state": "ok", "stdout": "x\n", "duration_s": 0.1, "reason": "this device cannot enforce it"}
    api.says("POST", "/v1/tasks", ({"group": "g", "nodes": [{"node": "a", "state": "pending"}]}, done))

    assert "this device cannot enforce it" in skerry("run", "--node", "a", "--", "true")[1]


def test_run_wants_to_know_where(skerry: Skerry, api: FakeApi) -> None:
    code, _, err = skerry("run", "--", "true")
    assert code == 2
    assert "either --node NODE, or -l SELECTOR" in err


def test_a_workflow_starts_where_it_is_placed(skerry: Skerry, api: FakeApi) -> None:
    api.says("GET", "/v1/workflows/w", {"nodes": ["a", "b"]})
    api.says("POST", "/v1/tasks", {"group": "g", "tasks": [{"node": "a"}, {"node": "b"}]})
    code, out, err = skerry("workflow", "start", "w", "-p", "x=1=2", "-p", "y=")
    assert (code, out) == (0, "w asked for on 2 nodes: a, b\n")
    assert "skerry get runs" in err
    assert api.asked[1][2]["params"] == {"x": "1=2", "y": ""}
    assert skerry("workflow", "start", "w", "-p", "x")[0] == 2


def test_a_run_is_cancelled_where_it_runs(skerry: Skerry, api: FakeApi) -> None:
    api.says("GET", "/v1/runs/r1", {"node": "a"})
    api.says("POST", "/v1/tasks", ({"group": "g", "nodes": [{"node": "a", "state": "ok"}]},))
    assert skerry("workflow", "cancel", "r1")[0] == 0
    assert (api.asked[1][2]["nodes"], api.asked[1][2]["cancel_run"]) == (["a"], "r1")


EVENT: dict[str, Any] = {
    "id": "9",
    "node": "a",
    "path": "cloud/a",
    "epoch": "e",
    "stream": "state",
    "seq": 4,
    "time": "2023-11-14T22:13:20.000Z",
} | {
    "time_ms": 1_700_000_000_000,
    "kind": "service.exited",
    "key": "vision",
    "body": {"code": 1, "text": "a\x1b[2Jb"},
}


def test_events_are_a_line_each(skerry: Skerry, api: FakeApi) -> None:
    api.says("GET", "/v1/events", (EVENT,))
    _, out, _ = skerry("events", "--node", "a", "--kind", "service.*")
    assert "service.exited" in out
    assert "code=1 text=a�[2Jb" in out
    assert "node=a&kind=service.%2A&limit=100" in api.asked[0][1]


def test_events_in_json_have_their_stable_fields_and_are_all_of_them(skerry: Skerry, api: FakeApi) -> None:
    api.says("GET", "/v1/events", (EVENT,))
    _, out, _ = skerry("events", "-o", "json")
    assert list(json.loads(out)) == ["node", "path", "epoch", "stream", "seq", "time", "kind", "key", "body", "id"]
    assert "after=0" in api.asked[0][1]
    _, out, _ = skerry("events", "--limit", "1000000", "-o", "yaml")
    assert out.startswith("---\nnode: a")


def test_since_is_a_duration(skerry: Skerry, api: FakeApi) -> None:
    api.says("GET", "/v1/events", ())
    assert skerry("events", "--since", "1h")[0] == 0
    code, _, err = skerry("events", "--since", "1 hour")
    assert code == 2
    assert "--since: " in err


def test_logs_name_their_node_and_one_that_is_away_says_since_when(skerry: Skerry, api: FakeApi) -> None:
    lines = ({"node": "a", "line": "x"}, {"node": "b", "error": f"b is away (since_ms {now_ms() - 9 * HOUR_MS * 24})"})
    api.says("GET", "/v1/logs/vision", lines)
    code, out, _ = skerry("logs", "vision")
    assert code == 0
    assert out.splitlines()[0] == "a                │ x"
    assert "since_ms" not in out
    api.says("GET", "/v1/logs/vision", lines[1:])
    assert skerry("logs", "vision")[0] == 1
    api.says("GET", "/v1/logs/vision", ())
    assert skerry("logs", "vision") == (0, "", "vision has printed nothing\n")


def test_token_create_prints_the_token_and_the_next_line(skerry: Skerry, api: FakeApi) -> None:
    api.says("POST", "/v1/tokens", {"id": "1", "token": "sk1.abc", "expires_ms": now_ms() + 8 * HOUR_MS, "uses": 20})
    code, out, err = skerry("token", "create", "--label", "site=oslo", "--uses", "20", "--ttl", "8h")
    assert (code, out) == (0, "sk1.abc\n")
    assert "for 20 devices, labels site=oslo, until " in err
    assert f"sudo skerry-agent enroll --hub {api.url} --token sk1.abc" in err
    api.says("POST", "/v1/tokens", {"id": "1", "token": "sk1.abc", "expires_ms": now_ms(), "uses": 1, "pin": "k2="})
    _, _, err = skerry("token", "create")
    assert f"  curl -fsSk --pinnedpubkey sha256//k2= {api.url}/install | sudo sh -s -- --token sk1.abc\n" in err
    assert api.asked[0][2] == {"ttl_s": 28_800.0, "uses": 20, "labels": {"site": "oslo"}, "kind": "agent"}
    assert skerry("token", "create", "--label", "a b=c")[0] == 2


def test_labels_are_set_and_taken_away(skerry: Skerry, api: FakeApi) -> None:
    api.says("POST", "/v1/nodes/a/labels", node("a"))
    code, out, _ = skerry("node", "label", "a", "site=oslo", "gpu", "team-")
    assert (code, out) == (0, "a has site=oslo\n")
    assert api.asked[0][2] == {"set": {"site": "oslo", "gpu": ""}, "remove": ["team"]}


@pytest.mark.parametrize(
    ("words", "path", "body"),
    [
        (("cordon", "a"), "cordon", {"cordoned": True}),
        (("uncordon", "a"), "cordon", {"cordoned": False}),
        (("drain", "a"), "drain", {}),
        (("revoke", "a", "--yes", "--reason", "sold"), "revoke", {"reason": "sold"}),
        (("release", "a", "vision"), "release", {"service": "vision", "reason": ""}),
        (("release", "a"), "release", {"service": "", "reason": ""}),
    ],
)
def test_what_an_operator_does_with_a_node(
    skerry: Skerry, api: FakeApi, words: tuple[str, ...], path: str, body: dict[str, Any]
) -> None:
    api.says("POST", f"/v1/nodes/a/{path}", node("a"))
    assert skerry("node", *words)[0] == 0
    assert api.asked == [("POST", f"/v1/nodes/a/{path}", body)]


def test_what_cannot_be_undone_asks_and_without_a_person_takes_yes(skerry: Skerry, api: FakeApi) -> None:
    api.says("POST", "/v1/nodes/-/accept-restore", {"nodes": 2, "ahead": 1})
    for words in (("node", "revoke", "a"), ("hub", "accept-restore")):
        code, _, err = skerry(*words)
        assert (code, "--yes" in err) == (2, True), err
    assert api.asked == []
    assert skerry("hub", "accept-restore", "--yes", "--reason", "looked")[0] == 0
    assert api.asked == [("POST", "/v1/nodes/-/accept-restore", {"reason": "looked"})]


def test_accept_says_whether_there_was_anything_to_accept(skerry: Skerry, api: FakeApi) -> None:
    api.says("POST", "/v1/nodes/a/accept", node("a"))
    for before, said in ((node("a"), "nothing to accept"), (node("a", state="quarantined"), "alarms are cleared")):
        api.says("GET", "/v1/nodes/a", before)
        code, out, _ = skerry("node", "accept", "a", "--reason", "looked")
        assert (code, said in out) == (0, True), out
    assert api.asked[1] == ("POST", "/v1/nodes/a/accept", {"reason": "looked"})


def test_delete_names_kind_and_name(skerry: Skerry, api: FakeApi) -> None:
    for key in ("resources/service/vision", "tokens/1"):
        api.says("DELETE", f"/v1/{key}", {})
    assert skerry("delete", "services/vision", "token/1")[:2] == (0, "service/vision deleted\ntoken/1 deleted\n")
    code, _, err = skerry("delete", "vision")
    assert code == 2
    assert "write KIND/NAME" in err


SPEC = """\
apiVersion: skerry/v1
kind: Service
metadata: {name: vision}
spec: {process: {command: [a]}, placement: {selector: a}}
"""


def applied(nodes: list[str], note: str = "") -> dict[str, Any]:
    """Return the hub's answer to an apply of one service."""
    one = {"kind": "service", "name": "vision", "action": "changed", "generation": 13, "nodes": nodes, "note": note}
    return {"results": [one]}


def test_apply_waits_for_those_that_are_there(skerry: Skerry, api: FakeApi, tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(SPEC)
    api.says("POST", "/v1/apply", applied(["a", "b"]))
    api.says("GET", "/v1/services/vision", service(on=[on("a"), on("b", node_state="away")]))
    code, out, _ = skerry("apply", "-f", str(tmp_path / "a.yaml"), "--wait")
    assert code == 0
    assert "service/vision  changed, generation 13: 2 nodes" in out
    assert "  service/vision  b            away since 14 Nov 2023 22:13: will follow on return" in out
    assert "1 of 2 done, 1 away (b); nothing failed (--wait=all waits for those away)" in out
    assert skerry("apply", "-f", str(tmp_path / "a.yaml"), "--wait=all", "--timeout", "1ms")[0] == 1


@pytest.mark.parametrize(
    ("report", "code", "said"),
    [
        (
            {"state": "failed", "reason": "no such command 'x'"},
            1,
            "failed: no such command 'x'; see `skerry logs vision",
        ),
        ({"state": "backoff", "restarts": 5, "last_exit": "code 1"}, 1, "backoff: last exit: code 1"),
        ({"state": "starting"}, 1, "1 still not after 1 m"),
        ({"state": "running", "healthy": None}, 1, "1 still not"),
        ({"state": "running", "healthy": True}, 0, "running, healthy"),
        ({"state": "exited", "last_exit": "code 0"}, 0, "ended with code 0"),
        ({"state": "stopped", "override": {"user": "kari", "reason": ""}}, 0, "held there by kari (no reason)"),
        ({"state": "stopped", "override": {"user": "kari", "reason": "x"}}, 0, "0 of 1 done, 1 overridden"),
    ],
)
def test_apply_wait_tells_what_became_of_it(
    skerry: Skerry, api: FakeApi, tmp_path: Path, report: dict[str, Any], code: int, said: str
) -> None:
    (tmp_path / "a.yaml").write_text(SPEC)
    api.says("POST", "/v1/apply", applied(["a"]))
    api.says("GET", "/v1/services/vision", service(spec={"spec": {"health": {}}}, on=[on("a", report=report)]))
    timeout = "1ms" if "still not" in said else "5s"
    ended, out, _ = skerry("apply", "-f", str(tmp_path / "a.yaml"), "--wait", "--timeout", timeout)
    assert ended == code
    assert said.removesuffix(" after 1 m") in out


def test_apply_wait_waits_no_longer_for_a_node_that_is_asked_for_nothing_any_more(
    skerry: Skerry, api: FakeApi, tmp_path: Path
) -> None:
    (tmp_path / "a.yaml").write_text(SPEC)
    api.says("POST", "/v1/apply", applied(["a", "b"]))
    api.says("GET", "/v1/services/vision", service(on=[on("a"), on("b", current=False)]))
    api.then["GET", "/v1/services/vision"] = {("GET", "/v1/services/vision"): (200, service(on=[on("a")]))}
    code, out, _ = skerry("apply", "-f", str(tmp_path / "a.yaml"), "--wait", "--timeout", "30s")
    assert (code, "1 of 1 done" in out) == (0, True), out


def test_a_policy_is_applied(skerry: Skerry, api: FakeApi, tmp_path: Path) -> None:
    policy = "apiVersion: skerry/v1\nkind: Policy\nmetadata: {name: quiet}\nspec: {forward: {logs: summary}}\n"
    (tmp_path / "a.yaml").write_text(policy)
    (tmp_path / "b.yaml").write_text(SPEC)
    one: dict[str, Any] = {
        "kind": "policy",
        "name": "quiet",
        "action": "created",
        "generation": 1,
        "nodes": [],
        "note": "",
    }
    api.says("POST", "/v1/apply", {"results": [one]})
    code, out, err = skerry("apply", "-f", str(tmp_path))
    assert (code, err) == (0, "")
    assert out.startswith("policy/quiet created")


def test_a_name_leads_nowhere_else(skerry: Skerry, api: FakeApi) -> None:
    for name in ("../tokens", "north/../../hub", ".."):
        code, _, err = skerry("describe", "node", name)
        assert (code, api.asked) == (2, [])
        assert f"{name!r} is no name: write one that `skerry get` shows" in err
    api.says("GET", "/v1/nodes/a%1B%3Fb%23", node("a"))
    skerry("describe", "node", "a\x1b?b#")
    assert api.asked


def test_apply_on_nobody_says_so(skerry: Skerry, api: FakeApi, tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(SPEC)
    api.says("POST", "/v1/apply", applied([], 'no node matches "site=oslo": see `skerry get nodes`'))
    code, out, _ = skerry("apply", "-f", str(tmp_path), "--dry-run")
    assert code == 0
    assert out == 'service/vision would be changed; no node matches "site=oslo": see `skerry get nodes`\n'


def in_region(name: str, **more: Any) -> dict[str, Any]:
    """Return what one region makes of a service."""
    counts = {"share": None, "asked": 1, "placed": 1, "current": 1, "generation": 13}
    state: dict[str, Any] = {
        "hub": name,
        "state": "online",
        "since_ms": 1_700_000_000_000,
        "is_asked": True,
        "refused": "",
        "marks": [],
    }
    return state | counts | more


@pytest.mark.parametrize(
    ("region", "code", "said"),
    [
        ({}, 0, "service/vision  cloud/north/a"),
        ({"generation": 12}, 1, "1 still not"),
        ({"placed": 2}, 1, "1 still not"),
        ({"placed": 0}, 0, "placed on no node there"),
        ({"state": "away"}, 0, "away since 14 Nov 2023 22:13: will follow on return"),
        ({"refused": "service/vision: the name is taken"}, 1, "refused there: service/vision: the name is taken"),
        ({"marks": [{"user": "kari", "reason": "a storm"}]}, 0, "overridden there by kari: a storm"),
    ],
)
def test_apply_waits_for_what_regions_make_of_it(
    skerry: Skerry, api: FakeApi, tmp_path: Path, region: dict[str, Any], code: int, said: str
) -> None:
    (tmp_path / "a.yaml").write_text(SPEC)
    found = applied([])
    found["results"][0]["regions"] = {"north": None}
    api.says("POST", "/v1/apply", found)
    nodes = [on("north/a", region="north")]
    api.says("GET", "/v1/services/vision", service(on=nodes, **{"in": [in_region("north", **region)]}))
    timeout = "1ms" if "still not" in said else "5s"
    ended, out, _ = skerry("apply", "-f", str(tmp_path / "a.yaml"), "--wait", "--timeout", timeout)
    assert ended == code
    assert out.startswith("service/vision  changed, generation 13: 1 region\n")
    assert said in out


@pytest.mark.parametrize(
    ("lacking", "said"),
    [
        ([("north", 1, 2), ("", 2, 3)], "short: service/vision at north 1 of 2, in all 2 of 3, for no more"),
        ([(f"r{i}", 1, 2) for i in range(6)], "at r3 1 of 2, and at 2 more, for no more"),
        ([], ""),
    ],
)
def test_apply_wait_says_what_found_no_place_and_fails(
    skerry: Skerry,
    api: FakeApi,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    lacking: Any,
    said: str,
) -> None:
    monkeypatch.setattr("hub.cli.wait.SHORT_S", 0.01)
    (tmp_path / "a.yaml").write_text(SPEC)
    found = applied([])
    found["results"][0]["regions"] = {"north": None}
    api.says("POST", "/v1/apply", found)
    short = [{"hub": hub, "placed": placed, "asked": asked} for hub, placed, asked in lacking]
    body = service(nodes=[], on=[on("north/a", region="north")], short=short, **{"in": [in_region("north")]})
    api.says("GET", "/v1/services/vision", body)
    code, out, _ = skerry("apply", "-f", str(tmp_path / "a.yaml"), "--wait", "--timeout", "5s")
    assert (code, said in out, "short" in out) == (bool(said), True, bool(said))


def test_apply_wait_stands_in_columns(skerry: Skerry, api: FakeApi, tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(SPEC)
    found = applied(["a", "oslo-gw-1"])
    found["results"].append(found["results"][0] | {"name": "a", "nodes": ["a"]})
    api.says("POST", "/v1/apply", found)
    api.says("GET", "/v1/services/vision", service(on=[on("a"), on("oslo-gw-1")]))
    api.says("GET", "/v1/services/a", service(name="a", on=[on("a")]))
    _, out, _ = skerry("apply", "-f", str(tmp_path / "a.yaml"), "--wait")
    heads, rows = out.splitlines()[:2], out.splitlines()[2:5]
    assert heads == [
        "service/vision  changed, generation 13: 2 nodes",
        "service/a       changed, generation 13: 1 node",
    ]
    assert [row.split() for row in rows] == [
        ["service/vision", "a", *rows[0].split()[2:4], "running"],
        ["service/vision", "oslo-gw-1", *rows[1].split()[2:4], "running"],
        ["service/a", "a", *rows[2].split()[2:4], "running"],
    ]
    assert len({row.index("running") for row in rows}) == 1


def test_a_long_event_is_cut_in_a_table_and_whole_in_a_wide_one(skerry: Skerry, api: FakeApi) -> None:
    steps = [{"name": "a", "state": "ok"}, {"name": "b", "state": "failed"}]
    body = {"id": "vision", "stdout": "one\ntwo\n", "more": "x" * 500, "steps": steps}
    api.says("GET", "/v1/events", (EVENT | {"body": body},))
    _, out, _ = skerry("events")
    assert f"stdout=one↵two more={'x' * 120}… steps=1/2(b:failed)\n" in out
    _, out, _ = skerry("events", "-o", "wide")
    assert f"id=vision stdout=one↵two more={'x' * 500} steps=[{{" in out


def test_events_of_nobody_are_a_mistake_and_no_events_are_said_so(skerry: Skerry, api: FakeApi) -> None:
    api.says("GET", "/v1/events", ())
    api.says("GET", "/v1/nodes/a", node("a"))
    code, _, err = skerry("events", "--node", "a")
    assert (code, err.startswith("nothing of this kind has happened")) == (0, True)
    assert skerry("events", "--node", "nobody")[0] == 1
    code, _, err = skerry("events", "--stream", "foo")
    assert code == 2
    assert "write audit, state, metrics, logs" in err


def test_what_a_device_refuses_is_no_line_of_its_logs(skerry: Skerry, api: FakeApi) -> None:
    line = "skerry-agent: no service 'vision' is on this device"
    api.says("GET", "/v1/logs/vision", ({"node": "a", "line": line},))
    code, out, _ = skerry("logs", "vision", "--node", "a")
    assert (code, out) == (1, "a                │ no service 'vision' is on this device\n")


def test_services_that_do_not_run_everywhere_say_where_to_look(skerry: Skerry, api: FakeApi) -> None:
    api.says("GET", "/v1/services", [service(running=0, placed=1)])
    assert "skerry describe service vision" in skerry("get", "services")[2]


def test_a_service_of_another_hub_names_its_owner_and_who_overrides_it_here(skerry: Skerry, api: FakeApi) -> None:
    held: dict[str, Any] = {
        "key": "service/vision",
        "owner": "top/cloud",
        "by": "ola",
        "reason": "a storm",
        "since_ms": 1,
    }
    api.says("GET", "/v1/services", [service(override=held | {"until_ms": 1_700_000_000_000})])
    assert "site=oslo, overridden until 14 Nov 2023 22:13" in skerry("get", "services")[1]
    theirs = service(owner="top/cloud", override=held | {"until_ms": 1_700_000_000_000})
    api.says("GET", "/v1/services/vision", theirs)
    api.says("GET", "/v1/events", ())
    lines = skerry("describe", "service", "vision")[1].splitlines()
    assert lines[1].split(maxsplit=1) == ["owner", "top/cloud: it is changed there"]
    said = "here by ola until 14 Nov 2023 22:13: a storm      (skerry release service/vision)"
    assert lines[2].split(maxsplit=1) == ["overridden", said]
    api.says("GET", "/v1/services/vision", service())
    out = skerry("describe", "service", "vision")[1]
    assert ("owner" in out, "overridden" in out) == (False, False), "its own hub's, as most are"


@pytest.mark.parametrize(
    ("kind", "body", "said"),
    [
        (
            "override.begun",
            {"who": "ola", "until_ms": 1_700_000_000_000, "reason": "a storm"},
            "until 14 Nov 2023 22:13",
        ),
        ("override.kept", {"at": "eu"}, "north: eu has another one by now, which stays"),
        ("override.kept", {}, "north: override.kept"),
        ("override.begun", {"who": "ola", "until_ms": "soon"}, "north: override.begun who=ola until_ms=soon"),
        ("override.ended", None, "north: override.ended"),
        ("override.ended", ["?"], 'north: override.ended ["?"]'),
        ("override.paused", {"at": "eu", "steps": 3}, "north: override.paused at=eu steps=3"),
    ],
)
def test_one_odd_entry_of_a_region_ends_no_description(
    skerry: Skerry, api: FakeApi, kind: str, body: Any, said: str
) -> None:
    api.says("GET", "/v1/services/vision", service())
    api.says("GET", "/v1/events", (EVENT | {"kind": kind, "body": body, "path": "", "node": "north"},))
    code, out, _ = skerry("describe", "service", "vision")
    assert (code, said in out) == (0, True)


@pytest.mark.parametrize(
    ("kind", "body", "said"),
    [
        ("app.x", {"steps": "x"}, "steps=x"),
        ("app.x", {"steps": [{"name": 1}]}, "steps="),
        ("gap", {"count": 1}, "count=1"),
    ],
)
def test_one_odd_event_ends_no_list(skerry: Skerry, api: FakeApi, kind: str, body: Any, said: str) -> None:
    api.says("GET", "/v1/events", (EVENT | {"kind": kind, "body": body},))
    code, out, _ = skerry("events")
    assert (code, said in out) == (0, True)


def test_a_service_for_regions_that_are_not_there_says_so(skerry: Skerry, api: FakeApi) -> None:
    spec: dict[str, Any] = {"spec": {"placement": {"selector": "site=oslo", "regions": "continent=us"}}}
    api.says("GET", "/v1/services/vision", service(on=[], placed=0, spec=spec))
    api.says("GET", "/v1/events", ())
    assert 'no hub below matches "continent=us"' in skerry("describe", "service", "vision")[1]
    api.says("GET", "/v1/services/vision", service(on=[], placed=0))
    assert 'no node matches "site=oslo"' in skerry("describe", "service", "vision")[1]


def test_tokens_are_listed_with_whom_they_let_in(skerry: Skerry, api: FakeApi) -> None:
    token: dict[str, Any] = {
        "id": "t1",
        "uses": 2,
        "used": 0,
        "labels": {},
        "kind": "hub",
        "by": "token:admin",
        "expires_ms": 0,
    }
    api.says("GET", "/v1/tokens", [token, token | {"id": "t2", "kind": "agent"}])
    lines = skerry("token", "list")[1].splitlines()
    assert [line.split()[:2] for line in lines] == [["TOKEN", "FOR"], ["t1", "hubs"], ["t2", "devices"]]


def test_what_was_declared_lost_is_shown_by_class_and_by_range(skerry: Skerry, api: FakeApi) -> None:
    loss = {"epoch": "a" * 16, "first": 1, "last": 1_500_000, "count": 1_500_000, "reason": "the quota is full"}
    lost = {"metrics": 1_500_000, "state": 1}
    newer = loss | {"first": 9, "last": 9, "count": 1, "time_ms": 1_700_000_000_000}
    one = node("a", lost=lost, losses={"metrics": [loss], "state": [newer]}, waiting=["state"])
    api.says("GET", "/v1/nodes", [one])
    api.says("GET", "/v1/nodes/a", one)
    api.says("GET", "/v1/events", ())
    _, out, _ = skerry("get", "nodes", "-o", "wide")
    assert " LOST " in out
    assert "metrics 1.5 M, state 1" in out
    assert "LOST" not in skerry("get", "nodes")[1]
    _, out, _ = skerry("describe", "node", "a")
    assert "declared lost\n" in out
    assert f"1 to 1,500,000, 1,500,000 rows: the quota is full (epoch {'a' * 16})" in out
    assert "9 to 9, 1 row: the quota is full, declared 14 Nov 2023" in out
    assert "declared lost 1, waits before rows that nobody vouches for" in out


def test_a_node_with_an_alarm_is_marked_and_a_gap_is_a_sentence(skerry: Skerry, api: FakeApi) -> None:
    alarm = {"what": "fork", "text": "forked", "since_ms": 1_700_000_000_000}
    api.says("GET", "/v1/nodes", [node("a", alarms=[alarm]), node("b")])
    _, out, err = skerry("get", "nodes")
    assert out.count("online, ALARM") == 1
    assert "a has an alarm: see `skerry describe node a`" in " ".join(err.split())
    body = {
        "first": 5,
        "last": 9,
        "count": 5,
        "reason": "the quota of the stream is full",
        "hash": "ab",
        "signature": "x",
    }
    gap = {
        "id": "1",
        "node": "a",
        "path": "cloud/a",
        "stream": "metrics",
        "epoch": "e",
        "seq": 9,
        "time_ms": 0,
        "received_ms": 0,
    }
    api.says("GET", "/v1/events", (gap | {"kind": "gap", "key": "", "body": body},))
    _, out, _ = skerry("events")
    assert "5 entries of metrics lost, 5 to 9: the quota of the stream is full" in out
    assert "signature" not in out


# ------------------------------------------------------------------------------------------------ tiers


def region(**more: Any) -> dict[str, Any]:
    """Return what a service comes to in a region, as the API shows it."""
    plain: dict[str, Any] = {
        "hub": "eu-north",
        "path": "cloud/eu-north",
        "state": "online",
        "since_ms": 1_700_000_000_000,
        "last_contact_ms": 1_700_000_000_000,
        "as_of_ms": 1_700_000_000_000,
        "is_asked": True,
        "share": None,
        "asked": 2,
        "placed": 2,
        "current": 2,
        "running": 1,
        "healthy": 1,
        "unhealthy": 0,
        "away": 0,
        "digest": "",
        "owner": "cloud",
        "generation": 13,
        "marks": [],
        "refused": "",
    }
    return plain | more


TOTAL = {
    "nodes": {"online": 97, "away": 2, "unheard": 1, "revoked": 4},
    "hubs": {"online": 2, "away": 1},
    "tallies": {"service/vision": {"asked": 5, "placed": 4, "current": 4, "running": 3, "unhealthy": 1, "away": 1}},
    "worst": [{"at": "oslo-gw-3", "what": "vision", "text": "failed, no such command", "since_ms": 1_700_000_000_000}],
    "offenders": 7,
    "marks": [{"at": "oslo-gw-1", "what": "service/vision", "decision": "stopped", "user": "ola", "reason": "jam"}],
    "overrides": 1,
}


def test_nodes_of_several_tiers_are_listed_by_path(skerry: Skerry, api: FakeApi) -> None:
    hub = node("eu-north", kind="hub", region=TOTAL, services={})
    far = node(
        "oslo-gw-7",
        address="eu-north/oslo-gw-7",
        path="cloud/eu-north/oslo-gw-7",
        through="eu-north",
        silent="eu-north",
        state="unheard",
        cursors={},
    )
    api.says("GET", "/v1/nodes", [node("gw-1"), hub, far])
    api.says("GET", "/v1/regions", [hub])
    _, out, _ = skerry("get", "nodes")
    assert "cloud/gw-1  " in out, "in a tree all stand by their paths"
    assert "cloud/eu-north  " in out
    assert "97/100 online, 2 away, 1 unheard" in out
    assert "cloud/eu-north/oslo-gw-7  unheard" in out
    assert "(eu-north is away)" in out
    assert "1/1 (14 Nov 2023 22:13)" in out
    assert "through eu-north" in out


def test_regions_are_listed_with_counts_and_the_worst(skerry: Skerry, api: FakeApi) -> None:
    listed = [node("eu-north", kind="hub", region=TOTAL), node("eu-south", kind="hub", region={})]
    api.says("GET", "/v1/regions", listed)
    for word in ("regions", "region", "hubs"):
        _, out, _ = skerry("get", word, "-o", "wide")
        assert "97/100 online, 2 away, 1 unheard" in out
        assert "3, 1 away" in out
        assert "3/4" in out
        assert "oslo-gw-3: vision failed, no such command (and 6 more)" in out
        assert "no nodes" in out
    api.says("GET", "/v1/nodes/eu-south", listed[1])
    assert "eu-north" not in skerry("get", "region", "eu-south")[1]
    api.says("GET", "/v1/regions", [])
    assert "skerry token create --hub" in skerry("get", "regions")[2]


def test_what_a_region_says_moves_nobody_s_cursor(skerry: Skerry, api: FakeApi) -> None:
    odd = {"at": "gw-7\x1b[2J", "what": "vision\x07", "text": "one\ntwo"}
    region = {"nodes": {"online": 1}, "worst": [odd], "offenders": 1}
    api.says("GET", "/v1/regions", [node("eu-north", kind="hub", region=region)])
    _, out, _ = skerry("get", "regions")
    assert "gw-7�[2J: vision� one�two" in out
    assert "\x1b" not in out


def test_describe_a_region_tells_what_it_comes_to(skerry: Skerry, api: FakeApi) -> None:
    region = node("eu-north", kind="hub", region=TOTAL, services={})
    api.says("GET", "/v1/nodes/eu-north", region)
    api.says("GET", "/v1/regions", [region])
    api.says("GET", "/v1/events", ())
    for word in ("region", "node"):
        _, out, _ = skerry("describe", word, "eu-north")
        for said in (
            "hub cloud/eu-north",
            "97/100 online, 2 away, 1 unheard",
            "5 asked, 4 placed, 3 running (1 unhealthy), 1 away",
            "oslo-gw-3  vision failed, no such command, since 14 Nov 2023 22:13",
            "and 6 more",
            "service/vision stopped by ola until released: jam",
        ):
            assert said in out


def test_describe_a_node_that_another_hub_speaks_for(skerry: Skerry, api: FakeApi) -> None:
    far = node(
        "gw-7",
        address="eu-north/oslo/gw-7",
        path="cloud/eu-north/oslo/gw-7",
        through="eu-north",
        silent="eu-north/oslo",
        state="unheard",
        cursors={},
        term=0,
        alarms=[{"what": "alarm", "text": "a copy was seen", "since_ms": 0}],
    )
    api.says("GET", "/v1/nodes/gw-7", far)
    api.says("GET", "/v1/events", ())
    _, out, _ = skerry("describe", "node", "gw-7")
    for said in (
        "(eu-north/oslo is away)",
        "; it was online then",
        "known through  eu-north/oslo",
        "services (as of 14 Nov 2023 22:13)",
        "a copy was seen      (to be accepted at eu-north/oslo)",
    ):
        assert said in out
    assert "certificate" not in out


def test_describe_a_service_as_a_tree_of_regions(skerry: Skerry, api: FakeApi) -> None:
    override = {"what": "service/vision", "decision": "overridden", "user": "token:ida", "until_ms": 1_700_000_900_000}
    inside = [
        region(marks=[override]),
        region(hub="eu-south", state="away", away=2),
        region(hub="us", generation=0, placed=0, running=0, current=0, healthy=0),
        region(hub="asia", refused="the name is taken"),
        region(hub="africa", is_asked=False),
    ]
    everywhere = [
        on("own-1"),
        *(on(f"eu-north/gw-{number}", region="eu-north") for number in range(14)),
        on("eu-north/oslo/gw-9", region="eu-north/oslo", report={"state": "failed", "reason": "no such command"}),
        on("eu-south/b-1", region="eu-south", node_state="unheard", silent="eu-south"),
    ]
    found = service(on=everywhere) | {"in": inside, "asked": 7, "placed": 4, "running": 3, "current": 3}
    api.says("GET", "/v1/services/vision", found)
    api.says("GET", "/v1/logs/vision", ())
    api.says("GET", "/v1/events", ())
    _, out, _ = skerry("describe", "service", "vision")
    for said in (
        "in all           7 asked, 4 placed, 3 running, 1 not current",
        "├─ eu-north      2 placed, 1 running (1 healthy), as of 14 Nov 2023 22:13",
        "overridden by token:ida at eu-north until 14 Nov 2023 22:28",
        "│  ├─ oslo/gw-9  failed, no such command",
        "│  └─ …          and 3 more",
        "├─ eu-south      away since 14 Nov 2023 22:13; last known (14 Nov 2023 22:13): 2 placed",
        "│  └─ b-1        unheard since 14 Nov 2023 22:13 (eu-south is away); last known",
        "it has not seen this yet",
        "refused there: the name is taken",
        "no longer asked there",
        "└─ own-1         running",
    ):
        assert said in out
    lines = out.splitlines()
    assert lines.index(next(line for line in lines if "oslo/gw-9" in line)) < lines.index(
        next(line for line in lines if "gw-0" in line)
    )


def test_a_token_for_a_hub_says_what_to_do_with_it(skerry: Skerry, api: FakeApi) -> None:
    made = {"id": "1", "token": "sk1.abc", "expires_ms": now_ms() + HOUR_MS, "uses": 1, "kind": "hub"}
    api.says("POST", "/v1/tokens", made)
    code, out, err = skerry("token", "create", "--hub")
    assert (code, out, api.asked[0][2]["kind"]) == (0, "sk1.abc\n", "hub")
    assert "for 1 hub, until " in err
    assert f"skerry hub init --data DIR --name NAME --parent {api.url} --token sk1.abc" in err
