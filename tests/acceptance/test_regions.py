"""D, for regions: papers that expire while a region is away; and what nobody may make of a tree: loops, names twice."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.test_clocks import LIBRARY
from tests.support import deeds, federation
from tests.support.federation import Federation
from tests.support.fleet import Fleet
from tests.support.recorded import Record

CA_DIES_AFTER_DAYS = 400
ONE = {"north": ("oslo",)}

needs_faketime = pytest.mark.skipif(not LIBRARY, reason="libfaketime is not installed (sudo apt install faketime)")


def _by_file(file: Path) -> dict[str, str]:
    """Words for the environment of a process whose wall clock jumps when `file` is written."""
    return {
        "LD_PRELOAD": LIBRARY,
        "FAKETIME_TIMESTAMP_FILE": str(file),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }


async def _stopped(it: Federation[Fleet]) -> None:
    """Stop every daemon, the lowest first."""
    for fleet in reversed(list(it)):
        for agent in fleet.agents.values():
            await agent.daemon.stop()
        await fleet.hub.stop()


async def _started(it: Federation[Fleet], env: dict[str, dict[str, str]]) -> None:
    """Begin a life of every daemon, with words for the environment of each machine that is named."""
    for fleet in it:
        await deeds.hub_again(fleet, env=env.get(fleet.name)).start()
        await deeds.hub_answers(fleet)
        for name in fleet.agents:
            await deeds.again(fleet, name, env=env.get(name)).start()


async def _is_renewed(it: Fleet, name: str, before_ms: int) -> bool:
    node = await it.node(name)
    return node["state"] == "online" and node["certificate_until_ms"] > before_ms


async def _until_ms(it: Fleet, name: str) -> int:
    return (await it.node(name))["certificate_until_ms"]


# ------------------------------------------------------------------------------------------------ papers


@needs_faketime
async def test_intermediate_expired_while_its_region_was_off_is_renewed_by_itself_and_work_goes_on(
    tmp_path: Path, record: Record
) -> None:
    late = tmp_path / "late"
    late.write_text(f"+{CA_DIES_AFTER_DAYS}d\n")
    async with federation.federation(tmp_path / "f", ONE) as it:
        root, north = it.root, it.regions["north"]
        pids = await federation.producing(it, record.ledger)
        before_ms = await _until_ms(root, "north"), await _until_ms(north, "oslo")
        await _stopped(it)
        await _started(it, dict.fromkeys(("cloud", "north", "oslo"), _by_file(late)))
        await root.until(lambda: _is_renewed(root, "north", before_ms[0]), "north has a new certificate of its CA", 120)
        await north.until(lambda: _is_renewed(north, "oslo", before_ms[1]), "oslo has a new certificate", 120)
        await federation.all_online(it)
        await federation.more(it, record.ledger)
        assert (await root.node("north"))["alarms"] == []
        assert len(await deeds.events(north, kind="ca.renewed")) == 1
        await federation.counted(it, record, pids)


@needs_faketime
async def test_intermediate_expired_while_its_region_was_cut_off_stops_nothing_there(
    tmp_path: Path, record: Record
) -> None:
    """Clocks go on by 400 days while all run. The region goes on under the CA that has expired, and lets one in."""
    clock = tmp_path / "clock"
    clock.write_text("+0d\n")
    env = _by_file(clock)
    async with federation.federation(tmp_path / "f", ONE) as it:
        root, north = it.root, it.regions["north"]
        pids = await federation.producing(it, record.ledger)
        before_ms = await _until_ms(root, "north"), await _until_ms(north, "oslo")
        await _stopped(it)
        await _started(it, dict.fromkeys(("cloud", "north", "oslo"), env))
        await federation.all_online(it)
        north.cut()
        clock.write_text(f"+{CA_DIES_AFTER_DAYS}d\n")
        await north.agents["oslo"].daemon.kill()
        await north.agents["oslo"].daemon.start()
        await north.until(lambda: north.online("oslo"), "oslo finds its region again", 90.0)
        north.env = {**north.env, **env}
        await north.join(["tromso"], wire=False, labels={"site": "oslo"})
        pids["tromso"] = await deeds.pid_of(north, "tromso", "numbers")
        await federation.more(it, record.ledger)
        assert await _until_ms(root, "north") == before_ms[0]

        north.heal()
        await root.until(lambda: _is_renewed(root, "north", before_ms[0]), "north has a new certificate of its CA", 120)
        await north.until(lambda: _is_renewed(north, "oslo", before_ms[1]), "oslo has a new certificate", 120)
        await federation.more(it, record.ledger)
        await federation.counted(it, record, pids)


# ------------------------------------------------------------------------------------------------ loops, names


@asynccontextmanager
async def _turned(it: Fleet, **parent: Any) -> AsyncGenerator[None]:
    """Stop a hub and let it look up elsewhere, as somebody who edits its hub.json; set it right at the end."""
    file = it.data / "hub.json"
    was = file.read_bytes()
    known = json.loads(was)
    await it.hub.stop()
    file.write_text(json.dumps({**known, "parent": {**known["parent"], **parent}}))
    yield
    await it.hub.stop()
    file.write_bytes(was)
    await it.hub.start()
    await deeds.hub_answers(it)


def _place(port: int, **more: str) -> dict[str, Any]:
    return {"host": "127.0.0.1", "port": port, **more}


async def test_loop_of_parents_is_refused_by_name(tmp_path: Path) -> None:
    """Not recorded: nothing runs here."""
    async with federation.federation(tmp_path / "f", {"north": ()}) as it:
        north = it.regions["north"]
        token = (await north.ask("POST", "/v1/tokens", {"ttl_s": 3_600, "uses": 1, "kind": "hub"}))["token"]
        for name in ("cloud", "north"):
            again = Fleet(tmp_path / f"again-{name}", name)
            again.folder.mkdir()
            data = ("--data", str(again.data), "--name", name)
            code, said = await again.command(
                *("hub", "init", *data, "--parent", f"https://127.0.0.1:{north.api_port}", "--token", token),
                check=False,
            )
            assert (code, "hubs make no loop" in said, "choose another --name" in said) == (1, True, True), said
            assert not (again.data / "hub.json").exists()
        assert await north.ask("GET", "/v1/nodes") == []


@pytest.mark.parametrize("whom", ["itself", "its-child"])
async def test_loop_of_parents_made_by_hand_lets_nobody_in_and_stops_no_work(
    tmp_path: Path, record: Record, whom: str
) -> None:
    async with federation.federation(tmp_path / "f", {"north": ("oslo",)}) as it:
        root, north = it.root, it.regions["north"]
        pids = await federation.producing(it, record.ledger)
        lowest = Fleet(tmp_path / "f" / "fjord", "fjord")
        await lowest.begin_below(north)
        try:
            to = north if whom == "itself" else lowest
            scope = "north.cloud.skerry" if to is north else "fjord.north.cloud.skerry"
            mqtt, api = _place(to.mqtt_port, name=scope), _place(to.api_port)
            async with _turned(north, id=to.name, scope=scope, mqtt=mqtt, api=api):
                await north.hub.start()
                said = await _loop(north)
                assert "loop" in said, said
                await federation.more(it, record.ledger)
            await north.until(lambda: north.online("fjord"), "fjord is back")
            await deeds.eventually(north, "fjord holds what it is asked", lambda: _follows(north, "fjord"))
            await federation.counted(it, record, pids)
            assert (await root.node("north"))["alarms"] == []
        finally:
            await lowest.close()


async def _follows(it: Fleet, name: str) -> bool:
    node = await it.node(name)
    return node["observed_generation"] == node["desired_generation"]


async def _loop(it: Fleet) -> str:
    """What a hub that would look up to itself, or to its child, says as it ends."""
    assert await it.hub.ended() == 1
    return it.hub.log.read_text()


async def test_two_hubs_of_one_name_are_not_below_one_root_and_the_first_goes_on(
    tmp_path: Path, record: Record
) -> None:
    async with federation.federation(tmp_path / "f", {"north": ("oslo",)}) as it:
        root = it.root
        pids = await federation.producing(it, record.ledger)
        second = Fleet(tmp_path / "f" / "second", "north")
        body = {"ttl_s": 3_600, "uses": 2, "kind": "hub"}
        token = (await root.ask("POST", "/v1/tokens", body))["token"]
        code, said = await _init_below(second, root, token)
        assert (code, "the name north is taken by another key" in said) == (1, True), said
        assert not (second.data / "hub.json").exists()
        await federation.more(it, record.ledger)
        assert await root.online("north")
        await federation.counted(it, record, pids)


async def _init_below(it: Fleet, parent: Fleet, token: str) -> tuple[int, str]:
    it.folder.mkdir(parents=True)
    above = ("--parent", f"https://127.0.0.1:{parent.api_port}", "--token", token)
    return await it.command("hub", "init", "--data", str(it.data), "--name", it.name, *above, check=False)


# ------------------------------------------------------------------------------------------------ versions


async def test_version_skew_of_a_region_too_new_for_what_is_installed_is_refused_clearly(
    tmp_path: Path, record: Record
) -> None:
    """Its store was made by a version that nobody here knows: nothing of it is touched, and below it all goes on."""
    async with federation.federation(tmp_path / "f", ONE) as it:
        root, north = it.root, it.regions["north"]
        pids = await federation.producing(it, record.ledger)
        await north.hub.stop()
        mine = _version(north.data, 999)
        await north.hub.start()
        assert await north.hub.ended() == 1
        assert "made by a newer Skerry" in north.hub.log.read_text()
        assert _version(north.data, mine) == 999, "it is left as it was"
        await federation.more(it, record.ledger)
        await north.hub.start()
        await deeds.hub_answers(north)
        await root.until(lambda: root.online("north"), "north is back")
        await federation.counted(it, record, pids)


def _version(data: Path, version: int) -> int:
    """Say that a store is of `version`; return which it was of."""
    with closing(sqlite3.connect(data / "hub.db")) as db:
        (before,) = db.execute("PRAGMA user_version").fetchone()
        db.execute(f"PRAGMA user_version = {version}")
        db.execute(f"PRAGMA application_id = {version}")
        db.commit()
    return before
