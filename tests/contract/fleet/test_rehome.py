"""A device moves from one region to another by an operator's word at the root: real hubs, a real agent, real work."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from pathlib import Path

import msgspec

from edge_agent.shell import identity
from edge_agent.shell.papers import notary, notes, own
from hub.demo import daemon
from protocol import documents
from protocol.aio import sqlite
from protocol.trust import certificates, grants, signing
from tests.support import deeds
from tests.support.federation import Federation, federation
from tests.support.fleet import Fleet

_HASTY = """
from protocol import limits
limits.REHOME_AFTER_S = limits.DISCOVER_S_MIN = limits.BACKOFF_S_MAX = 1.0
limits.DISCOVER_S_MAX = 2.0
"""


async def test_a_device_that_moves_keeps_its_work_and_every_entry(tmp_path: Path) -> None:
    async with federation(tmp_path / "f", {"north": ["oslo"], "south": []}) as it:
        north, south, ledger = it.regions["north"], it.regions["south"], tmp_path / "ledger"
        await deeds.declare(it.root, deeds.producer("counter", ledger, every_s=0.01))
        pid = await deeds.pid_of(north, "oslo", "counter")

        assert "oslo belongs to south now" in await _move(it, "cloud/north/oslo", "south")
        await _arrived(north, south)
        file = identity.load(south.agents["oslo"].data)
        assert (file.hub, file.scope, file.mqtt.port) == ("south", "south.cloud.skerry", south.mqtt_port)
        assert (await north.node("oslo"))["state"] == "moved"
        await south.until(lambda: _certified(south), "its certificate is of the new region")
        assert await deeds.pid_of(south, "oslo", "counter") == pid, "its work did not notice"

        await south.agents["oslo"].daemon.kill()
        await south.agents["oslo"].daemon.start()
        await south.until(lambda: south.online("oslo"), "it knows where it belongs")
        assert await deeds.pid_of(south, "oslo", "counter") == pid

        await _move(it, "cloud/south/oslo", "north")
        await _arrived(south, north)
        await it.root.ask("DELETE", "/v1/resources/service/counter")
        await north.until(lambda: _gone(north, "counter"), "its work ends when nobody wants it any more")
        await it.settled()
        (await deeds.tally(it.root, ledger, "oslo")).check()
        assert not (await north.node("oslo"))["lost"]


async def test_a_device_whose_hub_is_gone_for_good_turns_to_a_sibling_and_stays_there(tmp_path: Path) -> None:
    async with federation(tmp_path / "f", {"north": [], "south": []}) as it:
        north, south, ledger = it.regions["north"], it.regions["south"], tmp_path / "ledger"
        await it.root.hub.stop()
        hasty = f"{_HASTY}\nfrom hub.cli.main import main; main()"
        serve = [sys.executable, "-c", hasty, "hub", "serve", "--data", str(it.root.data)]
        it.root.hub = daemon.Daemon("the root", serve, it.root.folder / "hub.log", it.root.env)
        await it.root.hub.start()
        await deeds.hub_answers(it.root)
        await north.join(["oslo"], wire=False, labels={"site": "oslo"})
        agent = north.agents["oslo"]
        await agent.daemon.stop()
        run = [sys.executable, "-c", f"{_HASTY}\nfrom edge_agent.cli.main import main; main()", "run"]
        agent.daemon = daemon.Daemon("oslo", [*run, "--data", str(agent.data)], agent.daemon.log, north.env)
        await agent.daemon.start()
        await deeds.declare(it.root, deeds.producer("counter", ledger, every_s=0.01))
        pid = await deeds.pid_of(north, "oslo", "counter")
        await north.until(lambda: _has_grant(agent.data), "it holds a grant")
        await it.risen(north)

        await north.hub.kill()
        await south.until(lambda: _state(south, "online"), "the device is at the other region")
        south.agents["oslo"] = north.agents.pop("oslo")
        await south.until(lambda: _certified(south), "the root has said that it belongs there")
        assert (await south.node("oslo"))["labels"]["site"] == "oslo"
        assert await deeds.pid_of(south, "oslo", "counter") == pid, "its work did not notice"

        await north.hub.start()
        await deeds.hub_answers(north)
        await north.until(lambda: _state(north, "moved"), "who was gone hears of it when it is back")
        await it.root.ask("DELETE", "/v1/resources/service/counter")
        await south.until(lambda: _gone(south, "counter"), "its work ends when nobody wants it any more")
        await it.settled()
        await it.root.until(lambda: _is_one(it.root), "its name is its own at the root")
        (await deeds.tally(it.root, ledger, "oslo")).check()


async def _has_grant(data: Path) -> bool:
    with contextlib.closing(sqlite.read_only(data / "journal.db")) as db:
        rows = db.execute("SELECT value FROM state WHERE space = 'document'").fetchall()
    found = [documents.decode(bytes(raw)) for (raw,) in rows]
    return any(isinstance(one, documents.Grant) and len(one.havens) == 3 for one in found)


async def test_a_word_to_move_that_is_not_of_a_hub_above_is_refused(tmp_path: Path) -> None:
    async with federation(tmp_path / "f", {"north": ["oslo"], "south": []}) as it:
        data = it.regions["north"].agents["oslo"].data
        file, key = identity.load(data), own.certificate(data).key
        to = documents.Haven(
            id="south", scope="south.cloud.skerry", mqtt_host="h", mqtt_port=1, api_host="h", api_port=2
        )
        bare = documents.Move(node="oslo", key=key, former="north", to=to, number=1, by="cloud")

        async def doubt(move: documents.Move) -> str:
            job = notes.Job(do="move", data=str(data), pem=documents.encode(move).decode())
            return (await asyncio.to_thread(notary.perform, job)).error

        root, south = _signer(it.root), _signer(it.regions["south"])
        good = grants.sign(bare, root)
        assert not await doubt(good)
        assert "is wrong" in await doubt(msgspec.structs.replace(good, number=2))
        by_south = grants.sign(msgspec.structs.replace(bare, by="south"), south)
        assert "south is not above north.cloud.skerry" in await doubt(by_south)
        assert "names signer south, not signer cloud" in await doubt(grants.sign(bare, south))
        assert "not for this device" in await doubt(grants.sign(msgspec.structs.replace(bare, node="roma"), root))
        assert "another key" in await doubt(grants.sign(msgspec.structs.replace(bare, key="0" * 64), root))
        elsewhere = msgspec.structs.replace(to, scope="south.other.skerry")
        assert "not above south.other" in await doubt(grants.sign(msgspec.structs.replace(bare, to=elsewhere), root))
        assert identity.load(data) == file


async def _move(it: Federation[Fleet], node: str, to: str) -> str:
    """Say it at the root, once the regions have said where they listen."""
    said = ""

    async def granted() -> bool:
        nonlocal said
        code, said = await it.root.command("node", "move", node, "--to", to, check=False)
        assert code == 0 or "try again" in said or "there is no node" in said, said
        return code == 0

    await it.root.until(granted, f"{node} may move to {to}")
    return said


async def _arrived(former: Fleet, new: Fleet) -> None:
    """Wait until the device is online at its new hub and let go of by its former one; it is of the new fleet then."""
    new.agents["oslo"] = former.agents.pop("oslo")
    await new.until(lambda: _state(new, "online"), f"the device is at {new.name}")
    await former.until(lambda: _state(former, "moved"), f"{former.name} lets go of it")


async def _state(fleet: Fleet, state: str) -> bool:
    nodes = await fleet.ask("GET", "/v1/nodes")
    found = [node["state"] for node in nodes if node["name"] == "oslo"]
    if state == "moved":  # listed where it belongs, and described where it belonged
        return not found and bool((await fleet.node("oslo"))["state"] == state)
    return state in found


async def _certified(fleet: Fleet) -> bool:
    raw = (fleet.agents["oslo"].data / "cert.pem").read_bytes()
    leaf = (await asyncio.to_thread(certificates.load_chain, raw))[0]
    return certificates.dns_names(leaf) == [f"oslo.{fleet.name}.cloud.skerry"]


async def _gone(fleet: Fleet, service: str) -> bool:
    said = await asyncio.to_thread(deeds.local, fleet, "oslo")
    return said is not None and service not in said["services"]


def _signer(fleet: Fleet) -> signing.Signer:
    key = certificates.load_signing_key((fleet.data / "signer.key").read_bytes())
    return signing.Signer(key, fleet.name, (fleet.data / "signer.pem").read_bytes())


async def _is_one(fleet: Fleet) -> bool:
    nodes = await fleet.ask("GET", "/v1/nodes")
    return [node["state"] for node in nodes if node["name"] == "oslo" and node["state"] != "moved"] == ["online"]
