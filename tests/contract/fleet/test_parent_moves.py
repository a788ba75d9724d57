"""A region whose parent has moved to another address finds it again; who only says that it is the parent is nobody."""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from hub.demo import fleet as demo
from tests.contract.agent.test_discovery import Announcing, announcing, liar
from tests.support.fleet import Fleet, fleet

_HASTY = "from protocol import limits; limits.DISCOVER_AFTER_S = limits.DISCOVER_S_MIN = limits.BACKOFF_S_MAX = 0.5;"
_HUB = f"{_HASTY} from hub.cli.main import main; main()"
LOOK_S = 60.0


@asynccontextmanager
async def region(root: Announcing, folder: Path) -> AsyncGenerator[Fleet]:
    """A region that is quick to look for its parent, and has lost it."""
    made = Fleet(folder, "north")
    serve = [sys.executable, "-c", _HUB, "hub", "serve", "--data", str(made.data)]
    made.hub = demo.Daemon("the hub north", serve, folder / "hub.log", made.env)
    try:
        await made.begin_below(root)
        await root.hub.stop()
        for wire in made.up:
            await wire.close()
        yield made
    finally:
        await made.close()


def parent(it: Fleet) -> dict[str, Any]:
    return json.loads((it.data / "hub.json").read_text())["parent"]


async def test_a_region_finds_its_parent_at_other_ports_and_by_proof_alone(tmp_path: Path) -> None:
    async with announcing(tmp_path / "f") as root, region(root, tmp_path / "north") as north:
        lie = root.said(mqtt="9")
        await root.move()
        async with liar(lie):  # it is tried, and refused
            await root.until(lambda: root.online("north"), "the region has found its parent", LOOK_S)

        known = parent(north)
        assert (known["mqtt"]["port"], known["api"]["port"]) == (root.mqtt_port, root.api_port)
        assert (known["id"], known["scope"], known["mqtt"]["name"]) == ("cloud", "cloud.skerry", "cloud.skerry")
        assert "127.0.0.1" in known["names"]
        _, text = await north.command("events", "--kind", "hub.found", "-o", "json")
        assert [json.loads(row)["body"]["place"] for row in text.splitlines()] == [f"127.0.0.1:{root.mqtt_port}"]


async def test_an_impostor_with_another_ca_gets_no_region(tmp_path: Path) -> None:
    async with (
        announcing(tmp_path / "f") as root,
        fleet(tmp_path / "other") as other,
        region(root, tmp_path / "north") as north,
    ):
        before = parent(north)
        async with liar(root.said(api=other.api_port, mqtt=str(other.mqtt_port))):

            async def has_looked() -> bool:
                return "its certificate does not hold" in (await north.get("/v1/hub"))["parent"]["looked"]

            await north.until(has_looked, "the region has looked, and refused", LOOK_S)
            _, told = await north.command("describe", "hub")
            assert f"cloud is not at 127.0.0.1:{other.mqtt_port}" in told
        assert parent(north) == before
