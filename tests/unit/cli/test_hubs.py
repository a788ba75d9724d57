"""This hub and its policies as an operator reads them; a parent that is away is said, and is no alarm."""

from __future__ import annotations

import json
import time
from typing import Any

from tests.unit.cli.conftest import Skerry
from tests.unit.cli.fake_api import FakeApi, hub, node

HOUR_MS = 3_600_000


def region(**more: Any) -> dict[str, Any]:
    now_ms = int(time.time() * 1000)
    up: dict[str, Any] = {
        "name": "cloud",
        "state": "live",
        "since_ms": now_ms - 3 * HOUR_MS,
        "last_contact_ms": now_ms - 3 * HOUR_MS,
        "reason": "",
        "term": 1,
        "generation": 12,
        "received_ms": now_ms - 4 * HOUR_MS,
        "waiting": {"audit": 1_000, "relay": 204, "state": 0},
    }
    below = {"nodes": {"online": 2}, "hubs": {}, "tallies": {}}
    return hub("eu-north", path="cloud/eu-north", parent=up | more, region=below)


def test_a_root_says_that_it_is_one(skerry: Skerry, api: FakeApi) -> None:
    code, out, err = skerry("get", "hub")
    assert (code, out.splitlines()[0].split()[:2], err) == (0, ["HUB", "LINK"], "")
    assert "this is the root" in skerry("describe", "hub")[1]


def test_a_region_shows_its_link_what_waits_and_that_all_goes_on(skerry: Skerry, api: FakeApi) -> None:
    api.says("GET", "/v1/hub", region(state="offline", reason="no route to host"))
    api.says("GET", "/v1/events", ())
    api.says("GET", "/v1/nodes", [node("gw-1")])
    code, out, err = skerry("get", "hub")
    assert code == 0
    assert "cloud away 3 h" in out
    assert "1,204" in out
    assert "all here goes on; 1,204 entries wait for it" in err
    _, _, err = skerry("get", "nodes")
    assert "cloud away 3 h" in err
    _, out, _ = skerry("describe", "hub")
    assert "why           no route to host" in out
    assert "audit 1,000, relay 204 entries" in out
    assert json.loads(skerry("get", "hub", "-o", "json")[1])["parent"]["state"] == "offline"
    api.says("GET", "/v1/hub", region())
    assert skerry("get", "nodes")[2] == ""


def test_what_is_to_be_looked_at_is_said_first(skerry: Skerry, api: FakeApi) -> None:
    wrong = {"what": "manifest-refused", "text": "a manifest was refused: the signature is wrong", "since_ms": 0}
    api.says("GET", "/v1/hub", region() | {"conditions": [wrong]})
    api.says("GET", "/v1/events", ())
    _, out, err = skerry("get", "hub")
    assert "manifest-refused" in out
    assert "skerry describe hub" in err
    assert "the signature is wrong" in skerry("describe", "hub")[1]


def test_hub_with_a_name_is_a_region(skerry: Skerry, api: FakeApi) -> None:
    api.says("GET", "/v1/regions", [])
    api.says("GET", "/v1/nodes/eu", node("eu"))
    skerry("get", "hub", "eu")
    assert "/v1/regions" in [asked[1] for asked in api.asked]
    assert skerry("describe", "service")[0] == 2


THRIFT: dict[str, Any] = {
    "name": "thrift",
    "kind": "policy",
    "owner": "cloud",
    "generation": 2,
    "changed_ms": 1_700_000_000_000,
    "by": "ola",
    "inherited": True,
    "binds_here": True,
    "selector": "continent=eu",
    "rules": {
        "forward": {"state": "all", "metrics": "summary", "logs": "all"},
        "users": ["app"],
        "services": None,
        "may": [],
    },
    "regions": ["oslo", "bergen", "hamar"],
}
SEEN: dict[str, Any] = {
    "state": "online",
    "since_ms": 1,
    "as_of_ms": 1_700_000_000_000,
    "refused": "",
    "is_asked": True,
}


def test_policies_are_listed_and_told_with_what_they_come_to(skerry: Skerry, api: FakeApi) -> None:
    api.says("GET", "/v1/policies", [THRIFT])
    _, out, _ = skerry("get", "policies")
    assert out.splitlines()[1].split()[:2] == ["thrift", "cloud"]
    assert "metrics=summary" in out
    where = [
        SEEN | {"hub": "oslo", "generation": 2},
        SEEN | {"hub": "bergen", "generation": 1, "state": "away"},
        SEEN | {"hub": "hamar", "generation": 0, "refused": "policy/thrift: it widens"},
    ]
    force = THRIFT["rules"] | {"services": 3, "from": [{"name": "thrift", "owner": "cloud"}]}
    api.says("GET", "/v1/policies/thrift", THRIFT | {"in": where, "in_force": force})
    api.says("GET", "/v1/events", ())
    _, out, _ = skerry("describe", "policy", "thrift")
    assert "inherited from cloud: it is changed there" in out
    assert "oslo    in force, as of" in out
    assert "bergen  away since" in out
    assert "in force, an older version of it" in out
    assert "hamar   refused there: policy/thrift: it widens" in out
    assert "operators may  nothing" in out
    assert "from           thrift (cloud)" in out


def test_names_are_completed_by_kind(api: FakeApi, skerry: Skerry) -> None:
    from hub.cli import options

    api.says("GET", "/v1/policies", [THRIFT])
    assert options.complete_name("policies", "th") == ["thrift"]
    assert options.complete_key("pol") == ["policy/"]
    assert options.complete_key("policy/t") == ["policy/thrift"]
    assert options.complete_name("nothing", "") == []
