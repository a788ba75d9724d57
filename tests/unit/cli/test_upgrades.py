"""Upgrades as an operator declares and reads them."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from tests.unit.cli.conftest import Skerry
from tests.unit.cli.fake_api import FakeApi

NAME = "skerry-agent_0.2.0+deb12_amd64.deb"
AGENTS: dict[str, Any] = {
    "name": "agents",
    "kind": "upgrade",
    "owner": "cloud",
    "generation": 3,
    "changed_ms": 1_700_000_000_000,
    "by": "olga",
    "version": "0.2.0+deb12",
    "arch": "amd64",
    "selector": "site=oslo",
    "waves": ["1", "25%", "all"],
    "wave": 2,
    "stop_after": 0,
    "state": "stopped",
    "reason": "gw-2 went back; 0 may",
    "nodes": 8,
    "counts": {"running": 1, "pending": 0, "back": 1, "silent": 0, "waiting": 6},
    "regions": ["eu"],
}


def on(node: str, state: str, *, reason: str = "", online: bool = True) -> dict[str, Any]:
    return {"node": node, "version": "0.1.0", "state": state, "reason": reason, "online": online, "as_of_ms": 9}


def test_an_upgrade_is_listed_with_its_waves_and_told_node_by_node(skerry: Skerry, api: FakeApi) -> None:
    api.says("GET", "/v1/upgrades", [AGENTS])
    _, out, _ = skerry("get", "upgrades", "-o", "wide")
    row = out.splitlines()[1]
    assert "stopped: gw-2 went back; 0 may" in row
    assert "2 of 3 (1, 25%, all)" in row
    assert "1/8" in row
    region = {"hub": "eu", "refused": "", "of_version": 2, "agents": 5}
    refused = region | {"hub": "us", "refused": "what is declared is not what was signed"}
    nodes = [on("gw-1", "running"), on("gw-2", "back", reason="it ended 3 times by itself"), on("gw-3", "waiting")]
    nodes.append(on("gw-4", "away", online=False))
    api.says("GET", "/v1/upgrades/agents", AGENTS | {"on": nodes, "in": [region, refused]})
    api.says("GET", "/v1/events", ())
    _, out, _ = skerry("describe", "upgrade", "agents")
    assert "0.2.0+deb12 on amd64" in out
    assert "stops when more than 0 went back" in out
    assert "apply a version that mends it" in out
    assert "gw-1  0.1.0: runs it" in out
    assert "gw-2  0.1.0: went back: it ended 3 times by itself" in out
    assert "gw-3  0.1.0: waits for its wave" in out
    assert "gw-4  0.1.0: away: hears of it on return (as of" in out
    assert "2 of 5 agents below it are of this version" in out
    assert "refused there: what is declared is not what was signed" in out


def _declared(folder: Path, name: str) -> str:
    spec = {"artifact": name, "version": "0.2.0", "debian": 12, "arch": "amd64", "placement": {"selector": "a=b"}}
    document = {"apiVersion": "skerry/v1", "kind": "Upgrade", "metadata": {"name": "agents"}, "spec": spec}
    (folder / "agents.yaml").write_text(json.dumps(document))
    (folder / name).write_bytes(b"!<arch>\npackage")
    return str(folder / "agents.yaml")


def test_a_package_goes_along_as_it_is_and_must_be_the_one_that_is_wished(
    skerry: Skerry, api: FakeApi, tmp_path: Path
) -> None:
    digest = hashlib.sha256(b"!<arch>\npackage").hexdigest()
    api.says("HEAD", f"/v1/artifacts/sha256:{digest}", {})
    result: dict[str, Any] = {"kind": "upgrade", "name": "agents", "action": "created", "generation": 1, "note": ""}
    answer: dict[str, Any] = {"results": [result | {"nodes": ["gw-1"], "regions": []}]}
    api.says("POST", "/v1/apply", answer)
    api.says("GET", "/v1/regions", [])
    code, _, err = skerry("apply", "--wait", "-f", _declared(tmp_path, NAME))
    assert code == 0, err
    assert "an upgrade goes on by itself, wave by wave" in err
    code, _, err = skerry("apply", "-f", _declared(tmp_path, "skerry-agent_0.3.0+deb12_amd64.deb"))
    assert code != 0
    assert f"is not {NAME}, which the version, the Debian and the arch ask for" in err
