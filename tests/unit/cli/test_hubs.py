"""This hub and its policies as an operator reads them; a parent that is away is said, and is no alarm."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from tests.unit.cli.conftest import Skerry
from tests.unit.cli.fake_api import FakeApi, hub, node
from tests.unit.spec import texts

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
        "waiting": {"audit": 1_000, "relay_state": 204, "state": 0},
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
    assert "all here goes on, 1,204 entries to go up" in err
    _, _, err = skerry("get", "nodes")
    assert "cloud away 3 h" in err
    _, out, _ = skerry("describe", "hub")
    assert "why           no route to host" in out
    assert "1,000 entries of audit, 204 entries of relay_state" in out
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


def test_what_is_held_back_below_is_explained(skerry: Skerry, api: FakeApi) -> None:
    gone = {"metrics": {"held": 1_204}, "state": {"hole": 1, "lost": 2, "closed": 3}}
    one = node("gw-1", address="eu/gw-1", path="cloud/eu/gw-1", through="eu", missing=gone)
    api.says("GET", "/v1/nodes", [one])
    api.says("GET", "/v1/nodes/gw-1", one)
    api.says("GET", "/v1/policies", [THRIFT])
    api.says("GET", "/v1/events", ())
    assert "metrics 1,204 held, state 1 hole" in skerry("get", "nodes", "-o", "wide")[1]
    _, out, _ = skerry("describe", "node", "gw-1")
    assert "1,204 entries held back at eu, by policy thrift: ask there" in out
    assert "1 entry not here yet: eu has still to send them" in out
    api.says("GET", "/v1/policies", [])
    assert "by a policy there or for want of room: ask there" in skerry("describe", "node", "gw-1")[1]


def service(**more: Any) -> dict[str, Any]:
    plain: dict[str, Any] = {
        "name": "x",
        "kind": "service",
        "generation": 1,
        "changed_ms": 1_700_000_000_000,
        "by": "ola",
        "selector": "cam",
        "count": 2,
        "per_region": True,
        "digest": "sha256:1",
        "asked": 3,
        "placed": 3,
        "current": 3,
        "running": 2,
        "healthy": 0,
        "unhealthy": 0,
        "away": 0,
        "spec": {"spec": {}},
        "copies": None,
        "owner": "cloud",
        "override": None,
        "on": [],
        "has_more": False,
        "in": [],
    }
    return plain | more


def share(name: str, asked: int, placed: int, **more: Any) -> dict[str, Any]:
    said: dict[str, Any] = {
        "hub": name,
        "generation": 1,
        "share": asked,
        "asked": asked,
        "placed": placed,
        "running": placed,
    }
    return SEEN | said | dict[str, Any](current=placed, away=0, marks=[]) | more


def test_overrides_and_copies_over_cuts_are_told(skerry: Skerry, api: FakeApi) -> None:
    mark = {"what": "service/x", "decision": "overridden", "user": "ola", "reason": "belt jammed", "since_ms": 1}
    copies: dict[str, Any] = {
        "replace_after_s": 600.0,
        "on_return": "keep_original",
        "at_most_one": True,
        "fences": {"eu": 3, "us": 4},
        "parked": {
            "eu": {"copies": 2, "by": {"us": 2}, "since_ms": 1_700_000_000_000, "kept": False},
            "uk": {"copies": 1, "by": {}, "since_ms": 0, "kept": True},
        },
        "leases": {"us": {"copies": 2, "left_s": 42.0}},
        "waiting": [],
        "unleased": {},
    }
    api.says("GET", "/v1/services/x", service(copies=copies, **{"in": [share("eu", 2, 2, marks=[mark])]}))
    api.says("GET", "/v1/events", ())
    _, out, _ = skerry("describe", "service", "x")
    assert "overridden by ola at eu until released, because belt jammed" in out
    assert "replaced after 10 m; the first one goes on when it is heard again; at most one, under a lease" in out
    assert "eu (2 copies): not heard, taken over since" in out
    assert "uk: heard again, and stays beside its replacement" in out
    assert "eu 3, us 4" in out
    assert "us (2 copies, binds for up to 42 s more)" in out
    waits: dict[str, Any] = copies | {"replace_after_s": None, "parked": {}, "leases": {}, "fences": {}}
    api.says("GET", "/v1/services/x", service(copies=waits))
    _, out, _ = skerry("describe", "service", "x")
    assert "waits for the node or region that is not heard" in out
    assert "nobody may run it now" in out
    away = {"a": {"state": "away", "since_ms": 1_700_000_000_000}, "b": {"state": "online", "since_ms": 1}}
    api.says("GET", "/v1/services/x", service(copies=waits | {"waiting": ["c"], "unleased": away}))
    _, out, _ = skerry("describe", "service", "x")
    assert "c may not run it: a ran it when it was last heard, without a lease (away since" in out
    assert "if it never will be: skerry node revoke a" in out
    assert "c may not run it: b runs it and never had a lease; that ends when it says otherwise" in out


def test_apply_says_what_each_region_placed(skerry: Skerry, api: FakeApi, tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(texts.service("{process: {command: [a]}, placement: {selector: cam, count: 2 per region}}"))
    one: dict[str, Any] = {"kind": "service", "name": "x", "action": "created", "generation": 1, "nodes": []}
    api.says("POST", "/v1/apply", {"results": [one | {"regions": {"eu": 2, "us": 2, "uk": 2, "dk": 2}}]})
    where = [
        share("eu", 2, 2),
        share("us", 2, 1),
        share("uk", 2, 0, state="away"),
        share("dk", 2, 0, refused="service/x: the name is taken"),
    ]
    api.says("GET", "/v1/services/x", service(**{"in": where}))
    _, out, _ = skerry("apply", "-f", str(path))
    said = out.splitlines()[1]
    assert "service/x: eu 2 of 2, us 1 of 2 (no more of its nodes match), uk away since" in said
    assert said.endswith("dk refused it (service/x: the name is taken)")
