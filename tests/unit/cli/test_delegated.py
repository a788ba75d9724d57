"""Regions in what `apply` says; overrides of what is delegated, and their release."""

from __future__ import annotations

from pathlib import Path

import pytest

from hub.cli.view import words
from hub.cli.view.below import spread
from hub.cli.view.hubs import judged
from tests.unit.cli.conftest import Skerry
from tests.unit.cli.fake_api import FakeApi, node
from tests.unit.spec.texts import service

NOW = 1_700_000_000_000
LINE = service('{process: {command: [a]}, placement: {selector: "site=oslo", count: 2 per region}}')


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "line.yaml"
    path.write_text(LINE)
    return str(path)


def answer(**more: object) -> dict[str, object]:
    one: dict[str, object] = {"kind": "service", "name": "x", "action": "created", "generation": 1, "nodes": []}
    return {"results": [one | more]}


def test_apply_says_which_regions_it_is_handed_to_and_how_many_each(skerry: Skerry, api: FakeApi, file: str) -> None:
    api.says("POST", "/v1/apply", answer(nodes=["own-1"], regions={"eu": 2, "us": None}))
    api.says("GET", "/v1/services/x", {"in": []})
    code, out, _ = skerry("apply", "-f", file)
    assert (code, out.splitlines()[0]) == (0, "service/x created, on 1 node: own-1, in 2 regions: eu (2), us")


def test_an_override_goes_along_with_its_life_and_its_reason(skerry: Skerry, api: FakeApi, file: str) -> None:
    api.says("POST", "/v1/apply", answer(action="changed", nodes=["gw-1"]))
    code, _, _ = skerry("apply", "-f", file, "--override", "--for", "8h", "--reason", "a fire")
    assert code == 0
    assert api.asked[-1][2]["override"] == {"for_s": 28_800.0, "reason": "a fire"}
    skerry("apply", "-f", file)
    assert "override" not in api.asked[-1][2]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--override"], "an override has an end and a reason"),
        (["--override", "--for", "8h"], "an override has an end and a reason"),
        (["--override", "--for", "soon", "--reason", "x"], "--for"),
        (["--for", "8h"], "belong to --override"),
    ],
)
def test_half_an_override_is_a_matter_of_usage(
    skerry: Skerry, api: FakeApi, file: str, words: list[str], said: str
) -> None:
    code, _, err = skerry("apply", "-f", file, *words)
    assert (code, said in err) == (2, True)


def test_release_ends_an_override(skerry: Skerry, api: FakeApi) -> None:
    api.says("DELETE", "/v1/resources/service/x/override", {"released": "service/x"})
    code, out, _ = skerry("release", "services/x")
    assert (code, out.strip()) == (0, "service/x released")
    assert skerry("release", "token/x")[0] == 2


def test_a_policy_is_deleted_by_its_name(skerry: Skerry, api: FakeApi) -> None:
    api.says("DELETE", "/v1/resources/policy/thrift", {"deleted": "policy/thrift"})
    assert skerry("delete", "policies/thrift")[1].strip() == "policy/thrift deleted"


def test_a_policy_is_applied_as_anything_else(skerry: Skerry, api: FakeApi, tmp_path: Path) -> None:
    path = tmp_path / "thrift.yaml"
    path.write_text("apiVersion: skerry/v1\nkind: Policy\nmetadata: {name: thrift}\nspec: {forward: {logs: state}}\n")
    api.says("POST", "/v1/apply", answer(kind="policy", name="thrift", regions={"eu": None}))
    code, out, err = skerry("apply", "-f", str(path))
    assert (code, out.strip(), err) == (0, "policy/thrift created, in 1 region: eu", "")


def test_work_that_a_device_refuses_has_failed_and_is_no_older_generation() -> None:
    text = "refused: its isolation is required, and this device cannot enforce no network"
    report = {"state": "failed", "digest": "", "reason": text}
    one = {"node_state": "online", "current": False, "placed": True, "report": report, "node": "gw-1"}
    assert judged.node(one, "service", "jail", is_probed=False) == ("failed", text)
    assert judged.node(one | {"report": {"state": "failed"}}, "service", "jail", is_probed=False)[0] == "failed"
    assert "older" not in spread.words(one, words.service_words, NOW)
    goes_on = one | {"report": {"state": "running", "digest": "sha256:1", "reason": text}}
    assert judged.node(goes_on, "service", "jail", is_probed=False) == ("failed", text)
    assert "; an older generation" in spread.words(goes_on, words.service_words, NOW)
    on_its_way = one | {"report": {"state": "failed", "digest": "sha256:1"}}
    assert judged.node(on_its_way, "service", "jail", is_probed=False)[0] == "waiting"


def test_lines_of_waiting_stand_in_columns_where_nodes_are_shown_by_path(
    skerry: Skerry, api: FakeApi, file: str
) -> None:
    api.says("GET", "/v1/regions", [node("eu", kind="hub")])
    api.says("POST", "/v1/apply", answer(nodes=["gw-1", "gw-longer"]))
    one = {"node_state": "online", "placed": True, "current": True, "region": "", "report": {"state": "running"}}
    on = [one | {"node": "gw-1"}, one | {"node": "gw-longer"}]
    spec = {"spec": {"placement": {"selector": "*"}}}
    api.says("GET", "/v1/services/x", {"kind": "service", "on": on, "in": [], "spec": spec, "has_more": False})
    code, out, err = skerry("apply", "-f", file, "--wait")
    assert code == 0, out + err
    assert len({line.index("running") for line in out.splitlines() if line.endswith("  running")}) == 1
