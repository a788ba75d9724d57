"""The API of a real hub: what an operator does, and every way to ask wrongly."""

import asyncio
import contextlib
import hashlib
import json
import resource
import ssl
from pathlib import Path
from typing import Any

import pytest

from hub import app
from protocol import limits
from protocol.errors import UNKNOWN_REQUEST, Refused, StoreLocked
from protocol.trust import signing
from tests.contract.api.conftest import Served, made, serving

SERVICE = """
apiVersion: skerry/v1
kind: Service
metadata: {name: web}
spec:
  process: {command: [sleep, "60"]}
  placement: {selector: "site=oslo", count: all}
"""


def digest(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


def body(text: str, **more: object) -> dict[str, Any]:
    return {"sources": [{"name": "line.yaml", "text": text}], **more}


async def test_what_is_applied_can_be_read_back_and_deleted(hub: Served):
    await hub.enrolled("gw-1", site="oslo")
    tried = (await hub.api.post("/v1/apply", json=body(SERVICE, dry_run=True))).json()["results"]
    assert [(one["name"], one["action"], one["nodes"]) for one in tried] == [("web", "created", ["gw-1"])]
    assert (await hub.api.get("/v1/services")).json() == []
    assert (await hub.api.post("/v1/apply", json=body(SERVICE))).json()["results"][0]["action"] == "created"
    assert (await hub.api.post("/v1/apply", json=body(SERVICE))).json()["results"][0]["action"] == "unchanged"
    (resource,) = (await hub.api.get("/v1/resources/service")).json()
    assert resource["spec"]["spec"]["process"]["command"] == ["sleep", "60"]
    assert (await hub.api.get("/v1/services/web")).json()["nodes"] == ["gw-1"]
    assert (await hub.api.delete("/v1/resources/service/web")).status_code == 200
    assert (await hub.api.delete("/v1/resources/service/web")).status_code == 404
    assert (await hub.api.get("/v1/services/web")).status_code == 404
    assert (await hub.api.get("/v1/workflows")).json() == []
    assert (await hub.api.get("/v1/runs")).json() == []


async def test_mistakes_come_with_their_places_and_nothing_is_applied(hub: Served):
    text = SERVICE.replace("process:", "proces:")
    answer = await hub.api.post("/v1/apply", json=body(SERVICE + "---" + text))
    assert answer.status_code == 422
    said = answer.json()
    assert "nothing applied" in said["error"]
    assert {"file", "line", "column", "path", "text"} <= set(said["mistakes"][0])
    assert (await hub.api.get("/v1/services")).json() == []


async def test_an_artifact_goes_up_whole_and_comes_down_in_parts(hub: Served):
    data = bytes(range(256)) * 8_000
    name = digest(data)
    assert (await hub.api.head(f"/v1/artifacts/{name}")).status_code == 404
    for _ in range(2):
        assert (await hub.api.put(f"/v1/artifacts/{name}", content=data)).json() == {"digest": name, "size": len(data)}
    head = await hub.api.head(f"/v1/artifacts/{name}")
    assert (head.status_code, head.headers["content-length"]) == (200, str(len(data)))
    assert (await hub.api.get(f"/v1/artifacts/{name}")).content == data
    rest = await hub.api.get(f"/v1/artifacts/{name}", headers={"Range": "bytes=2000000-"})
    assert (rest.status_code, rest.content) == (206, data[2_000_000:])
    beyond = await hub.api.get(f"/v1/artifacts/{name}", headers={"Range": f"bytes={len(data)}-"})
    assert (beyond.status_code, set(beyond.json())) == (416, {"error"})


async def test_bytes_under_a_wrong_digest_are_not_kept(hub: Served):
    name = digest(b"right")
    answer = await hub.api.put(f"/v1/artifacts/{name}", content=b"wrong")
    assert (answer.status_code, "change under way" in answer.json()["error"]) == (422, True)
    assert (await hub.api.head(f"/v1/artifacts/{name}")).status_code == 404
    assert (await hub.api.put("/v1/artifacts/sha256:zz", content=b"")).status_code == 422
    assert not list(hub.home.artifacts.iterdir())


async def test_a_device_fetches_with_a_ticket_until_it_is_revoked(hub: Served):
    await hub.enrolled("gw-1")
    data = b"model"
    name = digest(data)
    await hub.api.put(f"/v1/artifacts/{name}", content=data)
    secret = hub.home.path("ticket.key").read_bytes()
    good = signing.ticket_make(secret, "gw-1", name, 10**14)
    fetch = {"Authorization": f"Ticket {good}"}
    assert (await hub.stranger.get(f"/v1/artifacts/{name}", headers=fetch)).content == data
    other = digest(b"other")
    for ticket in (
        signing.ticket_make(secret, "gw-1", name, 1),
        signing.ticket_make(secret, "gw-1", other, 10**14),
        signing.ticket_make(bytes(32), "gw-1", name, 10**14),
        signing.ticket_make(secret, "gw-9", name, 10**14),
        "rubbish",
    ):
        headers = {"Authorization": f"Ticket {ticket}"}
        assert (await hub.stranger.get(f"/v1/artifacts/{name}", headers=headers)).status_code == 403
    assert (await hub.api.post("/v1/nodes/gw-1/revoke", json={"reason": "stolen"})).status_code == 200
    refused = await hub.stranger.get(f"/v1/artifacts/{name}", headers=fetch)
    assert (refused.status_code, "not part of this fleet" in refused.json()["error"]) == (403, True)


async def test_nodes_are_labelled_cordoned_drained_and_revoked(hub: Served):
    await hub.enrolled("gw-1", site="oslo")
    await hub.enrolled("gw-2")
    labels = await hub.api.post("/v1/nodes/gw-1/labels", json={"set": {"gpu": ""}, "remove": ["site"]})
    assert labels.json()["labels"] == {"gpu": ""}
    assert [node["name"] for node in (await hub.api.get("/v1/nodes", params={"selector": "gpu"})).json()] == ["gw-1"]
    assert (await hub.api.post("/v1/nodes/gw-1/cordon", json={"cordoned": True})).json()["cordoned"]
    assert not (await hub.api.post("/v1/nodes/gw-1/cordon", json={"cordoned": False})).json()["cordoned"]
    assert (await hub.api.post("/v1/nodes/gw-1/drain")).json()["cordoned"]
    assert (await hub.api.post("/v1/nodes/gw-2/revoke", json={})).json()["state"] == "revoked"
    assert (await hub.api.post("/v1/nodes/gw-2/drain")).status_code == 409
    assert (await hub.api.get("/v1/nodes/gw-9")).status_code == 404
    assert (await hub.api.post("/v1/nodes/gw-1/release", json={"service": "web"})).status_code == 404


async def test_a_page_of_nodes_says_where_the_next_one_starts(hub: Served):
    for name in ("gw-1", "gw-2", "gw-3"):
        await hub.enrolled(name)
    page = await hub.api.get("/v1/nodes", params={"limit": 2})
    assert ([node["name"] for node in page.json()], page.headers["skerry-more"]) == (["gw-1", "gw-2"], "gw-3")
    rest = await hub.api.get("/v1/nodes", params={"limit": 2, "start": "gw-3"})
    assert ([node["name"] for node in rest.json()], rest.headers.get("skerry-more")) == (["gw-3"], None)
    refused = await hub.api.get("/v1/nodes", params={"limit": limits.NODES_PAGE_MAX + 1})
    assert (refused.status_code, "limit" in refused.json()["error"]) == (422, True)


async def test_what_is_on_many_nodes_is_read_by_the_page(hub: Served):
    for name in ("gw-1", "gw-2", "gw-3"):
        await hub.enrolled(name, site="oslo")
    placed = "placement: {selector: site=oslo}"
    web = (
        f"apiVersion: skerry/v1\nkind: Service\nmetadata: {{name: web}}\nspec: {{process: {{command: [a]}}, {placed}}}"
    )
    applied = await hub.api.post("/v1/apply", json={"sources": [{"name": "web.yaml", "text": web}]})
    assert applied.status_code == 200, applied.text
    whole = (await hub.api.get("/v1/services/web")).json()
    assert ([one["node"] for one in whole["on"]], whole["has_more"]) == (["gw-1", "gw-2", "gw-3"], False)
    page = await hub.api.get("/v1/services/web/on", params={"limit": 2})
    assert (page.json(), page.headers["skerry-more"]) == (whole["on"][:2], "gw-3")
    rest = await hub.api.get("/v1/services/web/on", params={"limit": 2, "start": "gw-3"})
    assert (rest.json(), rest.headers.get("skerry-more")) == (whole["on"][2:], None)
    for path in ("services/none", "services/none/on", "workflows/none/on"):
        assert (await hub.api.get(f"/v1/{path}")).status_code == 404


async def test_every_deed_of_an_operator_is_an_event_with_who_and_when(hub: Served):
    await hub.enrolled("gw-1")
    await hub.api.post("/v1/nodes/gw-1/cordon", json={"cordoned": True})
    answer = await hub.api.get("/v1/events", params={"node": "cloud", "stream": "audit"})
    events = [json.loads(line) for line in answer.text.splitlines()]
    assert [event["kind"] for event in events][-3:] == ["token.created", "node.enrolled", "operator.cordon"]
    assert events[-1]["body"]["who"] == "token:admin"
    page = await hub.api.get("/v1/events", params={"after": "0", "limit": 1})
    assert len(page.text.splitlines()) == 1
    assert (await hub.api.get("/v1/events", params={"after": "x"})).status_code == 409


async def test_events_are_followed_as_they_happen(hub: Served):
    async with hub.api.stream("GET", "/v1/events", params={"kind": "token.", "follow": True}) as answer:
        lines = answer.aiter_lines()
        assert await anext(lines) == ""  # it listens
        await hub.api.post("/v1/tokens", json={})
        async for line in lines:
            if line:
                assert json.loads(line)["kind"] == "token.created"
                break


async def test_watchers_are_told_to_look_again(hub: Served):
    async with hub.api.stream("GET", "/v1/watch", params={"topic": "node/"}) as answer:
        lines = answer.aiter_lines()
        assert await anext(lines) == ""
        await hub.enrolled("gw-1")
        assert json.loads(await anext(lines)) == {"topic": "node/gw-1"}


async def test_tasks_say_at_once_who_is_away(hub: Served):
    await hub.enrolled("gw-1")
    asked = {"nodes": ["gw-1"], "command": ["true"], "wait": True}
    answer = await hub.api.post("/v1/tasks", json=asked)
    (line,) = [json.loads(line) for line in answer.text.splitlines() if line]
    assert [(task["node"], task["state"]) for task in line["nodes"]] == [("gw-1", "away")]
    assert line["nodes"][0]["since_ms"] > 0
    group = (await hub.api.get(f"/v1/tasks/{line['group']}")).json()
    assert [task["state"] for task in group["tasks"]] == ["away"]
    quick = (await hub.api.post("/v1/tasks", json={"nodes": ["gw-1"], "command": ["true"]})).json()
    assert quick["tasks"][0]["task"] == quick["group"]
    kept = {"isolation": {"network": "none", "required": True}, "resources": {"memory": "64Mi"}}
    assert (await hub.api.post("/v1/tasks", json={"nodes": ["gw-1"], "command": ["true"], **kept})).status_code == 200
    wrong = await hub.api.post(
        "/v1/tasks", json={"nodes": ["gw-1"], "command": ["true"], "isolation": {"netwrok": "x"}}
    )
    assert (wrong.status_code, "netwrok" in wrong.text) == (422, True)
    assert (await hub.api.get("/v1/tasks/nothing")).status_code == 404
    assert (await hub.api.post("/v1/tasks", json={"selector": "", "command": ["true"]})).status_code in (404, 422)


async def test_logs_of_a_node_that_is_away_say_so(hub: Served):
    await hub.enrolled("gw-1")
    answer = await hub.api.get("/v1/logs/web", params={"node": "gw-1"})
    (line,) = [json.loads(line) for line in answer.text.splitlines() if line]
    assert line["node"] == "gw-1"
    assert "gw-1" in line["error"]
    assert (await hub.api.get("/v1/logs/nothing")).status_code == 404


@pytest.mark.parametrize(
    ("method", "path", "sent", "status"),
    [
        ("GET", "/v1/nothing", "", 404),
        ("PATCH", "/v1/nodes", "", 405),
        ("POST", "/v1/apply", "{", 422),
        ("POST", "/v1/apply", '{"sources": 5}', 422),
        ("POST", "/v1/apply", "[]", 422),
        ("POST", "/v1/tokens", '{"uses": "many"}', 422),
        ("GET", "/v1/runs?limit=0", "", 422),
        ("GET", "/v1/events?limit=x", "", 422),
        ("GET", "/v1/nodes?selector=a%20and%20b", "", 422),
        ("GET", "/v1/runs/nothing", "", 404),
        ("GET", "/v1/resources/king/x", "", 404),
        ("POST", "/v1/tasks", '{"nodes": ["x"], "timeout_s": -1}', 422),
    ],
)
async def test_every_failure_is_one_clear_sentence(hub: Served, method: str, path: str, sent: str, status: int):
    answer = await hub.api.request(method, path, content=sent or None)
    assert answer.status_code == status, answer.text
    said = answer.json()
    assert set(said) - {"code"} == {"error"}
    for word in ("Input should", "type=", "pydantic", "Traceback", "loc"):
        assert word not in said["error"]


async def test_what_the_hub_does_not_know_has_a_code_and_what_is_not_there_has_none(hub: Served):
    said = {
        "path": await hub.api.get("/v1/nothing"),
        "method": await hub.api.request("PATCH", "/v1/nodes"),
        "field": await hub.api.post("/v1/tokens", json={"colour": "red"}),
        "node": await hub.api.get("/v1/nodes/nobody"),
        "value": await hub.api.post("/v1/tokens", json={"uses": "many"}),
    }
    codes = {what: answer.json().get("code", "") for what, answer in said.items()}
    unknown = dict.fromkeys(("path", "method", "field"), UNKNOWN_REQUEST)
    assert codes == unknown | {"node": "", "value": ""}


async def test_strangers_get_nothing(hub: Served):
    schema = (await hub.api.get("/openapi.json")).json()
    installing = {"GET /install", "GET /install/{name}"}
    for path, operations in schema["paths"].items():
        for method in operations:
            opened = {"GET /v1/ca", "GET /v1/info", "POST /v1/enroll", "POST /v1/renew", *installing}
            if f"{method.upper()} {path}" in opened:
                continue
            assert (await hub.stranger.request(method, path.replace("{", "").replace("}", ""))).status_code == 401
    assert (await hub.stranger.get("/openapi.json")).status_code == 401


async def test_a_request_over_the_bound_is_refused(hub: Served):
    answer = await hub.api.post("/v1/apply", content=b" " * (limits.REQUEST_BYTES_MAX + 1))
    assert (answer.status_code, set(answer.json())) == (413, {"error"})


async def test_what_was_done_survives_a_restart_and_streams_end_with_the_hub(tmp_path: Path):
    home = await made(tmp_path)
    async with serving(home) as hub:
        await hub.enrolled("gw-1", site="oslo")
        await hub.api.post("/v1/apply", json=body(SERVICE))
        follower = asyncio.create_task(hub.api.get("/v1/watch", timeout=30))
        await hub.api.get("/v1/info")
        follower.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await follower
    async with serving(home) as hub:
        assert (await hub.api.get("/v1/services/web")).json()["nodes"] == ["gw-1"]
        assert (await hub.api.get("/v1/nodes/gw-1")).json()["state"] == "away"


async def test_a_second_hub_on_the_same_store_or_port_is_told_what_to_change(hub: Served, tmp_path: Path):
    with pytest.raises(StoreLocked, match="in use by process"):
        await app.serve(hub.home.folder)
    other = await made(tmp_path / "other")
    port = hub.line.rpartition(":")[2]
    other.file.write_bytes(other.file.read_bytes().replace(b'"port":0}}', f'"port":{port}}}}}'.encode()))
    with pytest.raises(Refused, match="choose another with --api"):
        await app.serve(other.folder)
    with pytest.raises(Refused, match="skerry hub init"):
        await app.serve(tmp_path / "nowhere")


async def test_a_store_that_cannot_be_written_refuses_and_heals(hub: Served):
    await hub.enrolled("gw-1")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1, hard))  # as a full disk: no file may grow
    try:
        refused = await hub.api.post("/v1/nodes/gw-1/cordon", json={"cordoned": True})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert (refused.status_code, "cannot store" in refused.json()["error"]) == (503, True)
    async with asyncio.timeout(30):
        while (answer := await hub.api.post("/v1/nodes/gw-1/labels", json={"set": {"a": "b"}})).status_code == 503:
            await asyncio.sleep(0)
    assert (answer.json()["labels"], answer.json()["cordoned"]) == ({"a": "b"}, False)


async def test_a_hub_whose_store_is_gone_makes_no_new_one(tmp_path: Path):
    home = await made(tmp_path)
    home.database.unlink()
    with pytest.raises(Refused, match="put it back from a backup"):
        await app.serve(home.folder)
    assert not home.database.exists()


async def test_who_sends_a_request_a_byte_at_a_time_is_cut_off(hub: Served, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(limits, "REQUEST_WAIT_S", 0.2)
    port = int(hub.line.rpartition(":")[2])
    trusted = ssl.create_default_context(cadata=hub.context.root_pem)
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=trusted)
    writer.write(b"GET /v1/info HTTP/1.1\r\nHost: x")
    async with asyncio.timeout(30):
        assert await reader.read() == b""
    writer.close()
    assert (await hub.stranger.get("/v1/info")).status_code == 200


async def test_what_was_delegated_is_overridden_for_a_time_and_released(hub: Served):
    await hub.enrolled("gw-1", site="oslo")
    given = {"override": {"for_s": 60.0, "reason": "a fire"}}
    refused = await hub.api.post("/v1/apply", json=body(SERVICE, **given))
    assert (refused.status_code, "nothing to override" in refused.json()["error"]) == (422, True)
    assert (await hub.api.post("/v1/apply", json=body(SERVICE, override={"for_s": 1}))).status_code == 422
    released = await hub.api.delete("/v1/resources/service/web/override")
    assert (released.status_code, "is not overridden" in released.json()["error"]) == (404, True)
