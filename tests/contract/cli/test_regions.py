"""The command at a root, against real hubs and devices two tiers down; then the region between them is gone."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest

from tests.support import deeds, federation
from tests.support.federation import Federation
from tests.support.fleet import Fleet

LINE = """\
apiVersion: skerry/v1
kind: Service
metadata: {name: talker}
spec:
  process: {command: [sh, -c, "echo hello from the far end; exec sleep 1000"]}
  placement: {regions: "region=north", selector: "site=oslo", count: all}
"""

THRIFT = """\
apiVersion: skerry/v1
kind: Policy
metadata: {name: thrift}
spec: {regions: "region=north", forward: {metrics: summary}}
"""


@pytest.fixture
async def tiers(tmp_path: Path) -> AsyncGenerator[Federation[Fleet]]:
    """cloud, its region north, and there oslo and bergen; `talker` runs on both."""
    async with federation.federation(tmp_path, {"north": ["oslo", "bergen"]}) as made:
        (tmp_path / "line.yaml").write_text(LINE)
        await made.root.command("apply", "-f", str(tmp_path / "line.yaml"))

        async def runs() -> bool:
            return (await made.root.json("get", "service", "talker"))["running"] == 2

        await made.root.until(runs, "talker runs on both", 30.0)
        yield made


async def nodes(tiers: Federation[Fleet]) -> dict[str, dict[str, Any]]:
    return {one["path"]: one for one in await tiers.root.json("get", "nodes")}


async def test_everything_is_seen_and_asked_from_the_root_and_a_region_that_is_gone_is_named(
    tiers: Federation[Fleet],
) -> None:
    root, north = tiers.root, tiers.regions["north"]
    assert list(await nodes(tiers)) == ["cloud/north", "cloud/north/bergen", "cloud/north/oslo"]
    _, listed = await root.command("get", "nodes")
    assert "cloud/north/oslo" in listed
    assert "2/2 online" in listed
    _, listed = await root.command("get", "regions")
    assert "2/2" in listed
    _, told = await root.command("describe", "service", "talker")
    assert "├─ bergen" in told or "└─ bergen" in told
    assert "2 placed, 2 running" in told
    _, told = await root.command("describe", "node", "oslo")
    assert "known through" in told

    code, told = await root.command("bundle", "export", "north/oslo", "--to", "/", check=False)
    assert (code, "north" in told, "/v1/" in told) == (1, True, False)

    async def said() -> bool:
        _, told = await root.command("describe", "node", "oslo")
        return "cpu " in told and "kernel " in told and ", pid " in told

    await root.until(said, "the device itself says how it is", 30.0)

    for name in ("oslo", "north/oslo", "cloud/north/oslo"):
        _, printed = await root.command("logs", "talker", "--node", name)
        assert "hello from the far end" in printed
        _, told = await root.command("describe", "node", name)
        assert told.startswith("node cloud/north/oslo\n")
        _, told = await root.command("events", "--node", name, "--kind", "service.started")
        assert "  cloud/north/oslo  " in told
    _, printed = await root.command("logs", "talker")
    assert {line.split()[0] for line in printed.splitlines()} == {"cloud/north/oslo", "cloud/north/bergen"}
    _, printed = await root.command("run", "--node", "cloud/north/oslo", "--", "echo", "down", "here")
    assert "down here" in printed

    async def risen() -> bool:
        _, told = await root.command("events", "--node", "oslo", "--kind", "service.started", "-o", "json")
        return [json.loads(line)["path"] for line in told.splitlines()] == ["cloud/north/oslo"]

    await root.until(risen, "what oslo did stands at the root", 30.0)

    await north.hub.kill()

    async def gone() -> bool:
        return (await nodes(tiers))["cloud/north"]["state"] == "away"

    await root.until(gone, "the root sees that north is gone", 30.0)
    oslo = (await nodes(tiers))["cloud/north/oslo"]
    assert (oslo["state"], oslo["silent"], oslo["last_state"]) == ("unheard", "north", "online")
    code, told = await root.command("doctor", check=False)
    assert (code, "1 of 1 not heard: cloud/north (last heard" in told, "2 devices behind it" in told) == (3, True, True)
    code, told = await root.command("logs", "talker", "--node", "oslo", check=False)
    assert code == 1
    assert "north is away (since" in told
    assert "oslo was online then, last heard" in told
    _, told = await root.command("describe", "node", "oslo")
    assert "\n  vitals         cpu " in told
    _, told = await root.command("get", "nodes")
    assert "(north is away)" in told
    _, told = await root.command("describe", "service", "talker")
    assert "away since" in told


async def test_a_region_tells_its_operators_how_its_parent_and_its_policies_stand(
    tiers: Federation[Fleet], tmp_path: Path
) -> None:
    root, north = tiers.root, tiers.regions["north"]
    (tmp_path / "thrift.yaml").write_text(THRIFT)
    _, told = await root.command("apply", "-f", str(tmp_path / "thrift.yaml"), "--wait")
    assert "in force" in told
    _, told = await north.command("describe", "policy", "thrift")
    assert "inherited from cloud" in told
    assert "metrics=summary" in told
    _, told = await root.command("apply", "-f", str(tmp_path / "line.yaml"))
    assert "service/talker: north 2 of 2" in told
    assert (await north.json("get", "hub"))["parent"]["state"] == "live"
    _, told = await north.command("doctor")
    assert "cloud: live since" in told

    await root.hub.kill()

    async def alone() -> bool:
        return (await north.json("get", "hub"))["parent"]["state"] == "offline"

    await north.until(alone, "north sees that cloud is gone", 30.0)
    _, told = await north.command("describe", "hub")
    assert "all here goes on" in told
    _, told = await north.command("get", "nodes")
    assert "cloud away" in told
    for words in (("doctor",), ("doctor", "--data", str(north.data))):
        code, told = await north.command(*words, check=False)
        assert (code, "cloud is away, last heard" in told) == (0, True), told


async def test_the_owner_asks_a_region_for_its_override_back_and_it_ends_at_its_return(
    tiers: Federation[Fleet], tmp_path: Path
) -> None:
    root, north = tiers.root, tiers.regions["north"]
    other = LINE.replace("hello", "mine").replace('regions: "region=north", ', "")
    (tmp_path / "mine.yaml").write_text(other)
    override = ("--override", "--for", "8h", "--reason", "belt jammed")
    await north.command("apply", "-f", str(tmp_path / "mine.yaml"), *override)

    async def told_above() -> bool:
        return "overridden by token:admin at north" in (await root.command("describe", "service", "talker"))[1]

    await root.until(told_above, "the root sees the override", 30.0)
    code, told = await root.command("release", "service/talker", "--at", "north", check=False)
    assert (code, "--reason" in told) == (1, True)
    await north.hub.kill()

    async def gone() -> bool:
        return (await nodes(tiers))["cloud/north"]["state"] == "away"

    await root.until(gone, "the root sees that north is gone", 30.0)
    asked = ("release", "service/talker", "--at", "cloud/north", "--reason", "belt mended")
    _, told = await root.command(*asked)
    assert "away since" in told
    _, told = await root.command("describe", "service", "talker")
    assert "asked back by token:admin at cloud" in told
    await north.hub.start()
    await deeds.hub_answers(north)

    async def ended() -> bool:
        return (await north.json("get", "hub"))["overrides"] == []

    await north.until(ended, "the override has ended", 60.0)
    for hub in (north, root):

        async def recorded(hub: Fleet = hub) -> bool:
            _, told = await hub.command("describe", "service", "talker")
            return "released by token:admin at cloud: belt mended" in told

        await hub.until(recorded, f"{hub.name} has it on record", 30.0)
    code, told = await root.command(*asked, check=False)
    assert (code, "nothing to release there" in told) == (1, True)
