"""D, for regions: hubs below a hub that are cut off, killed, restored, slow, of another version; and impostors.

What counts is the root: each thing that a producer keeps stands there once, under the device that made it.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from pathlib import Path
from typing import Any

import msgspec
import pytest

from hub.demo import fleet as demo
from protocol import limits, messages
from protocol.aio import failpoints, tls
from protocol.aio.mqtt import MqttLink
from tests.support import deeds, federation
from tests.support.fleet import Fleet
from tests.support.net import host, lands
from tests.support.recorded import Record

TWO = {"north": ("oslo", "bergen"), "south": ("roma", "lisboa")}
AT_RANDOM = 6
SLOW_BYTES_S = 8_000.0
BULK_ROWS = 1_000
BULK = f"""
import base64, json, os
for _ in range({BULK_ROWS}):
    print(json.dumps([base64.b64encode(os.urandom(600)).decode()]))
"""
RSS_MB_MORE = 48
apart = pytest.mark.skipif(bool(host.missing()), reason=host.missing() or "all is here")


# ------------------------------------------------------------------------------------------------ cut


@apart
async def test_full_partition_of_a_region_with_everything_going_on(tmp_path: Path, record: Record) -> None:
    """Both sides change things, a device comes and one is cut off from its region; then it merges as declared."""
    async with lands.islands(tmp_path / "f", TWO, seed=61) as it:
        root, north, south = it.root, it.regions["north"], it.regions["south"]
        pids = await federation.producing(it, record.ledger)
        await deeds.declare(root, _sign("sign", "first"))
        for name in it.nodes:
            await deeds.pid_of(it.region_of(name), name, "sign")
        ways = (*lands.between(north, root), *south.ways("roma"))
        for way in ways:
            way.cut = True
        await root.until(lambda: _is(root, "north", "away"), "north is missed")
        await deeds.declare(root, _sign("sign", "second"))
        assert await deeds.eventually(south, "south follows", lambda: _says(south, "lisboa", "sign", "second"))
        await deeds.declare(north, deeds.service("own", ["sleep", "600"]))
        await _override(north, _sign("sign", "storm"))
        await north.join(["tromso"], labels={"site": "oslo"})
        for name in north.agents:
            await deeds.pid_of(north, name, "own")
            assert await deeds.eventually(north, "north decides", lambda name=name: _says(north, name, "sign", "storm"))
        pids["tromso"] = await deeds.pid_of(north, "tromso", "numbers")
        await federation.more(it, record.ledger)
        shown = await root.ask("GET", "/v1/nodes")
        assert {one["state"] for one in shown if one["name"] in ("oslo", "bergen")} == {"unheard"}

        for way in ways:
            way.cut = False
        await federation.all_online(it)
        assert await deeds.eventually(south, "roma follows", lambda: _says(south, "roma", "sign", "second"))
        for name in north.agents:
            assert await _says(north, name, "sign", "storm"), "an override was silently undone"
        told = json_of(await deeds.events(root, key="service/sign"))
        assert "storm" in told
        assert "second" in told, "both versions stay on record above"
        await north.command("release", "service/sign")
        for name in north.agents:
            assert await deeds.eventually(
                north, "north follows", lambda name=name: _says(north, name, "sign", "second")
            )
        await north.ask("DELETE", "/v1/resources/service/own")
        await federation.counted(it, record, pids, "service/sign")


@apart
async def test_slow_link_with_a_large_backlog_at_a_region(tmp_path: Path, record: Record) -> None:
    """64 kbit/s upward and a backlog in the region: what is now goes before what was, and memory is bounded."""
    go, said = tmp_path / "go", tmp_path / "said"
    async with lands.islands(tmp_path / "f", {"north": ("oslo",)}, seed=62) as it:
        root, north = it.root, it.regions["north"]
        pids = await federation.producing(it, record.ledger, 1.0)
        wait = f"until [ -e {go} ]; do sleep 0.05; done"
        speak = f"python3 -c '{BULK}' | {demo.BIN}/skerry-agent emit --kind bulk && touch {said}; sleep 600"
        await deeds.declare(north, deeds.service("bulk", ["sh", "-c", f"{wait}; {speak}"]))
        await deeds.pid_of(north, "oslo", "bulk")
        up, down = lands.between(north, root)
        up.cut = down.cut = True
        await root.until(lambda: _is(root, "north", "away"), "north is missed")
        go.touch()
        await north.until(lambda: _exists(said), "a backlog is made")
        await deeds.settled(north)
        before = [_rss_mb(fleet) for fleet in it]
        for way in (up, down):
            way.rate_bytes_s, way.delay_s, way.cut = SLOW_BYTES_S, 0.05, False
        await root.until(lambda: root.online("north"), "north is back", 90.0)
        await deeds.declare(root, deeds.service("fresh", ["sleep", "600"]))
        await deeds.pid_of(north, "oslo", "fresh")
        await root.until(lambda: _runs(root, "oslo", "fresh"), "the root knows what runs now")
        assert await _came(root) < BULK_ROWS, "history went before what is new"
        up.rate_bytes_s = 20 * SLOW_BYTES_S  # what was to be shown has been shown
        await it.risen(north)
        for fleet, rss in zip(it, before, strict=True):
            assert _rss_mb(fleet) < rss + RSS_MB_MORE, fleet.name
        assert await _came(root) == BULK_ROWS
        await north.ask("DELETE", "/v1/resources/service/bulk")
        await federation.counted(it, record, pids, "service/fresh")


# ------------------------------------------------------------------------------------------------ kill -9


@pytest.mark.parametrize("victim", ["root", "region"])
async def test_kill_9_of_a_root_or_a_region_at_random(tmp_path: Path, record: Record, victim: str) -> None:
    with deeds.dice(63 if victim == "root" else 64) as dice:
        async with federation.federation(tmp_path / "f", TWO) as it:
            pids = await federation.producing(it, record.ledger)
            for _ in range(AT_RANDOM):
                fleet = it.root if victim == "root" else dice.choice(list(it.regions.values()))
                await federation.more(it, record.ledger, dice.choice(it.nodes), count=dice.randint(1, 60))
                await fleet.hub.kill()
                await asyncio.sleep(dice.random())  # paces the fault
                await fleet.hub.start()
                await deeds.hub_answers(fleet)
            await federation.counted(it, record, pids)


@pytest.mark.parametrize("place", failpoints.PLACES)
async def test_kill_9_of_a_region_at_every_named_failpoint(tmp_path: Path, record: Record, place: str) -> None:
    async with federation.federation(tmp_path / "f", {"north": ("oslo",)}) as it:
        north = it.regions["north"]
        pids = await federation.producing(it, record.ledger, 0.0)
        for passes in (1, 30):
            await federation.more(it, record.ledger)
            await north.hub.kill()
            doomed = deeds.hub_again(north, env={"SKERRY_FAILPOINT": f"{place}:{passes}"})
            await doomed.start()
            assert await doomed.ended() == -9, f"{place}:{passes} was not reached by the region"
            await deeds.hub_again(north).start()
            await deeds.hub_answers(north)
        await federation.counted(it, record, pids)


# ------------------------------------------------------------------------------------------------ copies and impostors


async def test_old_copy_restored_of_a_region_is_noticed_above_and_below_and_nothing_is_doubled(
    tmp_path: Path, record: Record
) -> None:
    copy = tmp_path / "copy"
    async with federation.federation(tmp_path / "f", TWO) as it:
        root, north = it.root, it.regions["north"]
        pids = await federation.producing(it, record.ledger)
        await it.settled()
        await north.hub.stop()
        shutil.copytree(north.data, copy)
        await north.hub.start()
        await deeds.hub_answers(north)
        await deeds.declare(north, deeds.service("later", ["sleep", "600"]))
        later = [await deeds.pid_of(north, name, "later") for name in north.agents]
        await federation.more(it, record.ledger)
        await it.settled()
        await north.hub.kill()
        shutil.rmtree(north.data)
        shutil.copytree(copy, north.data)
        record.fault("restore", "north")
        await north.hub.start()
        await deeds.hub_answers(north)

        assert await deeds.eventually(root, "the root is alarmed", lambda: _alarms(root, "north"))
        assert await deeds.eventually(north, "the region is alarmed", lambda: _alarms(north, "oslo"))
        for name, pid in zip(north.agents, later, strict=True):
            assert await deeds.pid_of(north, name, "later") == pid, "a restored region rolled its devices back"
        await north.command("hub", "accept-restore", "--yes")
        await root.command("node", "accept", "north")
        await north.hub.kill()  # else it asks again after limits.REFUSED_RETRY_S
        await north.hub.start()
        await deeds.hub_answers(north)
        for pid in later:
            await deeds.gone(pid)
        await federation.more(it, record.ledger)
        await federation.counted(it, record, pids)


async def test_certificate_of_a_sibling_region_opens_no_other_door(tmp_path: Path) -> None:
    """Not recorded: this test speaks for an impostor, and writes no trace."""
    async with federation.federation(tmp_path / "f", {"north": ("oslo",), "south": ("roma",)}) as it:
        root, north, south = it.root, it.regions["north"], it.regions["south"]
        papers = south.data / "hub.pem", south.data / "hub.key"
        said = await _knock(root, "cloud.skerry", "north", *papers)
        assert said, "south's certificate opened the session of north"
        for chain, key in (papers, _papers(south, "roma")):
            assert await _knock(north, "north.cloud.skerry", "oslo", chain, key), f"oslo got in at north with {chain}"
        assert await root.online("north")
        assert await north.online("oslo")
        assert (await root.node("north"))["alarms"] == []


# ------------------------------------------------------------------------------------------------ versions


async def test_version_skew_between_a_root_and_a_region_is_shown_and_they_interoperate(
    tmp_path: Path, record: Record
) -> None:
    async with federation.federation(tmp_path / "f", TWO) as it:
        pids = await federation.producing(it, record.ledger)
        for fleet, version in ((it.regions["north"], "0.0.9"), (it.regions["south"], "9.0.0")):
            await fleet.hub.stop()
            await deeds.hub_again(fleet, env=_as_version(tmp_path / fleet.name, version)).start()
            await deeds.hub_answers(fleet)
            await it.root.until(lambda fleet=fleet: it.root.online(fleet.name), f"{fleet.name} is back")
            assert (await it.root.node(fleet.name))["version"] == version
        await federation.more(it, record.ledger)
        await deeds.declare(it.root, deeds.service("new", ["sleep", "600"]))
        for name in it.nodes:
            assert await deeds.pid_of(it.region_of(name), name, "new")
        await federation.counted(it, record, pids, "service/new")


# ------------------------------------------------------------------------------------------------ small words


def _sign(name: str, says: str) -> dict[str, Any]:
    return deeds.service(name, ["sleep", "600"], process={"env": {"SAYS": says}})


async def _override(it: Fleet, document: dict[str, Any]) -> None:
    """Put a document in the place of one that is delegated to a region, for a time, as its operator does."""
    path = it.folder / "override.json"
    path.write_bytes(msgspec.json.encode(document))
    await it.command("apply", "-f", str(path), "--override", "--for", "1h", "--reason", "a storm")


async def _says(it: Fleet, node: str, service: str, text: str) -> bool:
    """Tell whether the process of a service has `SAYS=text` in its environment."""
    pid = await deeds.running_pid(it, node, service)
    try:
        return f"SAYS={text}\0".encode() in Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return False


async def _is(it: Fleet, node: str, state: str) -> bool:
    return (await it.node(node))["state"] == state


async def _exists(path: Path) -> bool:
    return path.exists()


async def _runs(it: Fleet, node: str, service: str) -> bool:
    return (await it.node(node))["services"].get(service, {}).get("state") == "running"


async def _came(it: Fleet) -> int:
    return len(await deeds.events(it, node="oslo", kind="app.bulk"))


async def _alarms(it: Fleet, node: str) -> list[Any]:
    return (await it.node(node))["alarms"]


def json_of(some: list[dict[str, Any]]) -> str:
    """Return events as text."""
    return msgspec.json.encode(some).decode()


def _rss_mb(it: Fleet) -> float:
    lines = Path(f"/proc/{it.hub.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:")) / limits.KIB


def _as_version(folder: Path, version: str) -> dict[str, str]:
    """Words for the environment of a process that takes itself for another version."""
    place = folder / f"skerry-{version}.dist-info"
    place.mkdir(parents=True)
    (place / "METADATA").write_text(f"Metadata-Version: 2.1\nName: skerry\nVersion: {version}\n")
    return {"PYTHONPATH": os.pathsep.join(filter(None, (str(folder), os.environ.get("PYTHONPATH"))))}


def _papers(it: Fleet, node: str) -> tuple[Path, Path]:
    data = it.agents[node].data
    return data / "cert.pem", data / "key.pem"


async def _knock(it: Fleet, name: str, node: str, chain: Path, key: Path) -> str:
    """Come to the door of a hub, called `name` there, as `node` with somebody's papers; return why it was closed.

    Returns "" when it was let in: a Hello was answered with a Welcome.
    """
    heard: asyncio.Queue[str] = asyncio.Queue()

    def opened(session: int) -> None:
        link.send(it.name, messages.Hello(session=session, nonce="ab" * 16, node=node, version="0"))

    link = MqttLink(
        node=node,
        parent=it.name,
        host="127.0.0.1",
        port=it.mqtt_port,
        context=lambda: tls.child_context(chain=chain, key=key, root=it.data / "root.pem", name=name),
        opened=opened,
        closed=lambda session, reason: heard.put_nowait(reason or "closed"),
        got=lambda message: heard.put_nowait("" if isinstance(message, messages.Welcome) else "no welcome"),
    )
    try:
        link.connect(1_000, "ab" * 16)
        async with asyncio.timeout(15.0):
            return await heard.get()
    finally:
        await link.close()
