"""Artifacts at a real hub: bounded in all, never half stored, and no orphan of a crash stays for ever."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from protocol import limits
from tests.contract.api.conftest import Served, made, serving

FIRST, SECOND = b"first" * 100, b"second" * 100


def named(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


async def put(hub: Served, data: bytes) -> Any:
    return await hub.api.put(f"/v1/artifacts/{named(data)}", content=data)


async def applied(hub: Served, digest: str) -> Any:
    spec = {"process": {"command": ["true"]}, "artifact": "./a", "placement": {"selector": "site=x", "count": "all"}}
    service = {"apiVersion": "skerry/v1", "kind": "Service", "metadata": {"name": "line"}, "spec": spec}
    source = {"name": "line.yaml", "text": json.dumps(service)}
    body = {"sources": [source], "artifacts": {"line.yaml:./a": digest}, "dry_run": False}
    return await hub.api.post("/v1/apply", json=body)


async def test_what_is_beyond_the_total_is_refused_in_one_sentence_and_never_half_stored(
    hub: Served, monkeypatch: pytest.MonkeyPatch
):
    assert (await put(hub, FIRST)).status_code == 200
    monkeypatch.setattr(limits, "ARTIFACTS_BYTES_MAX", len(FIRST) + len(SECOND) - 1)
    refused = await put(hub, SECOND)
    assert (refused.status_code, "no room at the hub" in refused.json()["error"]) == (507, True)

    async def chunks():
        yield SECOND[:300]
        yield SECOND[300:]

    undeclared = await hub.api.put(f"/v1/artifacts/{named(SECOND)}", content=chunks())
    assert (undeclared.status_code, "nothing was stored" in undeclared.json()["error"]) == (507, True)
    assert [path.name for path in hub.home.artifacts.iterdir()] == [named(FIRST).removeprefix("sha256:")]
    assert (await put(hub, FIRST)).status_code == 200, "what is here needs no room"
    monkeypatch.setattr(limits, "ARTIFACTS_SPARE_S_MIN", 0.0)
    assert (await put(hub, SECOND)).status_code == 200, "what nothing names makes room"
    assert [path.name for path in hub.home.artifacts.iterdir()] == [named(SECOND).removeprefix("sha256:")]
    assert (await hub.api.head(f"/v1/artifacts/{named(FIRST)}")).status_code == 404
    assert (await applied(hub, named(SECOND))).status_code == 200
    assert (await put(hub, FIRST)).status_code == 507, "what a service names makes none"


async def test_what_a_crash_left_is_swept_noted_or_asked_for_again(tmp_path: Path):
    home = await made(tmp_path)
    async with serving(home) as hub:
        assert (await put(hub, FIRST)).status_code == 200
    folder = home.artifacts
    (folder / ".part-0123").write_bytes(b"half")
    (folder / named(FIRST).removeprefix("sha256:")).unlink()
    (folder / named(SECOND).removeprefix("sha256:")).write_bytes(SECOND)
    async with serving(home) as hub:
        assert [path.name for path in folder.iterdir()] == [named(SECOND).removeprefix("sha256:")]
        gone = await applied(hub, named(FIRST))
        assert "upload it first" in gone.json()["error"]
        assert (await applied(hub, named(SECOND))).status_code == 200
