"""Upgrades as an operator declares and reads them."""

from __future__ import annotations

import contextlib
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from hub.shell.install import deb
from tests.support import debs
from tests.unit.cli.conftest import Skerry
from tests.unit.cli.fake_api import FakeApi

AGENTS: dict[str, Any] = {
    "name": "agents",
    "kind": "upgrade",
    "owner": "cloud",
    "generation": 3,
    "changed_ms": 1_700_000_000_000,
    "by": "olga",
    "version": "0.2.0",
    "packages": ["deb12 amd64", "deb13 arm64"],
    "selector": "site=oslo",
    "only": ["gw-1", "gw-2"],
    "waves": ["1", "25%", "all"],
    "wave": 2,
    "stop_after": 0,
    "state": "stopped",
    "reason": "gw-2 went back; 0 may",
    "nodes": 8,
    "unfit": 1,
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
    nodes += [on("gw-4", "away", online=False), on("gw-5", "unfit", reason="it is Debian GNU/Linux 12 on s390x")]
    api.says("GET", "/v1/upgrades/agents", AGENTS | {"on": nodes, "in": [region, refused]})
    api.says("GET", "/v1/events", ())
    _, out, _ = skerry("describe", "upgrade", "agents")
    assert "0.2.0 for deb12 amd64, deb13 arm64" in out
    assert "gw-1, gw-2" in out
    assert "8 nodes of this hub, beside 1 that no package is for" in out
    assert "gw-5  0.1.0: no package is for it: it is Debian GNU/Linux 12 on s390x" in out
    assert "stops when more than 0 went back" in out
    assert "apply a version that mends it" in out
    assert "gw-1  0.1.0: runs it" in out
    assert "gw-2  0.1.0: went back: it ended 3 times by itself" in out
    assert "gw-3  0.1.0: waits for its wave" in out
    assert "gw-4  0.1.0: away: hears of it on return (as of" in out
    assert "2 of 5 agents below it are of this version" in out
    assert "refused there: what is declared is not what was signed" in out


def _declared(folder: Path, *names: str) -> str:
    spec = {"packages": list(names), "version": "0.2.0", "placement": {"selector": "a=b"}}
    document = {"apiVersion": "skerry/v1", "kind": "Upgrade", "metadata": {"name": "agents"}, "spec": spec}
    (folder / "agents.yaml").write_text(json.dumps(document))
    return str(folder / "agents.yaml")


def test_packages_go_along_as_they_are_and_say_themselves_what_they_are_for(
    skerry: Skerry, api: FakeApi, tmp_path: Path
) -> None:
    kinds = {"12_amd64": "xz", "12_arm64": "gz", "13_amd64": "zst", "13_armhf": ""}
    written: dict[str, str] = {}
    for where, kind in kinds.items():
        release, _, arch = where.partition("_")
        raw = debs.made(tmp_path / f"{where}.deb", f"0.2.0+deb{release}", arch, kind)
        digest = f"sha256:{hashlib.sha256(raw).hexdigest()}"
        written[f"{where}.deb"] = f"deb{where}@{digest}"
        api.says("HEAD", f"/v1/artifacts/{digest}", {})
    result: dict[str, Any] = {"kind": "upgrade", "name": "agents", "action": "created", "generation": 1, "note": ""}
    answer: dict[str, Any] = {"results": [result | {"nodes": ["gw-1"], "regions": []}]}
    api.says("POST", "/v1/apply", answer)
    api.says("GET", "/v1/regions", [])
    file = _declared(tmp_path, *written)
    code, _, err = skerry("apply", "--wait", "-f", file)
    assert code == 0, err
    assert "an upgrade goes on by itself, wave by wave" in err
    (sent,) = [body for method, path, body in api.asked if (method, path) == ("POST", "/v1/apply")]
    assert sent["artifacts"] == {f"{file}:{name}": one for name, one in written.items()}


@pytest.mark.parametrize(
    ("version", "name", "said"),
    [
        ("0.3.0+deb12", "skerry-agent", "is of version 0.3.0, not 0.2.0"),
        ("0.2.0+deb12", "skerry-hub", "holds skerry-hub 0.2.0+deb12: give skerry-agent's"),
        ("0.2.0", "skerry-agent", "holds skerry-agent 0.2.0: give skerry-agent's"),
    ],
)
def test_a_package_that_is_not_the_one_that_is_wished_is_refused(
    skerry: Skerry, api: FakeApi, tmp_path: Path, version: str, name: str, said: str
) -> None:
    debs.made(tmp_path / "a.deb", version, "amd64", name=name)
    code, _, err = skerry("apply", "-f", _declared(tmp_path, "a.deb"))
    assert code != 0
    assert said in " ".join(err.split())
    assert not api.asked, "nothing is sent before all is read"


def test_half_a_package_and_what_is_none_are_refused(skerry: Skerry, api: FakeApi, tmp_path: Path) -> None:
    whole = debs.made(tmp_path / "a.deb", "0.2.0+deb12", "amd64")
    file = _declared(tmp_path, "a.deb")
    for raw in (whole[:-3], whole[:30], b"", b"no package", whole.replace(b"control.tar.xz", b"control.tar.7z")):
        (tmp_path / "a.deb").write_bytes(raw)
        code, _, err = skerry("apply", "-f", file)
        assert code != 0
        assert "is no package (" in err
    assert not api.asked
    for kind in ("", "xz", "gz", "zst"):
        whole = debs.made(tmp_path / "a.deb", "0.2.0+deb12", "amd64", kind)
        for place in range(0, len(whole), 31):
            (tmp_path / "a.deb").write_bytes(whole[:place] + b"\xff" + whole[place + 1 :])
            with contextlib.suppress(ValueError):
                deb.fields(tmp_path / "a.deb")
