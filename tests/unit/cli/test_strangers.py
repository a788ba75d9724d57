"""A hub of another version: what it does not know, or leaves out, is one sentence with both versions."""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from hub.cli.doctor import operator
from protocol.doctor.findings import Unseen
from tests.unit.cli.conftest import Skerry
from tests.unit.cli.fake_api import FakeApi, hub, node


def without(whole: dict[str, Any], field: str) -> dict[str, Any]:
    return {name: value for name, value in whole.items() if name != field}


@pytest.mark.parametrize(
    ("words", "path", "answer", "lacks"),
    [
        (("get", "nodes"), "/v1/nodes", [without(node("a"), "state")], "state"),
        (("describe", "node", "a"), "/v1/nodes/a", without(node("a"), "region"), "region"),
        (("describe", "hub"), "/v1/hub", without(hub("cloud"), "conditions"), "conditions"),
        (("events",), "/v1/events", ({"kind": "x"},), ""),
        (("get", "services"), "/v1/services", [{"name": "x"}], ""),
    ],
)
def test_an_answer_without_a_field_is_said_with_both_versions(
    skerry: Skerry, api: FakeApi, words: tuple[str, ...], path: str, answer: Any, lacks: str
) -> None:
    api.says("GET", path, answer)
    api.says("GET", "/v1/info", {"hub": "cloud", "version": "0.0.9"})
    code, _, err = skerry(*words)
    assert code == 1
    assert f"error: the hub's answer lacks \"{lacks}" in err
    assert f"the hub is of version 0.0.9, this command of {version('skerry')}" in err
    assert len(err.splitlines()) == 1


def test_a_request_that_the_hub_does_not_know_is_said_with_both_versions(skerry: Skerry, api: FakeApi) -> None:
    said = {"error": "there is nothing at /v1/policies: ...", "code": "unknown-request"}
    api.says("GET", "/v1/policies", said, 404)
    code, _, err = skerry("get", "policies")
    assert (code, "the hub is of version unknown" in err) == (1, True)
    api.says("GET", "/v1/info", {"version": version("skerry")})
    assert "is it a build of its own" in skerry("get", "policies")[2]
    api.says("GET", "/v1/policies", said | {"code": ""}, 404)
    assert "version" not in skerry("get", "policies")[2], "a sentence decides nothing"


def test_what_it_does_answer_is_printed_as_ever(skerry: Skerry, api: FakeApi, tmp_path: Path) -> None:
    api.says("GET", "/v1/nodes/a", without(node("a"), "region"))
    code, out, _ = skerry("describe", "node", "a", "-o", "json")
    assert (code, json.loads(out)["name"]) == (0, "a")
    code, out, _ = skerry("describe", "node", "a", "-o", "yaml")
    assert (code, "name: a" in out) == (0, True)


def test_a_doctor_says_it_as_a_finding(skerry: Skerry, api: FakeApi) -> None:
    api.says("GET", "/v1/nodes", [without(node("a"), "silent")])
    seen = operator.fleet().nodes
    assert isinstance(seen, Unseen)
    assert seen.why == 'the hub\'s answer lacks "silent"'
